using TinyZsad.Formats;
using TinyZsad.Kernels;
using static TinyZsad.KernelCases.KernelCase;

namespace TinyZsad.KernelCases;

/// <summary>
/// Lists the cases of linear layers with 8-bit integers. The integers must be exact for every instruction set; the floats around
/// them have a tolerance.
/// </summary>
internal static unsafe class Int8Cases
{
    /// <summary>
    /// Specifies the numbers to quantize. For every length, they include the sums of products that are farthest from zero.
    /// </summary>
    private enum Numbers { Random, Largest, Opposite }

    public static IEnumerable<KernelCase> All =>
    [
        .. from k in KernelCases.Lengths where k > 0 from numbers in Enum.GetValues<Numbers>() select TileOf(Int8Rows.Padded(k),
            numbers),
        TileOf(4096, Numbers.Largest), TileOf(Int8Tile.MaxInputs, Numbers.Largest), TileOf(Int8Tile.MaxInputs, Numbers.Opposite),
        .. from k in KernelCases.Lengths where k > 0 select Rows(k),
        .. from n in KernelCases.Lengths where n > 0 select Weights(n, 18, FloatType.F16, WeightLayout.OutIn),
        .. from k in KernelCases.Lengths where k > 0 from layout in Enum.GetValues<WeightLayout>() select Weights(35, k,
            FloatType.F32, layout),
        .. from m in Enumerable.Range(1, 20) select Product(m, 35, 19, FloatType.F16),
        .. from n in KernelCases.Lengths where n > 0 select Product(7, n, 18, FloatType.F16),
        .. from k in KernelCases.Lengths where k > 0 from layout in Enum.GetValues<WeightLayout>() select Product(8, 33, k,
            FloatType.BF16, layout),
        .. from scale in (bool[])[false, true] from residual in (bool[])[false, true] from inPlace in (bool[])[false,
            true] where residual || !inPlace
            from last in (bool[])[false, true]
            select Product(27, 37, 20, FloatType.F16, scale: scale, residual: residual, inPlace: inPlace, last: last),
        // More rows than a block has, so that there are several blocks.
        Product(500, 40, 1400, FloatType.F16, residual: true, inPlace: true),
        Product(1029, 1536, 384, FloatType.F16),
            Product(1029, 384, 384, FloatType.F16, scale: true, residual: true, inPlace: true),
        Product(1029, 384, 1536, FloatType.F16, scale: true, residual: true, inPlace: true),
        TileOf(384, Numbers.Random) with { Typical = true },
        Rows(384, count: 1029) with { Typical = true },
        Weights(1536, 384, FloatType.F16, WeightLayout.OutIn) with { Typical = true },
    ];

    private static KernelCase TileOf(int k, Numbers numbers) => new("Int8Tile", $"{k} {numbers}", workspace =>
    {
        int columns = Int8Tile.Columns, lda = (k + 4) * Int8Tile.ElementSize, ldc = columns + 3,
            extent = Extent(Int8Tile.Rows, columns, ldc);
        int Next(int sign) => numbers switch { Numbers.Random => workspace.Random.Next(-127, 128), Numbers.Largest => 127, _ =>
            sign * 127 };
        byte* a = workspace.Block<byte>(Extent(Int8Tile.Rows, k * Int8Tile.ElementSize, lda));
        for (int r = 0; r < Int8Tile.Rows; r++)
        {
            for (int p = 0; p < k; p++)
            {
                if (Int8Tile.ElementSize == 1) a[r * (nint)lda + p] = (byte)(Next(1) + Int8Tile.Offset);
                else ((short*)(a + r * (nint)lda))[p] = (short)Next(1);
            }
        }

        sbyte* b = workspace.Block<sbyte>((nint)k * columns);
        void* elements = b;
        if (Int8Tile.ElementSize > 1) elements = workspace.Block<short>((nint)k * columns);
        int* correction = workspace.Block<int>(columns), mine = workspace.Block<int>(extent),
            definition = workspace.Block<int>(extent);
        new Span<int>(correction, columns).Clear();
        for (nint i = 0; i < (nint)k * columns; i++)
        {
            b[i] = (sbyte)Next(-1);
            correction[i / 4 % columns] -= Int8Tile.Offset * b[i];
        }
        if (elements != b) Int8Tile.Widen(b, k, (short*)elements);
        new Span<int>(mine, extent).Clear();
        new Span<int>(definition, extent).Clear();
        return new(
            () => Int8Tile.Execute(a, lda, elements, k, correction, mine, ldc),
            () => Int8Tile.Scalar(a, lda, elements, k, definition, ldc),
            () => Same(mine, definition, extent));
    })
    {
        Because = "sums of integers are exact",
        Flops = 2.0 * Int8Tile.Rows * Int8Tile.Columns * k,
        Bytes = (double)Int8Tile.Columns * k,
    };

