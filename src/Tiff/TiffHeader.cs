namespace TinyZsad.Imaging;

/// <summary>Represents a strip or a tile of a plane: its place in the file and in the picture.</summary>
/// <param name="Number">The number in the file, from 0 on.</param>
/// <param name="Offset">The offset in the file.</param>
/// <param name="Bytes">The bytes in the file, all of which exist.</param>
/// <param name="X">The first column in the picture.</param>
/// <param name="Y">The first row in the picture.</param>
/// <param name="Width">The columns that lie in the picture.</param>
/// <param name="Height">The rows that lie in the picture.</param>
internal readonly record struct TiffSegment(long Number, int Offset, int Bytes, int X, int Y, int Width, int Height);

/// <summary>Represents what a page's directory says of its picture. The picture is supported and its size within the limits.</summary>
internal sealed class TiffHeader
{
    /// <summary>
    /// The most samples of a pixel, including those that are ignored. A row of samples is the largest piece that is held in memory.
    /// </summary>
    private const int MostSamples = 8;

    /// <summary>
    /// The most pixels of all tiles, in and beyond the picture: so many times as many as the picture has, and so many more.
    /// </summary>
    private const int MostTiledTimes = 4, MostTiledMore = 1 << 22;

    /// <summary>The most columns of a CCITT picture: its decoder takes 16 bytes for each.</summary>
    private const int MostCcittColumns = 1 << 17;

    private readonly TiffDirectory directory;
    private readonly TiffTag offsets, byteCounts;
    private readonly int across, down;

    private TiffHeader(ReadOnlySpan<byte> tiff, TiffDirectory directory, ImageLimits limits)
    {
        this.directory = directory;
        (Width, Height) = ReadSize(tiff, TiffTag.ImageWidth, TiffTag.ImageLength);
        limits.CheckSize(TiffDecoder.Format, directory.Offset, Width, Height);
        Orientation = directory.First(tiff, TiffTag.Orientation, ExifOrientation.Upright) is >= 1 and <= 8 and var orientation
            ? (int)orientation : ExifOrientation.Upright;
        Compression = TiffSupport.Compression(directory, directory.First(tiff, TiffTag.Compression, 1));
        Photometric = TiffSupport.Photometric(directory, directory.First(tiff, TiffTag.PhotometricInterpretation, 0));
        Samples = (int)directory.First(tiff, TiffTag.SamplesPerPixel, 1);
        Channels = Photometric switch
        {
            TiffPhotometric.Rgb or TiffPhotometric.YCbCr => 3,
            TiffPhotometric.Separated => 4,
            _ => 1,
        };
        Require(TiffTag.SamplesPerPixel, Samples, Samples >= Channels && Samples <= MostSamples,
            $"{Channels} to {MostSamples} for {Photometric}");
        Bits = ReadBits(tiff);
        int planar = (int)directory.First(tiff, TiffTag.PlanarConfiguration, 1), fill = (int)directory.First(tiff, TiffTag.FillOrder, 1);
        Require(TiffTag.PlanarConfiguration, planar, planar is 1 or 2, "1 or 2");
        Require(TiffTag.FillOrder, fill, fill is 1 or 2, "1 or 2");
        (IsSeparate, HasReversedBits) = (planar == 2 && Samples > 1, fill == 2);
        CheckCoding(tiff);

        if (Photometric == TiffPhotometric.Rgb && Samples > 3 && directory.First(tiff, TiffTag.ExtraSamples, 0) == 1
            && Compression != TiffCompression.Jpeg)
        {
            (IsPremultiplied, Channels) = (true, 4);
        }

        bool tiled = directory.Has(TiffTag.TileWidth) || directory.Has(TiffTag.TileOffsets);
        (this.offsets, this.byteCounts) = tiled ? (TiffTag.TileOffsets, TiffTag.TileByteCounts)
            : (TiffTag.StripOffsets, TiffTag.StripByteCounts);
        IsTiled = tiled;
        if (tiled)
        {
            (SegmentWidth, SegmentHeight) = ReadSize(tiff, TiffTag.TileWidth, TiffTag.TileLength);
            limits.CheckSize(TiffDecoder.Format, directory.Offset, SegmentWidth, SegmentHeight, "a tile of");
        }
        else
        {
            long rows = directory.First(tiff, TiffTag.RowsPerStrip, Height);
            Require(TiffTag.RowsPerStrip, rows, rows > 0, "at least 1");
            (SegmentWidth, SegmentHeight) = (Width, (int)Math.Min(rows, Height));
        }

        long rowBits = (long)SegmentWidth * (IsSeparate ? 1 : Samples) * Bits;
        RowBytes = rowBits <= 8L * Array.MaxLength ? (int)((rowBits + 7) / 8) : throw TiffDecoder.Error(directory.Offset,
            $"a row of {SegmentWidth} pixels with {Samples} samples of {Bits} bits takes {(rowBits + 7) / 8} bytes; " +
            $"one array holds {Array.MaxLength}.");
        (this.across, this.down) = ((Width - 1) / SegmentWidth + 1, (Height - 1) / SegmentHeight + 1);
        if (tiled && Segments * SegmentWidth * SegmentHeight > (long)MostTiledTimes * Width * Height + MostTiledMore)
        {
            throw TiffDecoder.Error(directory.Offset, $"{Segments} tiles of {SegmentWidth} x {SegmentHeight} pixels are stated for " +
                $"{Width} x {Height} pixels; all tiles together may have {MostTiledTimes} times as many and {MostTiledMore} more.");
        }
    }

