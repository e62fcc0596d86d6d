namespace TinyZsad.Formats;

/// <summary>
/// Computes the weights of a Gaussian filter like <c>scipy.ndimage.gaussian_filter</c>: exp(-k² / 2 sigma²), divided by their sum.
/// </summary>
internal static class GaussianTaps
{
    /// <summary>Computes the number of taps on either side of the center: four standard deviations, rounded.</summary>
    public static int Radius(double sigma) => (int)(4 * sigma + 0.5);

    /// <summary>Fills <paramref name="weight"/> with radius + 1 weights, from the center outward.</summary>
    public static void FillWeights(double sigma, Span<float> weight)
    {
        double sum = 0;
        for (int k = 0; k < weight.Length; k++) sum += (k == 0 ? 1 : 2) * Tap(k, sigma);
        for (int k = 0; k < weight.Length; k++) weight[k] = (float)(Tap(k, sigma) / sum);
    }

    /// <summary>
    /// Computes the weight of tap k before it is divided by the sum. The center is a special case, so that sigma may be 0.
    /// </summary>
    public static double Tap(int k, double sigma) => k == 0 ? 1 : Math.Exp(-0.5 * k * k / (sigma * sigma));
}
