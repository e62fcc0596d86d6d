namespace TinyZsad.Imaging;

/// <summary>
/// What the decoders share: the options, the cancellation token, and the memory that receives the pixels. Disposing of it releases
/// the memory unless <see cref="ToImage"/> has handed it over.
/// </summary>
internal class DecodingContext(ImageLoadOptions options, Memory<byte>? buffer, CancellationToken cancellationToken) : IDisposable
{
    private PixelBuffer decoded;
    private int width, height, orientation;

    public ImageLimits Limits => options.Limits;

    public bool ApplyExifOrientation => options.ApplyExifOrientation;

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

        decoded = orientation == ExifOrientation.Upright ? Target(bytes) : PixelBuffer.Allocate(bytes, options.Pool);
        return decoded.Memory;
    }

    /// <summary>Makes the picture from the decoded pixels, turned upright.</summary>
    public Image ToImage()
    {
        if (this.orientation == ExifOrientation.Upright)
        {
            Image image = new Image(this.width, this.height, decoded);
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
        return new Image(newWidth, newHeight, turned);
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
