using System.Runtime.CompilerServices;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// Quantizes the B operand of <see cref="Int8Tile"/>: a weight matrix as 8-bit integers with one scale per output, w[n, p] ≈
/// scale[n] q[n, p], where scale = max |w[n]| / 127, by the same rules as <see cref="Int8Rows"/>. This is done once. A panel of
/// <see cref="Int8Tile.Columns"/> outputs holds its scales, then its corrections (see <see cref="Int8Tile"/>), then its integers
/// as [k / 4][outputs][4], in bytes on every processor. Outputs beyond the matrix are zero.
/// </summary>
internal static unsafe class Int8Weights
{
    /// <summary>Computes the size of a panel in bytes: a multiple of 64 if vectors are 64 bytes wide.</summary>
    public static nint PanelBytes(int k) => ((nint)Int8Rows.Padded(k) + 2 * sizeof(float)) * Int8Tile.Columns;

    private static int PanelsOfTile => Tile.Columns / Int8Tile.Columns;

    /// <summary>Computes the size of the quantized matrix in bytes; 64-byte aligned.</summary>
    public static nint Bytes(int n, int k) => (n + Tile.Columns - 1) / Tile.Columns * PanelsOfTile * PanelBytes(k);

    /// <summary>Computes the number of scratch floats for <see cref="Execute"/>; 64-byte aligned.</summary>
    public static nint ScratchFloats(int k) => (nint)k * Tile.Columns + 2 * Tile.Columns;

    /// <summary>Quantizes a matrix.</summary>
    /// <param name="w">The matrix, contiguous.</param>
    /// <param name="type">The number format of the matrix.</param>
    /// <param name="layout">The layout: [n, k] or [k, n].</param>
    /// <param name="n">The number of outputs.</param>
    /// <param name="k">The number of inputs, 1 to <see cref="Int8Tile.MaxInputs"/>.</param>
    /// <param name="scratch"><see cref="ScratchFloats"/> floats.</param>
    /// <param name="packed">The result, <see cref="Bytes"/> bytes.</param>
    public static void Execute(void* w, FloatType type, WeightLayout layout, int n, int k, float* scratch, byte* packed)
    {
        float* columns = scratch + 2 * Tile.Columns;
        for (int first = 0; first < n; first += Tile.Columns)
        {
            Panel.Expand(w, type, layout, n, k, first, columns);
            Scales(columns, k, scratch, scratch + Tile.Columns);
            for (int c = 0; c < Tile.Columns; c += Int8Tile.Columns, packed += PanelBytes(k))
                Quantize(columns + c, k, scratch + c, scratch + Tile.Columns + c, packed);
        }
    }

    /// <summary>Computes the reference result: the values of the integers and scales, and their positions.</summary>
    public static void Scalar(void* w, FloatType type, WeightLayout layout, int n, int k, byte* packed)
    {
        for (nint i = 0; i < Bytes(n, k); i++) packed[i] = 0;
        for (int output = 0; output < n; output++)
        {
            float At(int p) => Widen.Scalar(w, type, layout == WeightLayout.OutIn ? (nint)output * k + p : (nint)p * n + output);
            float max = 0;
            bool finite = true;
            for (int p = 0; p < k; p++)
            {
                max = Math.Max(max, Math.Abs(At(p)));
                finite &= float.IsFinite(At(p));
            }
            bool zero = !finite || max < Int8Rows.Least;
            byte* panel = packed + output / Int8Tile.Columns * PanelBytes(k);
            int column = output % Int8Tile.Columns, sum = 0;
            sbyte* integers = (sbyte*)(panel + 2 * sizeof(float) * Int8Tile.Columns);
            for (int p = 0; p < k && !zero; p++)
            {
                int integer = (int)Math.Round(At(p) * (Int8Rows.Most / max), MidpointRounding.ToEven);
                integers[(nint)p / 4 * 4 * Int8Tile.Columns + 4 * column + p % 4] = (sbyte)integer;
                sum += integer;
            }
            ((float*)panel)[column] = !finite ? float.NaN : zero ? 0 : max / Int8Rows.Most;
            ((int*)panel)[Int8Tile.Columns + column] = -Int8Tile.Offset * sum;
        }
    }

    /// <summary>Computes the scale of each column and the factor that its elements are multiplied by.</summary>
    private static void Scales(float* columns, int k, float* scale, float* factor)
    {
        new Span<float>(scale, 2 * Tile.Columns).Clear();
        float* poison = factor;
        for (int p = 0; p < k; p++)
        {
            for (int c = 0; c < Tile.Columns; c++)
            {
                float v = columns[(nint)p * Tile.Columns + c];
                scale[c] = Math.Max(scale[c], Math.Abs(v));
                poison[c] += 0 * v;
            }
        }

        for (int c = 0; c < Tile.Columns; c++)
        {
            float max = scale[c];
            bool usable = poison[c] == 0 && max >= Int8Rows.Least;
            scale[c] = usable ? max / Int8Rows.Most : 0 * poison[c];
            factor[c] = usable ? Int8Rows.Most / max : 0;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Quantize(float* columns, int k, float* scale, float* factor, byte* panel)
    {
        int width = Int8Tile.Columns, stride = Tile.Columns;
        int* correction = (int*)panel + width;
        sbyte* integers = (sbyte*)(correction + width);
        new Span<float>(scale, width).CopyTo(new Span<float>(panel, width));
        new Span<int>(correction, width).Clear();
        for (int p = 0; p < Int8Rows.Padded(k); p++)
        {
            for (int c = 0; c < width; c++)
            {
                // Even where the factor is zero, the product may be NaN.
                int integer = p < k && factor[c] != 0 ? (int)MathF.Round(columns[(nint)p * stride + c] * factor[c]) : 0;
                integers[(nint)p / 4 * 4 * width + 4 * c + p % 4] = (sbyte)integer;
                correction[c] -= Int8Tile.Offset * integer;
            }
        }
    }
}
