using System.Globalization;
using TinyZsad.Weights;

namespace TinyZsad.Conversion;

/// <summary>
/// Converts three checkpoints to LiZAD (<c>tests/reference/lizad/SPEC.md</c>, section 5): DINOv3 with the names of Hugging Face or Meta,
/// the text tower of MobileCLIP2-S0 with those of open_clip, and the head.
/// </summary>
internal static class LiZadConversion
{
    /// <summary>The hidden states that the head reads. Later blocks are not needed.</summary>
    private static readonly int[] Layers = [3, 5, 7, 11];

    /// <summary>The width of a head in both transformers.</summary>
    private const int HeadWidth = 64;

    private const int TextContext = 77;

    public static void Fill(ModelDraft draft, string dinov3, string mobileClip, string head)
    {
        Vision source = Vision.Find(draft.Open("vision", dinov3));
        draft.Use("vision", source.State);
        long width = source.State.Size(source.PatchWeight, 4, 0), patch = source.State.Size(source.PatchWeight, 4, 2);
        source.Fill(draft, width);
        long textWidth = FillText(draft, mobileClip);
        FillHead(draft, head);

        draft.Describe("format", "tinyzsad");
        draft.Describe("format_version", "1");
        draft.Describe("model", "lizad");
        draft.Describe("image_size", "518");
        draft.Describe("patch_size", Text(patch));
        draft.Describe("vision_layers", string.Join(',', Layers));
        draft.Describe("vision_heads", Text(Math.Max(1, width / HeadWidth)));
        draft.Describe("vision_ln_eps", "1e-5");
        draft.Describe("rope_theta", "100");
        draft.Describe("text_heads", Text(Math.Max(1, textWidth / HeadWidth)));
        draft.Describe("text_context", Text(TextContext));
        draft.Describe("text_causal", "false");
        draft.Describe("text_ln_eps", "1e-5");
        draft.Describe("leaky_slope", "0.01");
        draft.Describe("logit_scale", "100");
        draft.Describe("mean", "0.485,0.456,0.406");
        draft.Describe("std", "0.229,0.224,0.225");
        draft.Describe("vision_source", draft.SourceOf("vision"));
        draft.Describe("text_source", draft.SourceOf("text"));
        draft.Describe("head_source", draft.SourceOf("head"));

        static string Text(long n) => n.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>Adds the text tower and returns its width.</summary>
    private static long FillText(ModelDraft draft, string mobileClip)
    {
        const string Embedding = "text.token_embedding.weight", Network = "MobileCLIP2-S0's text tower";
        Checkpoint checkpoint = draft.Open("text", mobileClip);
        StateDict state = draft.Use("text", StateDict.Find(checkpoint, Embedding)
            ?? throw StateDict.NotFound(checkpoint, "MobileCLIP2 under open_clip's names", $"'{Embedding}'"));
        Copy(Embedding);
        Copy("text.positional_embedding");
        int depth = state.CountOf("text.transformer.resblocks");
        for (int i = 0; i < Math.Max(1, depth); i++)
        {
            foreach (string leaf in new[]
            {
                "ln_1.weight", "ln_1.bias", "attn.in_proj_weight", "attn.in_proj_bias", "attn.out_proj.weight",
                "attn.out_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight",
                "mlp.c_proj.bias",
            })
            {
                Copy($"text.transformer.resblocks.{i}.{leaf}");
            }
        }

        Copy("text.ln_final.weight");
        Copy("text.ln_final.bias");
        Copy("text.text_projection");
        // Other tensors, such as a causal mask, belong to another graph.
        state.RefuseOthers(Network, "text.", _ => false);
        return state.Size(Embedding, 2, 1);

        void Copy(string name) => draft.Add(name, state.Take(name));
    }

    private static void FillHead(ModelDraft draft, string head)
    {
        const string Marker = "positive_text_adapter.adapter.0.weight", Network = "LiZAD's head";
        Checkpoint checkpoint = draft.Open("head", head);
        StateDict state = draft.Use("head", StateDict.Find(checkpoint, Marker)
            ?? throw StateDict.NotFound(checkpoint, Network, $"'{Marker}'"));
        string[] adapters =
        [
            "positive_text_adapter", "negative_text_adapter",
            .. Layers.Select((_, i) => $"patch_adapter.{i}"), .. Layers.Select((_, i) => $"cls_adapter.{i}"),
        ];
        foreach (string adapter in adapters)
        {
            foreach (string leaf in new[] { "weight", "bias" })
                draft.Add($"head.{adapter}.adapter.0.{leaf}", state.Take($"{adapter}.adapter.0.{leaf}"));
        }

        foreach (string module in new[] { "positive_text_adapter.", "negative_text_adapter.", "patch_adapter.", "cls_adapter." })
            state.RefuseOthers($"{Network} of four layers", module, _ => false);
    }

    /// <summary>Represents DINOv3 with the names of one source.</summary>
    private abstract class Vision(StateDict state)
    {
        public StateDict State => state;

        public abstract string PatchWeight { get; }

        public static Vision Find(Checkpoint checkpoint)
        {
            const string HuggingFace = "embeddings.register_tokens", Meta = "storage_tokens";
            return StateDict.Find(checkpoint, HuggingFace) is { } theirs ? new HuggingFaceVision(theirs)
                : StateDict.Find(checkpoint, Meta) is { } original ? new MetaVision(original)
                : throw StateDict.NotFound(checkpoint, "DINOv3", $"'{HuggingFace}' (Hugging Face's name) or '{Meta}' (Meta's)");
        }

        /// <summary>Adds the tensors of the eleven blocks and their inputs.</summary>
        public void Fill(ModelDraft draft, long width)
        {
            foreach ((string ours, string theirs) in Shared) draft.Add($"vision.{ours}", state.Take(theirs));
            for (int i = 0; i < Layers.Max(); i++) FillBlock(draft, i, width);
            state.RefuseOthers("DINOv3 ViT-S/16", "", IsSuperfluous);
        }

        protected abstract (string Ours, string Theirs)[] Shared { get; }

        protected abstract void FillBlock(ModelDraft draft, int i, long width);

        /// <summary>
        /// Gets a value that indicates whether a tensor is not needed: deeper blocks, the final norm, training state and frequencies.
        /// </summary>
        protected abstract bool IsSuperfluous(string name);

        /// <summary>Gets a value that indicates whether a name is of a block that is not run.</summary>
        protected static bool IsDeeper(string name, string blocks) =>
            name.StartsWith(blocks, StringComparison.Ordinal)
            && int.TryParse(name[blocks.Length..].Split('.')[0], NumberStyles.None, CultureInfo.InvariantCulture, out int i)
            && i >= Layers.Max();
    }

    private sealed class HuggingFaceVision(StateDict state) : Vision(state)
    {
        public override string PatchWeight => "embeddings.patch_embeddings.weight";

        protected override (string, string)[] Shared =>
        [
            ("embeddings.cls_token", "embeddings.cls_token"), ("embeddings.register_tokens", "embeddings.register_tokens"),
            (PatchWeight, PatchWeight), ("embeddings.patch_embeddings.bias", "embeddings.patch_embeddings.bias"),
        ];

        protected override void FillBlock(ModelDraft draft, int i, long width)
        {
            foreach (string leaf in new[]
            {
                "norm1.weight", "norm1.bias", "attention.q_proj.weight", "attention.q_proj.bias", "attention.k_proj.weight",
                "attention.v_proj.weight", "attention.v_proj.bias", "attention.o_proj.weight", "attention.o_proj.bias",
                "layer_scale1.lambda1", "norm2.weight", "norm2.bias", "mlp.up_proj.weight", "mlp.up_proj.bias",
                "mlp.down_proj.weight", "mlp.down_proj.bias", "layer_scale2.lambda1",
            })
            {
                draft.Add($"vision.layer.{i}.{leaf}", State.Take($"layer.{i}.{leaf}"));
            }
        }

        protected override bool IsSuperfluous(string name) =>
            name is "embeddings.mask_token" or "norm.weight" or "norm.bias" or "rope_embeddings.inv_freq"
                || IsDeeper(name, "layer.");
    }

    private sealed class MetaVision(StateDict state) : Vision(state)
    {
        public override string PatchWeight => "patch_embed.proj.weight";

        protected override (string, string)[] Shared =>
        [
            ("embeddings.cls_token", "cls_token"), ("embeddings.register_tokens", "storage_tokens"),
            ("embeddings.patch_embeddings.weight", "patch_embed.proj.weight"),
            ("embeddings.patch_embeddings.bias", "patch_embed.proj.bias"),
        ];

        protected override void FillBlock(ModelDraft draft, int i, long width)
        {
            string theirs = $"blocks.{i}.", ours = $"vision.layer.{i}.";
            CheckpointTensor weight = State.Take($"{theirs}attn.qkv.weight", 2), bias = State.Take($"{theirs}attn.qkv.bias", 1);
            if (weight.Shape[0] != 3 * width || bias.Shape[0] != 3 * width)
            {
                throw State.Error((weight.Shape[0] != 3 * width ? weight : bias).Name,
                    $"tensors '{weight}' and '{bias}' should have {3 * width} rows each: q, k and v");
            }

            CheckMask($"{theirs}attn.qkv.bias_mask", bias, width);
            foreach ((string name, long third) in new[] { ("q", 0L), ("k", 1L), ("v", 2L) })
            {
                draft.Add($"{ours}attention.{name}_proj.weight", weight.Rows(third * width, width));
                if (name != "k") draft.Add($"{ours}attention.{name}_proj.bias", bias.Rows(third * width, width));
            }
            foreach ((string from, string to) in new[]
            {
                ("norm1.weight", "norm1.weight"), ("norm1.bias", "norm1.bias"),
                ("attn.proj.weight", "attention.o_proj.weight"), ("attn.proj.bias", "attention.o_proj.bias"),
                ("ls1.gamma", "layer_scale1.lambda1"), ("norm2.weight", "norm2.weight"), ("norm2.bias", "norm2.bias"),
                ("mlp.fc1.weight", "mlp.up_proj.weight"), ("mlp.fc1.bias", "mlp.up_proj.bias"),
                ("mlp.fc2.weight", "mlp.down_proj.weight"), ("mlp.fc2.bias", "mlp.down_proj.bias"),
                ("ls2.gamma", "layer_scale2.lambda1"),
            })
            {
                draft.Add(ours + to, State.Take(theirs + from));
            }
        }

        /// <summary>Checks that the bias of k is masked or 0, as the model has none, and that those of q and v are not masked.</summary>
        private void CheckMask(string name, CheckpointTensor bias, long width)
        {
            double[] k = new double[width];
            if (!State.TryTake(name, out CheckpointTensor? mask))
            {
                bias.Read(width, k);
            }
            else
            {
                double[] all = new double[3 * width];
                if (mask.ElementCount != all.Length)
                    throw State.Error(mask.Name, $"tensor '{mask}' should have {all.Length} elements");
                mask.Read(0, all);
                all.AsSpan((int)width, (int)width).CopyTo(k);
                all.AsSpan((int)width, (int)width).Fill(1);
                if (all.Any(m => m != 1))
                    throw State.Error(mask.Name, $"tensor '{mask}' masks biases of q or v, which the model has");
            }
            if (k.Any(m => m != 0))
                throw State.Error(bias.Name, $"tensor '{bias}' gives k a bias that is not masked; DINOv3 ViT-S/16 has none");
        }

        protected override bool IsSuperfluous(string name) =>
            name is "mask_token" or "norm.weight" or "norm.bias" or "rope_embed.periods" || IsDeeper(name, "blocks.");
    }
}
