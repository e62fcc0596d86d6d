using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TinyZsad.Imaging;

/// <summary>
/// Filters the rows of a picture. Each row gets the filter whose output has the smallest sum of absolute values, the usual heuristic.
/// </summary>
internal sealed class PngRowFilter
{
    private readonly int distance, rowBytes;

    /// <summary>
    /// Rows with zeros before the first pixel, where a and c (see <see cref="PngFilter"/>) lie, and padding to whole vectors.
    /// </summary>
    private byte[] above, row, best, trial;

    /// <summary>Initializes a filter for rows of pixels of 1, 3 or 4 bytes, one per sample.</summary>
    public PngRowFilter(int width, int pixelBytes)
    {
        CheckRow(width, pixelBytes);
        long bytes = (long)width * pixelBytes, padded = bytes + pixelBytes + Vector128<byte>.Count;
        (this.distance, this.rowBytes) = (pixelBytes, (int)bytes);
        (this.above, this.row, best, trial) = (new byte[padded], new byte[padded], new byte[padded], new byte[padded]);
    }

    /// <summary>Throws if one array cannot hold a row.</summary>
    /// <exception cref="ArgumentException">The row is too long.</exception>
    public static void CheckRow(int width, int pixelBytes)
    {
        if ((long)width * pixelBytes + pixelBytes + Vector128<byte>.Count > Array.MaxLength)
            throw new ArgumentException($"A row of {width} pixels takes more bytes than one array holds.", nameof(width));
    }

    /// <summary>Filters a row.</summary>
    /// <returns>The number of the filter and the filtered row, valid until the next call.</returns>
    public ReadOnlySpan<byte> Apply(ImageView view, int y)
    {
        Read(view, y);
        long least = long.MaxValue;
        Try<NoGuess>(PngFilter.None, ref least);
        Try<LeftGuess>(PngFilter.Sub, ref least);
        Try<AboveGuess>(PngFilter.Up, ref least);
        Try<MeanGuess>(PngFilter.Average, ref least);
        Try<PaethGuess>(PngFilter.Paeth, ref least);
        (this.above, this.row) = (this.row, this.above);
        return best.AsSpan(0, 1 + this.rowBytes);
    }

    /// <summary>Makes a row the one above the next row.</summary>
    public void Skip(ImageView view, int y)
    {
        Read(view, y);
        (this.above, this.row) = (this.row, this.above);
    }

    /// <summary>Reads a row in PNG's order of the samples.</summary>
    private void Read(ImageView view, int y)
    {
        ReadOnlySpan<byte> pixels = view.Row(y);
        Span<byte> next = this.row.AsSpan(this.distance, this.rowBytes);
        if (view.Format == PixelFormat.Gray16)
        {
            DeepSamples.Narrow(pixels, next, view.SignificantBits);
            return;
        }

        pixels.CopyTo(next);
        if (view.Format is PixelFormat.Bgr24 or PixelFormat.Bgra32)
        {
            for (int i = 0; i < pixels.Length; i += this.distance)
            {
                (next[i], next[i + 2]) = (pixels[i + 2], pixels[i]);
            }
        }
    }

    private void Try<TGuess>(byte filter, ref long least) where TGuess : IGuess
    {
        long sum = Difference<TGuess>(this.row, this.above, trial.AsSpan(1), this.rowBytes, this.distance);
        if (sum < least)
        {
            least = sum;
            trial[0] = filter;
            (best, trial) = (trial, best);
        }
    }

    /// <summary>
    /// Writes the differences from the prediction and returns the sum of their absolute values, which includes those of the padding.
    /// </summary>
    private static long Difference<TGuess>(
        ReadOnlySpan<byte> row, ReadOnlySpan<byte> above, Span<byte> output, int rowBytes, int distance) where TGuess : IGuess
    {
        Vector128<uint> sum = default;
        for (int i = 0; i < rowBytes; i += Vector128<byte>.Count)
        {
            Vector128<byte> a = Load(row, i), c = Load(above, i), b = Load(above, i + distance);
            Vector128<byte> difference = Load(row, i + distance) - TGuess.Of(a, b, c);
            difference.CopyTo(output.Slice(i, Vector128<byte>.Count));
            (Vector128<ushort> low, Vector128<ushort> high) = Vector128.Widen(Vector128.Min(difference, -difference));
            (Vector128<uint> first, Vector128<uint> second) = Vector128.Widen(low + high);
            sum += first + second;
        }

        return Vector128.Sum(sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Load(ReadOnlySpan<byte> row, int i) => Vector128.Create(row.Slice(i, Vector128<byte>.Count));

    /// <summary>Predicts sixteen bytes from those to the left, above, and above to the left.</summary>
    private interface IGuess
    {
        static abstract Vector128<byte> Of(Vector128<byte> a, Vector128<byte> b, Vector128<byte> c);
    }

    private readonly struct NoGuess : IGuess
    {
        public static Vector128<byte> Of(Vector128<byte> a, Vector128<byte> b, Vector128<byte> c) => default;
    }

    private readonly struct LeftGuess : IGuess
    {
        public static Vector128<byte> Of(Vector128<byte> a, Vector128<byte> b, Vector128<byte> c) => a;
    }

    private readonly struct AboveGuess : IGuess
    {
        public static Vector128<byte> Of(Vector128<byte> a, Vector128<byte> b, Vector128<byte> c) => b;
    }

    private readonly struct MeanGuess : IGuess
    {
        public static Vector128<byte> Of(Vector128<byte> a, Vector128<byte> b, Vector128<byte> c) => PngFilter.Mean(a, b);
    }

    private readonly struct PaethGuess : IGuess
    {
        public static Vector128<byte> Of(Vector128<byte> a, Vector128<byte> b, Vector128<byte> c)
        {
            (Vector128<ushort> aLow, Vector128<ushort> aHigh) = Vector128.Widen(a);
            (Vector128<ushort> bLow, Vector128<ushort> bHigh) = Vector128.Widen(b);
            (Vector128<ushort> cLow, Vector128<ushort> cHigh) = Vector128.Widen(c);
            return Vector128.Narrow(
                PngFilter.PaethGuess(aLow.AsInt16(), bLow.AsInt16(), cLow.AsInt16()).AsUInt16(),
                PngFilter.PaethGuess(aHigh.AsInt16(), bHigh.AsInt16(), cHigh.AsInt16()).AsUInt16());
        }
    }
}
