using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>
/// Provides the position biases of square windows as the <see cref="Start"/> of the scores, so that adding them does not take a
/// separate pass. The table is mirrored (it has entries for both signs of each distance), so that the biases of one query for a
/// row of a window's keys are a contiguous slice of it. If the slices are as long as a tile's rows, or half as long, the tile
/// reads them in place. Otherwise they are first copied to the memory of the scores, and the tile reads them there.
/// </summary>
internal unsafe struct WindowBiases
{
    private readonly float* table;
    private readonly int window, side;
    private readonly bool inPlace;
    private readonly nint betweenHalves;
    private int x;

    /// <summary>Initializes the biases of one head.</summary>
    /// <param name="table">
    /// The biases, [(2 w - 1)²], in the order of <see cref="AttentionArgs.Bias"/>, in units of the scores.
    /// </param>
    /// <param name="window">The side w of a window.</param>
    /// <param name="rows">Memory for <see cref="Tile.Rows"/> pointers.</param>
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

    /// <summary>The biases of the current strip of queries and panel of keys.</summary>
    public Start Start;

    /// <summary>Moves to the first panel of a strip. Rows after the last query get the last query's biases.</summary>
    /// <param name="query">The first query of the strip.</param>
    /// <param name="scores">The memory for the strip's scores.</param>
    /// <param name="ldScores">The row stride of the scores, in floats.</param>
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

    /// <summary>Moves to the next panel.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Next()
    {
        Start.First += Tile.Columns;
        if (inPlace)
            for (x += Tile.Columns; x >= window; x -= window) Start.First += side - window;
        Start.Second = Start.First + betweenHalves;
    }
}