    private static KernelCase Rows(int k, int count = 9) => new("Int8Rows", $"{count} x {k}", workspace =>
    {
        int ldx = k + 3, bytes = count * Int8Rows.Stride(k);
        float* x = workspace.Normal(Extent(count, k, ldx));
        // The rows contain: zeros; tiny numbers; one number much larger than the others; the largest float; and NaN or infinity,
        // first and last.
        for (int p = 0; p < k; p++)
        {
            x[ldx + p] = p % 2 == 0 ? 0 : -0f;
            x[2 * ldx + p] *= 1e-38f;
        }
        x[3 * ldx + k / 2] = -1e9f;
        x[4 * ldx + k - 1] = float.MaxValue;
        x[5 * ldx + k - 1] = float.NaN;
        x[6 * ldx] = float.PositiveInfinity;
        x[7 * ldx + k / 3] = float.NegativeInfinity;
        byte* mine = workspace.Block<byte>(bytes), definition = workspace.Block<byte>(bytes);
        return new(() => Int8Rows.Execute(x, ldx, count, k, mine), () => Int8Rows.Scalar(x, ldx, count, k, definition),
            () =>
        {
            Difference error = default;
            for (int r = 0; r < count; r++)
            {
                byte* i = mine + r * Int8Rows.Stride(k), j = definition + r * Int8Rows.Stride(k);
                float s = Int8Rows.ScaleOf(i, k), t = Int8Rows.ScaleOf(j, k);
                error = error.Or(Same(i, j, Int8Rows.Stride(k) - sizeof(float))).Or(Difference.Exact(&s, &t, 1));
                // Check the definition itself: an error of at most half a step, and NaN where it is required.
                if (float.IsNaN(t) != r is 5 or 6 or 7) error = Difference.Unless(false);
                for (int p = 0; p < k && !float.IsNaN(t); p++)
                {
                    double value = (double)t * (Int8Tile.ElementSize == 1 ? (sbyte)(i[p] - Int8Tile.Offset) : ((short*)i)[p]);
                    if (Math.Abs(x[r * ldx + p] - value) > t * (0.5 + 1.0 / (1 << 15)) + Int8Rows.Least)
                        error = Difference.Unless(false);
                }
            }
            return error;
        });
    })
    {
        Because = "every number is rounded once, the same way",
        Bytes = (double)count * k * (sizeof(float) + Int8Tile.ElementSize),
    };

    private static KernelCase Weights(int n, int k, FloatType type, WeightLayout layout) =>
        new("Int8Weights", $"{n} x {k} {type} {layout}", workspace =>
    {
        void* w = MatMulCases.Stored(workspace, type, n * k);
        // The first output is all zeros; the last contains an infinity.
        for (int output = 0; output < n; output++)
        {
            for (int p = 0; p < k; p++)
            {
                int at = layout == WeightLayout.OutIn ? output * k + p : p * n + output;
                if (output > 0 && (output < n - 1 || p < k - 1)) continue;
                if (type == FloatType.F32) ((float*)w)[at] = output == 0 ? 0 : float.PositiveInfinity;
                else ((Half*)w)[at] = output == 0 ? Half.Zero : Half.PositiveInfinity;
            }
        }

        nint bytes = Int8Weights.Bytes(n, k);
        byte* mine = workspace.Block<byte>(bytes), definition = workspace.Block<byte>(bytes);
        float* scratch = workspace.Block<float>(Int8Weights.ScratchFloats(k));
        return new(
            () => Int8Weights.Execute(w, type, layout, n, k, scratch, mine),
            () => Int8Weights.Scalar(w, type, layout, n, k, definition),
            () =>
            {
                Difference error = default;
                nint head = sizeof(float) * Int8Tile.Columns, panel = Int8Weights.PanelBytes(k);
                for (nint at = 0; at < bytes; at += panel)
                {
                    error = error.Or(Difference.Exact((float*)(mine + at), (float*)(definition + at), Int8Tile.Columns))
                        .Or(Same(mine + at + head, definition + at + head, panel - head));
                }
                return error;
            });
    })
    {
        Because = "every number is rounded once, the same way",
        Bytes = 3.0 * n * k,
    };

