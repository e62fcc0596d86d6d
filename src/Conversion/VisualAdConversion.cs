using System.Globalization;
using TinyZsad.Weights;

namespace TinyZsad.Conversion;

/// <summary>
/// Converts a backbone and the checkpoint of VisualAD to a model (<c>tests/reference/visualad/SPEC.md</c>, sections 5 and 8). The backbone
/// is CLIP with the names of OpenAI, or DINOv2 with those of Meta or Hugging Face.
/// </summary>
internal static class VisualAdConversion
{
    /// <summary>The names of CLIP in VisualAD's checkpoints, and the names in the metadata of a model.</summary>
    private static readonly Dictionary<string, string> Published = new()
    {
        ["ViT-L/14@336px"] = "clip-vit-l-14-336", ["ViT-L/14"] = "clip-vit-l-14", ["ViT-B/16"] = "clip-vit-b-16",
        ["ViT-B/32"] = "clip-vit-b-32",
    };

    /// <summary>Represents the metadata of a backbone and the name of its final norm in the model.</summary>
    private sealed record Backbone(string Name, long Width, string Mean, string Std, string Norm);

    public static void Fill(ModelDraft draft, string path, bool dinoV2, string head, bool trainedNorm)
    {
        Backbone backbone = dinoV2 ? FillDinoV2(draft, path, trainedNorm) : FillClip(draft, path, trainedNorm);
        Checkpoint checkpoint = draft.Open("head", head);
        StateDict state = draft.Use("head", StateDict.Find(checkpoint, "anomaly_token")
            ?? throw StateDict.NotFound(checkpoint, "VisualAD", "'anomaly_token'"));
        CheckSettings(checkpoint, backbone);
        long[] layers = FillHead(draft, checkpoint, state);
        if (trainedNorm)
        {
            foreach (string leaf in new[] { "weight", "bias" })
                draft.Add($"{backbone.Norm}.{leaf}", state.Take($"ln_post_{leaf}", 1));
        }

        draft.Describe("format", "tinyzsad");
        draft.Describe("format_version", "1");
        draft.Describe("model", "visualad");
        draft.Describe("backbone", backbone.Name);
        draft.Describe("image_size", Text(checkpoint.Values.GetValueOrDefault("image_size") is long size ? size : 518));
        draft.Describe("features_list", string.Join(',', layers.Select(Text)));
        draft.Describe("heads", Text(Math.Max(1, backbone.Width / 64)));
        draft.Describe("mean", backbone.Mean);
        draft.Describe("std", backbone.Std);
        draft.Describe("sigma", "4");
        draft.Describe("topk_ratio", "0.01");
        draft.Describe("ln_post", trainedNorm ? "checkpoint" : "backbone");
        draft.Describe("source", $"{draft.SourceOf("vision")}, {draft.SourceOf("head")}");
    }

    private static string Text(long n) => n.ToString(CultureInfo.InvariantCulture);

    /// <summary>Checks the settings that would require another graph.</summary>
    private static void CheckSettings(Checkpoint checkpoint, Backbone backbone)
    {
        Expect("token_insert_layer", 0L);
        Expect("transform_type", "mlp");
        Expect("cross_attn_config.apply_to_layer24", true);
        if (checkpoint.Values.GetValueOrDefault("backbone") is string name && Published.TryGetValue(name, out string? known)
            && known != backbone.Name)
        {
            throw KeyError(checkpoint, "backbone", $"it was trained on {name}, and the backbone given is {backbone.Name}");
        }

        void Expect(string key, object value)
        {
            if (checkpoint.Values.TryGetValue(key, out object? found) && !found.Equals(value))
                throw KeyError(checkpoint, key, $"its '{key}' is '{found}'; only '{value}' is known");
        }
    }

    private static ModelFormatException KeyError(Checkpoint checkpoint, string key, string what) =>
        new(checkpoint.Name, $"{what}.") { Key = key };

