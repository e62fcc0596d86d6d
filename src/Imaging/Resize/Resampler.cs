using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TinyZsad.Imaging;

/// <summary>Resizes 8-bit pictures with antialiasing. The result equals that of Pillow's <c>resize</c> bit by bit.</summary>
/// <remarks>
/// The rows are resized first, then the columns, with 8 bits between the passes; a pass that changes nothing is left out. An output
/// sample is clamp((2^21 + sum_j k_j * in_j) >> 22). The weights k_j are integers, so the order of the sum does not matter.
/// </remarks>
internal static unsafe class Resampler
{
    /// <summary>The pixels that the horizontal pass takes at once: sixteen bytes as R, G, B, 0.</summary>
    private const int Group = 4;

    /// <summary>The rows that the horizontal pass takes at once, so that a weight is loaded once for all of them.</summary>
    private const int RowsAtOnce = 4;

    /// <summary>Half of the last bit that is kept, for rounding.</summary>
    private const int Half = 1 << (ResampleWeights.FractionBits - 1);

    /// <summary>The bytes that the vertical pass takes at once.</summary>
    private const int Chunk = 16;

    /// <summary>The fewest output rows per band. Neighbouring bands repeat some of the horizontal pass.</summary>
    private const int LeastBandRows = 32;

    /// <summary>The fewest rows by which the rows between the passes move on at once.</summary>
    private const int LeastStepRows = 32;

