using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace TinyZsad.Imaging;

/// <summary>
/// What the decoders share: the options, the cancellation token, and the memory that receives the pixels. Disposing of it releases
/// the memory unless <see cref="ToImage"/> has handed it over.
/// </summary>
internal class DecodingContext(ImageLoadOptions options, Memory<byte>? buffer, CancellationToken cancellationToken) : IDisposable
{
    private PixelBuffer decoded;
    private int width, height, orientation;

    /// <summary>The significant bits by which samples were narrowed last; 0 if there were none.</summary>
    private int narrowedBits;
    private bool isMixed;

    public ImageLoadOptions Options => options;

    public ImageLimits Limits => options.Limits;

    public bool ApplyExifOrientation => options.ApplyExifOrientation;

    /// <summary>Gets the largest 16-bit sample that was narrowed, other than alpha; null if there were none.</summary>
    public int? LargestSample { get; private set; }

    /// <summary>Gets or sets whether the file has pages after the one that is decoded.</summary>
    public bool HasFurtherPages { get; set; }

    /// <summary>Throws if the token is cancelled. The decoders call it every few milliseconds.</summary>
    public virtual void ThrowIfCancelled() => cancellationToken.ThrowIfCancellationRequested();

    /// <summary>Provides the memory for the pixels as the file stores them. The size must be within the limits.</summary>
    /// <param name="width">The width, in pixels.</param>
    /// <param name="height">The height, in pixels.</param>
    /// <param name="orientation">The Exif orientation that <see cref="ToImage"/> applies.</param>
    /// <returns>3 * width * height bytes of undefined content, all of which the decoder must write.</returns>
    /// <exception cref="ArgumentException">The caller's buffer is too small.</exception>
    public Memory<byte> Allocate(int width, int height, int orientation = ExifOrientation.Upright)
    {
        (this.width, this.height, this.orientation) = (width, height, orientation);
        int bytes = PixelBuffer.RgbBytes(width, height);
        if (buffer is { } given && given.Length < bytes)
        {
            throw TooSmall($"The picture has {width} x {height} pixels and needs {bytes} bytes; the buffer has {given.Length}.",
                nameof(buffer));
        }

        // A picture that is decoded again has its memory.
        if (decoded.Memory.Length != bytes)
        {
            decoded.Return();
            decoded = orientation == ExifOrientation.Upright ? Target(bytes) : PixelBuffer.Allocate(bytes, options.Pool);
        }

        return decoded.Memory;
    }

    /// <summary>
    /// Converts 16-bit samples to 8 bits as <see cref="ImageLoadOptions.SignificantBits"/> says, and notes the largest one. A decoder
    /// passes all samples of its picture, in any portions and any order.
    /// </summary>
    /// <param name="samples">The samples of whole pixels, in the processor's byte order.</param>
    /// <param name="levels">Receives a byte per sample.</param>
    /// <param name="alphaEvery">2 or 4 if every second or fourth sample is alpha, which does not count; otherwise 0.</param>
    /// <param name="rounded">Whether all 16 bits are scaled and rounded, instead of cut to the high byte.</param>
    public void NarrowRow(ReadOnlySpan<ushort> samples, Span<byte> levels, int alphaEvery = 0, bool rounded = false)
    {
        LargestSample = Math.Max(LargestSample ?? 0, DeepSamples.Largest(samples, alphaEvery));
        int bits = options.SignificantBits == ImageLoadOptions.AutoSignificantBits
            ? DeepSamples.BitsOf(LargestSample.Value) : options.SignificantBits;
        isMixed |= narrowedBits != 0 && narrowedBits != bits;
        narrowedBits = bits;
        if (rounded && bits == DeepSamples.MostBits)
        {
            DeepSamples.Scale(MemoryMarshal.AsBytes(samples), levels);
        }
        else
        {
            DeepSamples.Narrow(MemoryMarshal.AsBytes(samples), levels, bits);
        }
    }

    /// <summary>Converts samples whose high byte comes first, like <see cref="NarrowRow"/>.</summary>
    public void NarrowBigEndianRow(ReadOnlySpan<byte> samples, Span<byte> levels, int alphaEvery = 0, bool rounded = false)
    {
        // Whole pixels of 1 to 4 samples.
        Span<ushort> piece = stackalloc ushort[960];
        while (samples.Length > 0)
        {
            Span<ushort> native = piece[..Math.Min(piece.Length, samples.Length / 2)];
            samples[..(2 * native.Length)].CopyTo(MemoryMarshal.AsBytes(native));
            if (BitConverter.IsLittleEndian)
            {
                BinaryPrimitives.ReverseEndianness(native, native);
            }

            NarrowRow(native, levels, alphaEvery, rounded);
            samples = samples[(2 * native.Length)..];
            levels = levels[native.Length..];
        }
    }

    /// <summary>
    /// Returns whether the picture must be decoded once more, because a sample needed more bits than those before it. The largest
    /// sample is known then.
    /// </summary>
    public bool BeginAgain()
    {
        bool again = isMixed;
        (narrowedBits, isMixed) = (0, false);
        return again;
    }

    /// <summary>Makes the picture from the decoded pixels, turned upright.</summary>
    public Image ToImage()
    {
        if (this.orientation == ExifOrientation.Upright)
        {
            Image image = new Image(this.width, this.height, decoded, LargestSample, HasFurtherPages);
            decoded = default;
            return image;
        }

        PixelBuffer turned = Target(decoded.Memory.Length);
        try
        {
            ExifOrientation.Apply(
                decoded.Memory.Span, this.width, this.height, this.orientation, turned.Memory.Span, cancellationToken);
        }
        catch
        {
            turned.Return();
            throw;
        }

        (int newWidth, int newHeight) = ExifOrientation.SizeOf(this.width, this.height, this.orientation);
        return new Image(newWidth, newHeight, turned, LargestSample, HasFurtherPages);
    }

    public void Dispose()
    {
        decoded.Return();
        decoded = default;
        GC.SuppressFinalize(this);
    }

    private static ArgumentException TooSmall(string message, string parameter) => new(message, parameter);

    private PixelBuffer Target(int bytes) =>
        buffer is { } given ? new PixelBuffer(given[..bytes]) : PixelBuffer.Allocate(bytes, options.Pool);
}
