using System.Numerics;
using System.Runtime.CompilerServices;

namespace TinyZsad.Imaging;

/// <summary>
/// One row of samples to more of them: libjpeg's triangle filters ("fancy upsampling"), in which a new sample is three parts of
/// the nearest and one of the next, and repetition. Rows are read and written in whole vectors: up to a multiple of
/// <see cref="Vector{T}.Count"/> bytes, twice that where the row doubles.
/// </summary>
internal static unsafe class Upsampling
{
    /// <summary>Each sample so many times.</summary>
    public static void Repeat(byte* row, int width, int times, byte* output)
    {
        for (int x = 0; x < width; x++, output += times)
        {
            new Span<byte>(output, times).Fill(row[x]);
        }
    }

    /// <summary>A row between two, nearer to one of them.</summary>
    /// <param name="near">That one.</param>
    /// <param name="far">The other one.</param>
    /// <param name="width">Samples.</param>
    /// <param name="rounding">What is added to four times a sample: 1 for rows above the near one, 2 for rows below.</param>
    /// <param name="output">The new row.</param>
    public static void Between(byte* near, byte* far, int width, int rounding, byte* output)
    {
        Vector<ushort> half = new((ushort)rounding);
        for (int x = 0; x < width; x += Vector<byte>.Count)
        {
            (Vector<ushort> low, Vector<ushort> high) = Weighed(near + x, far + x);
            Vector.Narrow((low + half) >> 2, (high + half) >> 2).Store(output + x);
        }
    }

    /// <summary>Twice as many samples.</summary>
    /// <param name="row">The samples.</param>
    /// <param name="width">How many, at least 1.</param>
    /// <param name="scratch">For as many numbers, one before, and a vector of them behind.</param>
    /// <param name="output">The new samples.</param>
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

    /// <summary>Twice as many samples in a row between two, nearer to one of them.</summary>
    /// <inheritdoc cref="Double"/>
    /// <param name="near">The nearer row.</param>
    /// <param name="far">The other one.</param>
    /// <param name="width">Their samples, at least 1.</param>
    /// <param name="scratch">For as many numbers, one before, and a vector of them behind.</param>
    /// <param name="output">The new samples.</param>
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
    /// Two samples of each number: three parts of it with one of its left neighbour, and with one of its right. They are rounded
    /// differently, so that halves go up as often as down. Beyond the edges the row goes on as it is.
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
