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
        if (NameOf(data) is { } name)
        {
            string how = name == "TIFF" ? $"add the package TinyZsad.Tiff, or {use}" : use;
            return new ImageFormatException($"This is a {name}; {name} is not supported; {how}.") { Format = name };
        }

        return new ImageFormatException(data.IsEmpty
            ? $"The picture is empty (0 bytes); {use}."
            : $"Not a picture of a known format (its first bytes are {Convert.ToHexString(data[..Math.Min(8, data.Length)])}); " +
              $"{use}.") { Offset = 0 };
    }

    /// <summary>Returns the name of a format that is recognised but not decoded; null for unknown data.</summary>
    private static string? NameOf(ReadOnlySpan<byte> data) => data switch
    {
        [(byte)'G', (byte)'I', (byte)'F', (byte)'8', ..] => "GIF",
        [(byte)'I', (byte)'I', 42, 0, ..] or [(byte)'M', (byte)'M', 0, 42, ..] => "TIFF",
        [(byte)'I', (byte)'I', 43, 0, ..] or [(byte)'M', (byte)'M', 0, 43, ..] => "BigTIFF",
        [(byte)'R', (byte)'I', (byte)'F', (byte)'F', _, _, _, _, (byte)'W', (byte)'E', (byte)'B', (byte)'P', ..] => "WebP",
        _ => null,
    };
}
