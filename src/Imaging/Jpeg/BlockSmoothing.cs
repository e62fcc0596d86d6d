namespace TinyZsad.Imaging;

/// <summary>
/// Estimates low coefficients that an incomplete progressive file lacks, from the DC coefficients of the 5 x 5 blocks around, like
/// libjpeg-turbo 2.1 does by default (T.81, K.8, with other kernels).
/// </summary>
internal sealed unsafe class BlockSmoothing : IDisposable
{
    /// <summary>
    /// The factors of the 5 x 5 blocks by rows, in 256ths of a step, for the coefficients 0 to 9 in zigzag order, if only DC is known.
    /// </summary>
    private static readonly int[][] IfNothingElseIsKnown =
    [
        [-2, -6, -8, -6, -2, -6, 6, 42, 6, -6, -8, 42, 152, 42, -8, -6, 6, 42, 6, -6, -2, -6, -8, -6, -2],
        [-1, -1, 0, 1, 1, -3, 13, 0, -13, 3, -3, 38, 0, -38, 3, -3, 13, 0, -13, 3, -1, -1, 0, 1, 1],
        [-1, -3, -3, -3, -1, -1, 13, 38, 13, -1, 0, 0, 0, 0, 0, 1, -13, -38, -13, 1, 1, 3, 3, 3, 1],
        [0, 0, 1, 0, 0, 0, 2, 7, 2, 0, 0, -5, -14, -5, 0, 0, 2, 7, 2, 0, 0, 0, 1, 0, 0],
        [-1, 0, 0, 0, 1, 0, 9, 0, -9, 0, 0, 0, 0, 0, 0, 0, -9, 0, 9, 0, 1, 0, 0, 0, -1],
        [0, 0, 0, 0, 0, 0, 2, -5, 2, 0, 1, 7, -14, 7, 1, 0, 2, -5, 2, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 0, -1, 0, 0, 2, 0, -2, 0, 0, 1, 0, -1, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, -3, 1, 0, 0, 0, 0, 0, 0, 0, -1, 3, -1, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 0, -1, 0, 0, -3, 0, 3, 0, 0, 1, 0, -1, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, -1, -2, -1, 0, 0, 0, 0, 0, 0],
    ];

    /// <summary>The factors for the coefficients 1 to 5 if some of these are known.</summary>
    private static readonly int[][] IfMoreIsKnown =
    [
        [],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -7, 50, 0, -50, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, -7, 0, 0, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, -50, 0, 0, 0, 0, 7, 0, 0],
        [0, 0, -1, 0, 0, 0, 0, 13, 0, 0, 0, 0, -24, 0, 0, 0, 0, 13, 0, 0, 0, 0, -1, 0, 0],
        [0, -1, 0, 1, 0, -1, 10, 0, -10, 1, 0, 0, 0, 0, 0, 1, -10, 0, 10, -1, 0, 1, 0, -1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, 13, -24, 13, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ];

    /// <summary>The number of coefficients that may be estimated, with DC.</summary>
    private static readonly int Estimated = IfNothingElseIsKnown.Length;

    private readonly JpegFrame frame;
    private readonly JpegCoefficients coefficients;

    /// <summary>A row of completed blocks, and their nonzero words, which are all ones.</summary>
    private readonly NativeBuffer<short> row;
    private readonly NativeBuffer<ulong> nonzero;

    private BlockSmoothing(JpegFrame frame, JpegCoefficients coefficients)
    {
        (this.frame, this.coefficients) = (frame, coefficients);
        int blocks = frame.Components.Max(c => c.RowBlocks);
        this.row = new NativeBuffer<short>((long)blocks * JpegCoefficients.BlockSize);
        nonzero = new NativeBuffer<ulong>(blocks);
        new Span<ulong>(nonzero.Start, blocks).Fill(ulong.MaxValue);
    }

    /// <summary>Creates the smoothing of a picture. Returns null if there is nothing to estimate.</summary>
    public static BlockSmoothing? Create(JpegFrame frame, JpegCoefficients coefficients)
    {
        bool possible = frame.Components.All(c => Enumerable.Range(0, Estimated).All(k => Step(c, k) != 0));
        bool useful = frame.Components.Any(c => c.UnknownBits.AsSpan(1, Estimated - 1).ContainsAnyExcept((sbyte)0));
        return frame.Progressive && possible && useful ? new BlockSmoothing(frame, coefficients) : null;
    }

