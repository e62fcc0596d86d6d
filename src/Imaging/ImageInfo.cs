namespace TinyZsad.Imaging;

/// <summary>Describes an encoded picture.</summary>
/// <param name="Width">The width of the decoded picture, in pixels.</param>
/// <param name="Height">The height of the decoded picture, in pixels.</param>
/// <param name="Format">The file format: "JPEG", "PNG", "BMP", "PNM" or that of a package, such as "TIFF".</param>
public readonly record struct ImageInfo(int Width, int Height, string Format);
