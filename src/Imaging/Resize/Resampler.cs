using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TinyZsad.Imaging;

/// <summary>
/// Pillow's antialiased resize of 8-bit pictures, equal to the last bit: out = clamp((2^21 + sum_j k_j * in_j) >> 22), along
/// the rows and then along the columns, 8 bits between the two; a pass that changes nothing is left out. The k_j are
/// integers, so sums come out the same in any order and in vectors of any width.
/// </summary>
public static unsafe class Resampler
{
    /// <summary>Pixels that the horizontal pass takes at once: sixteen bytes as R, G, B, 0.</summary>
    private const int Group = 4;

    /// <summary>Rows that the horizontal pass takes at once: each weight is loaded once for all.</summary>
    private const int RowsAtOnce = 4;

    /// <summary>Half of the last place that is kept.</summary>
    private const int Half = 1 << (ResampleWeights.FractionBits - 1);

    /// <summary>Bytes that the vertical pass takes at once.</summary>
    private const int Chunk = 16;

    /// <summary>Resizes a picture, ignoring its aspect ratio. Scratch memory is rented; nothing is allocated for long.</summary>
    /// <param name="source">The picture, in any pixel format; opacity is ignored.</param>
    /// <param name="rgb">
    /// The result, red, green, blue without gaps: 3 * width * height bytes at least, not overlapping the source.
    /// </param>
    /// <param name="width">Its width, at least 1.</param>
    /// <param name="height">Its height, at least 1.</param>
    /// <param name="filter">The kernel.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1 or the filter unknown.</exception>
    /// <exception cref="ArgumentException">
    /// The result's memory is too short or overlaps the source, or a size is too large for one array of scratch.
    /// </exception>
    public static void Resize(
        ImageView source, Span<byte> rgb, int width, int height, ResampleFilter filter = ResampleFilter.Bicubic)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        if (source.Width == 0)
        {
            throw new ArgumentException("The view is empty (a default value).", nameof(source));
        }

        if (rgb.Length < 3L * width * height)
        {
            throw new ArgumentException(
                $"{width} x {height} RGB pixels take {3L * width * height} bytes; there are {rgb.Length}.", nameof(rgb));
        }

        if (source.Overlaps(rgb))
        {
            throw new ArgumentException("The result must not overlap the source.", nameof(rgb));
        }

