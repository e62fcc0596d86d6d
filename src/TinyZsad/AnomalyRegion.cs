using System.Drawing;
using System.Text.Json.Serialization;

namespace TinyZsad;

/// <summary>
/// A connected area of a picture in which every pixel's score reaches a threshold. Pixels that touch at a side or a corner are
/// connected. Coordinates are pixels of the picture, counted from its top left corner.
/// </summary>
/// <param name="X">The left edge of the bounding box.</param>
/// <param name="Y">The top edge of the bounding box.</param>
/// <param name="Width">The width of the bounding box; at least 1.</param>
/// <param name="Height">The height of the bounding box; at least 1.</param>
/// <param name="Area">The number of pixels in the region.</param>
/// <param name="Peak">The highest score in the region.</param>
/// <param name="PeakX">The column of the first pixel, row by row, that has the highest score.</param>
/// <param name="PeakY">The row of that pixel.</param>
/// <param name="Mean">The mean score of the region's pixels.</param>
/// <param name="CentroidX">The mean column of the region's pixels.</param>
/// <param name="CentroidY">The mean row of the region's pixels.</param>
public sealed record AnomalyRegion(int X, int Y, int Width, int Height, long Area, float Peak, int PeakX, int PeakY, float Mean,
    float CentroidX, float CentroidY)
{
    /// <summary>Gets the bounding box, for example for <see cref="Imaging.OverlayOptions.Boxes"/>.</summary>
    [JsonIgnore]
    public Rectangle Bounds => new(X, Y, Width, Height);
}

/// <summary>Specifies which regions <see cref="AnomalyResult.Regions"/> returns.</summary>
public sealed record RegionOptions
{
    /// <summary>Gets the fewest pixels of a region; at least 1. Smaller regions are left out. The default is 1.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is less than 1.</exception>
    public int MinimumArea
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            field = value;
        }
    } = 1;

    /// <summary>Gets the most regions to return, the largest first; at least 1. The default is no limit.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is less than 1.</exception>
    public int MaximumCount
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            field = value;
        }
    } = int.MaxValue;
}
