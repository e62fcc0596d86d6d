using TinyZsad.Graph;

namespace TinyZsad.Models;

/// <summary>How learned positions are brought to a grid of another size.</summary>
internal enum PositionFilter
{
    /// <summary>PyTorch's bilinear, align_corners false, no antialias: VisualAD's CLIP.</summary>
    Bilinear,

    /// <summary>DINOv2's bicubic (a = -0.75, edges clamped), its scale made for a grid 0.1 larger than it is.</summary>
    BicubicWithOffset,

    /// <summary>The bicubic of DINOv2 with registers: antialiased (a = -0.5, weights cut off at the edges), no offset.</summary>
    BicubicAntialias,
}

/// <summary>
/// Learned positions: a row for the class token, then a square grid of rows, a patch each. The grid is resized once, at load, in
/// double precision.
/// </summary>
/// <param name="Class">[1, width].</param>
/// <param name="Grid">[side * side, width].</param>
/// <param name="Side">Patches each way that the positions were trained for.</param>
/// <param name="Filter">How another size comes about.</param>
internal sealed record PositionGrid(Parameter Class, Parameter Grid, int Side, PositionFilter Filter)
{
    /// <summary>Divides a table [1 + side², width].</summary>
    /// <exception cref="ModelFormatException">The rows after the first make no square.</exception>
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
    /// The positions of a grid of size x size patches, [size * size, width]; those of the file where the size is its own.
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

    /// <summary>From which places of the trained grid, along one axis, place i of the new one is mixed.</summary>
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

    /// <summary>Keys' cubic.</summary>
    private static double Cubic(double x, double a)
    {
        x = Math.Abs(x);
        return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
    }
}
