namespace TinyZsad.Evaluation;

/// <summary>Finds the connected regions of a mask with 8-connectivity.</summary>
internal static class ConnectedRegions
{
    /// <summary>Labels the pixels of each region with its number, from 1. Pixels outside of the mask have label 0.</summary>
    /// <param name="mask">The mask, [height * width], row-major.</param>
    /// <param name="width">The number of pixels per row.</param>
    /// <param name="count">Receives the number of regions.</param>
    /// <returns>The labels, [height * width].</returns>
    public static int[] Label(ReadOnlySpan<bool> mask, int width, out int count)
    {
        int[] label = new int[mask.Length];
        int height = mask.Length / width;
        Stack<int> open = [];
        count = 0;
        for (int start = 0; start < mask.Length; start++)
        {
            if (!mask[start] || label[start] != 0) continue;
            label[start] = ++count;
            open.Push(start);
            while (open.TryPop(out int at))
            {
                int row = at / width, column = at % width;
                for (int r = Math.Max(row - 1, 0); r <= Math.Min(row + 1, height - 1); r++)
                {
                    for (int c = Math.Max(column - 1, 0); c <= Math.Min(column + 1, width - 1); c++)
                    {
                        int next = r * width + c;
                        if (!mask[next] || label[next] != 0) continue;
                        label[next] = count;
                        open.Push(next);
                    }
                }
            }
        }
        return label;
    }
}
