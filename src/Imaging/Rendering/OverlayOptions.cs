using System.Drawing;

namespace TinyZsad.Imaging;

/// <summary>Specifies how <see cref="Overlay"/> draws a picture with an anomaly map.</summary>
public sealed record OverlayOptions
{
    /// <summary>Gets the value of the map that is drawn transparent, like all values below it. The default is 0.</summary>
    public float Low { get; init; }

    /// <summary>
    /// Gets the value of the map that is drawn most opaque, like all values above it. It must be finite and greater than
    /// <see cref="Low"/>. The default is 1.
    /// </summary>
    public float High { get; init; } = 1;

    /// <summary>Gets the opacity of the highest values, 0 to 1. The default is 0.8.</summary>
    public float Opacity { get; init; } = 0.8f;

    /// <summary>
    /// Gets a value that indicates whether a legend is drawn beside the picture. The default is true. An overlay that is drawn into a
    /// buffer has no legend.
    /// </summary>
    public bool Legend { get; init; } = true;

    /// <summary>Gets the score that the legend shows. The default is null: it shows none.</summary>
    public float? Score { get; init; }

    /// <summary>
    /// Gets the boxes of which the outlines are drawn, in pixels of the picture. Parts outside the picture are not drawn. The default
    /// is an empty list.
    /// </summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    public IReadOnlyList<Rectangle> Boxes
    {
        get;
        init
        {
            ArgumentNullException.ThrowIfNull(value);
            field = value;
        }
    } = [];

    internal static OverlayOptions Default { get; } = new();
}