    public int Width { get; }

    public int Height { get; }

    /// <summary>Gets whether the file has pages after this one.</summary>
    public bool HasFurtherPages => this.directory.HasNext;

    /// <summary>Gets the orientation, 1 to 8.</summary>
    public int Orientation { get; }

    public TiffPhotometric Photometric { get; }

    public TiffCompression Compression { get; }

    /// <summary>Gets the number of samples of a pixel in the file.</summary>
    public int Samples { get; }

    /// <summary>Gets the number of samples of a pixel that are needed, the first ones.</summary>
    public int Channels { get; }

    /// <summary>Gets the number of bits of a sample.</summary>
    public int Bits { get; }

    /// <summary>Gets whether each sample is in strips or tiles of its own.</summary>
    public bool IsSeparate { get; }

    /// <summary>Gets whether the lowest bit of a byte comes first.</summary>
    public bool HasReversedBits { get; }

    /// <summary>Gets whether rows are stored as differences of neighbouring samples.</summary>
    public bool HasPredictor { get; private set; }

    /// <summary>Gets whether the colours are multiplied with the fourth sample.</summary>
    public bool IsPremultiplied { get; }

    public bool IsTiled { get; }

    public bool IsLittleEndian => this.directory.IsLittleEndian;

    /// <summary>Gets the size of a strip or a tile. The last strip may be smaller.</summary>
    public int SegmentWidth { get; }

    public int SegmentHeight { get; }

    /// <summary>Gets the bytes of a row of a strip or a tile, of all samples or of one if they are separate.</summary>
    public int RowBytes { get; }

    /// <summary>Gets the number of strips or tiles of a plane.</summary>
    public long Segments => (long)this.across * this.down;

    /// <summary>Gets the number of planes that are needed.</summary>
    public int Planes => IsSeparate ? Channels : 1;

    public static TiffHeader Read(ReadOnlySpan<byte> tiff, int page, ImageLimits limits) =>
        new(tiff, TiffDirectory.Read(tiff, page), limits);

    /// <summary>Returns what a strip or tile is called in messages.</summary>
    public string Name(TiffSegment segment) => $"{(IsTiled ? "tile" : "strip")} {segment.Number} at offset {segment.Offset}";

    /// <summary>Returns options of the CCITT compression.</summary>
    public uint Options(ReadOnlySpan<byte> tiff, TiffTag tag) => (uint)this.directory.First(tiff, tag, 0);

    /// <summary>Returns the JPEG tables; nothing if there are none.</summary>
    public ReadOnlySpan<byte> JpegTables(ReadOnlySpan<byte> tiff) => this.directory.Bytes(tiff, TiffTag.JpegTables);

    /// <summary>Returns the palette as RGB, with the high bytes of its 16-bit colours, like Pillow.</summary>
    public byte[] ReadPalette(ReadOnlySpan<byte> tiff)
    {
        int colours = 1 << Bits;
        long count = this.directory.Count(TiffTag.ColorMap);
        Require(TiffTag.ColorMap, count, count >= 3 * colours, $"{3 * colours} numbers, three for each of {colours} colours");
        byte[] palette = new byte[3 * colours];
        for (int i = 0; i < palette.Length; i++)
        {
            palette[i] = (byte)(this.directory.Number(tiff, TiffTag.ColorMap, i % 3 * colours + i / 3) >> 8);
        }

        return palette;
    }

