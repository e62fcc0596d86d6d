using System.IO.Compression;

namespace TinyZsad.Imaging;

/// <summary>Inflates the rows of a PNG and undoes their filters.</summary>
internal readonly struct PngRowReader(ZLibStream inflater, PngChunk firstData, PngHeader header, DecodingContext context)
{
    /// <summary>The bytes between two checks for cancellation in a long row.</summary>
    private const int PieceBytes = 1 << 18;

    /// <summary>Reads the next row.</summary>
    /// <param name="row">Receives the unfiltered row.</param>
    /// <param name="above">The unfiltered row above; zeros for the first row of a pass.</param>
    /// <param name="y">The row's number in its pass, for messages.</param>
    public void Read(Span<byte> row, ReadOnlySpan<byte> above, int y)
    {
        Span<byte> filter = stackalloc byte[1];
        Inflate(filter, y);
        if (filter[0] > PngFilter.Paeth)
        {
            throw FormatError.Png(firstData.Offset, $"row {y} (of its pass) in the IDAT chunks from offset {firstData.Offset} on " +
                $"has filter {filter[0]}; known are 0 to {PngFilter.Paeth}.");
        }

        for (int at = 0; at < row.Length; at += PieceBytes)
        {
            context.ThrowIfCancelled();
            Inflate(row.Slice(at, Math.Min(PieceBytes, row.Length - at)), y);
        }

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
            throw FormatError.Png(firstData.Offset, $"the compressed data in the IDAT chunks from offset {firstData.Offset} on " +
                $"are damaged in or before row {y} (of its pass).", e);
        }

        if (read < buffer.Length)
        {
            throw FormatError.Png(firstData.Offset, $"the compressed data in the IDAT chunks from offset {firstData.Offset} on " +
                $"end in row {y} (of its pass); {header.Width} x {header.Height} pixels need more.");
        }
    }
}
