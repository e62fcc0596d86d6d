namespace TinyZsad;

/// <summary>
/// Finds connected regions in a map that comes row by row: the runs of each row are joined with those of the row above by union-find.
/// Memory grows with the number of regions, not with the number of pixels.
/// </summary>
/// <param name="threshold">The least value that belongs to a region.</param>
internal sealed class RegionFinder(float threshold)
{
    private readonly List<Part> parts = [];
    private List<Span> above = [], current = [];
    private int y;

    /// <summary>A run of pixels of a row, its end not included, and the part it belongs to.</summary>
    private readonly record struct Span(int Begin, int End, int Part);

    /// <summary>What is known of a region, or of a piece of it that was joined to another part.</summary>
    private sealed class Part
    {
        public int JoinedTo = -1;
        public int Left = int.MaxValue, Right = -1, Top, Bottom, PeakX, PeakY;
        public long Area;
        public float Peak = float.NegativeInfinity;
        public double Sum, SumX, SumY;
    }

    /// <summary>Adds the next row.</summary>
    public void AddRow(ReadOnlySpan<float> row)
    {
        (above, current) = (current, above);
        current.Clear();
        int next = 0;
        for (int x = 0; x < row.Length;)
        {
            // A comparison with NaN is false.
            if (!(row[x] >= threshold))
            {
                x++;
                continue;
            }

            int begin = x;
            while (x < row.Length && row[x] >= threshold) x++;

            // Runs above that end before the pixel diagonally to the left are behind this run and all that follow it.
            while (next < above.Count && above[next].End < begin) next++;
            int part = -1;
            for (int i = next; i < above.Count && above[i].Begin <= x; i++)
                part = part < 0 ? Root(above[i].Part) : Join(part, above[i].Part);
            if (part < 0)
            {
                part = parts.Count;
                parts.Add(new Part { Top = y });
            }

            current.Add(new Span(begin, x, part));
            Add(parts[part], row, begin, x);
        }

        y++;
    }

    /// <summary>Returns the regions of all rows, the largest first.</summary>
    public IReadOnlyList<AnomalyRegion> Regions(RegionOptions options) =>
    [
        .. parts.Where(p => p.JoinedTo < 0 && p.Area >= options.MinimumArea)
            .OrderByDescending(p => p.Area).ThenByDescending(p => p.Peak).ThenBy(p => p.Top).ThenBy(p => p.Left)
            .Take(options.MaximumCount)
            .Select(p => new AnomalyRegion(p.Left, p.Top, p.Right - p.Left + 1, p.Bottom - p.Top + 1, p.Area, p.Peak, p.PeakX, p.PeakY,
                (float)(p.Sum / p.Area), (float)(p.SumX / p.Area), (float)(p.SumY / p.Area))),
    ];

    private void Add(Part part, ReadOnlySpan<float> row, int begin, int end)
    {
        double sum = 0;
        for (int x = begin; x < end; x++)
        {
            sum += row[x];
            if (row[x] > part.Peak) (part.Peak, part.PeakX, part.PeakY) = (row[x], x, y);
        }

        long length = end - begin;
        part.Area += end - begin;
        part.Sum += sum;
        part.SumX += (begin + end - 1) / 2.0 * length;
        part.SumY += (double)y * length;
        part.Left = Math.Min(part.Left, begin);
        part.Right = Math.Max(part.Right, end - 1);
        part.Bottom = y;
    }

    private int Root(int part)
    {
        int root = part;
        while (parts[root].JoinedTo >= 0) root = parts[root].JoinedTo;
        while (part != root) (part, parts[part].JoinedTo) = (parts[part].JoinedTo, root);
        return root;
    }

    /// <summary>Joins two parts, given by their root and by any number, and returns the root of both.</summary>
    private int Join(int first, int other)
    {
        int second = Root(other);
        if (first == second) return first;
        (int root, int joined) = first < second ? (first, second) : (second, first);
        Part a = parts[root], b = parts[joined];
        b.JoinedTo = root;
        if (b.Peak > a.Peak || (b.Peak == a.Peak && (b.PeakY, b.PeakX).CompareTo((a.PeakY, a.PeakX)) < 0))
            (a.Peak, a.PeakX, a.PeakY) = (b.Peak, b.PeakX, b.PeakY);
        a.Area += b.Area;
        a.Sum += b.Sum;
        a.SumX += b.SumX;
        a.SumY += b.SumY;
        a.Left = Math.Min(a.Left, b.Left);
        a.Right = Math.Max(a.Right, b.Right);
        a.Top = Math.Min(a.Top, b.Top);
        a.Bottom = Math.Max(a.Bottom, b.Bottom);
        return root;
    }
}
