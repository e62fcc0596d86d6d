using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace TinyZsad.Imaging;

/// <summary>Converts rows of samples to RGB.</summary>
internal sealed class TiffPixels
{
    private readonly TiffHeader header;
    private readonly DecodingContext context;
    private readonly byte[] palette;

    /// <summary>The samples of a row that are needed: as bytes, and before that, if they have 16 bits, in the processor's order.</summary>
    private readonly byte[] levels;
    private readonly ushort[] deep;

    /// <summary>Whether 16-bit samples have their high byte first.</summary>
    private readonly bool isHighFirst;

    private int width;

    /// <param name="header">The header.</param>
    /// <param name="palette">The palette as RGB; empty if there is none.</param>
    /// <param name="context">Narrows 16-bit samples.</param>
    public TiffPixels(TiffHeader header, byte[] palette, DecodingContext context)
    {
        (this.header, this.palette, this.context) = (header, palette, context);
        int samples = Math.Min(header.SegmentWidth, header.Width) * header.Channels;
        this.levels = new byte[samples];
        this.deep = header.Bits == 16 ? new ushort[samples] : [];
        this.isHighFirst = IsStoredOrder(header) ? !header.IsLittleEndian : !BitConverter.IsLittleEndian;
    }

    /// <summary>
    /// Determines whether 16-bit samples come in the order of the file. LibTiff.NET changes it to the processor's, but not where there are
    /// no differences to add: in rows of one pixel with a predictor.
    /// </summary>
    private static bool IsStoredOrder(TiffHeader header) => header.Compression is TiffCompression.None or TiffCompression.PackBits
        || (header.HasPredictor && header.SegmentWidth == 1);

    /// <summary>Adds a row of a plane.</summary>
    /// <param name="row">The samples as they are stored.</param>
    /// <param name="plane">The plane; 0 if the samples are not separate.</param>
    /// <param name="width">The pixels that are needed.</param>
    public void Add(ReadOnlySpan<byte> row, int plane, int width)
    {
        this.width = width;
        int channels = this.header.Channels, step = this.header.IsSeparate ? 1 : this.header.Samples;
        int count = this.header.IsSeparate ? 1 : channels;
        switch (this.header.Bits)
        {
            case 8 when step == channels:
                row[..(width * channels)].CopyTo(this.levels);
                break;
            case 8:
                for (int x = 0; x < width; x++)
                {
                    row.Slice(x * step, count).CopyTo(this.levels.AsSpan(x * channels + plane));
                }

                break;
            case 16:
                ReadOnlySpan<ushort> samples = MemoryMarshal.Cast<byte, ushort>(row);
                for (int x = 0; x < width; x++)
                {
                    samples.Slice(x * step, count).CopyTo(this.deep.AsSpan(x * channels + plane));
                }

                break;
            default:
                Unpack(row, plane, step, count);
                break;
        }
    }

    /// <summary>Converts the row, of which all planes are added.</summary>
    public void ToRgb(Span<byte> rgb)
    {
        Span<byte> levels = this.levels.AsSpan(0, this.width * this.header.Channels);
        if (this.header.Bits == 16)
        {
            Span<ushort> deep = this.deep.AsSpan(0, levels.Length);
            if (this.isHighFirst == BitConverter.IsLittleEndian)
            {
                BinaryPrimitives.ReverseEndianness(deep, deep);
            }

            this.context.NarrowRow(deep, levels, alphaEvery: this.header.IsPremultiplied ? 4 : 0);
        }

        switch (this.header.Photometric)
        {
            case TiffPhotometric.WhiteIsZero:
                Invert(levels);
                PixelRows.ToRgb(levels, rgb, PixelFormat.Gray8);
                break;
            case TiffPhotometric.BlackIsZero:
                PixelRows.ToRgb(levels, rgb, PixelFormat.Gray8);
                break;
            case TiffPhotometric.Palette:
                for (int x = 0; x < levels.Length; x++)
                {
                    this.palette.AsSpan(3 * levels[x], 3).CopyTo(rgb[(3 * x)..]);
                }

                break;
            case TiffPhotometric.Separated:
                FromInks(levels, rgb);
                break;
            default:
                if (this.header.IsPremultiplied)
                {
                    Divide(levels, rgb);
                }
                else
                {
                    levels.CopyTo(rgb);
                }

                break;
        }
    }

    public static void Invert(Span<byte> levels)
    {
        foreach (ref byte level in levels)
        {
            level = (byte)~level;
        }
    }

    /// <summary>Reads samples that are not whole bytes, and scales them by their own depth: up by factors, down by cutting bits.</summary>
    private void Unpack(ReadOnlySpan<byte> row, int plane, int step, int count)
    {
        int bits = this.header.Bits, channels = this.header.Channels, mask = (1 << bits) - 1;
        int factor = bits > 8 || this.header.Photometric == TiffPhotometric.Palette ? 1 : 255 / mask, shift = Math.Max(bits - 8, 0);
        for (int x = 0; x < this.width; x++)
        {
            for (int c = 0; c < count; c++)
            {
                long bit = ((long)x * step + c) * bits;
                int at = (int)(bit >> 3), end = (int)(bit & 7) + bits;
                int window = row[at] << 16 | (end > 8 ? row[at + 1] << 8 : 0) | (end > 16 ? row[at + 2] : 0);
                this.levels[x * channels + plane + c] = (byte)((window >> (24 - end) & mask) * factor >> shift);
            }
        }
    }

    /// <summary>Converts CMYK, where 255 is full ink, like Pillow.</summary>
    private static void FromInks(ReadOnlySpan<byte> inks, Span<byte> rgb)
    {
        for (int from = 0, to = 0; from < inks.Length; from += 4)
        {
            int light = 255 - inks[from + 3];
            for (int c = 0; c < 3; c++)
            {
                int product = inks[from + c] * light + 128;
                rgb[to++] = (byte)(light - ((product + (product >> 8)) >> 8));
            }
        }
    }

    /// <summary>Divides colours by the alpha that they are multiplied with, like Pillow.</summary>
    private static void Divide(ReadOnlySpan<byte> rgba, Span<byte> rgb)
    {
        for (int from = 0, to = 0; from < rgba.Length; from += 4)
        {
            int alpha = rgba[from + 3];
            for (int c = 0; c < 3; c++)
            {
                rgb[to++] = alpha == 0 ? (byte)0 : (byte)Math.Min(rgba[from + c] * 255 / alpha, 255);
            }
        }
    }
}