        if (Vector512.IsHardwareAccelerated)
        {
            Resize<SampleSums512>(source, rgb, width, height, filter);
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            Resize<SampleSums256>(source, rgb, width, height, filter);
        }
        else
        {
            Resize<SampleSums128>(source, rgb, width, height, filter);
        }
    }

    /// <summary>The same in vectors of a given width.</summary>
    internal static void Resize<TSums>(ImageView source, Span<byte> rgb, int width, int height, ResampleFilter filter)
        where TSums : unmanaged, ISampleSums<TSums>
    {
        int rowBytes = 3 * width;
        if (height == source.Height)
        {
            ToWidth<TSums>(source, 0, height, rgb, rowBytes, width, filter);
            return;
        }

        // Between the passes: only the rows that the vertical one reads, padded to whole chunks.
        using ResampleWeights down = new ResampleWeights(source.Height, height, filter, group: 1, lanes: 1);
        int first = down.First[0], rows = down.First[^1] + down.Taps[^1] - first;
        long stride = ((long)rowBytes + Chunk - 1) / Chunk * Chunk;
        if (stride * rows > Array.MaxLength)
        {
            throw new ArgumentException($"Resizing {source.Width} x {source.Height} to {width} x {height} pixels takes " +
                $"{stride * rows} bytes between the passes; one array holds {Array.MaxLength}.");
        }

        byte[] between = ArrayPool<byte>.Shared.Rent((int)stride * rows);
        try
        {
            ToWidth<TSums>(source, first, rows, between, (int)stride, width, filter);
            for (int y = 0; y < height; y++)
            {
                fixed (byte* input = &between[(down.First[y] - first) * (int)stride])
                {
                    ReadOnlySpan<int> weights = down.Weights.Slice(y * down.Stride, down.Taps[y]);
                    MixRows<TSums>(input, (int)stride, weights, rgb.Slice(y * rowBytes, rowBytes));
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(between);
        }
    }

    /// <summary>The horizontal pass over some rows; where the width stays, only the pixel format changes.</summary>
    private static void ToWidth<TSums>(
        ImageView source, int first, int rows, Span<byte> target, int stride, int width, ResampleFilter filter)
        where TSums : unmanaged, ISampleSums<TSums>
    {
        if (width == source.Width)
        {
            for (int y = 0; y < rows; y++)
            {
                PixelRows.ToRgb(source.Row(first + y), target.Slice(y * stride, 3 * width), source.Format);
            }

            return;
        }

        int pixelBytes = source.Format.BytesPerPixel();
        Vector128<byte> toRgb0 = PixelRows.ToRgb0(source.Format);
        using ResampleWeights across = new ResampleWeights(source.Width, width, filter, Group, lanes: 4);

        // How far into a row, or beyond it, the vectors of sixteen bytes reach. What they read there has weight zero, so
        // other rows may lie there; but where the memory ends, a row must be copied first.
        long reach = 0;
        for (int x = 0; x < width; x++)
        {
            int groups = (across.Taps[x] + Group - 1) / Group;
            reach = Math.Max(reach, (across.First[x] + (groups - 1L) * Group) * pixelBytes + Vector128<byte>.Count);
        }

        if (RowsAtOnce * reach > Array.MaxLength)
        {
            throw new ArgumentException($"A row of {source.Width} pixels is too long to resize: " +
                $"{RowsAtOnce} rows take more bytes than one array holds.");
        }

        byte[] copies = ArrayPool<byte>.Shared.Rent(RowsAtOnce * (int)reach);
        fixed (byte* pixels = source.Pixels, scratch = copies, output = target)
        fixed (int* weights = across.Weights)
        {
            byte** from = stackalloc byte*[RowsAtOnce];
            byte** to = stackalloc byte*[RowsAtOnce];
            for (int y = 0; y < rows; y += RowsAtOnce)
            {
                for (int i = 0; i < RowsAtOnce; i++)
                {
                    // A last group that is not full does its last row several times over.
                    int row = Math.Min(y + i, rows - 1);
                    long offset = (long)(first + row) * source.Stride;
                    from[i] = pixels + offset;
                    to[i] = output + (long)row * stride;
                    if (offset + reach > source.Pixels.Length)
                    {
                        from[i] = scratch + i * reach;
                        source.Row(first + row).CopyTo(copies.AsSpan(i * (int)reach, (int)reach));
                    }
                }

                MixPixels<TSums>(from, to, across.First, across.Taps, weights, across.Stride, pixelBytes, toRgb0);
            }
        }

        ArrayPool<byte>.Shared.Return(copies);
    }

    /// <summary>The horizontal pass over four rows: every output pixel from its input pixels, four of them a turn.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MixPixels<TSums>(byte** from, byte** to, ReadOnlySpan<int> first, ReadOnlySpan<int> taps,
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

    /// <summary>
    /// The vertical pass for one row: its bytes from those above one another in the input, sixteen columns a turn.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MixRows<TSums>(byte* from, int stride, ReadOnlySpan<int> weights, Span<byte> to)
        where TSums : unmanaged, ISampleSums<TSums>
    {
        for (int x = 0; x < to.Length; x += Chunk)
        {
            TSums sum = TSums.Broadcast(Half);
            byte* at = from + x;
            foreach (int weight in weights)
            {
                sum = sum.MultiplyAdd(Vector128.Load(at), TSums.Broadcast(weight));
                at += stride;
            }

            Vector128<byte> levels = sum.ToBytes();
            if (x + Chunk <= to.Length)
            {
                levels.CopyTo(to.Slice(x, Chunk));
            }
            else
            {
                for (int i = x; i < to.Length; i++)
                {
                    to[i] = levels.GetElement(i - x);
                }
            }
        }
    }
}