    /// <summary>Returns a strip or a tile.</summary>
    /// <param name="tiff">The file.</param>
    /// <param name="plane">The plane; 0 if the samples are not separate.</param>
    /// <param name="index">The index in the plane.</param>
    /// <exception cref="ImageFormatException">It does not lie in the file.</exception>
    public TiffSegment Segment(ReadOnlySpan<byte> tiff, int plane, long index)
    {
        long number = plane * Segments + index;
        int x = (int)(index % this.across) * SegmentWidth, y = (int)(index / this.across) * SegmentHeight;
        int height = Math.Min(SegmentHeight, Height - y);
        long offset = this.directory.Number(tiff, this.offsets, number);
        long bytes = this.directory.Count(this.byteCounts) > number ? this.directory.Number(tiff, this.byteCounts, number) : 0;
        if (bytes == 0 && Compression == TiffCompression.None)
        {
            // Some writers leave it out, because it follows from the size.
            bytes = DecodedBytes(height);
        }
        else if (bytes == 0 && Segments * Planes == 1 && !this.directory.Has(this.byteCounts))
        {
            bytes = Math.Max(tiff.Length - offset, 0);
        }

        if (offset > tiff.Length || bytes > tiff.Length - offset || bytes == 0)
        {
            throw TiffDecoder.Error(Math.Min(offset, tiff.Length), $"{(IsTiled ? "tile" : "strip")} {number} claims {bytes} bytes " +
                $"from offset {offset} on; it must have at least one, and the file ends at {tiff.Length}. It is cut off or damaged.");
        }

        return new TiffSegment(number, (int)offset, (int)bytes, x, y, Math.Min(SegmentWidth, Width - x), height);
    }

    /// <summary>
    /// Checks before memory is allocated that all strips or tiles lie in the file and can contain the pixels, and that they do not
    /// claim the same bytes so often that reading them takes long.
    /// </summary>
    public void CheckData(ReadOnlySpan<byte> tiff)
    {
        long segments = Segments * (IsSeparate ? Samples : 1);
        Require(this.offsets, this.directory.Count(this.offsets), this.directory.Count(this.offsets) >= segments,
            $"at least {segments} numbers, as many as there are {(IsTiled ? "tiles" : "strips")}");
        long total = 0, decoded = 0;
        for (int plane = 0; plane < Planes; plane++)
        {
            for (long i = 0; i < Segments; i++)
            {
                TiffSegment segment = Segment(tiff, plane, i);
                long needed = LeastBytes(segment);
                if (segment.Bytes < needed)
                {
                    throw TiffDecoder.Error(segment.Offset, $"{Name(segment)} has {segment.Bytes} bytes; its {segment.Height} rows of " +
                        $"{RowBytes} bytes take at least {needed} with the compression {Compression}. It is cut off or damaged.");
                }

                total += segment.Bytes;
                decoded += (long)RowBytes * segment.Height;
            }
        }

        if (total > tiff.Length + 2 * decoded)
        {
            throw TiffDecoder.Error(this.directory.Offset,
                $"the {Segments * Planes} {(IsTiled ? "tiles" : "strips")} claim {total} bytes altogether; " +
                $"the file has {tiff.Length}, and the picture {decoded}.");
        }
    }

    private long DecodedBytes(int rows) => (long)RowBytes * (IsTiled ? SegmentHeight : rows);

    /// <summary>Returns the fewest bytes in which a strip or a tile can be encoded.</summary>
    private long LeastBytes(TiffSegment segment)
    {
        long decoded = (long)RowBytes * segment.Height;
        return Compression switch
        {
            TiffCompression.None => DecodedBytes(segment.Height),
            TiffCompression.PackBits => (decoded + 63) / 64, // two bytes repeat a byte 128 times
            TiffCompression.Lzw => (decoded + 4095) / 4096, // no string is longer
            TiffCompression.Deflate or TiffCompression.AdobeDeflate => (decoded + 1031) / 1032,
            TiffCompression.Jpeg => 1, // JpegDecoder checks it
            _ => (segment.Height + 7) / 8, // a bit per row
        };
    }

