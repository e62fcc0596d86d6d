using System.Buffers.Binary;

namespace TinyZsad.Imaging;

/// <summary>
/// Netpbm's PBM, PGM and PPM, plain (P1 to P3) and raw (P4 to P6), and PAM (P7). A sample v of at most maxval becomes
/// v / maxval * 255, rounded to the nearest, an exact half to the even number, as Pillow does. Of several pictures, the first.
/// </summary>
internal static class PnmDecoder
{
    public static bool Recognises(ReadOnlySpan<byte> data) =>
        data is [(byte)'P', >= (byte)'1' and <= (byte)'7', var next, ..] && (PnmTokens.IsSpace(next) || next == '#');

    public static Image Decode(ReadOnlySpan<byte> data, ImageLimits limits)
    {
        int kind = data[1] - '0';
        PnmTokens tokens = new PnmTokens(data, 2);
        PnmHeader header = kind == 7 ? PnmHeader.ReadPam(ref tokens, limits) : PnmHeader.Read(ref tokens, kind, limits);
        return kind switch
        {
            1 => DecodePlainBits(ref tokens, header),
            2 or 3 => DecodePlain(ref tokens, header),
            4 => DecodeBits(tokens.Rest, header),
            _ => DecodeSamples(tokens.Rest, header),
        };
    }

    /// <summary>P1: a digit a pixel, 1 for black; space between them is not needed.</summary>
    private static Image DecodePlainBits(ref PnmTokens tokens, PnmHeader header)
    {
        RequireBytes(tokens.Rest.Length, (long)header.Width * header.Height, header);
        byte[] pixels = Image.AllocatePixels(header.Width, header.Height);
        for (int i = 0; i < pixels.Length; i += 3)
        {
            pixels.AsSpan(i, 3).Fill(tokens.NextBit() ? (byte)0 : (byte)255);
        }

        return new Image(header.Width, header.Height, pixels);
    }

    /// <summary>P2, P3: decimal samples.</summary>
    private static Image DecodePlain(ref PnmTokens tokens, PnmHeader header)
    {
        // A digit each and a space between them is the least.
        RequireBytes(tokens.Rest.Length, 2L * header.Width * header.Height * header.Channels - 1, header);
        byte[] pixels = Image.AllocatePixels(header.Width, header.Height);
        byte[] levels = Levels(header.MaxValue);
        for (int i = 0; i < pixels.Length; i += 3)
        {
            Span<byte> pixel = pixels.AsSpan(i, 3);
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

        return new Image(header.Width, header.Height, pixels);
    }

    /// <summary>P4: a bit a pixel, the highest first, 1 for black; each row starts a byte.</summary>
    private static Image DecodeBits(ReadOnlySpan<byte> data, PnmHeader header)
    {
        int rowBytes = (header.Width + 7) / 8;
        RequireBytes(data.Length, (long)rowBytes * header.Height, header);
        byte[] pixels = Image.AllocatePixels(header.Width, header.Height);
        for (int y = 0, to = 0; y < header.Height; y++)
        {
            ReadOnlySpan<byte> row = data.Slice(y * rowBytes, rowBytes);
            for (int x = 0; x < header.Width; x++, to += 3)
            {
                pixels.AsSpan(to, 3).Fill((row[x >> 3] >> (7 - (x & 7)) & 1) == 0 ? (byte)255 : (byte)0);
            }
        }

        return new Image(header.Width, header.Height, pixels);
    }

    /// <summary>P5, P6, P7: binary samples of one byte, or of two, the higher first, where maxval is above 255.</summary>
    private static Image DecodeSamples(ReadOnlySpan<byte> data, PnmHeader header)
    {
        int sampleBytes = header.MaxValue > 255 ? 2 : 1, pixelBytes = sampleBytes * header.Channels;
        RequireBytes(data.Length, (long)header.Width * header.Height * pixelBytes, header);
        byte[] pixels = Image.AllocatePixels(header.Width, header.Height);
        if (header is { MaxValue: 255, Channels: not 2 })
        {
            PixelFormat format = header.Channels switch
            {
                1 => PixelFormat.Gray8,
                3 => PixelFormat.Rgb24,
                _ => PixelFormat.Rgba32,
            };
            PixelRows.ToRgb(new ImageView(data, header.Width, header.Height, format), pixels);
            return new Image(header.Width, header.Height, pixels);
        }

        byte[] levels = Levels(header.MaxValue);
        for (int i = 0, from = 0; i < pixels.Length; i++)
        {
            // Gray is read three times from the same place; opacity, where there is one, is skipped.
            int channel = header.Channels < 3 ? 0 : i % 3;
            int at = from + channel * sampleBytes;
            int sample = sampleBytes == 2 ? BinaryPrimitives.ReadUInt16BigEndian(data[at..]) : data[at];
            pixels[i] = levels[Math.Min(sample, header.MaxValue)];
            from += i % 3 == 2 ? pixelBytes : 0;
        }

        return new Image(header.Width, header.Height, pixels);
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
            throw new ImageFormatException($"PNM: {header.Width} x {header.Height} pixels with {header.Channels} channel(s) " +
                $"up to {header.MaxValue} take at least {needed} bytes after the header; there are {available}.");
        }
    }
}