    /// <summary>Adds the tokens, SAF and SCA, and returns their layers.</summary>
    private static long[] FillHead(ModelDraft draft, Checkpoint checkpoint, StateDict state)
    {
        Copy("anomaly_token");
        Copy("normal_token");
        string[] transforms = Layers("layer_transforms."), attentions = Layers("cross_attn.layer_attentions.");
        long[] layers = checkpoint.Integers("features_list")
            ?? [.. transforms.Union(attentions)
                .Select(l => long.Parse(l["layer_".Length..], CultureInfo.InvariantCulture)).Order()];
        if (layers.Length == 0)
            throw KeyError(checkpoint, "features_list", "it has neither a 'features_list' nor any 'layer_transforms'");
        foreach (string layer in layers.Select(l => $"layer_{l}"))
        {
            if (transforms.Contains(layer))
            {
                foreach (string leaf in new[] { "0.weight", "0.bias", "3.weight", "3.bias" })
                    Copy($"layer_transforms.{layer}.mlp.{leaf}");
            }

            if (attentions.Length > 0)
            {
                foreach (string leaf in new[]
                {
                    "anchor_queries", "pos_encoding", "q_proj.weight", "k_proj.weight", "v_proj.weight", "out_proj.weight",
                    "out_proj.bias", "q_norm.weight", "q_norm.bias", "k_norm.weight", "k_norm.bias", "gate.0.weight",
                    "gate.0.bias", "res_scale",
                })
                {
                    Copy($"cross_attn.layer_attentions.{layer}.{leaf}");
                }
            }
        }
        foreach (string module in new[] { "layer_transforms.", "cross_attn." })
            state.RefuseOthers("VisualAD's head", module, _ => false);
        return layers;

        void Copy(string name)
        {
            CheckpointTensor tensor = state.Take(name);
            draft.Add($"head.{name}", tensor);
        }

        string[] Layers(string module) =>
            [.. state.NamesBelow(module).Select(n => n[module.Length..].Split('.')[0])
                .Where(n => n.StartsWith("layer_", StringComparison.Ordinal)
                    && n.AsSpan("layer_".Length).IndexOfAnyExceptInRange('0', '9') < 0
                    && n.Length is > 6 and < 12)
                .Distinct()];
    }

    private static Backbone FillClip(ModelDraft draft, string path, bool trainedNorm)
    {
        const string Network = "CLIP's vision transformer under OpenAI's names", Patches = "conv1.weight";
        Checkpoint checkpoint = draft.Open("vision", path);
        StateDict state = draft.Use("vision", StateDict.Find(checkpoint, $"visual.{Patches}")
            ?? throw StateDict.NotFound(checkpoint, Network, $"'visual.{Patches}'"));
        foreach (string leaf in new[]
        {
            "class_embedding", Patches, "positional_embedding", "ln_pre.weight", "ln_pre.bias",
        })
        {
            Copy(leaf);
        }

        if (!trainedNorm)
            foreach (string leaf in new[] { "weight", "bias" }) Copy($"ln_post.{leaf}");
        for (int i = 0; i < Math.Max(1, state.CountOf("visual.transformer.resblocks")); i++)
        {
            foreach (string leaf in new[]
            {
                "ln_1.weight", "ln_1.bias", "attn.in_proj_weight", "attn.in_proj_bias", "attn.out_proj.weight",
                "attn.out_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight",
                "mlp.c_proj.bias",
            })
            {
                Copy($"transformer.resblocks.{i}.{leaf}");
            }
        }

        state.RefuseOthers(Network, "visual.", name => name is "visual.proj" or "visual.ln_post.weight" or "visual.ln_post.bias");

        long width = state.Size($"visual.{Patches}", 4, 0), patch = state.Size($"visual.{Patches}", 4, 2);
        long grid = (long)Math.Sqrt(state.Size("visual.positional_embedding", 2, 0) - 1);
        string name = (width, patch, grid) switch
        {
            (1024, 14, 24) => "clip-vit-l-14-336",
            (1024, 14, 16) => "clip-vit-l-14",
            (768, 16, 14) => "clip-vit-b-16",
            (768, 32, 7) => "clip-vit-b-32",
            _ => "clip-vit",
        };
        return new Backbone(
            name, width, "0.48145466,0.4578275,0.40821073", "0.26862954,0.26130258,0.27577711", "vision.ln_post");

        void Copy(string leaf) => draft.Add($"vision.{leaf}", state.Take($"visual.{leaf}"));
    }

