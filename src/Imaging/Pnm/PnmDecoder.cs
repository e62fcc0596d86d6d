using System.Buffers.Binary;

namespace TinyZsad.Imaging;

/// <summary>
/// Decodes Netpbm's PBM, PGM and PPM, plain (P1 to P3) and raw (P4 to P6), and PAM (P7). Samples are scaled to 0..255 and rounded
/// half to even, like in Pillow. Only the first of several pictures is decoded.
/// </summary>
internal static class PnmDecoder
{
    public const string Format = "PNM";

    /// <summary>The pixels of 16-bit samples that are converted at once.</summary>
    private const int PortionPixels = 1024;

    public static IReadOnlyList<string> Extensions { get; } = [".pnm", ".pbm", ".pgm", ".ppm", ".pam"];

    public static bool Recognises(ReadOnlySpan<byte> data) =>
        data is [(byte)'P', >= (byte)'1' and <= (byte)'7', var next, ..] && (PnmTokens.IsSpace(next) || next == '#');

    public static (int Width, int Height) ReadSize(ReadOnlySpan<byte> data, ImageLoadOptions options)
    {
        PnmTokens tokens = new PnmTokens(data, 2);
        PnmHeader header = ReadHeader(ref tokens, data[1] - '0', options.Limits);
        return (header.Width, header.Height);
    }

    public static void Decode(ReadOnlySpan<byte> data, DecodingContext context)
    {
        int kind = data[1] - '0';
        PnmTokens tokens = new PnmTokens(data, 2);
        PnmHeader header = ReadHeader(ref tokens, kind, context.Limits);
        switch (kind)
        {
            case 1:
                DecodePlainBits(ref tokens, header, context);
                break;
            case 2 or 3:
                DecodePlain(ref tokens, header, context);
                break;
            case 4:
                DecodeBits(tokens.Rest, header, context);
                break;
            default:
                DecodeSamples(tokens.Rest, header, context);
                break;
        }
    }

    private static PnmHeader ReadHeader(ref PnmTokens tokens, int kind, ImageLimits limits) =>
        kind == 7 ? PnmHeader.ReadPam(ref tokens, limits) : PnmHeader.Read(ref tokens, kind, limits);

    /// <summary>Decodes P1: a digit per pixel, 1 for black, with or without white space between the digits.</summary>
    private static void DecodePlainBits(ref PnmTokens tokens, PnmHeader header, DecodingContext context)
    {
        RequireBytes(tokens.Rest.Length, (long)header.Width * header.Height, header);
        Span<byte> pixels = context.Allocate(header.Width, header.Height).Span;
        for (int i = 0; i < pixels.Length; i += 3)
        {
            CheckNowAndThen(i, context);
            pixels.Slice(i, 3).Fill(tokens.NextBit() ? (byte)0 : (byte)255);
        }
    }

    /// <summary>Decodes P2 and P3: decimal samples.</summary>
    private static void DecodePlain(ref PnmTokens tokens, PnmHeader header, DecodingContext context)
    {
        // A sample takes at least a digit, and a space before the next sample.
        RequireBytes(tokens.Rest.Length, 2L * header.Width * header.Height * header.Channels - 1, header);
        Span<byte> pixels = context.Allocate(header.Width, header.Height).Span;
        if (header.MaxValue == PnmHeader.LargestMaxValue)
        {
            DecodePlain16(ref tokens, header, pixels, context);
            return;
        }

        byte[] levels = Levels(header.MaxValue);
        for (int i = 0; i < pixels.Length; i += 3)
        {
            CheckNowAndThen(i, context);
            Span<byte> pixel = pixels.Slice(i, 3);
            pixel[0] = levels[tokens.NextNumber("a sample", 0, header.MaxValue)];
            if (header.Channels == 3)
            {
                pixel[1] = levels[tokens.NextNumber("a sample", 0, header.MaxValue)];
                pixel[2] = levels[tokens.NextNumber("a sample", 0, header.MaxValue)];
            }
            else
            {
                pixel[1..].Fill(pixel[0]);
            }
        }
    }

    /// <summary>Decodes decimal samples of 16 bits, a portion at a time.</summary>
    private static void DecodePlain16(ref PnmTokens tokens, PnmHeader header, Span<byte> pixels, DecodingContext context)
    {
        Span<ushort> samples = stackalloc ushort[3 * PortionPixels];
        Span<byte> levels = stackalloc byte[3 * PortionPixels];
        while (pixels.Length > 0)
        {
            context.ThrowIfCancelled();
            int count = Math.Min(PortionPixels, pixels.Length / 3);
            Span<ushort> portion = samples[..(count * header.Channels)];
            for (int i = 0; i < portion.Length; i++)
            {
                portion[i] = (ushort)tokens.NextNumber("a sample", 0, header.MaxValue);
            }

            context.NarrowRow(portion, levels, rounded: true);
            PixelRows.ToRgb(levels[..portion.Length], pixels, header.Channels);
            pixels = pixels[(3 * count)..];
        }
    }

