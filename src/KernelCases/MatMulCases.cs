using System.Runtime.Intrinsics.X86;
using TinyZsad.Formats;
using TinyZsad.Kernels;
using static TinyZsad.KernelCases.KernelCase;

namespace TinyZsad.KernelCases;

/// <summary>
/// Lists the cases of linear layers: every remainder of rows, columns and sums, every format of the weights, every epilogue.
/// </summary>
internal static unsafe class MatMulCases
{
    private static readonly FloatType[] Types = [FloatType.F32, FloatType.F16, FloatType.BF16];

    /// <summary>
    /// The root mean square error of a sum of products of normal numbers, in units of the magnitudes of its terms.
    /// </summary>
    internal const double RmsOfSum = 1.5 * E;

    /// <summary>The length of a tile's sums with which its operands, up to 24 KB, stay in the L1 cache.</summary>
    private const int LengthInL1 = 128;

    /// <summary>The reason for <see cref="RmsOfSum"/>.</summary>
    internal const string RmsBecause =
        "after j terms a sum is about sqrt j, and rounded by at most that times e: the squares of these errors, a third of the "
        + "largest on average, add up to (k e)^2 / 6, which is 0.64 e in units of the magnitudes' sum, 2 k / pi; and room for "
        + "few results";

    public static IEnumerable<KernelCase> All =>
    [
        .. from type in (FloatType[])[FloatType.F16, FloatType.BF16] from layout in (WeightLayout[])[WeightLayout.OutIn,
            WeightLayout.InOut] select Widened(128, 512, type, layout),
        Widened(1000, 75, FloatType.F16, WeightLayout.OutIn),
        .. from type in (FloatType[])[FloatType.F16, FloatType.BF16] select Widened(1536, 384, type, WeightLayout.OutIn, all: false),
        .. from k in (int[])[.. KernelCases.Lengths.Where(n => n > 0), 191, 193, 383, 385, 1000]
            from started in (bool[])[false, true] from asking in (bool[])[false, true] select OneTile(k, started, asking),
        OneTile(LengthInL1, false, false) with { Typical = true },
        .. from m in Enumerable.Range(1, 26) select Product(m, 35, 19, FloatType.F16),
        .. from n in KernelCases.Lengths where n > 0 select Product(13, n, 18, FloatType.F16),
        .. from k in KernelCases.Lengths where k > 0 from type in Types
            from layout in (WeightLayout[])[WeightLayout.OutIn, WeightLayout.InOut]
            select Product(14, 33, k, type, layout),
        .. from scale in (bool[])[false, true] from residual in (bool[])[false, true]
            from inPlace in (bool[])[false, true] where residual || !inPlace
            from last in (bool[])[false, true]
            select Product(27, 37, 20, FloatType.F16, bias: last, scale: scale, residual: residual, inPlace: inPlace, last: last),
        Product<Gelu>(29, 70, 40, default, FloatType.F16), Product<QuickGelu>(29, 70, 40, default, FloatType.F16),
        Product(29, 70, 40, new LeakyRelu(0.01f), FloatType.F16), Product<Sigmoid>(29, 70, 40, default, FloatType.F16),
        // Copied strips, with one and with several panels per item; and more rows than an item has, so that there are several
        // items.
        Product(25, 70, 1023, FloatType.F16), Product(25, 140, 2047, FloatType.F16), Product(25, 70, 5119, FloatType.F16),
        Product(1000, 40, 700, FloatType.F16, residual: true, inPlace: true),
        .. from threads in (int[])[2, 5] from m in (int[])[7, 25, 500] select Product(m, 70, 40, FloatType.F16, threads: threads),
        .. from threads in (int[])[2, 5] from m in (int[])[7, 25, 500] from n in (int[])[70, 200]
            select AnyThreads(m, n, 1500, threads),
        // Upcoming weights, of which each item prefetches its share.
        .. from m in (int[])[1, 13, 200] from layout in (WeightLayout[])[WeightLayout.OutIn, WeightLayout.InOut]
            select Product(m, 200, 300, FloatType.F16, layout, upcoming: true),
        .. from bits in (int[])[24, 11, 8] select Product(60, 70, 1536, FloatType.F16, bits: bits),
        Product<Gelu>(1029, 1536, 384, default, FloatType.F16),
        Product(1029, 384, 384, FloatType.F16, scale: true, residual: true, inPlace: true),
        Product(1029, 384, 1536, FloatType.F16, scale: true, residual: true, inPlace: true),
        // The wide and the deep layers of EdgeZSAD, and those of ViT-L.
        Product(4096, 576, 192, FloatType.F16).OnlyTimed, Product<Gelu>(4096, 768, 192, default, FloatType.F16).OnlyTimed,
        Product(1024, 1152, 384, FloatType.F16).OnlyTimed, Product<Gelu>(256, 2304, 576, default, FloatType.F16).OnlyTimed,
        Product(256, 576, 2304, FloatType.F16, residual: true, inPlace: true).OnlyTimed,
        Product(1024, 256, 384, new LeakyRelu(0.01f), FloatType.F16).OnlyTimed,
        Product(1372, 1024, 1024, FloatType.F16, residual: true, inPlace: true).OnlyTimed,
        Product<QuickGelu>(1372, 4096, 1024, default, FloatType.F16).OnlyTimed,
        Product(1372, 1024, 4096, FloatType.F16, residual: true, inPlace: true).OnlyTimed,
    ];

