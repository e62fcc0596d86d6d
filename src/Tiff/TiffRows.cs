namespace TinyZsad.Imaging;

/// <summary>Reads the rows of the strips or tiles of a plane, decompressed, in the order in which they are stored.</summary>
internal abstract unsafe class TiffRows(TiffHeader header) : IDisposable
{
    protected TiffHeader Header { get; } = header;

    /// <summary>Creates the reader for a plane.</summary>
    /// <param name="tiff">The file.</param>
    /// <param name="start">The first byte of the file, which stays where it is while the reader is in use.</param>
    /// <param name="header">The header.</param>
    /// <param name="plane">The plane; 0 if the samples are not separate.</param>
    public static TiffRows Create(ReadOnlySpan<byte> tiff, byte* start, TiffHeader header, int plane) => header.Compression switch
    {
        TiffCompression.None => new PlainRows(header),
        TiffCompression.PackBits => new PackBitsRows(header),
        _ => new LibTiffRows(tiff, start, header, plane),
    };

    /// <summary>Reads a row.</summary>
    /// <param name="tiff">The file.</param>
    /// <param name="segment">The strip or tile.</param>
    /// <param name="index">Its index in the plane.</param>
    /// <param name="row">The row in it. The rows are read in order. Those at its end may be left out.</param>
    /// <returns><see cref="TiffHeader.RowBytes"/> bytes, the first bit of a sample in the highest bit.</returns>
    public abstract ReadOnlySpan<byte> Read(ReadOnlySpan<byte> tiff, TiffSegment segment, long index, int row);

    public virtual void Dispose()
    {
    }

    /// <summary>Reverses the order of the bits in each byte.</summary>
    private static void Reverse(Span<byte> bytes)
    {
        foreach (ref byte b in bytes)
        {
            b = Reverse(b);
        }
    }

    private static byte Reverse(byte b)
    {
        uint halves = (uint)((b & 0x0F) << 4 | b >> 4);
        uint pairs = (halves & 0x33) << 2 | halves >> 2 & 0x33;
        return (byte)((pairs & 0x55) << 1 | pairs >> 1 & 0x55);
    }

    /// <summary>Reads rows that are not compressed.</summary>
    private sealed class PlainRows(TiffHeader header) : TiffRows(header)
    {
        private readonly byte[] reversed = header.HasReversedBits ? new byte[header.RowBytes] : [];

        public override ReadOnlySpan<byte> Read(ReadOnlySpan<byte> tiff, TiffSegment segment, long index, int row)
        {
            ReadOnlySpan<byte> stored = tiff.Slice(segment.Offset + row * Header.RowBytes, Header.RowBytes);
            if (!Header.HasReversedBits)
            {
                return stored;
            }

            stored.CopyTo(this.reversed);
            Reverse(this.reversed);
            return this.reversed;
        }
    }

    /// <summary>
    /// Reads rows that are compressed with PackBits. Unlike LibTiff.NET, it lets a run go on in the next row, as some programs write it.
    /// </summary>
    private sealed class PackBitsRows(TiffHeader header) : TiffRows(header)
    {
        private const int NoOperation = 128;

        private readonly byte[] buffer = new byte[header.RowBytes];

        /// <summary>The next byte, in the strip or tile.</summary>
        private int at;

        /// <summary>The bytes that are left of a run, which repeats one byte, or of a literal.</summary>
        private int run, literal;

        public override ReadOnlySpan<byte> Read(ReadOnlySpan<byte> tiff, TiffSegment segment, long index, int row)
        {
            if (row == 0)
            {
                (this.at, this.run, this.literal) = (0, 0, 0);
            }

            ReadOnlySpan<byte> data = tiff.Slice(segment.Offset, segment.Bytes);
            for (Span<byte> left = this.buffer; left.Length > 0;)
            {
                if (this.run == 0 && this.literal == 0)
                {
                    StartRun(data, segment, row);
                }

                int count = Math.Min(this.run + this.literal, left.Length);
                if (this.run > 0)
                {
                    left[..count].Fill(data[this.at]);
                    this.run -= count;
                    this.at += this.run == 0 ? 1 : 0;
                }
                else
                {
                    data.Slice(this.at, count).CopyTo(left);
                    this.literal -= count;
                    this.at += count;
                }

                left = left[count..];
            }

            // The bytes in the file stay as they are, because runs are read from them.
            if (Header.HasReversedBits)
            {
                Reverse(this.buffer);
            }

            return this.buffer;
        }

        private void StartRun(ReadOnlySpan<byte> data, TiffSegment segment, int row)
        {
            int code = NoOperation;
            while (code == NoOperation)
            {
                code = this.at >= data.Length ? 0 : Header.HasReversedBits ? Reverse(data[this.at]) : data[this.at];
                this.at++;
            }

            int needed = code < NoOperation ? code + 1 : 1;
            if (data.Length - this.at < needed)
            {
                throw TiffDecoder.Error(segment.Offset + data.Length, $"the PackBits data of {Header.Name(segment)} end in row {row} of " +
                    $"{segment.Height}; they are cut off or damaged.");
            }

            (this.run, this.literal) = code < NoOperation ? (0, code + 1) : (257 - code, 0);
        }
    }
}
