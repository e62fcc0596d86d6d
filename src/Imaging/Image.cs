namespace TinyZsad.Imaging;

/// <summary>Represents an immutable 8-bit RGB picture.</summary>
/// <remarks>
/// <para>
/// Decoding gives the bytes of Pillow's <c>Image.open(f).convert("RGB")</c>: gray is repeated in three channels, palettes are
/// expanded, alpha is dropped without blending, CMYK is converted to RGB, 16-bit samples are cut to 8 bits (see
/// <see cref="ImageLoadOptions.SignificantBits"/>), and colour profiles are ignored. (16-bit gray is cut to 8 bits as well; Pillow
/// saturates it.)
/// </para>
/// <para>An instance may be used by several threads at once.</para>
/// </remarks>
public sealed class Image : IDisposable
{
    private readonly PixelBuffer pixels;
    private int disposed;

    /// <summary>Initializes a picture with memory that nothing else writes to while the picture is in use.</summary>
    internal Image(int width, int height, PixelBuffer pixels, int? largestSample = null, bool hasFurtherPages = false)
    {
        Width = width;
        Height = height;
        LargestSample = largestSample;
        HasFurtherPages = hasFurtherPages;
        this.pixels = pixels;
    }

    /// <summary>Gets the width, in pixels.</summary>
    public int Width { get; }

    /// <summary>Gets the height, in pixels.</summary>
    public int Height { get; }

    /// <summary>
    /// Gets the largest sample, 0 to 65535, of a picture that was decoded from a file with 16-bit samples; alpha does not count. It is
    /// null for other pictures. A value far below 65535 suggests that the camera has fewer bits; see
    /// <see cref="ImageLoadOptions.SignificantBits"/>.
    /// </summary>
    public int? LargestSample { get; }

    /// <summary>Gets a value that indicates whether the file has pages after the one that was decoded.</summary>
    internal bool HasFurtherPages { get; }

    /// <summary>
    /// Gets the pixels: 3 * <see cref="Width"/> * <see cref="Height"/> bytes, red, green, blue, rows from top to bottom without gaps.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The picture has returned its array to the pool.</exception>
    public ReadOnlySpan<byte> Pixels => Memory.Span;

    /// <summary>Gets the memory of <see cref="Pixels"/>.</summary>
    /// <exception cref="ObjectDisposedException">The picture has returned its array to the pool.</exception>
    public ReadOnlyMemory<byte> Memory
    {
        get
        {
            ObjectDisposedException.ThrowIf(Volatile.Read(ref disposed) != 0, this);
            return this.pixels.Memory;
        }
    }

    /// <summary>Gets the picture as a view.</summary>
    /// <exception cref="ObjectDisposedException">The picture has returned its array to the pool.</exception>
    public ImageView View => new(Pixels, Width, Height, PixelFormat.Rgb24);

    /// <summary>Gets the picture as a frame.</summary>
    /// <exception cref="ObjectDisposedException">The picture has returned its array to the pool.</exception>
    public ImageFrame Frame => new(Memory, Width, Height, PixelFormat.Rgb24);

    /// <summary>Creates a picture from RGB pixels, which are copied.</summary>
    /// <param name="width">The width, in pixels; at least 1.</param>
    /// <param name="height">The height, in pixels; at least 1.</param>
    /// <param name="pixels">Exactly 3 * width * height bytes in the order of <see cref="Pixels"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The width or the height is less than 1.</exception>
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