    private static Backbone FillDinoV2(ModelDraft draft, string path, bool trainedNorm)
    {
        const string Meta = "patch_embed.proj.weight", HuggingFace = "embeddings.patch_embeddings.projection.weight";
        Checkpoint checkpoint = draft.Open("vision", path);
        StateDict? state = StateDict.Find(checkpoint, Meta);
        bool original = state is not null;
        state = draft.Use("vision", state ?? StateDict.Find(checkpoint, HuggingFace, "dinov2.", "dinov2_with_registers.")
            ?? throw StateDict.NotFound(checkpoint, "DINOv2", $"'{Meta}' (Meta's name) or '{HuggingFace}' (Hugging Face's)"));
        foreach ((string meta, string theirs) in new[]
        {
            ("cls_token", "embeddings.cls_token"), ("pos_embed", "embeddings.position_embeddings"),
            ("patch_embed.proj.weight", HuggingFace), ("patch_embed.proj.bias", "embeddings.patch_embeddings.projection.bias"),
        })
        {
            Copy(meta, theirs);
        }

        bool registers = state.Has(original ? "register_tokens" : "embeddings.register_tokens");
        if (registers) Copy("register_tokens", "embeddings.register_tokens");
        if (!trainedNorm)
            foreach (string leaf in new[] { "weight", "bias" }) Copy($"norm.{leaf}", $"layernorm.{leaf}");
        for (int i = 0; i < Math.Max(1, state.CountOf(original ? "blocks" : "encoder.layer")); i++) FillBlock(i);
        state.RefuseOthers("DINOv2 (ViT-S, B or L)", "",
            name => name is "mask_token" or "embeddings.mask_token" or "norm.weight" or "norm.bias" or "layernorm.weight"
                or "layernorm.bias");

        long width = state.Size(original ? Meta : HuggingFace, 4, 0), patch = state.Size(original ? Meta : HuggingFace, 4, 2);
        string name = (width, patch) switch
        {
            (384, 14) => "dinov2-vit-s-14",
            (768, 14) => "dinov2-vit-b-14",
            (1024, 14) => "dinov2-vit-l-14",
            _ => "dinov2-vit",
        };
        // The normalization of DINOv2's training. VisualAD's code for DINOv2 is not published.
        return new Backbone(registers ? name + "-reg" : name, width, "0.485,0.456,0.406", "0.229,0.224,0.225", "vision.norm");

        void Copy(string meta, string theirs) => draft.Add($"vision.{meta}", state.Take(original ? meta : theirs));

        void FillBlock(int i)
        {
            string theirs = original ? $"blocks.{i}" : $"encoder.layer.{i}", ours = $"vision.blocks.{i}";
            foreach (string leaf in new[] { "weight", "bias" })
            {
                string attention = $"{theirs}.attention.attention";
                if (original)
                {
                    draft.Add($"{ours}.attn.qkv.{leaf}", state.Take($"{theirs}.attn.qkv.{leaf}"));
                }
                else
                {
                    draft.Add($"{ours}.attn.qkv.{leaf}", AlikeParts(
                        state.Take($"{attention}.query.{leaf}"), state.Take($"{attention}.key.{leaf}"),
                        state.Take($"{attention}.value.{leaf}")));
                }

                foreach ((string meta, string other) in new[]
                {
                    ("norm1", "norm1"), ("attn.proj", "attention.output.dense"), ("norm2", "norm2"), ("mlp.fc1", "mlp.fc1"),
                    ("mlp.fc2", "mlp.fc2"),
                })
                {
                    draft.Add($"{ours}.{meta}.{leaf}", state.Take($"{theirs}.{(original ? meta : other)}.{leaf}"));
                }
            }
            for (int k = 1; k <= 2; k++)
            {
                draft.Add(
                    $"{ours}.ls{k}.gamma", state.Take(original ? $"{theirs}.ls{k}.gamma" : $"{theirs}.layer_scale{k}.lambda1"));
            }
        }
    }

    /// <summary>Checks that tensors have the same shape, so that their rows can be concatenated.</summary>
    private static CheckpointTensor[] AlikeParts(params CheckpointTensor[] parts) =>
        parts.All(p => p.Shape.Length > 0 && p.Shape.SequenceEqual(parts[0].Shape))
            ? parts
            : throw new ModelFormatException(
                parts[0].File, $"{string.Join(", ", parts.Select(p => $"'{p}'"))} should have the same shape.")
            {
                Tensor = (parts.FirstOrDefault(p => !p.Shape.SequenceEqual(parts[0].Shape)) ?? parts[0]).Name,
            };
}
