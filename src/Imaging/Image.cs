namespace TinyZsad.Imaging;

/// <summary>
/// An immutable 8-bit RGB picture. Decoding gives the bytes of Pillow's <c>Image.open(f).convert("RGB")</c>: gray repeated in
/// three channels, palettes expanded, alpha dropped and not blended, inks (CMYK) to light, 16-bit samples cut to 8 bits, colour
/// profiles and, unless asked otherwise, orientation tags ignored. (16-bit gray is cut to 8 bits like any other; Pillow would
/// saturate it.)
/// Safe to share between threads.
/// </summary>
public sealed class Image
{
    private readonly byte[] pixels;

    /// <summary>Takes over an array of 3 * width * height bytes, which nobody else may write to from now on.</summary>
    internal Image(int width, int height, byte[] pixels)
    {
        Width = width;
        Height = height;
        this.pixels = pixels;
    }

    /// <summary>Pixels a row, at least 1.</summary>
    public int Width { get; }

    /// <summary>Rows, at least 1.</summary>
    public int Height { get; }

    /// <summary>3 * <see cref="Width"/> * <see cref="Height"/> bytes: red, green, blue, rows from the top without gaps.</summary>
    public ReadOnlySpan<byte> Pixels => this.pixels;

    /// <summary>The picture as a view, for everything that also takes camera buffers.</summary>
    public ImageView View => new(this.pixels, Width, Height, PixelFormat.Rgb24);

    /// <summary>Makes a picture from pixels, which are copied.</summary>
    /// <param name="width">Pixels a row, at least 1.</param>
    /// <param name="height">Rows, at least 1.</param>
    /// <param name="pixels">Exactly 3 * width * height bytes, laid out as <see cref="Pixels"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A side is below 1.</exception>
    /// <exception cref="ArgumentException">The number of bytes is wrong.</exception>
    public static Image Create(int width, int height, ReadOnlySpan<byte> pixels)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        if (pixels.Length != 3L * width * height)
        {
            throw new ArgumentException(
                $"{width} x {height} RGB pixels are {3L * width * height} bytes, not {pixels.Length}.", nameof(pixels));
        }

        return new Image(width, height, pixels.ToArray());
    }

    /// <summary>Makes a picture from a view in any pixel format; the pixels are copied.</summary>
    /// <exception cref="ArgumentException">The picture has more pixels than one array of RGB holds.</exception>
    public static Image Create(ImageView view)
    {
        byte[] pixels = AllocatePixels(view.Width, view.Height);
        PixelRows.ToRgb(view, pixels);
        return new Image(view.Width, view.Height, pixels);
    }

    /// <summary>Decodes a file: JPEG, PNG, BMP or PNM (PBM, PGM, PPM, PAM), told by its content, not by its name.</summary>
    /// <param name="path">The file.</param>
    /// <param name="limits">How large it may be; <see cref="ImageLimits.Default"/> where null.</param>
    /// <param name="applyExifOrientation">
    /// True to turn a JPEG or PNG as its Exif orientation says, like Pillow's <c>ImageOps.exif_transpose</c>; false to leave it.
    /// </param>
    /// <exception cref="ImageFormatException">The file is no such picture, damaged, or larger than the limits allow.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Image Load(string path, ImageLimits? limits = null, bool applyExifOrientation = false)
    {
        ArgumentNullException.ThrowIfNull(path);
        using FileStream file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        try
        {
            return Load(file, limits, applyExifOrientation);
        }
        catch (ImageFormatException e)
        {
            throw new ImageFormatException($"{path}: {e.Message}", e.InnerException);
        }
    }

    /// <summary>Decodes what is left of a stream, which is read to its end and left open.</summary>
    /// <inheritdoc cref="Load(string, ImageLimits?, bool)"/>
    /// <param name="stream">A readable stream; it need not be seekable.</param>
    /// <param name="limits">How large it may be; <see cref="ImageLimits.Default"/> where null.</param>
    /// <param name="applyExifOrientation">
    /// True to turn a JPEG or PNG as its Exif orientation says, like Pillow's <c>ImageOps.exif_transpose</c>; false to leave it.
    /// </param>
    public static Image Load(Stream stream, ImageLimits? limits = null, bool applyExifOrientation = false)
    {
        ArgumentNullException.ThrowIfNull(stream);
        limits ??= ImageLimits.Default;
        return ImageDecoder.Decode(ReadToEnd(stream, limits), limits, applyExifOrientation);
    }

    /// <summary>Decodes a picture from memory.</summary>
    /// <inheritdoc cref="Load(string, ImageLimits?, bool)"/>
    /// <param name="encoded">The bytes of the file.</param>
    /// <param name="limits">How large it may be; <see cref="ImageLimits.Default"/> where null.</param>
    /// <param name="applyExifOrientation">
    /// True to turn a JPEG or PNG as its Exif orientation says, like Pillow's <c>ImageOps.exif_transpose</c>; false to leave it.
    /// </param>
    public static Image Load(ReadOnlySpan<byte> encoded, ImageLimits? limits = null, bool applyExifOrientation = false)
    {
        limits ??= ImageLimits.Default;
        limits.CheckEncodedBytes(encoded.Length);
        return ImageDecoder.Decode(encoded, limits, applyExifOrientation);
    }

    /// <summary>Writes the picture as an 8-bit RGB PNG.</summary>
    /// <param name="path">The file, replaced where it exists.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void SavePng(string path) => PngEncoder.Save(path, View);

    /// <summary>Writes the picture as an 8-bit RGB PNG.</summary>
    /// <param name="stream">A writable stream, left open.</param>
    public void SavePng(Stream stream) => PngEncoder.Save(stream, View);

    /// <summary>An array for width * height RGB pixels, to be filled wholly; sizes from files are checked before.</summary>
    internal static byte[] AllocatePixels(int width, int height)
    {
        long bytes = 3L * width * height;
        if (bytes > Array.MaxLength)
        {
            throw new ArgumentException($"{width} x {height} RGB pixels are {bytes} bytes; one array holds {Array.MaxLength}.");
        }

        return GC.AllocateUninitializedArray<byte>((int)bytes);
    }

    private static ReadOnlySpan<byte> ReadToEnd(Stream stream, ImageLimits limits)
    {
        // A seekable stream says what is left, so one array of the right size will do; others make the array grow.
        long left = stream.CanSeek ? Math.Max(stream.Length - stream.Position, 0) : 0;
        limits.CheckEncodedBytes(left);
        byte[] buffer = GC.AllocateUninitializedArray<byte>((int)Math.Max(left, 4096));
        int length = 0;
        while (true)
        {
            if (length == buffer.Length)
            {
                int next = stream.ReadByte();
                if (next < 0)
                {
                    return buffer;
                }

                limits.CheckEncodedBytes(length + 1L);
                Array.Resize(ref buffer, (int)Math.Min(2L * length, limits.MaxEncodedBytes));
                buffer[length++] = (byte)next;
            }

            int read = stream.Read(buffer, length, buffer.Length - length);
            if (read == 0)
            {
                return buffer.AsSpan(0, length);
            }

            length += read;
            limits.CheckEncodedBytes(length);
        }
    }
}
