using System.Numerics;
using System.Runtime.CompilerServices;

namespace TinyZsad.Imaging;

/// <summary>
/// Upsamples rows by libjpeg's triangle filters ("fancy upsampling"), which weigh the nearest sample by 3/4 and the next one by 1/4, or
/// by repetition. Rows are read and written in whole vectors.
/// </summary>
internal static unsafe class Upsampling
{
    /// <summary>Repeats each sample.</summary>
    public static void Repeat(byte* row, int width, int times, byte* output)
    {
        for (int x = 0; x < width; x++, output += times)
        {
            new Span<byte>(output, times).Fill(row[x]);
        }
    }

    /// <summary>Computes a row between two rows.</summary>
    /// <param name="near">The nearer row.</param>
    /// <param name="far">The other row.</param>
    /// <param name="width">The number of samples.</param>
    /// <param name="rounding">The rounding term: 1 for rows above the nearer row, 2 for rows below it.</param>
    /// <param name="output">Receives the row.</param>
    public static void Between(byte* near, byte* far, int width, int rounding, byte* output)
    {
        Vector<ushort> half = new((ushort)rounding);
        for (int x = 0; x < width; x += Vector<byte>.Count)
        {
            (Vector<ushort> low, Vector<ushort> high) = Weighed(near + x, far + x);
            Vector.Narrow((low + half) >> 2, (high + half) >> 2).Store(output + x);
        }
    }

    /// <summary>Doubles the number of samples.</summary>
    /// <param name="row">The samples.</param>
    /// <param name="width">The number of samples; at least 1.</param>
    /// <param name="scratch">Memory for as many numbers, one before them, and a vector after them.</param>
    /// <param name="output">Receives the samples.</param>
    public static void Double(byte* row, int width, ushort* scratch, byte* output)
    {
        for (int x = 0; x < width; x += Vector<byte>.Count)
        {
            Vector.Widen(Vector.Load(row + x), out Vector<ushort> low, out Vector<ushort> high);
            low.Store(scratch + x);
            high.Store(scratch + x + Vector<ushort>.Count);
        }

        Interpolate(scratch, width, 1, 2, 2, output);
    }

    /// <summary>Computes a row between two rows, with twice as many samples.</summary>
    /// <inheritdoc cref="Double"/>
    /// <param name="near">The nearer row.</param>
    /// <param name="far">The other row.</param>
    /// <param name="width">The number of samples in each; at least 1.</param>
    /// <param name="scratch">Memory for as many numbers, one before them, and a vector after them.</param>
    /// <param name="output">Receives the samples.</param>
    public static void DoubleBetween(byte* near, byte* far, int width, ushort* scratch, byte* output)
    {
        for (int x = 0; x < width; x += Vector<byte>.Count)
        {
            (Vector<ushort> low, Vector<ushort> high) = Weighed(near + x, far + x);
            low.Store(scratch + x);
            high.Store(scratch + x + Vector<ushort>.Count);
        }

        Interpolate(scratch, width, 8, 7, 4, output);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector<ushort> Low, Vector<ushort> High) Weighed(byte* near, byte* far)
    {
        Vector.Widen(Vector.Load(near), out Vector<ushort> nearLow, out Vector<ushort> nearHigh);
        Vector.Widen(Vector.Load(far), out Vector<ushort> farLow, out Vector<ushort> farHigh);
        return (nearLow + nearLow + nearLow + farLow, nearHigh + nearHigh + nearHigh + farHigh);
    }

    /// <summary>
    /// Computes two samples of each number, with its left and its right neighbour. The two are rounded differently, so that halves are
    /// rounded up as often as down. The edges are repeated.
    /// </summary>
    private static void Interpolate(ushort* row, int width, int leftRounding, int rightRounding, int shift, byte* output)
    {
        row[-1] = row[0];
        row[width] = row[width - 1];
        Vector<ushort> left = new((ushort)leftRounding), right = new((ushort)rightRounding);
        for (int x = 0; x < width; x += Vector<ushort>.Count)
        {
            Vector<ushort> middle = Vector.Load(row + x);
            middle += middle + middle;
            Vector<ushort> first = (middle + Vector.Load(row + x - 1) + left) >> shift;
            Vector<ushort> second = (middle + Vector.Load(row + x + 1) + right) >> shift;
            Vector<ushort> both = BitConverter.IsLittleEndian ? first | second << 8 : first << 8 | second;
            both.Store((ushort*)(output + 2 * x));
        }
    }
}