    /// <summary>
    /// Creates a case with all 16-bit numbers, including NaN and infinities, in whole squares and in remainders, or with numbers as a
    /// model has them.
    /// </summary>
    private static KernelCase Widened(int n, int k, FloatType type, WeightLayout layout, bool all = true) =>
        new("Panel", $"{n} x {k} {type} {layout}{(all ? ", all numbers" : "")}", workspace =>
        {
            ushort* w = all ? workspace.Block<ushort>(n * k) : (ushort*)Stored(workspace, type, n * k);
            // Some rows have no NaN or infinity, because a square that contains one takes a different path.
            for (int i = 0; all && i < n * k; i++) w[i] = (ushort)(i / k % 48 < 16 && (i & 0x7C00) == 0x7C00 ? i & 0x83FF : i);
            int columns = Tile.Columns, panels = (n + columns - 1) / columns, size = panels * columns * k;
            float* mine = workspace.Block<float>(size), definition = workspace.Output(size);
            return new(
                () =>
                {
                    for (int p = 0; p < panels; p++) Panel.Expand(w, type, layout, n, k, p * columns, mine + (nint)p * columns * k);
                },
                () =>
                {
                    for (int i = 0; i < size; i++)
                    {
                        int output = i / (columns * k) * columns + i % columns, input = i / columns % k;
                        definition[i] = output >= n ? 0
                            : Widen.Scalar(w, type, layout == WeightLayout.OutIn ? output * k + input : input * n + output);
                    }
                },
                () => Difference.Exact(mine, definition, size));
        })
        { Because = "widening is exact", Bytes = (double)n * k * (type.Size() + sizeof(float)), Typical = !all };

