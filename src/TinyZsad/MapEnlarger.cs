using System.Buffers;
using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Kernels;

namespace TinyZsad;

/// <summary>
/// A map at another size, computed row by row: bilinear, pixel centres at halves, edges clamped, and squashed into (0, 1) after the
/// resize where the source holds logits.
/// </summary>
internal sealed unsafe class MapEnlarger
{
    /// <summary>The most rows that are computed at a time, and about how many values.</summary>
    private const int MostBandRows = 64, BandValues = 1 << 20;

    /// <summary>Values below which a second thread costs more than it gains.</summary>
    private const int ParallelValues = 1 << 18;

    private readonly ReadOnlyMemory<float> source;
    private readonly int sourceWidth, sourceHeight;
    private readonly int bandRows;
    private readonly bool logits;
    private readonly int[] column;
    private readonly float[] weight;

    /// <summary>Prepares a map.</summary>
    /// <param name="source">sourceWidth * sourceHeight values, row by row.</param>
    /// <param name="sourceWidth">The values in a row.</param>
    /// <param name="sourceHeight">The rows.</param>
    /// <param name="logits">Whether the values are logits.</param>
    /// <param name="width">The width to compute; at least 1.</param>
    /// <param name="height">The height to compute; at least 1.</param>
    public MapEnlarger(ReadOnlyMemory<float> source, int sourceWidth, int sourceHeight, bool logits, int width, int height)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        (this.source, this.sourceWidth, this.sourceHeight, this.logits) = (source, sourceWidth, sourceHeight, logits);
        (Width, Height) = (width, height);
        bandRows = Math.Clamp(BandValues / width, 1, MostBandRows);
        column = new int[width];
        weight = new float[width];
        fixed (int* c = column)
        fixed (float* w = weight) Bilinear.FillColumns(sourceWidth, width, BilinearMode.HalfPixel, c, w);
    }

    public int Width { get; }

    public int Height { get; }

    /// <summary>Throws if a map is larger than one array holds.</summary>
    /// <exception cref="InvalidOperationException">The map is too large.</exception>
    public static float[] Allocate(int width, int height) => (long)width * height <= Array.MaxLength
        ? new float[width * height]
        : throw new InvalidOperationException(
            $"A map of {width} x {height} has {(long)width * height} values; one array holds {Array.MaxLength}.");

    /// <summary>Computes the whole map.</summary>
    /// <param name="values">Width * Height values at least.</param>
    /// <param name="device">Computes bands of rows at once; null to compute them on the calling thread.</param>
    public void CopyTo(Span<float> values, Device? device)
    {
        int bands = (int)(((long)Height + bandRows - 1) / bandRows);
        fixed (float* start = values[..checked(Width * Height)])
        {
            float* y = start;
            if (device is null || (long)Width * Height < ParallelValues)
            {
                for (int band = 0; band < bands; band++) ComputeBand(y, band);
            }
            else
            {
                device.For(bands, band => ComputeBand(y, band));
            }
        }
    }

    /// <summary>Hands out every row in order, without memory for the whole map.</summary>
    public void ForEachRow(Action<ReadOnlySpan<float>> use)
    {
        float[] band = ArrayPool<float>.Shared.Rent(checked(Math.Min(bandRows, Height) * Width));
        try
        {
            for (int begin = 0; begin < Height; begin += bandRows)
            {
                int end = Math.Min(begin + bandRows, Height);
                fixed (float* y = band) Compute(y - (nint)begin * Width, begin, end);
                for (int row = begin; row < end; row++) use(band.AsSpan((row - begin) * Width, Width));
            }
        }
        finally
        {
            ArrayPool<float>.Shared.Return(band);
        }
    }

    private void ComputeBand(float* y, int band) => Compute(y, band * bandRows, Math.Min((band + 1) * bandRows, Height));

    /// <summary>Computes some rows of the whole map at <paramref name="y"/>.</summary>
    private void Compute(float* y, int begin, int end)
    {
        float[] scratch = ArrayPool<float>.Shared.Rent((int)Bilinear.ScratchLength(Width));
        fixed (float* x = source.Span, s = scratch, w = weight)
        fixed (int* c = column)
        {
            Bilinear.Execute(x, sourceWidth, sourceHeight, sourceWidth, c, w, y, Width, Height, Width, BilinearMode.HalfPixel,
                begin, end, s);
        }

        ArrayPool<float>.Shared.Return(scratch);
        float* rows = y + (nint)begin * Width;
        if (logits) Activate.Execute(rows, rows, (nint)(end - begin) * Width, default(Sigmoid));
    }
}