    private static KernelCase Product(int m, int n, int k, FloatType type, WeightLayout layout = WeightLayout.OutIn,
        bool scale = false, bool residual = false, bool inPlace = false, bool last = false) =>
        new("Int8MatMul", $"{m} x {n} x {k} {type} {layout}{(scale ? " scale" : "")}{(residual ? " residual" : "")}"
            + $"{(inPlace ? " in place" : "")}{(last ? " activate last" : "")}", workspace =>
        {
            LeakyRelu f = new(0.25f);
            int ldx = k + 3, ldy = n + 1, length = Extent(m, n, ldy);
            MatMulArgs a = new()
            {
                M = m, N = n, K = k, Type = type, Layout = layout, LdX = ldx, LdY = ldy, LdResidual = ldy, ActivateLast = last,
                X = workspace.Normal(Extent(m, k, ldx)),
                W = MatMulCases.Stored(workspace, type, n * k),
                Bias = workspace.Normal(n),
                Scale = scale ? workspace.Normal(n) : null,
            };
            float* added = residual ? workspace.Normal(length) : null;
            MatMulArgs mine = a, definition = a;
            mine.Y = workspace.Result(added, length, inPlace);
            definition.Y = workspace.Output(length);
            mine.Residual = inPlace ? mine.Y : added;
            definition.Residual = added;
            byte* x = workspace.Block<byte>((nint)Int8Rows.Rows(m) * Int8Rows.Stride(k)),
                w = workspace.Block<byte>(Int8Weights.Bytes(n, k));
            float* scratch = workspace.Block<float>(Math.Max(Int8MatMul.ScratchFloats(k), Int8Weights.ScratchFloats(k)));
            Int8Weights.Execute(a.W, type, layout, n, k, scratch, w);
            Int8Rows.Execute(a.X, ldx, m, k, x);
            return new(
                () =>
                {
                    for (int item = 0; item < Int8MatMul.Items(m, n, k); item++) Int8MatMul.Execute(mine, x, w, f, item, scratch);
                },
                () =>
                {
                    Int8MatMul.Scalar(definition, f);
                    for (int i = 0; i < length && inPlace; i++)
                        if (i % ldy >= n) definition.Y[i] = added[i];
                },
                // The sum of roughly normal numbers is below 6 sqrt k, except for one in a billion.
                () => Difference.Between(mine.Y, definition.Y, m, n, ldy, (_, r, c) =>
                    (6 * Math.Sqrt(k) + 6 + Math.Abs(a.Bias[c])) * (scale ? Math.Abs(a.Scale[c]) : 1) + (residual
                        ? Math.Abs(added[r * ldy + c]) : 0)));
        })
        {
            Tolerance = 12 * E,
            Because = "the sum is exact; it is rounded to a float, multiplied by two rounded scales, and goes through the epilogue's "
                + "five operations, in units of the terms' magnitudes",
            Flops = 2.0 * m * n * k,
            Bytes = 4.0 * m * (k + n) + (double)n * k,
            Typical = m >= 1000,
        };

    private static Difference Same<T>(T* a, T* b, nint n) where T : unmanaged, IEquatable<T> =>
        Difference.Unless(new Span<T>(a, (int)n).SequenceEqual(new Span<T>(b, (int)n)));
}
