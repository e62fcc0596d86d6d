using System.Globalization;

namespace TinyZsad.Formats;

/// <summary>Converts constants that were written in decimal.</summary>
internal static class Decimals
{
    /// <summary>Converts a float to the double with the same shortest decimal form: 0.485, not 0.4850000143.</summary>
    public static double Shortest(float x) =>
        double.Parse(x.ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
}
