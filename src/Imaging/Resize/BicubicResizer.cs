namespace TinyZsad.Imaging;

/// <summary>Pillow's <c>resize((width, height), BICUBIC)</c> on 8-bit pictures, equal to the last bit.</summary>
public static class BicubicResizer
{
    /// <inheritdoc cref="Resampler.Resize"/>
    public static void Resize(ImageView source, Span<byte> rgb, int width, int height) =>
        Resampler.Resize(source, rgb, width, height, ResampleFilter.Bicubic);
}
