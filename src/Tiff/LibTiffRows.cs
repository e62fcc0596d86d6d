using BitMiracle.LibTiff.Classic;

namespace TinyZsad.Imaging;

/// <summary>
/// Reads rows that LibTiff.NET decompresses. It never sees the file's directory: <see cref="LibTiffFile"/> presents a plane's strips or
/// tiles as the strips of a simple picture.
/// </summary>
internal sealed unsafe class LibTiffRows : TiffRows
{
    private readonly Tiff library;
    private readonly byte[] buffer;
    private readonly List<string> messages = [];

    /// <inheritdoc cref="TiffRows.Create"/>
    public LibTiffRows(ReadOnlySpan<byte> tiff, byte* start, TiffHeader header, int plane) : base(header)
    {
        this.buffer = new byte[header.RowBytes];
        LibTiffFile file = new LibTiffFile(tiff, start, header, plane);
        Tiff? opened = null;
        this.library = Call(() => (opened = Tiff.ClientOpen("LibTiff.NET", "r", file, file)) is not null) ? opened!
            : throw TiffDecoder.Error(null, $"the compression {header.Compression} cannot be decoded: {Reason}");
    }

    private string Reason => this.messages.Count > 0 ? this.messages[0] : "the library gives no reason.";

    public override ReadOnlySpan<byte> Read(ReadOnlySpan<byte> tiff, TiffSegment segment, long index, int row)
    {
        int line = (int)(index * Header.SegmentHeight + row);
        return Call(() => this.library.ReadScanline(this.buffer, line)) ? this.buffer : throw TiffDecoder.Error(segment.Offset,
            $"{Header.Name(segment)} cannot be decompressed ({Header.Compression}) in row {row} of {segment.Height}: {Reason}");
    }

    public override void Dispose()
    {
        this.library.Dispose();
        base.Dispose();
    }

    /// <summary>Calls the library. Anything that it complains of or throws is a failure, because it goes on with a guess then.</summary>
    private bool Call(Func<bool> action)
    {
        try
        {
            return LibTiffMessages.Collect(this.messages, action) && this.messages.Count == 0;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // It trusts the data, so what it throws depends on where it stumbles: an index, a null, an overflow.
            this.messages.Add($"{e.GetType().Name}: {e.Message}");
            return false;
        }
    }
}
