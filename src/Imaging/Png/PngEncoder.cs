using System.Buffers.Binary;
using System.IO.Compression;

namespace TinyZsad.Imaging;

/// <summary>
/// Writes 8-bit PNGs: RGB of <see cref="PixelFormat.Rgb24"/> and <see cref="PixelFormat.Bgr24"/>, RGB and alpha of
/// <see cref="PixelFormat.Rgba32"/> and <see cref="PixelFormat.Bgra32"/>, gray of <see cref="PixelFormat.Gray8"/>.
/// Each row gets the filter whose output has the smallest sum of absolute values, the usual guess at what deflates best.
/// </summary>
public static class PngEncoder
{
    /// <summary>Writes a picture to a file, replaced where it exists.</summary>
    /// <param name="path">The file.</param>
    /// <param name="view">The picture, of any stride.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Save(string path, ImageView view)
    {
        ArgumentNullException.ThrowIfNull(path);
        using FileStream file = File.Create(path);
        Save(file, view);
    }

    /// <summary>Writes a picture to a stream, which is left open.</summary>
    /// <param name="stream">A writable stream.</param>
    /// <param name="view">The picture, of any stride.</param>
    /// <exception cref="ArgumentException">
    /// The view is empty (a default value), or a row takes more bytes than one array holds.
    /// </exception>
    public static void Save(Stream stream, ImageView view)
    {
        ArgumentNullException.ThrowIfNull(stream);
        if (view.Width == 0)
        {
            throw new ArgumentException("The view is empty (a default value).", nameof(view));
        }

        stream.Write(PngDecoder.Signature);
        Span<byte> header = stackalloc byte[PngHeader.Length];
        BinaryPrimitives.WriteInt32BigEndian(header, view.Width);
        BinaryPrimitives.WriteInt32BigEndian(header[4..], view.Height);
        header[8] = 8;
        header[9] = (byte)(view.Format.BytesPerPixel() switch
        {
            1 => PngColour.Gray,
            3 => PngColour.Rgb,
            _ => PngColour.Rgba,
        });
        header[10..].Clear();
        PngChunkWriter.Write(stream, PngChunk.Ihdr, header);
        using (PngChunkWriter chunks = new PngChunkWriter(stream, PngChunk.Idat))
        using (ZLibStream deflater = new ZLibStream(chunks, CompressionLevel.Optimal))
        {
            WriteRows(deflater, view);
        }

        PngChunkWriter.Write(stream, PngChunk.Iend, []);
    }

    private static void WriteRows(ZLibStream deflater, ImageView view)
    {
        PngRowFilter filter = new PngRowFilter(view.Width, view.Format.BytesPerPixel());
        bool swapped = view.Format is PixelFormat.Bgr24 or PixelFormat.Bgra32;
        for (int y = 0; y < view.Height; y++)
        {
            ReadOnlySpan<byte> row = view.Row(y);
            Span<byte> next = filter.NextRow;
            row.CopyTo(next);
            if (swapped)
            {
                int pixelBytes = view.Format.BytesPerPixel();
                for (int i = 0; i < row.Length; i += pixelBytes)
                {
                    (next[i], next[i + 2]) = (row[i + 2], row[i]);
                }
            }

            deflater.Write(filter.Apply());
        }
    }
}