    /// <summary>
    /// Creates a case of a single tile, whose sums start with zeros or with scattered rows, with or without prefetching.
    /// </summary>
    private static KernelCase OneTile(int k, bool started, bool asking) =>
        new("Tile", $"{k}{(started ? " started" : "")}{(asking ? " asking" : "")}", workspace =>
        {
            int lda = k + 1, columns = Tile.Columns, lanes = columns / 2, ldc = columns + 3;
            int length = Extent(Tile.Rows, columns, ldc);
            float* a = workspace.Normal(Extent(Tile.Rows, k, lda)), b = workspace.Normal(k * columns);
            float* mine = workspace.Output(length), definition = workspace.Output(length);
            Start start = new() { Rows = workspace.Pointers(Tile.Rows), First = 1, Second = lanes + 4 };
            for (int i = 0; i < Tile.Rows; i++) start.Rows[i] = workspace.Normal(columns + 4);
            const int weightBytes = 1000;
            byte* weights = workspace.Block<byte>(weightBytes);
            float* residual = workspace.Normal(Extent(Tile.Rows, columns, columns + 1)), run = workspace.Normal(100);
            bool used = false;
            return new(
                () =>
                {
                    Start from = start;
                    Ahead ahead = new()
                    {
                        Result = mine, LdResult = ldc, Residual = residual, LdResidual = columns + 1, Run = (byte*)run, Lines = 2,
                        Weights = weights, WeightLines = 3, WeightsEnd = weights + weightBytes,
                    };
                    Tile.Execute(a, lda, b, k, mine, ldc, asking ? &ahead : null, started ? &from : null);
                    // Each prefetched row has its share, and there are at most as many as the tile has rows. A single step prefetches none.
                    nint rows = (nint)(ahead.Result - mine) / ldc;
                    used = ahead.Residual == residual + rows * (columns + 1) && ahead.Run == (byte*)run + rows * 2 * 64
                        && ahead.Weights == weights + 3 * 64 * Math.Min(rows, (weightBytes + 191) / 192)
                        && rows <= Tile.Rows && (rows > 0) == (asking && k > 1 && Sse.IsSupported);
                },
                () =>
                {
                    Start from = start;
                    Tile.Scalar(a, lda, b, k, definition, ldc, started ? &from : null);
                },
                () => Difference.Unless(used).Or(Difference.Between(mine, definition, Tile.Rows, columns, ldc, (_, r, c) =>
                {
                    double terms = started ? Math.Abs(start.Rows[r][c < lanes ? 1 + c : 4 + c]) : 0;
                    for (int p = 0; p < k; p++) terms += Math.Abs(a[r * lda + p] * b[p * columns + c]);
                    return terms;
                })));
        })
        {
            Tolerance = (k + 2) * E,
            RmsTolerance = 2 * RmsOfSum,
            Because = "k additions and the definition's rounding, in units of the terms' magnitudes; twice the usual root mean "
                + "square, as a tile may have only twelve results; " + RmsBecause,
            Flops = 2.0 * Tile.Rows * Tile.Columns * k,
        };

    private static KernelCase Product(int m, int n, int k, FloatType type, WeightLayout layout = WeightLayout.OutIn,
        bool bias = true, bool scale = false, bool residual = false, bool inPlace = false, bool last = false,
        int threads = 1, bool upcoming = false, int bits = 24) =>
        Product<Identity>(m, n, k, default, type, layout, bias, scale, residual, inPlace, last, threads, upcoming, bits);

    private static KernelCase Product<TActivation>(
        int m, int n, int k, TActivation f, FloatType type, WeightLayout layout = WeightLayout.OutIn,
        bool bias = true, bool scale = false, bool residual = false, bool inPlace = false, bool last = false,
        int threads = 1, bool upcoming = false, int bits = 24)
        where TActivation : struct, IActivation =>
        new($"MatMul {typeof(TActivation).Name}",
            $"{m} x {n} x {k} {type} {layout}{(bias ? " bias" : "")}{(scale ? " scale" : "")}{(residual ? " residual" : "")}"
            + $"{(inPlace ? " in place" : "")}{(last ? " activate last" : "")}"
            + $"{(threads > 1 ? $" for {threads} threads" : "")}{(upcoming ? " upcoming" : "")}"
            + $"{(bits < 24 ? $" {bits} bits" : "")}",
            workspace =>
        {
            // A row stride of 4 KiB, where k is one less, is the case in which strips are copied.
            int ldx = workspace.Stride(k, k % 1024 == 1023 ? 1 : 3), ldy = workspace.Stride(n, 1), length = Extent(m, n, ldy);
            MatMulArgs a = new()
            {
                M = m, N = n, K = k, Type = type, Layout = layout, LdX = ldx, LdY = ldy, LdResidual = ldy, ActivateLast = last,
                Threads = threads,
                X = workspace.Normal(Extent(m, k, ldx)),
                W = Stored(workspace, type, n * k),
                Bias = bias ? workspace.Normal(n) : null,
                Scale = scale ? workspace.Normal(n) : null,
            };
            float* added = residual ? workspace.Normal(length) : null;
            MatMulArgs mine = a, definition = a;
            mine.Y = workspace.Result(added, length, inPlace);
            definition.Y = workspace.Output(length);
            mine.Residual = inPlace ? mine.Y : added;
            definition.Residual = added;
            if (bits < 24) mine.X = workspace.Rounded(a.X, Extent(m, k, ldx), bits);
            if (upcoming)
            {
                mine.UpcomingBytes = 1000 * (m + 1);
                mine.Upcoming = workspace.Block<byte>(mine.UpcomingBytes);
            }
            float* scratch = workspace.Block<float>(MatMul.ScratchFloats(m, n, k, threads));
            return new(
                () => EachItem(MatMul.Items(m, n, k, threads), workspace.Timed, (item, previous) =>
                    MatMul.Execute(mine, f, item, previous, scratch)),
                () =>
                {
                    MatMul.Scalar(definition, f);
                    if (!inPlace) return;
                    // Between the rows, an in-place result keeps its previous content.
                    for (int i = 0; i < length; i++)
                        if (i % ldy >= n) definition.Y[i] = added[i];
                },
                () => Difference.Between(mine.Y, definition.Y, m, n, ldy, (_, r, c) => Magnitude(a, added, r, c)));
        })
        {
            Tolerance = 1.2 * (k + 12) * E,
            RmsTolerance = RmsOfSum,
            Coarse = bits < 24,
            Because =
                "k additions and 12 roundings of the epilogue, in units of the terms' magnitudes; an activation's slope is " +
                "below 1.2; " + RmsBecause,
            Flops = 2.0 * m * n * k,
            Bytes = 4.0 * m * (k + n) + (double)n * k * type.Size(),
            Typical = m > 1000,
        };

