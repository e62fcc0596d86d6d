namespace TinyZsad.Imaging;

/// <summary>
/// The kernel by which resizing weighs neighbouring pixels; its argument is a distance in pixels of the coarser grid.
/// </summary>
public enum ResampleFilter
{
    /// <summary>Keys' cubic with a = -0.5, 2 wide on each side: Pillow's BICUBIC.</summary>
    Bicubic,

    /// <summary>The triangle, 1 wide on each side: Pillow's BILINEAR.</summary>
    Bilinear,
}

/// <summary>The kernels' values, in the same order of operations as Pillow's, so that they agree to the last bit.</summary>
internal static class ResampleFilters
{
    /// <summary>How far the kernel reaches on each side.</summary>
    public static double Support(this ResampleFilter filter) => filter switch
    {
        ResampleFilter.Bicubic => 2,
        ResampleFilter.Bilinear => 1,
        _ => throw new ArgumentOutOfRangeException(nameof(filter), filter, "Not a resampling filter."),
    };

    /// <summary>The kernel at a signed distance; 0 beyond its support.</summary>
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
