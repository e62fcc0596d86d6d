namespace TinyZsad.Imaging;

/// <summary>Represents the header of a PNM or PAM. The last of 2 or 4 channels is alpha.</summary>
internal readonly record struct PnmHeader(int Width, int Height, int Channels, int MaxValue)
{
    public const int LargestMaxValue = 65535;

    /// <summary>Reads the header of P1 to P6, with the white space before the pixels.</summary>
    public static PnmHeader Read(ref PnmTokens tokens, int kind, ImageLimits limits)
    {
        int width = tokens.NextNumber("the width", 1, int.MaxValue), height = tokens.NextNumber("the height", 1, int.MaxValue);
        limits.CheckSize(PnmDecoder.Format, 2, width, height);
        int maxValue = kind is 1 or 4 ? 1 : tokens.NextNumber("the largest sample", 1, LargestMaxValue);
        tokens.SkipOneSpace();
        return new PnmHeader(width, height, kind is 3 or 6 ? 3 : 1, maxValue);
    }

    /// <summary>Reads the header of P7: names and values in any order, up to ENDHDR.</summary>
    public static PnmHeader ReadPam(ref PnmTokens tokens, ImageLimits limits)
    {
        int width = 0, height = 0, depth = 0, maxValue = 0;
        while (true)
        {
            string name = tokens.NextWord(out int start);
            switch (name)
            {
                case "WIDTH":
                    width = tokens.NextNumber("WIDTH", 1, int.MaxValue);
                    break;
                case "HEIGHT":
                    height = tokens.NextNumber("HEIGHT", 1, int.MaxValue);
                    break;
                case "DEPTH":
                    depth = tokens.NextNumber("DEPTH (channels)", 1, 4);
                    break;
                case "MAXVAL":
                    maxValue = tokens.NextNumber("MAXVAL", 1, LargestMaxValue);
                    break;
                case "TUPLTYPE":
                    // The number of channels suffices.
                    tokens.SkipLine();
                    break;
                case "ENDHDR":
                    if (width == 0 || height == 0 || depth == 0 || maxValue == 0)
                    {
                        throw FormatError.Pnm(tokens.Offset, $"the PAM header has WIDTH {width}, HEIGHT {height}, " +
                            $"DEPTH {depth}, MAXVAL {maxValue}, 0 where missing; none may be missing.");
                    }

                    tokens.EndLine();
                    limits.CheckSize(PnmDecoder.Format, 2, width, height);
                    return new PnmHeader(width, height, depth, maxValue);
                default:
                    throw FormatError.Pnm(start, $"the PAM header has a line that starts with \"{name}\" before offset " +
                        $"{tokens.Offset}; known are WIDTH, HEIGHT, DEPTH, MAXVAL, TUPLTYPE and ENDHDR.");
            }
        }
    }
}
