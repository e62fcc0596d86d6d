namespace TinyZsad.Imaging;

/// <summary>Specifies the filter that <see cref="Resampler"/> uses.</summary>
internal enum ResampleFilter
{
    /// <summary>Cubic convolution with a = -0.5 and a support of 2 pixels, like Pillow's BICUBIC.</summary>
    Bicubic,

    /// <summary>The triangle filter with a support of 1 pixel, like Pillow's BILINEAR.</summary>
    Bilinear,
}

/// <summary>Evaluates the filters with the same order of operations as Pillow, so that the results are equal bit by bit.</summary>
internal static class ResampleFilters
{
    /// <summary>Returns the support on each side, in pixels of the coarser grid.</summary>
    public static double Support(this ResampleFilter filter) => filter switch
    {
        ResampleFilter.Bicubic => 2,
        ResampleFilter.Bilinear => 1,
        _ => throw new ArgumentOutOfRangeException(nameof(filter), filter, "Not a resampling filter."),
    };

    /// <summary>Returns the filter at a signed distance.</summary>
    public static double Weight(this ResampleFilter filter, double x)
    {
        x = Math.Abs(x);
        return filter == ResampleFilter.Bilinear
            ? x < 1 ? 1 - x : 0
            : x < 1 ? ((-0.5 + 2) * x - (-0.5 + 3)) * x * x + 1
            : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5
            : 0;
    }
}
