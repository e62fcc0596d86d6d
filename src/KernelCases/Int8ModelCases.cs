using TinyZsad.Formats;
using TinyZsad.Kernels;

namespace TinyZsad.KernelCases;

/// <summary>
/// Lists the cases of the parts of an 8-bit linear layer with the sizes that the models use. <see cref="Int8Cases"/> has those of whole
/// layers, and every remainder.
/// </summary>
internal static unsafe class Int8ModelCases
{
    private const string Because = "integers are exact, and every number is rounded once, the same way";

    public static IEnumerable<KernelCase> All => [TileOf(384), Rows(1029, 384), Weights(1536, 384)];

    private static KernelCase TileOf(int k) => new("Int8Tile", $"{k}", workspace =>
    {
        int columns = Int8Tile.Columns, lda = k * Int8Tile.ElementSize, sums = Int8Tile.Rows * columns;
        byte* a = workspace.Block<byte>(Int8Tile.Rows * lda);
        sbyte* b = workspace.Block<sbyte>(k * columns);
        int* correction = workspace.Block<int>(columns), mine = workspace.Block<int>(sums), definition = workspace.Block<int>(sums);
        for (int i = 0; i < Int8Tile.Rows * k; i++)
        {
            int x = workspace.Random.Next(-127, 128);
            if (Int8Tile.ElementSize == 1) a[i] = (byte)(x + Int8Tile.Offset);
            else ((short*)a)[i] = (short)x;
        }

        new Span<int>(correction, columns).Clear();
        for (int i = 0; i < k * columns; i++)
        {
            b[i] = (sbyte)workspace.Random.Next(-127, 128);
            correction[i / 4 % columns] -= Int8Tile.Offset * b[i];
        }

        return new(
            () => Int8Tile.Execute(a, lda, b, k, correction, mine, columns),
            () => Int8Tile.Scalar(a, lda, b, k, definition, columns),
            () => Same((byte*)mine, (byte*)definition, sums * sizeof(int)));
    })
    {
        Because = Because,
        Flops = 2.0 * Int8Tile.Rows * Int8Tile.Columns * k,
        Bytes = (double)Int8Tile.Columns * k,
        Typical = true,
    };

    private static KernelCase Rows(int rows, int k) => new("Int8Rows", $"{rows} x {k}", workspace =>
    {
        int bytes = rows * Int8Rows.Stride(k);
        float* x = workspace.Normal(rows * k);
        byte* mine = workspace.Block<byte>(bytes), definition = workspace.Block<byte>(bytes);
        return new(
            () => Int8Rows.Execute(x, k, rows, k, mine),
            () => Int8Rows.Scalar(x, k, rows, k, definition),
            () => Same(mine, definition, bytes));
    })
    { Because = Because, Bytes = (double)rows * k * (sizeof(float) + Int8Tile.ElementSize), Typical = true };

    private static KernelCase Weights(int n, int k) => new("Int8Weights", $"{n} x {k} F16", workspace =>
    {
        void* w = MatMulCases.Stored(workspace, FloatType.F16, n * k);
        nint bytes = Int8Weights.Bytes(n, k);
        byte* mine = workspace.Block<byte>(bytes), definition = workspace.Block<byte>(bytes);
        float* scratch = workspace.Block<float>(Int8Weights.ScratchFloats(k));
        return new(
            () => Int8Weights.Execute(w, FloatType.F16, WeightLayout.OutIn, n, k, scratch, mine),
            () => Int8Weights.Scalar(w, FloatType.F16, WeightLayout.OutIn, n, k, definition),
            () => Same(mine, definition, bytes));
    })
    { Because = Because, Bytes = 3.0 * n * k, Typical = true };

    private static Difference Same(byte* a, byte* b, nint n) =>
        Difference.Unless(new Span<byte>(a, (int)n).SequenceEqual(new Span<byte>(b, (int)n)));
}
