using System.IO.Compression;

namespace TinyZsad.Imaging;

/// <summary>Inflates a PNG's rows one by one and undoes their filters.</summary>
internal readonly struct PngRowReader(ZLibStream inflater, PngChunk firstData, PngHeader header)
{
    /// <summary>Reads the next row.</summary>
    /// <param name="row">Filled with the plain row.</param>
    /// <param name="above">The plain row above, as long; zeros for the first row of a pass.</param>
    /// <param name="y">The row's number in its pass, for messages.</param>
    public void Read(Span<byte> row, ReadOnlySpan<byte> above, int y)
    {
        Span<byte> filter = stackalloc byte[1];
        Inflate(filter, y);
        if (filter[0] > PngFilter.Paeth)
        {
            throw new ImageFormatException($"PNG: row {y} (of its pass) in the IDAT chunks from offset {firstData.Offset} on " +
                $"has filter {filter[0]}; known are 0 to {PngFilter.Paeth}.");
        }

        Inflate(row, y);
        PngFilter.Undo(filter[0], row, above, header.FilterDistance);
    }

    private void Inflate(Span<byte> buffer, int y)
    {
        int read;
        try
        {
            read = inflater.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            throw new ImageFormatException($"PNG: the compressed data in the IDAT chunks from offset {firstData.Offset} on " +
                $"are damaged in or before row {y} (of its pass): {e.Message}", e);
        }

        if (read < buffer.Length)
        {
            throw new ImageFormatException($"PNG: the compressed data in the IDAT chunks from offset {firstData.Offset} on " +
                $"end in row {y} (of its pass); {header.Width} x {header.Height} pixels need more.");
        }
    }
}
