namespace TinyZsad.Evaluation;

/// <summary>The connected regions of a mask: pixels that touch at a side or a corner belong together.</summary>
internal static class ConnectedRegions
{
    /// <summary>Numbers the regions from 1 on; 0 is what the mask leaves out.</summary>
    /// <param name="mask">width * height pixels, row by row.</param>
    /// <param name="width">Pixels a row.</param>
    /// <param name="count">How many regions there are.</param>
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
