using System.Buffers.Binary;
using System.IO.Compression;

namespace TinyZsad.Imaging;

/// <summary>
/// Filters and compresses the bands of a large picture on the thread pool. Each band is compressed on its own and ends at a byte
/// boundary (a sync flush), so that the bands one after the other are one zlib stream.
/// </summary>
internal static unsafe class PngBandWriter
{
    /// <summary>The bytes per band: a compromise between parallelism and the matches that are lost at the start of a band.</summary>
    public const int BandBytes = 1 << 20;

    /// <summary>The bands that are compressed before they are written, which bounds the memory.</summary>
    private const int BandsAtOnce = 32;

    /// <summary>The zlib header for a window of 32 KiB and the default compression level.</summary>
    private static ReadOnlySpan<byte> ZlibHeader => [0x78, 0x9C];

    /// <summary>Writes the IDAT chunks of a picture.</summary>
    /// <param name="stream">The stream to write to.</param>
    /// <param name="view">The picture.</param>
    /// <param name="bandRows">The rows per band.</param>
    public static void Write(Stream stream, ImageView view, int bandRows)
    {
        int bands = (view.Height - 1) / bandRows + 1;
        (int width, int height, int stride, PixelFormat format, int bits) =
            (view.Width, view.Height, view.Stride, view.Format, view.SignificantBits);
        Band[] batch = new Band[Math.Min(bands, BandsAtOnce)];
        uint checksum = Adler32.Empty;
        fixed (byte* top = &view.Top)
        {
            // A lambda captures neither pointers nor views.
            nint address = (nint)top;
            for (int first = 0; first < bands; first += batch.Length)
            {
                int start = first, count = Math.Min(batch.Length, bands - first);
                Parallel.For(0, count, i =>
                {
                    int from = (start + i) * bandRows, to = (int)Math.Min((long)from + bandRows, height);
                    ImageView picture = new ImageView(address, width, height, stride, format) { SignificantBits = bits };
                    (batch[i] ??= new Band()).Compress(picture, from, to);
                });
                for (int i = 0; i < count; i++)
                {
                    checksum = Adler32.Combine(checksum, batch[i].Checksum, batch[i].Length);
                    Write(stream, batch[i], start + i == 0, start + i == bands - 1, checksum);
                }
            }
        }
    }

    private static void Write(Stream stream, Band band, bool isFirst, bool isLast, uint checksum)
    {
        Span<byte> end = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(end, checksum);
        PngChunkWriter.Write(stream, PngChunk.Idat, isFirst ? ZlibHeader : [], band.Compressed, isLast ? end : []);
    }

    private sealed class Band
    {
        private byte[] compressed = [];
        private int compressedBytes;

        public ReadOnlySpan<byte> Compressed => this.compressed.AsSpan(0, compressedBytes);

        /// <summary>The Adler-32 of the filtered rows.</summary>
        public uint Checksum { get; private set; }

        /// <summary>The bytes of the filtered rows.</summary>
        public long Length { get; private set; }

        public void Compress(ImageView picture, int from, int to)
        {
            (Checksum, Length) = (Adler32.Empty, 0);
            using MemoryStream target = new MemoryStream();
            PngRowFilter filter = new PngRowFilter(picture.Width, picture.Format.Channels());
            if (from > 0)
            {
                filter.Skip(picture, from - 1);
            }

            using (DeflateStream deflater = new DeflateStream(target, CompressionLevel.Optimal, leaveOpen: true))
            {
                for (int y = from; y < to; y++)
                {
                    ReadOnlySpan<byte> row = filter.Apply(picture, y);
                    Checksum = Adler32.Append(Checksum, row);
                    Length += row.Length;
                    deflater.Write(row);
                }

                deflater.Flush();
                compressedBytes = (int)target.Length;
            }

            // Disposing of the deflater appends an empty block that ends the stream. Only the last band needs it.
            if (to == picture.Height)
            {
                compressedBytes = (int)target.Length;
            }

            this.compressed = target.GetBuffer();
        }
    }
}
