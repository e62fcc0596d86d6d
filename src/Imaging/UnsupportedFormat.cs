namespace TinyZsad.Imaging;

/// <summary>Describes a file that no decoder recognises.</summary>
internal static class UnsupportedFormat
{
    /// <summary>Creates the exception for a file.</summary>
    /// <param name="data">The file.</param>
    /// <param name="supported">The formats that are decoded.</param>
    public static ImageFormatException Error(ReadOnlySpan<byte> data, IReadOnlyList<ImageFormat> supported)
    {
        string[] names = [.. supported.Select(format => format.Name)];
        string use = $"use {string.Join(", ", names[..^1])} or {names[^1]}";
        foreach (FileKind kind in FileKind.Known)
        {
            if (kind.Recognises(data))
            {
                return new ImageFormatException($"This is {kind.What}; {kind.Advice}; {use}.") { Format = kind.Name };
            }
        }

        return new ImageFormatException(data.IsEmpty
            ? $"The picture is empty (0 bytes); {use}."
            : $"Not a picture of a known format (its first bytes are {Convert.ToHexString(data[..Math.Min(8, data.Length)])}); " +
              $"{use}.") { Offset = 0 };
    }
}