    /// <summary>Resizes a picture. The aspect ratio is not preserved. Temporary memory is rented.</summary>
    /// <param name="source">The picture, in any pixel format. Alpha is ignored.</param>
    /// <param name="rgb">
    /// Receives the result as RGB without gaps: 3 * width * height bytes. It may be longer, and must not overlap the source.
    /// </param>
    /// <param name="width">The width of the result, in pixels; at least 1.</param>
    /// <param name="height">The height of the result, in pixels; at least 1.</param>
    /// <param name="filter">The filter.</param>
    /// <param name="cancellationToken">Cancels resizing. The result is then undefined.</param>
    /// <exception cref="ArgumentOutOfRangeException">The width or the height is less than 1, or the filter is not defined.</exception>
    /// <exception cref="ArgumentException">
    /// The source is empty, the memory of the result is too short or overlaps the source, or one array of temporary memory is too
    /// short for the sizes.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static void Resize(ImageView source, Span<byte> rgb, int width, int height,
        ResampleFilter filter = ResampleFilter.Bicubic, CancellationToken cancellationToken = default) =>
        Resize(source, rgb, width, height, filter, parallel: null, cancellationToken);

    /// <summary>Resizes a picture in bands of rows. The result does not depend on the bands.</summary>
    /// <inheritdoc cref="Resize(ImageView, Span{byte}, int, int, ResampleFilter, CancellationToken)"/>
    internal static void Resize(ImageView source, Span<byte> rgb, int width, int height,
        ResampleFilter filter, ParallelFor? parallel, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        source.ThrowIfEmpty(nameof(source));
        if (rgb.Length < 3L * width * height)
        {
            throw new ArgumentException(
                $"{width} x {height} RGB pixels take {3L * width * height} bytes; there are {rgb.Length}.", nameof(rgb));
        }

        if (source.Overlaps(rgb))
        {
            throw new ArgumentException("The result must not overlap the source.", nameof(rgb));
        }

        int bands = parallel is null ? 1 : Math.Clamp(height / LeastBandRows, 1, 2 * Environment.ProcessorCount);
        if (Vector512.IsHardwareAccelerated)
        {
            Resize<SampleSums512>(source, rgb, width, height, filter, bands, parallel, cancellationToken);
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            Resize<SampleSums256>(source, rgb, width, height, filter, bands, parallel, cancellationToken);
        }
        else
        {
            Resize<SampleSums128>(source, rgb, width, height, filter, bands, parallel, cancellationToken);
        }
    }

    /// <summary>Resizes with vectors of a given width and a given number of bands.</summary>
    internal static void Resize<TSums>(ImageView source, Span<byte> rgb, int width, int height, ResampleFilter filter,
        int bands, ParallelFor? parallel, CancellationToken cancellationToken)
        where TSums : unmanaged, ISampleSums<TSums>
    {
        // A pass that changes nothing needs no weights.
        using ResampleWeights across = width == source.Width
            ? default : new ResampleWeights(source.Width, width, filter, Group, lanes: 4);
        using ResampleWeights down = height == source.Height
            ? default : new ResampleWeights(source.Height, height, filter, group: 1, lanes: 1);
        fixed (byte* top = &source.Top, output = rgb)
        {
            Work<TSums> work = new Work<TSums>(source, top, output, width, height, across, down, bands, cancellationToken);
            if (parallel is null)
            {
                for (int band = 0; band < bands; band++)
                {
                    work.Run(band);
                }
            }
            else
            {
                RunParallel(work, bands, parallel);
            }
        }

        // The bands return early, because an exception must not leave the caller's threads.
        cancellationToken.ThrowIfCancellationRequested();
    }

    /// <summary>A method of its own, so that the sequential case does not allocate the closure.</summary>
    private static void RunParallel<TSums>(Work<TSums> work, int bands, ParallelFor parallel)
        where TSums : unmanaged, ISampleSums<TSums> => parallel(bands, work.Run);

    /// <summary>The sizes, the weights and the pinned memory of a resize, whose bands may run at the same time.</summary>
    private readonly struct Work<TSums> where TSums : unmanaged, ISampleSums<TSums>
    {
        private readonly byte* top, output;
        private readonly int width, height, sourceWidth, sourceHeight, sourceStride, bands;

        /// <summary>The bytes of a source row, and of a pixel in the rows that are mixed.</summary>
        private readonly int rowBytes, pixelBytes;

        /// <summary>The bytes of a row between the passes: a multiple of <see cref="Chunk"/>.</summary>
        private readonly int stride;

        /// <summary>The most input rows of an output row, and the rows for which a band has memory.</summary>
        private readonly int mostTaps, bufferRows;

        /// <summary>The bytes from the start of a row to the end of the last vector that is read.</summary>
        private readonly long reach;
        private readonly long sourceBytes;
        private readonly PixelFormat format;
        private readonly int significantBits;
        private readonly ResampleWeights across, down;
        private readonly CancellationToken cancellationToken;

        public Work(ImageView source, byte* top, byte* output, int width, int height, ResampleWeights across, ResampleWeights down,
            int bands, CancellationToken cancellationToken)
        {
            this.top = top;
            this.output = output;
            (this.width, this.height, this.bands) = (width, height, bands);
            (sourceWidth, sourceHeight, sourceStride) = (source.Width, source.Height, source.Stride);
            (this.format, significantBits, sourceBytes) = (source.Format, source.SignificantBits, source.Layout.Bytes);
            (this.rowBytes, pixelBytes) = (source.Layout.RowBytes, source.Format.Channels());
            (this.across, this.down, this.cancellationToken) = (across, down, cancellationToken);
            if (!across.IsEmpty)
            {
                reach = Reach(across, pixelBytes);
                if (RowsAtOnce * reach > Array.MaxLength)
                {
                    throw new ArgumentException($"A row of {sourceWidth} pixels is too long to resize: " +
                        $"{RowsAtOnce} rows take more bytes than one array holds.");
                }
            }

            if (!down.IsEmpty)
            {
                foreach (int taps in down.Taps)
                {
                    mostTaps = Math.Max(mostTaps, taps);
                }

                // The rows move down by a half of the taps at least, so that moving costs little.
                bufferRows = (int)Math.Min(mostTaps + (long)Math.Max(mostTaps / 2, LeastStepRows), sourceHeight);
                long rowBytes = (3L * width + Chunk - 1) / Chunk * Chunk;
                if (rowBytes * bufferRows > Array.MaxLength)
                {
                    throw new ArgumentException($"Resizing {sourceWidth} x {sourceHeight} to {width} x {height} pixels takes " +
                        $"{rowBytes * bufferRows} bytes between the passes; one array holds {Array.MaxLength}.");
                }

                this.stride = (int)rowBytes;
            }
        }

        /// <summary>Computes the rows of a band, unless the token is cancelled.</summary>
        public void Run(int band)
        {
            int from = (int)((long)this.height * band / bands), to = (int)((long)this.height * (band + 1) / bands);
            byte[] copies = this.across.IsEmpty ? [] : ArrayPool<byte>.Shared.Rent(RowsAtOnce * (int)reach);
            fixed (byte* scratch = copies)
            {
                if (this.down.IsEmpty)
                {
                    ToWidth(from, to - from, this.output + (long)from * 3 * this.width, 3 * this.width, scratch);
                }
                else
                {
                    ToHeight(from, to, scratch);
                }
            }

            if (copies.Length > 0)
            {
                ArrayPool<byte>.Shared.Return(copies);
            }
        }

        /// <summary>
        /// The vertical pass. The buffer has the rows from <c>first</c> to <c>end</c> of the resized source; the last ones are moved
        /// to its start when it is full.
        /// </summary>
        private void ToHeight(int from, int to, byte* scratch)
        {
            ReadOnlySpan<int> firsts = this.down.First, taps = this.down.Taps;
            int last = firsts[to - 1] + taps[to - 1];
            byte[] between = ArrayPool<byte>.Shared.Rent(this.stride * bufferRows);
            fixed (byte* buffer = between)
            {
                int first = firsts[from], end = first;
                for (int y = from; y < to; y++)
                {
                    if (firsts[y] + taps[y] > end)
                    {
                        // A new source row is needed: drop the rows above and fill the buffer.
                        int kept = Math.Max(end - firsts[y], 0);
                        Buffer.MemoryCopy(buffer + (long)(end - kept - first) * this.stride, buffer,
                            (long)bufferRows * this.stride, (long)kept * this.stride);
                        (first, end) = (firsts[y], firsts[y] + kept);
                        int rows = Math.Min(bufferRows - kept, last - end);
                        if (!ToWidth(end, rows, buffer + (long)kept * this.stride, this.stride, scratch))
                        {
                            break;
                        }

                        end += rows;
                    }

                    ReadOnlySpan<int> weights = this.down.Weights.Slice(y * this.down.Stride, taps[y]);
                    MixRows<TSums>(buffer + (long)(firsts[y] - first) * this.stride, this.stride, weights,
                        this.output + (long)y * 3 * this.width, 3 * this.width);
                    if (this.cancellationToken.IsCancellationRequested)
                    {
                        break;
                    }
                }
            }

            ArrayPool<byte>.Shared.Return(between);
        }

        /// <summary>The horizontal pass over some rows. If the width stays, only the pixel format changes.</summary>
        /// <returns>False if the token is cancelled.</returns>
        private bool ToWidth(int first, int rows, byte* target, int targetStride, byte* scratch)
        {
            byte** from = stackalloc byte*[RowsAtOnce];
            byte** to = stackalloc byte*[RowsAtOnce];
            bool isDeep = this.format == PixelFormat.Gray16;
            Vector128<byte> toRgb0 = PixelRows.ToRgb0(isDeep ? PixelFormat.Gray8 : this.format);
            fixed (int* weights = this.across.Weights)
            {
                for (int y = 0; y < rows; y += RowsAtOnce)
                {
                    if (this.cancellationToken.IsCancellationRequested)
                    {
                        return false;
                    }

                    for (int i = 0; i < RowsAtOnce; i++)
                    {
                        // A last group that is not full computes its last row several times.
                        int row = Math.Min(y + i, rows - 1);
                        from[i] = this.top + (long)(first + row) * sourceStride;
                        to[i] = target + (long)row * targetStride;
                        if (this.across.IsEmpty)
                        {
                            PixelRows.ToRgb(new ReadOnlySpan<byte>(from[i], this.rowBytes), new Span<byte>(to[i], 3 * this.width),
                                this.format, significantBits);
                        }
                        else if (isDeep)
                        {
                            DeepSamples.Narrow(new ReadOnlySpan<byte>(from[i], this.rowBytes),
                                new Span<byte>(scratch + i * reach, (int)reach), significantBits);
                            from[i] = scratch + i * reach;
                        }
                        else if (OffsetInMemory(first + row) + reach > sourceBytes)
                        {
                            // The vectors reach beyond the row. What they read there has the weight zero, so it may be other rows, but
                            // not memory beyond the picture.
                            new ReadOnlySpan<byte>(from[i], this.rowBytes).CopyTo(new Span<byte>(scratch + i * reach, (int)reach));
                            from[i] = scratch + i * reach;
                        }
                    }

                    if (!this.across.IsEmpty)
                    {
                        MixPixels<TSums>(
                            from, to, this.across.First, this.across.Taps, weights, this.across.Stride, pixelBytes, toRgb0);
                    }
                }
            }

            return true;
        }

        /// <summary>The distance of a row from the lowest address of the picture.</summary>
        private long OffsetInMemory(int y) =>
            sourceStride >= 0 ? (long)y * sourceStride : (sourceHeight - 1L - y) * -(long)sourceStride;

        private static long Reach(ResampleWeights across, int pixelBytes)
        {
            long reach = 0;
            for (int x = 0; x < across.Count; x++)
            {
                int groups = (across.Taps[x] + Group - 1) / Group;
                reach = Math.Max(reach, (across.First[x] + (groups - 1L) * Group) * pixelBytes + Vector128<byte>.Count);
            }

            return reach;
        }
    }

    /// <summary>The horizontal pass over four rows: every output pixel from its input pixels, four of them at a time.</summary>
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

    /// <summary>The vertical pass for one row, sixteen bytes at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MixRows<TSums>(byte* from, int stride, ReadOnlySpan<int> weights, byte* to, int count)
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

            Vector128<byte> levels = sum.ToBytes();
            if (x + Chunk <= count)
            {
                levels.Store(to + x);
            }
            else
            {
                for (int i = x; i < count; i++)
                {
                    to[i] = levels.GetElement(i - x);
                }
            }
        }
    }
}
