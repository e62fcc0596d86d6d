using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>
/// Position biases of square windows as the <see cref="Start"/> of the scores, so that adding them costs no pass of its own. The
/// biases of one query against a row of a window's keys are a slice of the table, which is mirrored for that. Where slices are as
/// long as a tile's rows, or half as long, the tile reads them where they lie; else they are put together in front of it, where
/// the scores will stand.
/// </summary>
internal unsafe struct WindowBiases
{
    private readonly float* table;
    private readonly int window, side;
    private readonly bool inPlace;
    private readonly nint betweenHalves;
    private int x;

    /// <summary>Biases of one head.</summary>
    /// <param name="table">[(2 w - 1)²], as <see cref="AttentionArgs.Bias"/> has them, in units of the scores.</param>
    /// <param name="window">w.</param>
    /// <param name="rows">Room for <see cref="Tile.Rows"/> pointers.</param>
    public WindowBiases(float* table, int window, float** rows)
    {
        this.table = table;
        this.window = window;
        side = 2 * window - 1;
        int lanes = Tile.Columns / 2;
        inPlace = window % Tile.Columns == 0 || (window == lanes && window % 2 == 0);
        betweenHalves = inPlace && window == lanes ? side : lanes;
        Start.Rows = rows;
    }

    /// <summary>Of the current strip of queries and panel of keys.</summary>
    public Start Start;

    /// <summary>Goes to the first panel of a strip. Rows past the last query get its biases.</summary>
    /// <param name="query">The strip's first query.</param>
    /// <param name="scores">Where its scores will stand.</param>
    /// <param name="ldScores">Their row stride, in floats.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Begin(int query, float* scores, nint ldScores)
    {
        x = 0;
        Start.First = 0;
        Start.Second = betweenHalves;
        (int queryY, int queryX) = Math.DivRem(query, window);
        for (int r = 0; r < Tile.Rows; r++, scores += ldScores)
        {
            float* slice = table + (window - 1 - queryY) * side + window - 1 - queryX;
            Start.Rows[r] = slice;
            if (!inPlace)
            {
                for (int y = 0; y < window; y++)
                    new ReadOnlySpan<float>(slice + y * side, window).CopyTo(new Span<float>(scores + y * window, window));
                Start.Rows[r] = scores;
            }
            if (queryX < window - 1)
            {
                queryX++;
            }
            else if (queryY < window - 1)
            {
                queryX = 0;
                queryY++;
            }
        }
    }

    /// <summary>Goes to the next panel.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Next()
    {
        Start.First += Tile.Columns;
        if (inPlace)
            for (x += Tile.Columns; x >= window; x -= window) Start.First += side - window;
        Start.Second = Start.First + betweenHalves;
    }
}
