using System.Runtime.Intrinsics;

namespace TinyZsad.Imaging;

/// <summary>Resizes 8-bit pictures with antialiasing. The result equals that of Pillow's <c>resize</c> bit by bit.</summary>
/// <remarks>
/// The rows are resized first, then the columns, with 8 bits between the passes; a pass that changes nothing is left out. An output
/// sample is clamp((2^21 + sum_j k_j * in_j) >> 22). The weights k_j are integers, so the order of the sum does not matter.
/// </remarks>
internal static unsafe class Resampler
{
    /// <summary>The fewest output rows per band. Neighbouring bands repeat some of the horizontal pass.</summary>
    private const int LeastBandRows = 32;

    /// <summary>
    /// Resizes a picture of any size. The aspect ratio is not preserved. Temporary memory is rented: some megabytes for each thread.
    /// </summary>
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
    /// The source is empty, or the memory of the result is too short or overlaps the source.
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
        if ((long)width * height > rgb.Length / 3)
        {
            throw new ArgumentException(
                $"{width} x {height} RGB pixels take {(Int128)width * height * 3} bytes; there are {rgb.Length}.", nameof(rgb));
        }

        if (source.Overlaps(rgb))
        {
            throw new ArgumentException("The result must not overlap the source.", nameof(rgb));
        }

        int bands = parallel is null ? 1 : Math.Clamp(height / LeastBandRows, 1, 2 * Environment.ProcessorCount);
        if (Vector512.IsHardwareAccelerated)
        {
            Resize<SampleSums512>(source, rgb, width, height, filter, bands, parallel, ResampleBudget.Default, cancellationToken);
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            Resize<SampleSums256>(source, rgb, width, height, filter, bands, parallel, ResampleBudget.Default, cancellationToken);
        }
        else
        {
            Resize<SampleSums128>(source, rgb, width, height, filter, bands, parallel, ResampleBudget.Default, cancellationToken);
        }
    }

    /// <summary>Resizes with vectors of a given width, a given number of bands and given bounds.</summary>
    internal static void Resize<TSums>(ImageView source, Span<byte> rgb, int width, int height, ResampleFilter filter,
        int bands, ParallelFor? parallel, ResampleBudget budget, CancellationToken cancellationToken)
        where TSums : unmanaged, ISampleSums<TSums>
    {
        // One column or row is resized once and then repeated: its weight is 1 everywhere.
        int columns = source.Width == 1 ? 1 : width, rows = source.Height == 1 ? 1 : height;
        fixed (byte* top = &source.Top, output = rgb)
        {
            using ResampleWork<TSums> work = new ResampleWork<TSums>(
                source, top, output, columns, rows, filter, rows == 1 ? 1 : bands, budget, cancellationToken);
            if (parallel is null)
            {
                for (int unit = 0; unit < work.Units; unit++)
                {
                    work.Run(unit);
                }
            }
            else
            {
                RunParallel(work, parallel);
            }
        }

        // The units return early, because an exception must not leave the caller's threads.
        cancellationToken.ThrowIfCancellationRequested();
        if (columns < width)
        {
            RepeatColumn(rgb, width, rows);
        }

        for (int y = rows; y < height; y++)
        {
            rgb[..(3 * width)].CopyTo(rgb.Slice(y * 3 * width, 3 * width));
        }
    }

    /// <summary>A method of its own, so that the sequential case does not allocate the closure.</summary>
    private static void RunParallel<TSums>(ResampleWork<TSums> work, ParallelFor parallel)
        where TSums : unmanaged, ISampleSums<TSums> => parallel(work.Units, work.Run);

    /// <summary>Widens a column of pixels, which lies at the start of the memory.</summary>
    private static void RepeatColumn(Span<byte> rgb, int width, int height)
    {
        for (int y = height - 1; y >= 0; y--)
        {
            (byte r, byte g, byte b) = (rgb[3 * y], rgb[3 * y + 1], rgb[3 * y + 2]);
            Span<byte> row = rgb.Slice(3 * width * y, 3 * width);
            for (int x = 0; x < row.Length; x += 3)
            {
                (row[x], row[x + 1], row[x + 2]) = (r, g, b);
            }
        }
    }
}