    /// <summary>
    /// Returns a row of completed blocks, and words like those of <see cref="JpegCoefficients.NonzeroRow"/>, valid until the next call.
    /// </summary>
    public (nint Blocks, nint Nonzero) Row(JpegComponent component, int y)
    {
        int blocks = component.BlocksWide, size = JpegCoefficients.BlockSize;
        short* row = this.row.Start;
        new ReadOnlySpan<short>(this.coefficients.Row(component, y), blocks * size).CopyTo(new Span<short>(row, blocks * size));

        short** rows = stackalloc short*[5];
        FindRows(component, y, rows);
        bool alone = !component.UnknownBits.AsSpan(1, Estimated - 1).ContainsAnyExcept(JpegComponent.Unknown);
        int* around = stackalloc int[25];
        int right = Math.Min(1, blocks - 1), farRight = 0;
        for (int x = 0; x < blocks; x++)
        {
            // The right neighbours are those of libjpeg-turbo, which in a row of two blocks are not the nearest ones.
            right = x == 0 ? right : farRight;
            farRight = x + 2 < blocks ? x + 2 : farRight;
            for (int i = 0; i < 5; i++)
            {
                around[5 * i] = rows[i][size * Math.Max(x - 2, 0)];
                around[5 * i + 1] = rows[i][size * Math.Max(x - 1, 0)];
                around[5 * i + 2] = rows[i][size * x];
                around[5 * i + 3] = rows[i][size * right];
                around[5 * i + 4] = rows[i][size * farRight];
            }

            Complete(component, row + size * x, around, alone);
        }

        return ((nint)row, (nint)nonzero.Start);
    }

    public void Dispose()
    {
        this.row.Dispose();
        nonzero.Dispose();
    }

    private static int Step(JpegComponent component, int k) => component.Quantisation![JpegTables.NaturalOrder[k]];

    private static void Complete(JpegComponent component, short* block, int* around, bool alone)
    {
        int[][] kernels = alone ? IfNothingElseIsKnown : IfMoreIsKnown;
        for (int k = 1; k < kernels.Length; k++)
        {
            int place = JpegTables.NaturalOrder[k], unknown = component.UnknownBits[k];
            if (unknown != 0 && block[place] == 0)
            {
                block[place] = Estimate(kernels[k], around, Step(component, 0), Step(component, k), unknown);
            }
        }

        if (alone)
        {
            block[0] = Estimate(kernels[0], around, Step(component, 0), Step(component, 0), JpegComponent.Unknown);
        }
    }

    /// <summary>Returns the rounded estimate, limited to values that agree with the known higher bits.</summary>
    private static short Estimate(int[] kernel, int* around, long constantStep, long step, int unknownBits)
    {
        long sum = 0;
        for (int i = 0; i < kernel.Length; i++)
        {
            sum += kernel[i] * around[i];
        }

        sum *= constantStep;
        long size = ((step << 7) + Math.Abs(sum)) / (step << 8);
        if (unknownBits > 0)
        {
            size = Math.Min(size, (1 << unknownBits) - 1);
        }

        return (short)(sum < 0 ? -size : size);
    }

    /// <summary>
    /// Finds the rows of blocks from two above to two below, like libjpeg-turbo: the farther ones only if there is another row of MCUs
    /// beyond, and the nearest ones at the edges.
    /// </summary>
    private void FindRows(JpegComponent component, int y, short** rows)
    {
        int v = component.V, mcu = y / v, i = y % v, last = this.frame.McusHigh - 1;
        int count = mcu < last ? v : component.BlocksHigh - last * v;
        int above = i > 0 || mcu > 0 ? y - 1 : y, farAbove = i > 1 || mcu > 1 ? y - 2 : above;
        int below = i < count - 1 || mcu < last ? y + 1 : y, farBelow = i < count - 2 || mcu + 1 < last ? y + 2 : below;
        rows[0] = this.coefficients.Row(component, farAbove);
        rows[1] = this.coefficients.Row(component, above);
        rows[2] = this.coefficients.Row(component, y);
        rows[3] = this.coefficients.Row(component, below);
        rows[4] = this.coefficients.Row(component, farBelow);
    }
}