        return new Image(width, height, new PixelBuffer(pixels.ToArray()));
    }

    /// <summary>Creates a picture from a view in any pixel format. The pixels are copied.</summary>
    /// <param name="view">The pixels.</param>
    /// <exception cref="ArgumentException">The view is empty, or one array cannot hold its pixels as RGB.</exception>
    public static Image Create(ImageView view)
    {
        view.ThrowIfEmpty(nameof(view));
        PixelBuffer pixels = PixelBuffer.Allocate(PixelBuffer.RgbBytes(view.Width, view.Height), pool: null);
        PixelRows.ToRgb(view, pixels.Memory.Span);
        return new Image(view.Width, view.Height, pixels);
    }

    /// <summary>
    /// Decodes a JPEG, PNG, BMP or PNM (PBM, PGM, PPM, PAM) file. The content decides on the format, not the file's name.
    /// </summary>
    /// <param name="path">The file's path.</param>
    /// <param name="options">The options; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels reading and decoding.</param>
    /// <returns>The picture.</returns>
    /// <exception cref="ImageFormatException">
    /// The format is unknown or unsupported, the data is damaged, or the picture is larger than the limits allow.
    /// </exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The path is a folder, or the file may not be read.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static Image Load(string path, ImageLoadOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(path);
        using FileStream file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        try
        {
            return Load(file, options, cancellationToken);
        }
        catch (ImageFormatException e)
        {
            throw new ImageFormatException(path, e);
        }
    }

    /// <summary>Decodes a picture from a stream, which is read to its end and left open.</summary>
    /// <param name="stream">A readable stream. It does not need to be seekable.</param>
    /// <param name="options">The options; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels reading and decoding.</param>
    /// <returns>The picture.</returns>
    /// <inheritdoc cref="Load(string, ImageLoadOptions?, CancellationToken)" path="/exception"/>
    public static Image Load(Stream stream, ImageLoadOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        options ??= ImageLoadOptions.Default;
        using EncodedData data = EncodedData.Read(stream, options.Limits, cancellationToken);
        return ImageDecoder.Decode(data.Span, options, buffer: null, cancellationToken);
    }

    /// <summary>Decodes a picture from memory.</summary>
    /// <param name="encoded">The bytes of the file.</param>
    /// <param name="options">The options; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels decoding.</param>
    /// <returns>The picture.</returns>
    /// <inheritdoc cref="Load(string, ImageLoadOptions?, CancellationToken)" path="/exception"/>
    public static Image Load(
        ReadOnlySpan<byte> encoded, ImageLoadOptions? options = null, CancellationToken cancellationToken = default) =>
        ImageDecoder.Decode(encoded, options ?? ImageLoadOptions.Default, buffer: null, cancellationToken);

    /// <summary>Decodes a picture from memory into a buffer, which the picture uses without copying it.</summary>
    /// <param name="encoded">The bytes of the file.</param>
    /// <param name="buffer">
    /// Receives the pixels in its first 3 * width * height bytes; see <see cref="Identify"/>. It must not change while the picture is
    /// in use, and its content is undefined if decoding fails. <see cref="Dispose"/> does not release it.
    /// </param>
    /// <param name="options">The options; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels decoding.</param>
    /// <returns>A picture over <paramref name="buffer"/>.</returns>
    /// <exception cref="ArgumentException">The buffer is too small or overlaps the encoded data.</exception>
    /// <inheritdoc cref="Load(string, ImageLoadOptions?, CancellationToken)" path="/exception"/>
    public static Image Load(ReadOnlySpan<byte> encoded, Memory<byte> buffer, ImageLoadOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        if (encoded.Overlaps(buffer.Span))
        {
            throw new ArgumentException("The buffer must not overlap the encoded data.", nameof(buffer));
        }

        return ImageDecoder.Decode(encoded, options ?? ImageLoadOptions.Default, buffer, cancellationToken);
    }

    /// <summary>Decodes a file. It is read asynchronously and decoded on the thread that completes the last read.</summary>
    /// <param name="path">The file's path.</param>
    /// <param name="options">The options; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels reading and decoding.</param>
    /// <returns>The picture.</returns>
    /// <inheritdoc cref="Load(string, ImageLoadOptions?, CancellationToken)" path="/exception"/>
    public static Task<Image> LoadAsync(
        string path, ImageLoadOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(path);
        return LoadFileAsync(path, options ?? ImageLoadOptions.Default, cancellationToken);
    }

    /// <summary>
    /// Decodes a picture from a stream, which is read to its end and left open. Only the stream's asynchronous methods are used. The
    /// picture is decoded on the thread that completes the last read.
    /// </summary>
    /// <param name="stream">A readable stream, such as the body of a web request. It does not need to be seekable.</param>
    /// <param name="options">The options; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels reading and decoding.</param>
    /// <returns>The picture.</returns>
    /// <inheritdoc cref="Load(string, ImageLoadOptions?, CancellationToken)" path="/exception"/>
    public static Task<Image> LoadAsync(
        Stream stream, ImageLoadOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return LoadStreamAsync(stream, options ?? ImageLoadOptions.Default, cancellationToken);
    }

    /// <summary>
    /// Reads the size and the format of an encoded picture without decoding it. The headers suffice, except for a PNG of which the
    /// orientation is applied.
    /// </summary>
    /// <param name="encoded">The bytes of the file.</param>
    /// <param name="options">The options; null for the defaults.</param>
    /// <returns>The size that decoding with the same options gives, and the format.</returns>
    /// <exception cref="ImageFormatException">
    /// The format is unknown or unsupported, the headers are damaged, or the picture is larger than the limits allow.
    /// </exception>
    public static ImageInfo Identify(ReadOnlySpan<byte> encoded, ImageLoadOptions? options = null) =>
        ImageDecoder.Identify(encoded, options ?? ImageLoadOptions.Default);

    /// <summary>Saves the picture as an 8-bit RGB PNG file.</summary>
    /// <param name="path">The file's path. An existing file is replaced.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The path is a folder, or the file may not be written.</exception>
    /// <exception cref="ObjectDisposedException">The picture has returned its array to the pool.</exception>
    public void SavePng(string path) => PngEncoder.Save(path, View);

    /// <summary>Writes the picture as an 8-bit RGB PNG to a stream.</summary>
    /// <param name="stream">A writable stream. It is left open.</param>
    /// <exception cref="ObjectDisposedException">The picture has returned its array to the pool.</exception>
    public void SavePng(Stream stream) => PngEncoder.Save(stream, View);

    /// <summary>
    /// Writes the picture as an 8-bit RGB PNG to a stream. The picture is encoded in memory; then only the stream's asynchronous methods
    /// are used.
    /// </summary>
    /// <param name="stream">A writable stream, such as the body of a web response. It is left open.</param>
    /// <param name="cancellationToken">Cancels writing.</param>
    /// <exception cref="ObjectDisposedException">The picture has returned its array to the pool.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public Task SavePngAsync(Stream stream, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        cancellationToken.ThrowIfCancellationRequested();
        MemoryStream encoded = new MemoryStream();
        SavePng(encoded);
        return stream.WriteAsync(encoded.GetBuffer().AsMemory(0, (int)encoded.Length), cancellationToken).AsTask();
    }

    /// <summary>
    /// Returns the array to the pool from which <see cref="ImageLoadOptions.Pool"/> rented it. Views and frames of the picture must
    /// not be used any more. The method does nothing for a picture whose array is not rented.
    /// </summary>
    public void Dispose()
    {
        if (this.pixels.Pool is not null && Interlocked.Exchange(ref disposed, 1) == 0)
        {
            this.pixels.Return();
        }
    }

    private static async Task<Image> LoadFileAsync(string path, ImageLoadOptions options, CancellationToken cancellationToken)
    {
        FileStream file = new FileStream(
            path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.Asynchronous);
        await using (file.ConfigureAwait(false))
        {
            try
            {
                return await LoadStreamAsync(file, options, cancellationToken).ConfigureAwait(false);
            }
            catch (ImageFormatException e)
            {
                throw new ImageFormatException(path, e);
            }
        }
    }

    private static async Task<Image> LoadStreamAsync(
        Stream stream, ImageLoadOptions options, CancellationToken cancellationToken)
    {
        using EncodedData data = await EncodedData.ReadAsync(stream, options.Limits, cancellationToken).ConfigureAwait(false);
        return ImageDecoder.Decode(data.Span, options, buffer: null, cancellationToken);
    }
}
