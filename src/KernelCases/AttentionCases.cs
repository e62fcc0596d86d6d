using TinyZsad.Kernels;
using static TinyZsad.KernelCases.KernelCase;

namespace TinyZsad.KernelCases;

/// <summary>
/// Lists the cases of attention: every remainder of queries and keys, several sequences and heads, and rotary positions with and
/// without a prefix.
/// </summary>
internal static unsafe class AttentionCases
{
    public static IEnumerable<KernelCase> All =>
    [
        .. from queries in Enumerable.Range(1, 26) select Heads(1, 2, queries, 21, 20),
        .. from keys in KernelCases.Lengths where keys > 0 select Heads(1, 2, 13, keys, 18),
        .. from d in KernelCases.Lengths where d > 0 select Heads(2, 3, 7, 15, d),
        .. from prefix in (int[])[0, 1, 5, 12, 13, 40] from d in (int[])[2, 20, 32, 64] select Heads(1, 2, 40, 40, d, prefix),
        .. from window in (int[])[1, 2, 3, 4, 5, 7, 8, 12, 14, 16, 17] from d in (int[])[16, 20, 32]
            select Windows(3, 2, window, d),
        // Scores that are too large for powers without subtracting the maximum.
        .. from keys in KernelCases.Lengths where keys > 0 select Heads(1, 2, 13, keys, 18, size: 20),
        .. from window in (int[])[1, 3, 4, 7, 8, 16, 17] select Windows(3, 2, window, 20, size: 20),
        .. from window in (int[])[1, 4, 7, 8, 16, 17] select Windows(3, 2, window, 32, inOrder: true),
        Windows(1, 12, 32, 32, inOrder: true), Windows(16, 6, 16, 32, inOrder: true),
        // Strips that prefetch the queries of the next one, between several panels of keys.
        Heads(2, 2, 50, 150, 40),
        .. from operand in "qkv" from bits in (int[])[11, 8] select Heads(1, 2, 24, 1029, 64, operand: operand, bits: bits),
        Heads(35, 8, 77, 77, 64) with { Typical = true }, Heads(35, 8, 1, 77, 64), Heads(1, 2, 24, 1024, 64),
        Heads(1, 6, 1029, 1029, 64, 5), Heads(1, 16, 1372, 1372, 64).OnlyTimed,
        Windows(16, 4, 7, 32, inOrder: true).OnlyTimed, Windows(1, 5, 14, 32, inOrder: true).OnlyTimed,
        Windows(1, 18, 16, 32, inOrder: true).OnlyTimed,
    ];

    private const string RmsBecause =
        "; as random walks, the d roundings of a score, of size 1.5 sqrt d, and the sum over keys, with 8 for the powers and the "
        + "rest, of values of about one";

    /// <summary>Computes the bound on the root mean square; see <see cref="RmsBecause"/>.</summary>
    private static double Rms(int d, double size, int keys) => (0.5 * size * Math.Sqrt(d) + 0.5 * Math.Sqrt(keys) + 8) / 4 * E;

    private static KernelCase Heads(int batch, int heads, int queries, int keys, int d, int? prefix = null, double size = 1.5,
        char operand = ' ', int bits = 24) =>
        new("Attention", $"{batch} x {heads} heads of {d}, {queries} by {keys}{(prefix is { } p ? $" rotary after {p}" : "")}"
            + $"{(size > 1.5 ? $" queries of {size}" : "")}{(bits < 24 ? $" {operand} of {bits} bits" : "")}",
            workspace =>
        {
            int width = heads * d, ldq = workspace.Stride(width, 3), ldk = workspace.Stride(width, 1);
            int ldv = workspace.Stride(width, 2), ldy = workspace.Stride(width, 1);
            AttentionArgs a = new()
            {
                Batch = batch, Heads = heads, HeadDim = d, HeadStride = d, Queries = queries, Keys = keys,
                Scale = 1 / MathF.Sqrt(d),
                LdQ = ldq, LdK = ldk, LdV = ldv, LdY = ldy,
                Q = workspace.Normal(Extent(batch * queries, width, ldq), size),
                K = workspace.Normal(Extent(batch * keys, width, ldk), 1.5),
                V = workspace.Normal(Extent(batch * keys, width, ldv)),
            };
            if (prefix is { } first)
            {
                a.RotaryPrefix = first;
                a.QueryCos = a.KeyCos = workspace.Floats((queries - first) * (d / 2), i => Math.Cos(0.1 * i * i));
                a.QuerySin = a.KeySin = workspace.Floats((queries - first) * (d / 2), i => Math.Sin(0.1 * i * i));
            }
            AttentionArgs mine = a, definition = a;
            mine.Y = workspace.Output(Extent(batch * queries, width, ldy));
            if (operand == 'q') mine.Q = workspace.Rounded(a.Q, Extent(batch * queries, width, ldq), bits);
            if (operand == 'k') mine.K = workspace.Rounded(a.K, Extent(batch * keys, width, ldk), bits);
            if (operand == 'v') mine.V = workspace.Rounded(a.V, Extent(batch * keys, width, ldv), bits);
            definition.Y = workspace.Output(Extent(batch * queries, width, ldy));
            float* scratch = workspace.Block<float>(Attention.ScratchFloats(a));
            return new(
                () => EachItem(Attention.Items(mine), workspace.Timed, (item, previous) =>
                    Attention.Execute(mine, item, previous, scratch)),
                () => Attention.Scalar(definition),
                () => Difference.Between(mine.Y, definition.Y, batch * queries, width, ldy, (_, _, _) => 4));
        })
        {
            // A score sums d products of magnitude 1.5 * size * 2/pi, scaled by 1/sqrt d. Its error s changes every weight by the
            // relative amount s. Values are below 4.
            Tolerance = (1.5 * size * Math.Sqrt(d) * (d + 8) + keys + Chain(keys, 2) + 16) * E,
            RmsTolerance = Rms(d, size, keys),
            Coarse = bits < 24,
            Because = "the scores' error, then a sum of weights and one of weighted values, in units of the largest value (4)"
                + RmsBecause,
            Flops = 4.0 * batch * heads * queries * keys * d,
            Bytes = 4.0 * batch * heads * d * (2 * queries + 2 * keys),
            Typical = keys > 1000 && queries > 1000,
        };

