using TinyZsad.Graph;

namespace TinyZsad.Models;

/// <summary>Specifies how learned positions are interpolated for a grid of another size.</summary>
internal enum PositionFilter
{
    /// <summary>Bilinear as in PyTorch, with align_corners false and without antialiasing. Used by VisualAD for CLIP.</summary>
    Bilinear,

    /// <summary>Bicubic of DINOv2 (a = -0.75, edges clamped), with the scale of a grid that is 0.1 larger.</summary>
    BicubicWithOffset,

    /// <summary>Bicubic of DINOv2 with registers: antialiased (a = -0.5, weights cut off at the edges), without the offset.</summary>
    BicubicAntialias,
}

/// <summary>
/// Represents learned positions: those of the class token and of a square grid of patches. The grid is resized once, when the model is
/// loaded, in double precision.
/// </summary>
/// <param name="Class">The position of the class token, [1, width].</param>
/// <param name="Grid">The positions of the patches, [side * side, width].</param>
/// <param name="Side">The number of patches per side that the positions were trained for.</param>
/// <param name="Filter">The interpolation for another size.</param>
internal sealed record PositionGrid(Parameter Class, Parameter Grid, int Side, PositionFilter Filter)
{
    /// <summary>Splits a table, [1 + side², width], into class token and grid.</summary>
    /// <exception cref="ModelFormatException">The number of rows after the first is not a square.</exception>
    public static PositionGrid Read(WeightStore store, Parameter table, PositionFilter filter)
    {
        int rows = table.Shape[0] - 1, side = (int)Math.Round(Math.Sqrt(rows));
        if (rows < 1 || side * side != rows)
        {
            throw store.TensorError(table.Name,
                $"tensor '{table.Name}' has {table.Shape[0]} rows, where one and a square number are needed.");
        }

        return new PositionGrid(table.Rows(0, 1), table.Rows(1, rows), side, filter);
    }

    /// <summary>
    /// Gets the positions of a grid of size x size patches, [size * size, width]. The trained size uses those of the file.
    /// </summary>
    public Parameter Resize(WeightStore store, int size)
    {
        if (size == Side) return Grid;
        int width = Grid.Shape[1];
        float[] source = Grid.ToFloats(), result = new float[size * size * width];
        (int Place, double Weight)[][] taps = [.. Enumerable.Range(0, size).Select(i => Taps(i, size))];
        double[] sum = new double[width];
        for (int row = 0; row < size; row++)
        {
            for (int column = 0; column < size; column++)
            {
                Array.Clear(sum);
                foreach ((int y, double v) in taps[row])
                {
                    foreach ((int x, double u) in taps[column])
                        for (int c = 0; c < width; c++) sum[c] += v * u * source[(y * Side + x) * width + c];
                }

                for (int c = 0; c < width; c++) result[(row * size + column) * width + c] = (float)sum[c];
            }
        }

        return store.Floats(Grid.Name, result, size * size, width);
    }

    /// <summary>Gets the source positions along one axis, and their weights, for position i of the new grid.</summary>
    private (int Place, double Weight)[] Taps(int i, int size)
    {
        switch (Filter)
        {
            case PositionFilter.Bilinear:
            {
                double at = Math.Max((i + 0.5) * Side / size - 0.5, 0);
                int before = Math.Min((int)at, Side - 1);
                return [(before, 1 - (at - before)), (Math.Min(before + 1, Side - 1), at - before)];
            }
            case PositionFilter.BicubicWithOffset:
            {
                double at = (i + 0.5) * (Side / (size + 0.1)) - 0.5;
                int before = (int)Math.Floor(at);
                return [.. Enumerable.Range(before - 1, 4).Select(j => (Math.Clamp(j, 0, Side - 1), Cubic(at - j, -0.75)))];
            }
            default:
            {
                double scale = (double)Side / size, stretch = Math.Max(scale, 1), centre = (i + 0.5) * scale;
                int first = Math.Max((int)(centre - 2 * stretch + 0.5), 0),
                    end = Math.Min((int)(centre + 2 * stretch + 0.5), Side);
                double[] weights = [.. Enumerable.Range(first, end - first)
                    .Select(j => Cubic((j - centre + 0.5) / stretch, -0.5))];
                return [.. weights.Select((w, j) => (first + j, w / weights.Sum()))];
            }
        }
    }

    /// <summary>Computes the cubic convolution kernel of Keys.</summary>
    private static double Cubic(double x, double a)
    {
        x = Math.Abs(x);
        return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
    }
}
