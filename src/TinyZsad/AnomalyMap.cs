using System.Text.Json.Serialization;
using TinyZsad.Kernels;

namespace TinyZsad;

/// <summary>
/// The anomaly score of every pixel, row by row from the top; higher is more anomalous. Immutable and thread safe, except that a map
/// in a caller's buffer changes with the buffer.
/// </summary>
public sealed class AnomalyMap
{
    /// <summary>Initializes a map over memory that is not copied.</summary>
    internal AnomalyMap(int width, int height, ReadOnlyMemory<float> memory)
    {
        _ = Checked(width, height, memory.Span);
        (Width, Height, Memory) = (width, height, memory);
    }

    /// <summary>Makes a map from values, which are copied.</summary>
    /// <param name="width">The values in a row; at least 1.</param>
    /// <param name="height">The rows; at least 1.</param>
    /// <param name="values">width * height values, row by row.</param>
    /// <exception cref="ArgumentOutOfRangeException">A side is less than 1.</exception>
    /// <exception cref="ArgumentException">The number of values is wrong.</exception>
    public static AnomalyMap Create(int width, int height, ReadOnlySpan<float> values) =>
        new(width, height, Checked(width, height, values).ToArray());

    /// <summary>Gets the width in pixels.</summary>
    public int Width { get; }

    /// <summary>Gets the height in pixels.</summary>
    public int Height { get; }

    /// <summary>Gets the highest value. It is computed by each call.</summary>
    public unsafe float Maximum
    {
        get
        {
            fixed (float* values = Values) return Max.Execute(values, Values.Length);
        }
    }

    /// <summary>Gets the values, row by row. Those of LiZAD and EdgeZSAD lie in (0, 1).</summary>
    [JsonIgnore]
    public ReadOnlySpan<float> Values => Memory.Span;

    /// <summary>Gets the values, row by row, for code that keeps them or awaits.</summary>
    [JsonPropertyName("values")]
    public ReadOnlyMemory<float> Memory { get; }

    /// <summary>Gets the value at a pixel.</summary>
    /// <param name="x">The column, 0 to <see cref="Width"/> - 1.</param>
    /// <param name="y">The row, 0 to <see cref="Height"/> - 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">The pixel lies outside the map.</exception>
    public float this[int x, int y]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)x, (uint)Width, nameof(x));
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)y, (uint)Height, nameof(y));
            return Memory.Span[y * Width + x];
        }
    }

    /// <summary>Copies the values to a buffer.</summary>
    /// <param name="destination">At least <see cref="Width"/> * <see cref="Height"/> values.</param>
    /// <exception cref="ArgumentException">The buffer is too short.</exception>
    public void CopyTo(Span<float> destination) => Values.CopyTo(destination);

    /// <summary>
    /// Returns the map at another size, resized bilinearly with pixel centres at halves and clamped edges; the map itself if the size
    /// is the same.
    /// </summary>
    /// <param name="width">The new width; at least 1.</param>
    /// <param name="height">The new height; at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">A side is less than 1.</exception>
    /// <exception cref="InvalidOperationException">The map is larger than one array holds.</exception>
    public AnomalyMap Resize(int width, int height)
    {
        if (width == Width && height == Height) return this;
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        float[] values = MapEnlarger.Allocate(width, height);
        MapEnlarger resized = new(Memory, Width, Height, logits: false, width, height);
        resized.CopyTo(values, device: null);
        return new AnomalyMap(width, height, values);
    }

    /// <summary>Returns the size and the highest value.</summary>
    public override string ToString() => string.Create(
        System.Globalization.CultureInfo.InvariantCulture, $"{Width} x {Height}, maximum {Maximum:0.0000}");

    private static ReadOnlySpan<float> Checked(int width, int height, ReadOnlySpan<float> values)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        return values.Length == (long)width * height
            ? values
            : throw new ArgumentException(
                $"A map of {width} x {height} has {(long)width * height} values, not {values.Length}.", nameof(values));
    }
}
