using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TinyZsad.Imaging;

/// <summary>The arithmetic of <see cref="Resampler"/> over pointers.</summary>
internal static unsafe class ResampleKernels
{
    /// <summary>The pixels that the horizontal pass takes at once: sixteen bytes as R, G, B, 0.</summary>
    public const int Group = 4;

    /// <summary>The rows that the horizontal pass takes at once, so that a weight is loaded once for all of them.</summary>
    public const int RowsAtOnce = 4;

    /// <summary>Half of the last bit that is kept, for rounding.</summary>
    public const int Half = 1 << (ResampleAxis.FractionBits - 1);

    /// <summary>The bytes that the vertical pass takes at once.</summary>
    public const int Chunk = 16;

    /// <summary>The horizontal pass over four rows: every output pixel from its input pixels, four of them at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MixPixels<TSums>(byte** from, byte** to, ReadOnlySpan<int> first, ReadOnlySpan<int> taps,
        int* weights, int stride, int pixelBytes, Vector128<byte> toRgb0)
        where TSums : unmanaged, ISampleSums<TSums>
    {
        byte* from0 = from[0], from1 = from[1], from2 = from[2], from3 = from[3];
        byte* to0 = to[0], to1 = to[1], to2 = to[2], to3 = to[3];
        for (int x = 0; x < first.Length; x++, weights += stride)
        {
            TSums sum0 = TSums.Broadcast(0), sum1 = sum0, sum2 = sum0, sum3 = sum0;
            nint at = first[x] * (nint)pixelBytes;
            int left = taps[x];
            for (int* w = weights; left > 0; w += 16, left -= Group, at += Group * pixelBytes)
            {
                TSums weight = TSums.Load(w);
                sum0 = sum0.MultiplyAdd(Vector128.Shuffle(Vector128.Load(from0 + at), toRgb0), weight);
                sum1 = sum1.MultiplyAdd(Vector128.Shuffle(Vector128.Load(from1 + at), toRgb0), weight);
                sum2 = sum2.MultiplyAdd(Vector128.Shuffle(Vector128.Load(from2 + at), toRgb0), weight);
                sum3 = sum3.MultiplyAdd(Vector128.Shuffle(Vector128.Load(from3 + at), toRgb0), weight);
            }

            Store(to0 + 3 * x, sum0.SumPixels());
            Store(to1 + 3 * x, sum1.SumPixels());
            Store(to2 + 3 * x, sum2.SumPixels());
            Store(to3 + 3 * x, sum3.SumPixels());
        }
    }

    /// <summary>Rounds and stores one pixel of three bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(byte* to, Vector128<int> sum)
    {
        Vector128<byte> level = SampleSums128.Level(sum + Vector128.Create(Half)).AsByte();
        uint pixel = Vector128.Shuffle(level, Vector128.Create((byte)0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
            .AsUInt32().ToScalar();
        Unsafe.WriteUnaligned(to, (ushort)pixel);
        to[2] = (byte)(pixel >> 16);
    }

    /// <summary>The vertical pass for one row, sixteen bytes at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MixRows<TSums>(byte* from, int stride, ReadOnlySpan<int> weights, byte* to, int count)
        where TSums : unmanaged, ISampleSums<TSums>
    {
        for (int x = 0; x < count; x += Chunk)
        {
            TSums sum = TSums.Broadcast(Half);
            byte* at = from + x;
            foreach (int weight in weights)
            {
                sum = sum.MultiplyAdd(Vector128.Load(at), TSums.Broadcast(weight));
                at += stride;
            }

            Store(sum, to, x, count);
        }
    }

    /// <summary>Adds taps of one output pixel to the sums of some rows: four pixels of four channels for each row.</summary>
    /// <param name="from">The first input pixel of each row.</param>
    /// <param name="taps">The number of input pixels.</param>
    /// <param name="weights">Their weights, each four times, padded with zeros to a multiple of four input pixels.</param>
    /// <param name="sums">The sums, sixteen for each row.</param>
    /// <param name="rows">The number of rows.</param>
    /// <param name="pixelBytes">The bytes of an input pixel.</param>
    /// <param name="toRgb0">The shuffle of <see cref="PixelRows.ToRgb0"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddPixels<TSums>(
        byte** from, int taps, int* weights, int* sums, int rows, int pixelBytes, Vector128<byte> toRgb0)
        where TSums : unmanaged, ISampleSums<TSums>
    {
        for (int row = 0; row < rows; row++, sums += 16)
        {
            TSums sum = TSums.Load(sums);
            byte* at = from[row];
            int* w = weights;
            for (int left = taps; left > 0; w += 16, left -= Group, at += Group * pixelBytes)
            {
                sum = sum.MultiplyAdd(Vector128.Shuffle(Vector128.Load(at), toRgb0), TSums.Load(w));
            }

            sum.Store(sums);
        }
    }

    /// <summary>Rounds and stores one pixel of sums that are complete.</summary>
    public static void StorePixel<TSums>(int* sums, byte* to) where TSums : unmanaged, ISampleSums<TSums> =>
        Store(to, TSums.Load(sums).SumPixels());

    /// <summary>Adds weighted rows to sums, sixteen bytes at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddRows<TSums>(byte* from, int stride, ReadOnlySpan<int> weights, int* sums, int count)
        where TSums : unmanaged, ISampleSums<TSums>
    {
        for (int x = 0; x < count; x += Chunk)
        {
            TSums sum = TSums.Load(sums + x);
            byte* at = from + x;
            foreach (int weight in weights)
            {
                sum = sum.MultiplyAdd(Vector128.Load(at), TSums.Broadcast(weight));
                at += stride;
            }

            sum.Store(sums + x);
        }
    }

    /// <summary>Rounds and stores a row of sums that are complete and include <see cref="Half"/>.</summary>
    public static void StoreRow<TSums>(int* sums, byte* to, int count) where TSums : unmanaged, ISampleSums<TSums>
    {
        for (int x = 0; x < count; x += Chunk)
        {
            Store(TSums.Load(sums + x), to, x, count);
        }
    }

    /// <summary>Stores sixteen bytes of a row, or those that are left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<TSums>(TSums sum, byte* to, int x, int count) where TSums : unmanaged, ISampleSums<TSums>
    {
        Vector128<byte> levels = sum.ToBytes();
        if (x + Chunk <= count)
        {
            levels.Store(to + x);
            return;
        }

        for (int i = x; i < count; i++)
        {
            to[i] = levels.GetElement(i - x);
        }
    }
}