    private (int Width, int Height) ReadSize(ReadOnlySpan<byte> tiff, TiffTag widthTag, TiffTag heightTag)
    {
        long width = this.directory.Required(tiff, widthTag), height = this.directory.Required(tiff, heightTag);
        Require(widthTag, width, width is >= 1 and <= int.MaxValue, $"1 to {int.MaxValue}");
        Require(heightTag, height, height is >= 1 and <= int.MaxValue, $"1 to {int.MaxValue}");
        return ((int)width, (int)height);
    }

    private int ReadBits(ReadOnlySpan<byte> tiff)
    {
        for (long i = 0; i < Math.Min(this.directory.Count(TiffTag.SampleFormat), Samples); i++)
        {
            TiffSupport.CheckSampleFormat(this.directory, this.directory.Number(tiff, TiffTag.SampleFormat, i));
        }

        long bits = this.directory.First(tiff, TiffTag.BitsPerSample, 1);
        Require(TiffTag.BitsPerSample, bits, bits is 1 or 2 or 4 or 8 or 10 or 12 or 14 or 16, "1, 2, 4, 8, 10, 12, 14 or 16");
        for (long i = 1; i < Math.Min(this.directory.Count(TiffTag.BitsPerSample), Samples); i++)
        {
            long other = this.directory.Number(tiff, TiffTag.BitsPerSample, i);
            Require(TiffTag.BitsPerSample, other, other == bits, $"{bits} for all samples, as for the first");
        }

        return (int)bits;
    }

    /// <summary>Checks what the compression and the meaning of the samples require of each other.</summary>
    private void CheckCoding(ReadOnlySpan<byte> tiff)
    {
        if (Compression is TiffCompression.Lzw or TiffCompression.Deflate or TiffCompression.AdobeDeflate)
        {
            long predictor = this.directory.First(tiff, TiffTag.Predictor, 1);
            bool supported = predictor == 1 || predictor == 2 && Bits is 8 or 16;
            Require(TiffTag.Predictor, predictor, supported, "1 (none) or, for samples of 8 or 16 bits, 2 (horizontal differences)");
            HasPredictor = predictor == 2;
        }

        bool isCcitt = Compression is TiffCompression.CcittHuffman or TiffCompression.CcittHuffmanWords
            or TiffCompression.CcittGroup3 or TiffCompression.CcittGroup4;
        if (isCcitt)
        {
            Require(TiffTag.BitsPerSample, Bits, Bits == 1, $"1 for {Compression}");
            Require(TiffTag.SamplesPerPixel, Samples, Samples == 1, $"1 for {Compression}");
            Require(TiffTag.ImageWidth, Width, Width <= MostCcittColumns, $"at most {MostCcittColumns} for {Compression}");
            long tile = this.directory.First(tiff, TiffTag.TileWidth, 1);
            Require(TiffTag.TileWidth, tile, tile <= MostCcittColumns, $"at most {MostCcittColumns} for {Compression}");
        }

        if (Compression == TiffCompression.Jpeg)
        {
            Require(TiffTag.BitsPerSample, Bits, Bits == 8, "8 for JPEG");
            Require(TiffTag.PhotometricInterpretation, (int)Photometric, Photometric != TiffPhotometric.Palette
                && !(IsSeparate && Photometric is TiffPhotometric.Separated or TiffPhotometric.YCbCr),
                "0 or 1 (gray) or 2 (RGB) for JPEG, or 5 (CMYK) or 6 (YCbCr) if the samples are not separate");
        }
        else if (Photometric == TiffPhotometric.YCbCr)
        {
            throw TiffDecoder.Error(this.directory.Offset,
                $"the picture is YCbCr with the compression {Compression}, which is not supported; " +
                "YCbCr is supported with the compression JPEG (7). Convert it to RGB.");
        }

        Require(TiffTag.BitsPerSample, Bits, Photometric != TiffPhotometric.Palette || Bits <= 8, "1, 2, 4 or 8 for a palette");
    }

    private void Require(TiffTag tag, long value, bool condition, string right)
    {
        if (!condition)
        {
            throw TiffDecoder.Error(this.directory.Offset,
                $"{tag} ({(int)tag}) in the directory at offset {this.directory.Offset} is {value}; it must be {right}.");
        }
    }
}
