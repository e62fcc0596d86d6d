using TinyZsad.Graph;
using TinyZsad.Weights;

namespace TinyZsad.Models;

/// <summary>
/// Represents DINOv3's vision transformer (Siméoni et al., 2025; huggingface/transformers <c>models/dinov3_vit</c>): register tokens,
/// LayerScale, rotary positions on the patch tokens only, no absolute positions, and no bias on k.
/// </summary>
internal sealed class DinoV3
{
    /// <summary>The maximum number of patches per side, which bounds the memory of a run. The published model has 32.</summary>
    private const int MaxGrid = 256;

    private readonly Parameter patchWeight;
    private readonly Parameter patchBias;
    private readonly Parameter classToken;
    private readonly Parameter registers;
    private readonly TransformerBlock[] blocks;
    private readonly float[] mean;
    private readonly float[] std;
    private readonly float theta;
    private readonly int imageSize;
    private readonly RotaryTable rotary;

    /// <summary>Reads the network at the cursor up to a block.</summary>
    /// <param name="w">The cursor at the network.</param>
    /// <param name="metadata">The metadata, with heads, patch size, epsilon and theta.</param>
    /// <param name="depth">The number of blocks to run.</param>
    /// <param name="imageSize">The width and height in pixels. Pixels that do not fill a patch are ignored.</param>
    /// <exception cref="ModelFormatException">The tensors or the metadata do not match the network.</exception>
    public DinoV3(WeightCursor w, ModelMetadata metadata, int depth, int imageSize)
    {
        WeightStore store = w.Store;
        this.imageSize = imageSize;
        PatchSize = metadata.Int("patch_size", 1, 64);
        int grid = imageSize / PatchSize;
        if (grid < 1)
            throw store.KeyError("image_size", $"image_size {imageSize} is smaller than a patch of {PatchSize}.");
        if (grid > MaxGrid)
        {
            throw store.KeyError(
                "image_size", $"image_size {imageSize} holds {grid} patches of {PatchSize} a side; at most {MaxGrid} are allowed.");
        }

        int heads = metadata.Int("vision_heads", 1, 64);
        float eps = metadata.Float("vision_ln_eps", 0, 1);
        theta = metadata.Float("rope_theta", 1, 1e9f);
        mean = metadata.Floats("mean", 3);
        std = metadata.Floats("std", 3, 1e-6f);

        WeightCursor embeddings = w.At("embeddings");
        Width = embeddings.Shape("cls_token", 3)[2];
        if (Width % (4 * heads) != 0)
        {
            throw store.KeyError("vision_heads",
                $"width {Width} cannot be divided into {heads} heads with rotary positions (a multiple of {4 * heads} is needed).");
        }

        Registers = embeddings.Shape("register_tokens", 3)[1];
        classToken = embeddings.Vector("cls_token", 1, 1, Width);
        registers = embeddings.Vector("register_tokens", 1, Registers, Width);
        patchWeight = embeddings.At("patch_embeddings").Tensor("weight", Width, 3, PatchSize, PatchSize);
        patchBias = embeddings.At("patch_embeddings").Vector("bias", Width);
        blocks = [.. Enumerable.Range(0, depth).Select(i => Block(w.At("layer", i), heads, eps))];
        (float[] cos, float[] sin) = Angles(grid, grid);
        rotary = new RotaryTable(store.Floats("rope.cos", cos, grid * grid, Width / heads / 2),
            store.Floats("rope.sin", sin, grid * grid, Width / heads / 2), 1 + Registers);
    }

    /// <summary>Gets the number of values of a token.</summary>
    public int Width { get; }

    /// <summary>Gets the width and height of a patch in pixels.</summary>
    public int PatchSize { get; }

    /// <summary>Gets the number of register tokens.</summary>
    public int Registers { get; }

    private TransformerBlock Block(WeightCursor w, int heads, float eps)
    {
        int mlp = w.At("mlp").At("up_proj").Shape("weight", 2)[0];
        WeightCursor attention = w.At("attention");
        return new TransformerBlock
        {
            Norm1 = w.Norm("norm1", Width),
            Q = attention.Linear("q_proj", Width, Width),
            K = attention.Linear("k_proj", Width, Width, bias: false),
            V = attention.Linear("v_proj", Width, Width),
            Projection = attention.Linear("o_proj", Width, Width),
            Scale1 = w.At("layer_scale1").Vector("lambda1", Width),
            Norm2 = w.Norm("norm2", Width),
            Up = w.At("mlp").Linear("up_proj", mlp, Width),
            Down = w.At("mlp").Linear("down_proj", Width, mlp),
            Scale2 = w.At("layer_scale2").Vector("lambda1", Width),
            Heads = heads,
            Eps = eps,
        };
    }

    /// <summary>Adds the network to a graph.</summary>
    /// <param name="g">The graph.</param>
    /// <param name="pixels">[image size², 3] bytes.</param>
    /// <returns>The hidden states after 1, 2, … blocks: class token, registers, and patches row by row.</returns>
    public Value[] Build(ComputeGraph g, Value pixels)
    {
        g.Scope = "vision.embeddings";
        Value input = g.NormalizeImage(pixels, mean, std);
        g.Tap("input", input, [1, 3, imageSize, imageSize], TapLayout.ChannelsFirst);
        Value patches = g.Linear(g.Patchify(input, imageSize, imageSize, PatchSize), patchWeight, patchBias, trunk: true);
        g.Tap("vision.patch_embed", patches, [1, patches.Rows, Width]);
        Value x = g.PrependRows(patches, classToken, registers);
        g.Tap("vision.tokens", x, [1, x.Rows, Width]);

        Value[] hidden = new Value[blocks.Length];
        for (int i = 0; i < blocks.Length; i++)
        {
            g.Scope = $"vision.layer.{i}";
            hidden[i] = x = blocks[i].Build(g, x, rotary: rotary, tap: i == 0 ? "vision.block0" : null);
            g.Tap($"vision.hidden{i + 1}", x, [1, x.Rows, Width]);
        }
        return hidden;
    }

    /// <summary>
    /// Computes the cosines and sines of the patch positions, [rows * columns, head width / 2]. The official code repeats them for the
    /// second half of a head. Each axis runs from -1 to 1. The first half of a row is y and the second is x, with the same frequencies.
    /// </summary>
    public (float[] Cos, float[] Sin) Angles(int rows, int columns)
    {
        int width = Width / blocks[0].Heads, half = width / 2, quarter = width / 4;
        float[] cos = new float[rows * columns * half], sin = new float[cos.Length];
        for (int i = 0; i < cos.Length; i++)
        {
            int patch = i / half, j = i % quarter;
            bool vertical = i % half < quarter;
            double position = vertical ? 2 * (patch / columns + 0.5) / rows - 1 : 2 * (patch % columns + 0.5) / columns - 1;
            (double s, double c) = Math.SinCos(2 * Math.PI * position * Math.Pow(theta, -4.0 * j / width));
            (cos[i], sin[i]) = ((float)c, (float)s);
        }
        return (cos, sin);
    }
}
