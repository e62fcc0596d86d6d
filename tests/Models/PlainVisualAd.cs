using TinyZsad.Kernels;

namespace TinyZsad.Tests.Models;

/// <summary>
/// VisualAD as a reader of its specification would first write it: double precision, loops, no sharing and no saving. It knows
/// CLIP and DINOv2, with and without registers, of any patch size; positions are taken as they are (the grid is the file's own).
/// </summary>
internal sealed class PlainVisualAd(
    Dictionary<string, double[]> w, int width, int heads, int patch, int size, int[] features, bool dino)
{
    private readonly int grid = size / patch;

    /// <summary>The residual stream after the last block, by row.</summary>
    public double[][] Stream { get; private set; } = [];

    /// <summary>The summed score grid.</summary>
    public double[] Scores(double[] input)
    {
        double[][] x = Embed(input);
        int special = x.Length - grid * grid;
        if (!dino) x = Norm(x, "vision.ln_pre", 1e-5);
        List<double[][]> after = [];
        for (int i = 0; i < features.Max(); i++)
            after.Add(x = dino ? DinoBlock(x, $"vision.blocks.{i}.") : ClipBlock(x, $"vision.transformer.resblocks.{i}."));
        Stream = x;
        (string norm, double eps) = dino ? ("vision.norm", 1e-6) : ("vision.ln_post", 1e-5);
        double[][] tokens = Norm(x[..2], norm, eps);
        double[] sum = new double[grid * grid];
        foreach (int l in features)
        {
            double[][] f = Norm(after[l - 1][special..], norm, eps),
                t = Attend(tokens, f, $"head.cross_attn.layer_attentions.layer_{l}.");
            string saf = $"head.layer_transforms.layer_{l}.mlp.";
            double[][] p = Linear(Map(Linear(f, saf + "0"), Gelu), saf + "3");
            for (int i = 0; i < sum.Length; i++) sum[i] += Cosine(p[i], t[0]) - Cosine(p[i], t[1]);
        }
        return sum;
    }

    private double[][] Embed(double[] input)
    {
        string kernel = dino ? "vision.patch_embed.proj.weight" : "vision.conv1.weight",
            table = dino ? "vision.pos_embed" : "vision.positional_embedding";
        double[] Position(int row) => w[table][(row * width)..((row + 1) * width)];
        List<double[]> rows = [];
        foreach (string token in new[] { "head.anomaly_token", "head.normal_token",
            dino ? "vision.cls_token" : "vision.class_embedding" })
        {
            rows.Add(Sum(w[token], Position(0)));
        }

        if (w.TryGetValue("vision.register_tokens", out double[]? registers)) rows.AddRange(registers.Chunk(width));
        for (int p = 0; p < grid * grid; p++)
        {
            double[] y = new double[width];
            for (int o = 0; o < width; o++)
            {
                for (int c = 0; c < 3; c++)
                {
                    for (int i = 0; i < patch; i++)
                    {
                        for (int j = 0; j < patch; j++)
                        {
                            y[o] += w[kernel][((o * 3 + c) * patch + i) * patch + j]
                                * input[(c * size + p / grid * patch + i) * size + p % grid * patch + j];
                        }
                    }
                }
            }

            rows.Add(Sum(dino ? Sum(y, w["vision.patch_embed.proj.bias"]) : y, Position(1 + p)));
        }
        return [.. rows];
    }

    private double[][] ClipBlock(double[][] x, string p)
    {
        x = Sum(x, Linear(
            SelfAttention(Product(Norm(x, p + "ln_1", 1e-5), w[p + "attn.in_proj_weight"], w[p + "attn.in_proj_bias"])),
            p + "attn.out_proj"));
        return Sum(x, Linear(
            Map(Linear(Norm(x, p + "ln_2", 1e-5), p + "mlp.c_fc"), v => v / (1 + Math.Exp(-1.702 * v))), p + "mlp.c_proj"));
    }

    private double[][] DinoBlock(double[][] x, string p)
    {
        x = Sum(x, Times(
            Linear(SelfAttention(Linear(Norm(x, p + "norm1", 1e-6), p + "attn.qkv")), p + "attn.proj"), w[p + "ls1.gamma"]));
        return Sum(x, Times(
            Linear(Map(Linear(Norm(x, p + "norm2", 1e-6), p + "mlp.fc1"), Gelu), p + "mlp.fc2"), w[p + "ls2.gamma"]));
    }

    private double[][] SelfAttention(double[][] qkv)
    {
        int d = width / heads;
        double[][] y = [.. qkv.Select(_ => new double[width])];
        for (int h = 0; h < heads; h++)
        {
            for (int i = 0; i < y.Length; i++)
            {
                double[] p = Softmax(
                    [.. qkv.Select(k => Enumerable.Range(h * d, d).Sum(c => qkv[i][c] * k[width + c]) / Math.Sqrt(d))]);
                for (int c = h * d; c < (h + 1) * d; c++) y[i][c] = qkv.Select((v, j) => p[j] * v[2 * width + c]).Sum();
            }
        }

        return y;
    }

    private double[][] Attend(double[][] tokens, double[][] f, string p)
    {
        double[][] q = Norm(Product([.. w[p + "anchor_queries"].Chunk(width)], w[p + "q_proj.weight"], null), p + "q_norm", 1e-5);
        double[][] placed = [.. f.Zip(w[p + "pos_encoding"].Chunk(width), Sum)];
        double[][] k = Norm(Product(placed, w[p + "k_proj.weight"], null), p + "k_norm", 1e-5),
            v = Product(f, w[p + "v_proj.weight"], null);
        double[][] u = [.. q.Select(a => Softmax([.. k.Select(b => a.Zip(b, (s, t) => s * t).Sum() / Math.Sqrt(width))]))
            .Select(weights =>
                Enumerable.Range(0, width).Select(c => v.Select((row, i) => weights[i] * row[c]).Sum()).ToArray())];
        double[][] gates = Map(Linear(tokens, p + "gate.0"), g => 1 / (1 + Math.Exp(-g)));
        double[][] taken =
            [.. gates.Select(g => Enumerable.Range(0, width).Select(c => u.Select((row, i) => g[i] * row[c]).Sum()).ToArray())];
        return Sum(tokens, Map(Linear(taken, p + "out_proj"), o => w[p + "res_scale"][0] * o));
    }

    private double[][] Norm(double[][] x, string name, double eps) =>
    [
        .. x.Select(row =>
        {
            double mean = row.Average(), deviation = Math.Sqrt(row.Average(v => (v - mean) * (v - mean)) + eps);
            return row.Select((v, c) => (v - mean) / deviation * w[name + ".weight"][c] + w[name + ".bias"][c]).ToArray();
        }),
    ];

    private double[][] Linear(double[][] x, string name) => Product(x, w[name + ".weight"], w[name + ".bias"]);

    private static double[][] Product(double[][] x, double[] weight, double[]? bias)
    {
        double[][] rows = [.. weight.Chunk(x[0].Length)];
        return [.. x.Select(v => rows.Select((r, o) => (bias?[o] ?? 0) + r.Zip(v, (a, b) => a * b).Sum()).ToArray())];
    }

    private static double[] Softmax(double[] x)
    {
        double[] e = [.. x.Select(v => Math.Exp(v - x.Max()))];
        return [.. e.Select(v => v / e.Sum())];
    }

    private static double Gelu(double v) => v / 2 * VectorMath.Erfc(-v / Math.Sqrt(2));

    private static double[] Sum(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];

    private static double[][] Sum(double[][] a, double[][] b) => [.. a.Zip(b, Sum)];

    private static double[][] Times(double[][] a, double[] scale) => [.. a.Select(r => r.Zip(scale, (x, s) => x * s).ToArray())];

    private static double[][] Map(double[][] a, Func<double, double> f) => [.. a.Select(r => r.Select(f).ToArray())];

    private static double Cosine(double[] a, double[] b) =>
        a.Zip(b, (x, y) => x * y).Sum() / Math.Sqrt(a.Sum(x => x * x) * b.Sum(x => x * x));
}
