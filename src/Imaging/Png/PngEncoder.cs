using System.Buffers.Binary;
using System.IO.Compression;

namespace TinyZsad.Imaging;

/// <summary>Writes 8-bit PNGs.</summary>
/// <remarks>
/// <see cref="PixelFormat.Rgb24"/> and <see cref="PixelFormat.Bgr24"/> are written as RGB, <see cref="PixelFormat.Rgba32"/> and
/// <see cref="PixelFormat.Bgra32"/> as RGB with alpha, <see cref="PixelFormat.Gray8"/> as gray, and <see cref="PixelFormat.Gray16"/>
/// as the 8-bit gray for which it stands. Large pictures are compressed on
/// several threads of the thread pool.
/// </remarks>
public static class PngEncoder
{
    /// <summary>The bytes of pixels from which on a picture is compressed in bands.</summary>
    private const long LargeBytes = 4 * PngBandWriter.BandBytes;

    /// <summary>Saves a picture as a PNG file.</summary>
    /// <param name="path">The file's path. An existing file is replaced.</param>
    /// <param name="view">The picture.</param>
    /// <exception cref="ArgumentException">The view is empty, or one array cannot hold a row.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Save(string path, ImageView view)
    {
        ArgumentNullException.ThrowIfNull(path);
        view.ThrowIfEmpty(nameof(view));
        PngRowFilter.CheckRow(view.Width, view.Format.Channels());
        using FileStream file = File.Create(path);
        Save(file, view);
    }

    /// <summary>Writes a picture as a PNG to a stream.</summary>
    /// <param name="stream">A writable stream. It is left open.</param>
    /// <param name="view">The picture.</param>
    /// <exception cref="ArgumentException">The view is empty, or one array cannot hold a row.</exception>
    public static void Save(Stream stream, ImageView view)
    {
        ArgumentNullException.ThrowIfNull(stream);
        view.ThrowIfEmpty(nameof(view));
        long rowBytes = (long)view.Width * view.Format.Channels();
        PngRowFilter.CheckRow(view.Width, view.Format.Channels());
        // Every band that is compressed holds a few rows: enormous rows are compressed one after the other.
        bool large = rowBytes * view.Height >= LargeBytes && rowBytes <= LargeBytes;
        Save(stream, view, large ? (int)Math.Max(PngBandWriter.BandBytes / rowBytes, 1) : view.Height);
    }

    /// <summary>Writes a picture in bands of so many rows; not in bands if it has no more.</summary>
    internal static void Save(Stream stream, ImageView view, int bandRows)
    {
        stream.Write(PngDecoder.Signature);
        Span<byte> header = stackalloc byte[PngHeader.Length];
        BinaryPrimitives.WriteInt32BigEndian(header, view.Width);
        BinaryPrimitives.WriteInt32BigEndian(header[4..], view.Height);
        header[8] = 8;
        header[9] = (byte)(view.Format.Channels() switch
        {
            1 => PngColour.Gray,
            3 => PngColour.Rgb,
            _ => PngColour.Rgba,
        });
        header[10..].Clear();
        PngChunkWriter.Write(stream, PngChunk.Ihdr, header);
        if (bandRows < view.Height)
        {
            PngBandWriter.Write(stream, view, bandRows);
        }
        else
        {
            WriteRows(stream, view);
        }

        PngChunkWriter.Write(stream, PngChunk.Iend, []);
    }

    private static void WriteRows(Stream stream, ImageView view)
    {
        using PngChunkWriter chunks = new PngChunkWriter(stream, PngChunk.Idat);
        using ZLibStream deflater = new ZLibStream(chunks, CompressionLevel.Optimal);
        PngRowFilter filter = new PngRowFilter(view.Width, view.Format.Channels());
        for (int y = 0; y < view.Height; y++)
        {
            deflater.Write(filter.Apply(view, y));
        }
    }
}