    /// <summary>
    /// Creates a case with windows of a map, in scattered or consecutive rows, with q, k and v of a head together, and with
    /// position biases. Some rows are used twice, and some results are not needed.
    /// </summary>
    private static KernelCase Windows(
        int windows, int heads, int window, int d, double size = 1.5, bool inOrder = false) =>
        new("Attention windows", $"{windows} x {heads} heads of {d}, windows of {window}"
            + $"{(inOrder ? " in order" : "")}{(size > 1.5 ? $" queries of {size}" : "")}", workspace =>
        {
            int tokens = window * window, rows = windows * tokens + 1, width = 3 * heads * d;
            int ld = workspace.Stride(width, 1), ldy = workspace.Stride(heads * d, 1), side = 2 * window - 1;
            float* qkv = workspace.Normal(Extent(rows, width, ld), 1.5);
            int* input = workspace.Block<int>(windows * tokens), output = workspace.Block<int>(windows * tokens);
            int[] shuffled = [.. Enumerable.Range(1, windows * tokens)];
            if (!inOrder) workspace.Random.Shuffle(shuffled);
            for (int i = 0; i < windows * tokens; i++)
            {
                bool padding = i % 7 == 6;
                input[i] = padding ? 0 : shuffled[i];
                output[i] = padding ? -1 : shuffled[i] - 1;
            }
            for (int i = 0; i < rows; i++)
            {
                for (int c = 0; c < width; c++)
                    if (c % (3 * d) < d) qkv[(nint)i * ld + c] *= (float)(size / 1.5);
            }

            AttentionArgs a = new()
            {
                Batch = windows, Heads = heads, HeadDim = d, HeadStride = 3 * d, Queries = tokens, Keys = tokens,
                Scale = 1 / MathF.Sqrt(d),
                LdQ = ld, LdK = ld, LdV = ld, LdY = ldy, Q = qkv, K = qkv + d, V = qkv + 2 * d, InputRows = input,
                OutputRows = output,
                Bias = workspace.Normal(heads * side * side), Window = window,
            };
            AttentionArgs mine = a, definition = a;
            mine.Y = workspace.Output(Extent(rows - 1, heads * d, ldy));
            definition.Y = workspace.Output(Extent(rows - 1, heads * d, ldy));
            float* scratch = workspace.Block<float>(Attention.ScratchFloats(a));
            return new(
                () => EachItem(Attention.Items(mine), workspace.Timed, (item, previous) =>
                    Attention.Execute(mine, item, previous, scratch)),
                () => Attention.Scalar(definition),
                () => Difference.Between(mine.Y, definition.Y, rows - 1, heads * d, ldy, (_, _, _) => 4));
        })
        {
            Tolerance = (1.5 * size * Math.Sqrt(d) * (d + 8) + window * window + Chain(window * window, 2) + 16) * E,
            RmsTolerance = Rms(d, size, window * window),
            Because = "the scores' error, then a sum of weights and one of weighted values, in units of the largest value (4)"
                + RmsBecause,
            Flops = 4.0 * windows * heads * window * window * window * window * d,
            Bytes = 16.0 * windows * window * window * heads * d,
            Typical = windows * window * window > 1000,
        };
}
