using System.Globalization;

namespace TinyZsad.Cpu;

/// <summary>Constants that a person wrote in decimals.</summary>
internal static class Decimals
{
    /// <summary>The double that a person means by a float: 0.485, not 0.4850000143.</summary>
    public static double Shortest(float x) =>
        double.Parse(x.ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
}
