using System.Buffers;
using System.Runtime.Intrinsics;

namespace TinyZsad.Imaging;

/// <summary>A resize in units that may run at the same time, over pinned memory. It must be disposed of.</summary>
/// <remarks>
/// Photographs have one block of columns, whose weights are computed once and shared, and the units are bands of rows. If the weights
/// across would take too much memory, there are several blocks of columns, each with weights of its own. If even the weights of one
/// output pixel would take too much, they are computed in portions, and sums are kept instead. The same holds for the vertical pass:
/// it keeps the source rows of an output row, or sums if these rows would take too much memory.
/// </remarks>
internal readonly unsafe struct ResampleWork<TSums> : IDisposable where TSums : unmanaged, ISampleSums<TSums>
{
    /// <summary>The fewest rows by which the rows between the passes move on at once.</summary>
    private const int LeastStepRows = 32;

    /// <summary>The rows for which the weights of a portion of an output pixel are used.</summary>
    private const int PortionRows = 256;

    private readonly byte* top, output;
    private readonly int width, height, sourceStride, bands, blocks, blockColumns;

    /// <summary>The bytes of a source pixel, and of a pixel in the rows that are mixed.</summary>
    private readonly int sourcePixelBytes, pixelBytes;
    private readonly long sourceBytes;
    private readonly PixelFormat format;
    private readonly int significantBits;
    private readonly ResampleAxis across, down;

    /// <summary>Whether the weights across are computed in portions.</summary>
    private readonly bool inPortions;

    /// <summary>The weights of all columns, if there is one block of them.</summary>
    private readonly ResampleWeights shared;
    private readonly ResampleBudget budget;
    private readonly CancellationToken cancellationToken;

    public ResampleWork(ImageView source, byte* top, byte* output, int width, int height, ResampleFilter filter, int bands,
        ResampleBudget budget, CancellationToken cancellationToken)
    {
        this.top = top;
        this.output = output;
        (this.width, this.height, this.bands) = (width, height, bands);
        (sourceStride, sourceBytes, sourcePixelBytes) = (source.Stride, source.Layout.Bytes, source.Format.BytesPerPixel());
        (this.format, significantBits, pixelBytes) = (source.Format, source.SignificantBits, source.Format.Channels());
        (this.budget, this.cancellationToken) = (budget, cancellationToken);
        across = new ResampleAxis(source.Width, width, filter);
        down = new ResampleAxis(source.Height, height, filter);
        long weights = across.IsIdentity ? 0 : ResampleWeights.StrideOf(across, ResampleKernels.Group, lanes: 4);
        inPortions = weights > budget.TableWeights;
        if (weights * width <= budget.TableWeights && width <= budget.Columns)
        {
            (blocks, blockColumns) = (1, width);
            shared = across.IsIdentity ? default : Weights(0, width);
            return;
        }

        blockColumns = budget.Columns;
        if (!across.IsIdentity)
        {
            // The blocks are what threads share, because each band would compute the weights of its block again.
            this.bands = 1;
            int most = inPortions ? budget.Columns : (int)Math.Min(budget.TableWeights / weights, budget.Columns);
            blockColumns = Math.Clamp(width / (2 * Environment.ProcessorCount), 1, most);
        }

        blocks = (width - 1) / blockColumns + 1;
    }

    public int Units => blocks * this.bands;

    /// <summary>Computes a part of the output, unless the token is cancelled.</summary>
    public void Run(int unit)
    {
        int block = unit / this.bands, band = unit % this.bands, column = block * blockColumns;
        int columns = Math.Min(blockColumns, this.width - column);
        int from = (int)((long)this.height * band / this.bands), to = (int)((long)this.height * (band + 1) / this.bands);
        if (!this.shared.IsEmpty || inPortions || this.across.IsIdentity)
        {
            Run(column, columns, this.shared, from, to);
        }
        else if (!this.cancellationToken.IsCancellationRequested)
        {
            using ResampleWeights weights = Weights(column, columns);
            Run(column, columns, weights, from, to);
        }
    }

    public void Dispose() => this.shared.Dispose();

    private ResampleWeights Weights(int column, int columns) => new(this.across, column, columns, ResampleKernels.Group, lanes: 4);

    /// <summary>Computes some rows of a block of columns.</summary>
    private void Run(int column, int columns, ResampleWeights weights, int from, int to)
    {
        Block block = new Block(this.across, weights, column, columns, pixelBytes, inPortions, this.budget);
        byte[] copies = ArrayPool<byte>.Shared.Rent((int)block.ScratchBytes);
        double[] sums = ArrayPool<double>.Shared.Rent(inPortions ? columns : 0);
        for (int x = 0; inPortions && x < columns && !this.cancellationToken.IsCancellationRequested; x++)
        {
            sums[x] = this.across.Sum(column + x);
        }

        fixed (byte* scratch = copies)
        {
            block.Scratch = scratch;
            block.Sums = sums;
            byte* target = this.output + 3L * column;
            long rowBytes = (3L * columns + ResampleKernels.Chunk - 1) / ResampleKernels.Chunk * ResampleKernels.Chunk;

            // The rows move down by a half of the taps at least, so that moving costs little.
            long rows = Math.Min(this.down.MostTaps + (long)Math.Max(this.down.MostTaps / 2, LeastStepRows), this.down.From);
            if (this.down.IsIdentity)
            {
                ToWidth(block, from, to - from, target + from * 3L * this.width, 3L * this.width);
            }
            else if (rowBytes * rows <= this.budget.BetweenBytes)
            {
                ToHeight(block, target, from, to, (int)rowBytes, (int)rows);
            }
            else
            {
                SumToHeight(block, target, from, to, (int)rowBytes);
            }
        }

        ArrayPool<byte>.Shared.Return(copies);
        ArrayPool<double>.Shared.Return(sums);
    }

    /// <summary>
    /// The vertical pass. The buffer has the rows from <c>first</c> to <c>end</c> of the resized source; the last ones are moved to its
    /// start when it is full.
    /// </summary>
    private void ToHeight(in Block block, byte* target, int from, int to, int stride, int bufferRows)
    {
        int last = this.down.Range(to - 1).End, first = 0, end = 0;
        int tableRows = Math.Max(this.budget.TableWeights / this.down.MostTaps, 1);
        byte[] between = ArrayPool<byte>.Shared.Rent(stride * bufferRows);
        fixed (byte* buffer = between)
        {
            for (int start = from; start < to && !this.cancellationToken.IsCancellationRequested; start += tableRows)
            {
                using ResampleWeights table = new ResampleWeights(
                    this.down, start, Math.Min(tableRows, to - start), group: 1, lanes: 1);
                ReadOnlySpan<int> firsts = table.First, taps = table.Taps;
                for (int i = 0; i < table.Count; i++)
                {
                    if (firsts[i] + taps[i] > end)
                    {
                        // A new source row is needed: drop the rows above and fill the buffer.
                        int kept = Math.Max(end - firsts[i], 0);
                        Buffer.MemoryCopy(buffer + (long)(end - kept - first) * stride, buffer,
                            (long)bufferRows * stride, (long)kept * stride);
                        (first, end) = (firsts[i], firsts[i] + kept);
                        int rows = Math.Min(bufferRows - kept, last - end);
                        if (!ToWidth(block, end, rows, buffer + (long)kept * stride, stride))
                        {
                            break;
                        }

                        end += rows;
                    }

                    ReadOnlySpan<int> weights = table.Weights.Slice(i * table.Stride, taps[i]);
                    ResampleKernels.MixRows<TSums>(buffer + (long)(firsts[i] - first) * stride, stride, weights,
                        target + (start + i) * 3L * this.width, 3 * block.Columns);
                    if (this.cancellationToken.IsCancellationRequested)
                    {
                        break;
                    }
                }
            }
        }

        ArrayPool<byte>.Shared.Return(between);
    }

    /// <summary>
    /// The vertical pass for many source rows per output row: the source rows pass once, and are added to the sums of every output row
    /// that they belong to.
    /// </summary>
    private void SumToHeight(in Block block, byte* target, int from, int to, int stride)
    {
        int row = this.down.Range(from).First, last = this.down.Range(to - 1).End;
        int most = Math.Max(Math.Min(this.budget.BetweenBytes / 4 / stride, this.down.MostTaps / 2), 1);
        int slots = Math.Min(SlotsFor(most), to - from), begun = from, done = from;
        byte[] between = ArrayPool<byte>.Shared.Rent(stride * most);
        int[] sumsOfRows = ArrayPool<int>.Shared.Rent(stride * slots), portion = ArrayPool<int>.Shared.Rent(most);
        double[] totals = ArrayPool<double>.Shared.Rent(slots);
        fixed (byte* buffer = between)
        fixed (int* sums = sumsOfRows)
        {
            while (row < last)
            {
                int rows = Math.Min(most, last - row);
                if (!ToWidth(block, row, rows, buffer, stride))
                {
                    break;
                }

                for (; begun < to && this.down.Range(begun).First < row + rows; begun++)
                {
                    totals[begun % slots] = this.down.Sum(begun);
                    sumsOfRows.AsSpan(begun % slots * stride, stride).Fill(ResampleKernels.Half);
                }

                for (int y = done; y < begun; y++)
                {
                    (int first, int end) = this.down.Range(y);
                    (first, end) = (Math.Max(first, row), Math.Min(end, row + rows));
                    Span<int> weights = portion.AsSpan(0, end - first);
                    this.down.Fix(y, first, weights.Length, totals[y % slots], lanes: 1, weights);
                    ResampleKernels.AddRows<TSums>(
                        buffer + (long)(first - row) * stride, stride, weights, sums + y % slots * stride, stride);
                }

                row += rows;
                for (; done < begun && this.down.Range(done).End <= row; done++)
                {
                    ResampleKernels.StoreRow<TSums>(
                        sums + done % slots * stride, target + done * 3L * this.width, 3 * block.Columns);
                }
            }
        }

        ArrayPool<byte>.Shared.Return(between);
        ArrayPool<int>.Shared.Return(sumsOfRows);
        ArrayPool<int>.Shared.Return(portion);
        ArrayPool<double>.Shared.Return(totals);
    }

    /// <summary>The most output rows to which so many consecutive source rows belong.</summary>
    private int SlotsFor(int rows) => (int)((rows + (double)this.down.MostTaps) * this.down.To / this.down.From) + 2;

    /// <summary>The horizontal pass over some rows. If the width stays, only the pixel format changes.</summary>
    /// <returns>False if the token is cancelled.</returns>
    private bool ToWidth(in Block block, int first, int rows, byte* target, long targetStride)
    {
        if (inPortions)
        {
            return SumToWidth(block, first, rows, target, targetStride);
        }

        byte** from = stackalloc byte*[ResampleKernels.RowsAtOnce];
        byte** to = stackalloc byte*[ResampleKernels.RowsAtOnce];
        bool isDeep = this.format == PixelFormat.Gray16;
        Vector128<byte> toRgb0 = PixelRows.ToRgb0(isDeep ? PixelFormat.Gray8 : this.format);
        fixed (int* weights = block.Weights.Weights)
        {
            for (int y = 0; y < rows; y += ResampleKernels.RowsAtOnce)
            {
                if (this.cancellationToken.IsCancellationRequested)
                {
                    return false;
                }

                for (int i = 0; i < ResampleKernels.RowsAtOnce; i++)
                {
                    // A last group that is not full computes its last row several times.
                    int row = Math.Min(y + i, rows - 1);
                    to[i] = target + row * targetStride;
                    if (this.across.IsIdentity)
                    {
                        PixelRows.ToRgb(Pixels(first + row, block.SourceFirst, block.SourceEnd), new Span<byte>(to[i], 3 * block.Columns),
                            this.format, significantBits);
                    }
                    else
                    {
                        from[i] = Readable(first + row, block.SourceFirst, block.SourceEnd, block.Reach, block.Scratch + i * block.Reach)
                            - (long)block.SourceFirst * pixelBytes;
                    }
                }

                if (!this.across.IsIdentity)
                {
                    ResampleKernels.MixPixels<TSums>(from, to, block.Weights.First, block.Weights.Taps, weights, block.Weights.Stride,
                        pixelBytes, toRgb0);
                }
            }
        }

        return true;
    }

    /// <summary>The horizontal pass for many source pixels per output pixel, whose weights are computed in portions.</summary>
    private bool SumToWidth(in Block block, int first, int rows, byte* target, long targetStride)
    {
        const int lanes = 4, sumsPerRow = 16;
        byte** from = stackalloc byte*[PortionRows];
        Span<int> sums = stackalloc int[sumsPerRow * PortionRows];
        int most = this.budget.PortionTaps;
        Vector128<byte> toRgb0 = PixelRows.ToRgb0(this.format == PixelFormat.Gray16 ? PixelFormat.Gray8 : this.format);
        int[] portion = ArrayPool<int>.Shared.Rent(lanes * most);
        fixed (int* weights = portion, sum = sums)
        {
            for (int y = 0; y < rows; y += PortionRows)
            {
                int count = Math.Min(PortionRows, rows - y);
                for (int x = 0; x < block.Columns; x++)
                {
                    (int at, int end) = this.across.Range(block.Column + x);
                    sums.Clear();
                    for (; at < end; at += most)
                    {
                        if (this.cancellationToken.IsCancellationRequested)
                        {
                            ArrayPool<int>.Shared.Return(portion);
                            return false;
                        }

                        int taps = Math.Min(most, end - at);
                        this.across.Fix(block.Column + x, at, taps, block.Sums[x], lanes, portion);
                        portion.AsSpan(lanes * taps, lanes * (most - taps)).Clear();
                        for (int i = 0; i < count; i++)
                        {
                            from[i] = Readable(first + y + i, at, at + taps, block.Reach, block.Scratch + i * block.Reach);
                        }

                        ResampleKernels.AddPixels<TSums>(from, taps, weights, sum, count, pixelBytes, toRgb0);
                    }

                    for (int i = 0; i < count; i++)
                    {
                        ResampleKernels.StorePixel<TSums>(sum + sumsPerRow * i, target + (y + i) * targetStride + 3 * x);
                    }
                }
            }
        }

        ArrayPool<int>.Shared.Return(portion);
        return true;
    }

    /// <summary>Returns some pixels of a source row, with as many bytes behind them as the vectors read.</summary>
    /// <param name="row">The row.</param>
    /// <param name="first">The first pixel.</param>
    /// <param name="end">The pixel behind the last one.</param>
    /// <param name="reach">The bytes that are read.</param>
    /// <param name="scratch">Memory of as many bytes, for a copy.</param>
    private byte* Readable(int row, int first, int end, long reach, byte* scratch)
    {
        if (this.format == PixelFormat.Gray16)
        {
            DeepSamples.Narrow(Pixels(row, first, end), new Span<byte>(scratch, (int)reach), significantBits);
            return scratch;
        }

        long offset = (long)first * pixelBytes;
        if (OffsetInMemory(row) + offset + reach <= sourceBytes)
        {
            return this.top + (long)row * sourceStride + offset;
        }

        // The vectors reach beyond the row. What they read there has the weight zero, so it may be other rows, but not memory beyond
        // the picture.
        Pixels(row, first, end).CopyTo(new Span<byte>(scratch, (int)reach));
        return scratch;
    }

    private ReadOnlySpan<byte> Pixels(int row, int first, int end) =>
        new(this.top + (long)row * sourceStride + (long)first * sourcePixelBytes, (end - first) * sourcePixelBytes);

    /// <summary>The distance of a row from the lowest address of the picture.</summary>
    private long OffsetInMemory(int row) =>
        sourceStride >= 0 ? (long)row * sourceStride : (this.down.From - 1L - row) * -(long)sourceStride;

    /// <summary>A block of output columns, and what the horizontal pass needs for it.</summary>
    private struct Block
    {
        public readonly int Column, Columns;

        /// <summary>The source pixels that the block takes, unless its weights are computed in portions.</summary>
        public readonly int SourceFirst, SourceEnd;

        /// <summary>The bytes that the vectors read at most, from the first pixel of the block or of a portion.</summary>
        public readonly long Reach;

        /// <summary>The bytes of <see cref="Scratch"/>: the reach for each row that is read at once.</summary>
        public readonly long ScratchBytes;
        public readonly ResampleWeights Weights;
        public byte* Scratch;

        /// <summary>The sums of the weights of each output pixel, if its weights are computed in portions.</summary>
        public double[] Sums;

        public Block(ResampleAxis across, ResampleWeights weights, int column, int columns, int pixelBytes, bool inPortions,
            ResampleBudget budget)
        {
            (Column, Columns, Weights, Sums) = (column, columns, weights, []);
            if (inPortions)
            {
                Reach = (long)budget.PortionTaps * pixelBytes + Vector128<byte>.Count;
                ScratchBytes = PortionRows * Reach;
            }
            else if (weights.IsEmpty)
            {
                (SourceFirst, SourceEnd) = (column, column + columns);
            }
            else
            {
                SourceFirst = weights.First[0];
                for (int x = 0; x < columns; x++)
                {
                    int groups = (weights.Taps[x] + ResampleKernels.Group - 1) / ResampleKernels.Group, at = weights.First[x] - SourceFirst;
                    SourceEnd = weights.First[x] + weights.Taps[x];
                    Reach = Math.Max(Reach, (at + (groups - 1L) * ResampleKernels.Group) * pixelBytes + Vector128<byte>.Count);
                }

                ScratchBytes = ResampleKernels.RowsAtOnce * Reach;
            }
        }
    }
}
