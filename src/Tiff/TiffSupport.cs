namespace TinyZsad.Imaging;

/// <summary>Tells what is supported from what is not, and names the latter.</summary>
internal static class TiffSupport
{
    public static TiffCompression Compression(TiffDirectory directory, long number)
    {
        if (number is >= 0 and <= ushort.MaxValue && Enum.IsDefined((TiffCompression)number))
        {
            return (TiffCompression)number;
        }

        string name = number switch
        {
            6 => "old-style JPEG",
            9 or 10 or 34661 => "JBIG",
            32766 => "NeXT",
            32809 => "ThunderScan",
            32908 or 32909 => "Pixar",
            34676 or 34677 => "LogLuv",
            33003 or 33004 or 33005 or 34712 => "JPEG 2000",
            34887 => "LERC",
            34892 => "lossy DNG",
            34925 => "LZMA",
            34926 or 50000 => "ZSTD",
            34927 or 50001 => "WebP",
            34933 => "PNG",
            34934 => "JPEG XR",
            50002 or 52546 => "JPEG XL",
            _ => "an unknown one",
        };
        throw TiffDecoder.Error(directory.Offset, $"the compression is {number} ({name}), which is not supported; " +
            "supported are none (1), CCITT (2, 3, 4), LZW (5), JPEG (7), Deflate (8, 32946) and PackBits (32773).");
    }

    public static TiffPhotometric Photometric(TiffDirectory directory, long number)
    {
        if (number is >= 0 and <= ushort.MaxValue && Enum.IsDefined((TiffPhotometric)number))
        {
            return (TiffPhotometric)number;
        }

        string name = number switch
        {
            4 => "a transparency mask",
            8 => "CIE L*a*b*",
            9 => "ICC L*a*b*",
            10 => "ITU L*a*b*",
            32803 => "the raw data of a colour filter array",
            32844 => "LogL",
            32845 => "LogLuv",
            34892 => "linear raw data",
            _ => "unknown",
        };
        throw TiffDecoder.Error(directory.Offset, $"the photometric interpretation is {number} ({name}), which is not supported; " +
            "supported are gray (0, 1), RGB (2), palette (3), CMYK (5) and YCbCr (6).");
    }

    public static void CheckSampleFormat(TiffDirectory directory, long number)
    {
        // Undefined samples (4) are taken for integers, like libtiff takes them.
        if (number is not (1 or 4))
        {
            string name = number switch
            {
                2 => "signed integers",
                3 => "floating-point numbers",
                5 or 6 => "complex numbers",
                _ => "unknown",
            };
            throw TiffDecoder.Error(directory.Offset, $"the samples have format {number} ({name}), which is not supported; " +
                "they must be unsigned integers (1) of at most 16 bits.");
        }
    }
}
