using TinyZsad.Verification;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Models;

/// <summary>A small VisualAD of any shape, its weights by the rule of the reference cases.</summary>
internal sealed record SeededVisualAd
{
    public bool Dino { get; init; }
    public int Width { get; init; } = 64;
    public int Heads { get; init; } = 2;
    public int Patch { get; init; } = 14;
    public int ImageSize { get; init; } = 56;
    public int PositionSide { get; init; } = 4;
    public int Registers { get; init; }
    public int AnchorPositions { get; init; } = 20;
    public string FeaturesList { get; init; } = "1,2";
    public string? Backbone { get; init; }

    private const int Layers = 2, Anchors = 4, Hidden = 48;

    /// <summary>All tensors of the file.</summary>
    public List<SeededTensor> Tensors()
    {
        List<SeededTensor> tensors = [];
        void Add(string name, double scale, double offset, params long[] shape) =>
            tensors.Add(new SeededTensor(name, [.. shape], scale, offset, 5));
        void Linear(string weight, string bias, int outputs, int inputs)
        {
            Add(weight, Math.Sqrt(3.0 / inputs), 0, outputs, inputs);
            Add(bias, 0.1, 0, outputs);
        }
        void Norm(string name)
        {
            Add(name + ".weight", 0.2, 1, Width);
            Add(name + ".bias", 0.1, 0, Width);
        }

        int positions = 1 + PositionSide * PositionSide;
        if (Dino)
        {
            Add("vision.patch_embed.proj.weight", 0.04, 0, Width, 3, Patch, Patch);
            Add("vision.patch_embed.proj.bias", 0.1, 0, Width);
            Add("vision.cls_token", 0.3, 0, 1, 1, Width);
            Add("vision.pos_embed", 0.3, 0, 1, positions, Width);
            if (Registers > 0) Add("vision.register_tokens", 0.3, 0, 1, Registers, Width);
            Norm("vision.norm");
        }
        else
        {
            Add("vision.conv1.weight", 0.04, 0, Width, 3, Patch, Patch);
            Add("vision.class_embedding", 0.3, 0, Width);
            Add("vision.positional_embedding", 0.3, 0, positions, Width);
            Norm("vision.ln_pre");
            Norm("vision.ln_post");
        }
        for (int i = 0; i < Layers; i++)
        {
            string p = Dino ? $"vision.blocks.{i}." : $"vision.transformer.resblocks.{i}.";
            Norm(p + (Dino ? "norm1" : "ln_1"));
            Norm(p + (Dino ? "norm2" : "ln_2"));
            Linear(p + (Dino ? "attn.qkv.weight" : "attn.in_proj_weight"), p + (Dino ? "attn.qkv.bias" : "attn.in_proj_bias"),
                3 * Width, Width);
            foreach ((string name, int outputs, int inputs) in new[]
                { (Dino ? "attn.proj" : "attn.out_proj", Width, Width), (Dino ? "mlp.fc1" : "mlp.c_fc", 4 * Width, Width),
                    (Dino ? "mlp.fc2" : "mlp.c_proj", Width, 4 * Width) })
            {
                Linear($"{p}{name}.weight", $"{p}{name}.bias", outputs, inputs);
            }

            if (!Dino) continue;
            Add(p + "ls1.gamma", 0.2, 0.6, Width);
            Add(p + "ls2.gamma", 0.2, 0.6, Width);
        }
        Add("head.anomaly_token", 0.3, 0, Width);
        Add("head.normal_token", 0.3, 0, Width);
        for (int l = 1; l <= Layers; l++)
        {
            string saf = $"head.layer_transforms.layer_{l}.mlp.", sca = $"head.cross_attn.layer_attentions.layer_{l}.";
            Linear(saf + "0.weight", saf + "0.bias", Hidden, Width);
            Linear(saf + "3.weight", saf + "3.bias", Width, Hidden);
            Add(sca + "anchor_queries", 1, 0, Anchors, Width);
            Add(sca + "pos_encoding", 0.5, 0, 1, AnchorPositions, Width);
            foreach (string name in new[] { "q_proj", "k_proj", "v_proj" })
                Add($"{sca}{name}.weight", Math.Sqrt(3.0 / Width), 0, Width, Width);
            Linear(sca + "out_proj.weight", sca + "out_proj.bias", Width, Width);
            Linear(sca + "gate.0.weight", sca + "gate.0.bias", Anchors, Width);
            Norm(sca + "q_norm");
            Norm(sca + "k_norm");
            Add(sca + "res_scale", 0, 0.4, 1);
        }
        return tensors;
    }

    /// <summary>What the file says of itself.</summary>
    public Dictionary<string, string> Metadata() => new()
    {
        ["format"] = "tinyzsad", ["format_version"] = "1", ["model"] = "visualad",
        ["backbone"] = Backbone ?? (Dino ? "dinov2-vit" : "clip-vit"),
        ["image_size"] = $"{ImageSize}",
        ["features_list"] = FeaturesList,
        ["heads"] = $"{Heads}",
        ["mean"] = "0.5,0.4,0.3", ["std"] = "0.25,0.3,0.2", ["sigma"] = "4", ["topk_ratio"] = "0.01",
    };

    /// <summary>The file, in memory.</summary>
    /// <param name="change">Replaces a tensor by another, or by null to leave it out.</param>
    public SafetensorsFile Open(Func<SeededTensor, SeededTensor?>? change = null)
    {
        using MemoryStream stream = new();
        SafetensorsWriter.Write(stream,
            Tensors().Select(t => change is null ? t : change(t)).OfType<SeededTensor>().Select(t => t.Declare()), Metadata());
        return SafetensorsFile.Open(stream.ToArray(), "seeded.safetensors");
    }

    /// <summary>All numbers, by name.</summary>
    public Dictionary<string, double[]> Values() =>
        Tensors().ToDictionary(t => t.Name,
            t => Enumerable.Range(0, (int)t.Shape.Aggregate(1L, (n, d) => n * d)).Select(i => (double)t[i]).ToArray());
}