    /// <summary>
    /// Creates a case that divides the work for many threads and for one, with several groups of panels whose blocks start at
    /// different rows.
    /// </summary>
    private static KernelCase AnyThreads(int m, int n, int k, int threads) =>
        new("MatMul cut", $"{m} x {n} x {k} for {threads} threads", workspace =>
        {
            MatMulArgs a = new()
            {
                M = m, N = n, K = k, LdX = k, LdY = n, Type = FloatType.F16, X = workspace.Normal(m * k),
                W = Stored(workspace, FloatType.F16, n * k), Bias = workspace.Normal(n),
            };
            float* mine = workspace.Output(m * n), definition = workspace.Output(m * n);
            void Run(int count, float* y)
            {
                MatMulArgs args = a;
                args.Threads = count;
                args.Y = y;
                float* scratch = workspace.Block<float>(MatMul.ScratchFloats(m, n, k, count));
                EachItem(MatMul.Items(m, n, k, count), false, (item, previous) =>
                    MatMul.Execute(args, default(Gelu), item, previous, scratch));
            }
            return new(() => Run(threads, mine), () => Run(1, definition), () => Difference.Exact(mine, definition, m * n));
        })
        { Because = "a value is computed by the same operations however the work is cut" };

    /// <summary>Creates normal numbers in a storage format.</summary>
    internal static void* Stored(Workspace workspace, FloatType type, int n)
    {
        float* x = workspace.Normal(n);
        if (type == FloatType.F32) return x;
        ushort* y = workspace.Block<ushort>(n);
        for (int i = 0; i < n; i++)
        {
            y[i] = type == FloatType.F16
                ? BitConverter.HalfToUInt16Bits((Half)x[i])
                : (ushort)(BitConverter.SingleToUInt32Bits(x[i]) >> 16);
        }

        return y;
    }

    /// <summary>Computes the sum of the magnitudes of all terms of one result.</summary>
    private static double Magnitude(in MatMulArgs a, float* residual, int row, int column)
    {
        // For large shapes, the expected magnitude of a product of two normal numbers, 2 / pi, is close enough and about a
        // hundred times faster.
        double sum = a.K * 2 / Math.PI;
        if (a.M < 100)
        {
            sum = 0;
            for (int p = 0; p < a.K; p++)
            {
                sum += Math.Abs(a.X[row * a.LdX + p] * Widen.Scalar(
                    a.W, a.Type, a.Layout == WeightLayout.OutIn ? (nint)column * a.K + p : (nint)p * a.N + column));
            }
        }
        if (a.Bias != null) sum += Math.Abs(a.Bias[column]);
        sum = Math.Max(sum, 1);
        if (a.Scale != null) sum *= Math.Abs(a.Scale[column]);
        return sum + (residual == null ? 0 : Math.Abs(residual[row * a.LdResidual + column]));
    }
}
