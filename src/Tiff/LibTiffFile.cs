using System.Buffers.Binary;
using BitMiracle.LibTiff.Classic;

namespace TinyZsad.Imaging;

/// <summary>
/// Presents a plane to LibTiff.NET as a file: a new header and directory, with checked numbers, and after them the bytes of the actual
/// file. The strips or tiles are the strips of a picture that is as wide as they are. The library does not read whole files at once and
/// takes memory for a strip's bytes only.
/// </summary>
internal sealed unsafe class LibTiffFile : TiffStream
{
    private readonly byte[] head;
    private readonly byte* start;
    private readonly long length;
    private long position;

    /// <inheritdoc cref="TiffRows.Create"/>
    public LibTiffFile(ReadOnlySpan<byte> tiff, byte* start, TiffHeader header, int plane)
    {
        int segments = (int)Math.Min(header.Segments, int.MaxValue);
        long rows = header.IsTiled ? header.Segments * header.SegmentHeight : header.Height;
        if (rows > int.MaxValue)
        {
            throw TiffDecoder.Error(null, $"the tiles have {rows} rows altogether; at most {int.MaxValue} are supported.");
        }

        int samples = header.IsSeparate ? 1 : header.Samples;
        uint[] offsets = new uint[segments], byteCounts = new uint[segments];
        Entry[] entries =
        [
            new(TiffTag.ImageWidth, [(uint)header.SegmentWidth]),
            new(TiffTag.ImageLength, [(uint)rows]),
            new(TiffTag.BitsPerSample, [.. Enumerable.Repeat((uint)header.Bits, samples)], IsShort: true),
            new(TiffTag.Compression, [(uint)header.Compression], IsShort: true),
            new(TiffTag.PhotometricInterpretation, [(uint)TiffPhotometric.BlackIsZero], IsShort: true),
            new(TiffTag.FillOrder, [header.HasReversedBits ? 2u : 1u], IsShort: true),
            new(TiffTag.StripOffsets, offsets),
            new(TiffTag.SamplesPerPixel, [(uint)samples], IsShort: true),
            new(TiffTag.RowsPerStrip, [(uint)header.SegmentHeight]),
            new(TiffTag.StripByteCounts, byteCounts),
            new(TiffTag.PlanarConfiguration, [1], IsShort: true),
            .. Codec(tiff, header),
        ];
        int bytes = 8 + 2 + 12 * entries.Length + 4 + entries.Sum(e => e.ValueBytes > 4 ? e.ValueBytes : 0);
        for (int i = 0; i < segments; i++)
        {
            TiffSegment segment = header.Segment(tiff, plane, i);
            (offsets[i], byteCounts[i]) = ((uint)bytes + (uint)segment.Offset, (uint)segment.Bytes);
        }

        this.head = Write(entries, bytes, header.IsLittleEndian);
        this.start = start;
        this.length = tiff.Length;
    }

    public override int Read(object clientData, byte[] buffer, int offset, int count)
    {
        int wanted = count;
        if (this.position < this.head.Length)
        {
            int part = (int)Math.Min(count, this.head.Length - this.position);
            this.head.AsSpan((int)this.position, part).CopyTo(buffer.AsSpan(offset));
            (this.position, offset, count) = (this.position + part, offset + part, count - part);
        }

        long at = this.position - this.head.Length;
        if (count > 0 && at < this.length)
        {
            int part = (int)Math.Min(count, this.length - at);
            new ReadOnlySpan<byte>(this.start + at, part).CopyTo(buffer.AsSpan(offset));
            (this.position, count) = (this.position + part, count - part);
        }

        return wanted - count;
    }

    public override long Seek(object clientData, long offset, SeekOrigin origin)
    {
        long from = origin switch
        {
            SeekOrigin.Begin => 0,
            SeekOrigin.Current => this.position,
            _ => Size(clientData),
        };
        this.position = Math.Max(from + offset, 0);
        return this.position;
    }

    public override long Size(object clientData) => this.head.Length + this.length;

    public override void Write(object clientData, byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Close(object clientData)
    {
    }

    private static Entry[] Codec(ReadOnlySpan<byte> tiff, TiffHeader header) => header.Compression switch
    {
        TiffCompression.CcittGroup3 => [new(TiffTag.T4Options, [header.Options(tiff, TiffTag.T4Options) & 7])],
        TiffCompression.CcittGroup4 => [new(TiffTag.T6Options, [header.Options(tiff, TiffTag.T6Options) & 2])],
        _ when header.HasPredictor => [new(TiffTag.Predictor, [2], IsShort: true)],
        _ => [],
    };

    private static byte[] Write(Entry[] entries, int bytes, bool little)
    {
        byte[] head = new byte[bytes];
        (little ? "II"u8 : "MM"u8).CopyTo(head);
        Half(2, 42);
        Word(4, 8);
        Half(8, (uint)entries.Length);
        int at = 10, values = 10 + 12 * entries.Length + 4;
        foreach (Entry entry in entries)
        {
            Half(at, (uint)entry.Tag);
            Half(at + 2, entry.IsShort ? 3u : 4u);
            Word(at + 4, (uint)entry.Values.Length);
            int place = at + 8;
            if (entry.ValueBytes > 4)
            {
                Word(at + 8, (uint)values);
                (place, values) = (values, values + entry.ValueBytes);
            }

            foreach (uint value in entry.Values)
            {
                if (entry.IsShort)
                {
                    Half(place, value);
                }
                else
                {
                    Word(place, value);
                }

                place += entry.IsShort ? 2 : 4;
            }

            at += 12;
        }

        return head;

        void Half(int place, uint value) => BinaryPrimitives.WriteUInt16LittleEndian(
            head.AsSpan(place), little ? (ushort)value : BinaryPrimitives.ReverseEndianness((ushort)value));

        void Word(int place, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(
            head.AsSpan(place), little ? value : BinaryPrimitives.ReverseEndianness(value));
    }

    /// <summary>Represents an entry of the directory, of SHORT or LONG numbers.</summary>
    private readonly record struct Entry(TiffTag Tag, uint[] Values, bool IsShort = false)
    {
        public int ValueBytes => Values.Length * (IsShort ? 2 : 4);
    }
}
