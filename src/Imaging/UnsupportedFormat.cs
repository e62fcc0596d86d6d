namespace TinyZsad.Imaging;

/// <summary>Describes a file that no decoder recognises.</summary>
internal static class UnsupportedFormat
{
    /// <summary>Creates the exception for a file.</summary>
    /// <param name="data">The file.</param>
    /// <param name="formats">The formats that are decoded.</param>
    public static ImageFormatException Error(ReadOnlySpan<byte> data, IReadOnlyList<ImageFormat> formats)
    {
        string[] names = [.. formats.Select(format => format.Name)];
        string all = string.Join(", ", names[..^1]), use = $"use {all} or {names[^1]}";
        foreach (FileKind kind in FileKind.Known)
        {
            if (kind.Recognises(data))
            {
                string supported = $"{all} and {names[^1]} are supported";
                return new ImageFormatException($"This is {kind.What}; {kind.Advice} ({supported}).") { Format = kind.Name };
            }
        }

        return new ImageFormatException(data.IsEmpty
            ? $"The picture is empty (0 bytes); {use}."
            : $"Not a picture of a known format (its first bytes are {Convert.ToHexString(data[..Math.Min(8, data.Length)])}); " +
              $"{use}.") { Offset = 0 };
    }
}
