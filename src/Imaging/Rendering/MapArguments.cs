namespace TinyZsad.Imaging;

/// <summary>Checks the arguments of methods that take an anomaly map.</summary>
internal static class MapArguments
{
    public static void Check(ReadOnlySpan<float> map, int width, int height)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        if (map.Length != (long)width * height)
        {
            throw new ArgumentException(
                $"A map of {width} x {height} has {(long)width * height} values, not {map.Length}.", nameof(map));
        }
    }
}
