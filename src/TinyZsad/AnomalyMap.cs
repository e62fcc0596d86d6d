namespace TinyZsad;

/// <summary>How anomalous each pixel is. Immutable.</summary>
public sealed class AnomalyMap
{
    private readonly float[] values;

    /// <summary>Wraps values; they are not copied and must not change.</summary>
    /// <param name="width">Pixels, at least 1.</param>
    /// <param name="height">Pixels, at least 1.</param>
    /// <param name="values">width * height values, row by row.</param>
    public AnomalyMap(int width, int height, float[] values)
    {
        ArgumentNullException.ThrowIfNull(values);
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        if (values.Length != (long)width * height)
        {
            throw new ArgumentException(
                $"A map of {width} x {height} has {(long)width * height} values, not {values.Length}.", nameof(values));
        }

        Width = width;
        Height = height;
        this.values = values;
    }

    /// <summary>Pixels.</summary>
    public int Width { get; }

    /// <summary>Pixels.</summary>
    public int Height { get; }

    /// <summary>Row by row; higher is more anomalous. LiZAD's and EdgeZSAD's are in (0, 1).</summary>
    public ReadOnlySpan<float> Values => values;

    /// <summary>The value at a pixel.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The pixel lies outside the map.</exception>
    public float this[int x, int y]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)x, (uint)Width, nameof(x));
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)y, (uint)Height, nameof(y));
            return values[y * Width + x];
        }
    }

    /// <summary>The same map at another size: bilinear, pixel centres at halves, edges clamped.</summary>
    public AnomalyMap Resize(int width, int height) =>
        width == Width && height == Height
            ? this
            : new AnomalyMap(width, height, MapResizer.Resize(values, Width, Height, width, height));
}
