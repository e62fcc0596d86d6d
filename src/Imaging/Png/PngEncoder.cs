namespace TinyZsad.Imaging;

internal static class PngEncoder
{
    public static void Save(string path, ImageView view) => throw new NotSupportedException();
    public static void Save(Stream stream, ImageView view) => throw new NotSupportedException();
}