    /// <summary>Decodes P4: a bit per pixel, the highest first, 1 for black. Each row starts with a new byte.</summary>
    private static void DecodeBits(ReadOnlySpan<byte> data, PnmHeader header, DecodingContext context)
    {
        int rowBytes = (header.Width + 7) / 8;
        RequireBytes(data.Length, (long)rowBytes * header.Height, header);
        Span<byte> pixels = context.Allocate(header.Width, header.Height).Span;
        for (int y = 0, to = 0; y < header.Height; y++)
        {
            context.ThrowIfCancelled();
            ReadOnlySpan<byte> row = data.Slice(y * rowBytes, rowBytes);
            for (int x = 0; x < header.Width; x++, to += 3)
            {
                pixels.Slice(to, 3).Fill((row[x >> 3] >> (7 - (x & 7)) & 1) == 0 ? (byte)255 : (byte)0);
            }
        }
    }

    /// <summary>
    /// Decodes P5, P6 and P7: binary samples of one byte or, if the maximum is above 255, of two bytes, the higher first.
    /// </summary>
    private static void DecodeSamples(ReadOnlySpan<byte> data, PnmHeader header, DecodingContext context)
    {
        int sampleBytes = header.MaxValue > 255 ? 2 : 1, pixelBytes = sampleBytes * header.Channels;
        RequireBytes(data.Length, (long)header.Width * header.Height * pixelBytes, header);
        Span<byte> pixels = context.Allocate(header.Width, header.Height).Span;
        if (header.MaxValue == 255)
        {
            int from = header.Width * pixelBytes, to = header.Width * 3;
            for (int y = 0; y < header.Height; y++)
            {
                context.ThrowIfCancelled();
                PixelRows.ToRgb(data.Slice(y * from, from), pixels.Slice(y * to, to), header.Channels);
            }

            return;
        }

        if (header.MaxValue == PnmHeader.LargestMaxValue)
        {
            Decode16(data, header, pixels, context);
            return;
        }

        byte[] levels = Levels(header.MaxValue);
        for (int i = 0, from = 0; i < pixels.Length; i++)
        {
            // Gray is read three times from the same place. Alpha is skipped.
            int channel = header.Channels < 3 ? 0 : i % 3;
            int at = from + channel * sampleBytes;
            int sample = sampleBytes == 2 ? BinaryPrimitives.ReadUInt16BigEndian(data[at..]) : data[at];
            pixels[i] = levels[Math.Min(sample, header.MaxValue)];
            from += i % 3 == 2 ? pixelBytes : 0;
            CheckNowAndThen(i, context);
        }
    }

    /// <summary>Decodes binary samples of 16 bits, a portion at a time.</summary>
    private static void Decode16(ReadOnlySpan<byte> data, PnmHeader header, Span<byte> pixels, DecodingContext context)
    {
        int alphaEvery = header.Channels is 2 or 4 ? header.Channels : 0;
        Span<byte> levels = stackalloc byte[4 * PortionPixels];
        while (pixels.Length > 0)
        {
            context.ThrowIfCancelled();
            int count = Math.Min(PortionPixels, pixels.Length / 3), samples = count * header.Channels;
            context.NarrowBigEndianRow(data[..(2 * samples)], levels, alphaEvery, rounded: true);
            PixelRows.ToRgb(levels[..samples], pixels, header.Channels);
            data = data[(2 * samples)..];
            pixels = pixels[(3 * count)..];
        }
    }

    /// <summary>Checks for cancellation at one of some ten thousand indices.</summary>
    private static void CheckNowAndThen(int i, DecodingContext context)
    {
        if ((i & 0xFFFF) < 3)
        {
            context.ThrowIfCancelled();
        }
    }

    private static byte[] Levels(int maxValue)
    {
        byte[] levels = new byte[maxValue + 1];
        for (int v = 0; v <= maxValue; v++)
        {
            levels[v] = (byte)Math.Round(v / (double)maxValue * 255);
        }

        return levels;
    }

    private static void RequireBytes(long available, long needed, PnmHeader header)
    {
        if (available < needed)
        {
            throw FormatError.Pnm(null, $"{header.Width} x {header.Height} pixels with {header.Channels} channel(s) " +
                $"up to {header.MaxValue} take at least {needed} bytes after the header; there are {available}.");
        }
    }
}
