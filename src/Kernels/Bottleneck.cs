using System.Runtime.CompilerServices;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// Holds the operands of an inverted bottleneck on a channels-last map (as in MobileNetV2, and in TinyViT's MBConv and
/// PatchMerging): a linear layer on every pixel, a depthwise 3 x 3 convolution and another linear layer, each with its
/// activation.
/// </summary>
internal unsafe struct BottleneckArgs
{
    /// <summary>
    /// The first layer. x is the map, [<see cref="Height"/> * <see cref="Width"/>, in]; y is not used. It has no scale and no
    /// residual.
    /// </summary>
    public MatMulArgs Expand;

    /// <summary>The size of the map; at least <see cref="Tile.Rows"/> pixels in all.</summary>
    public int Height, Width;

    /// <summary>The stride of the convolution: 1 or 2.</summary>
    public int Stride;

    /// <summary>The weights of the convolution, [3, 3, Expand.N].</summary>
    public float* Depthwise;

    /// <summary>The bias of the convolution, [Expand.N].</summary>
    public float* DepthwiseBias;

    /// <summary>
    /// The last layer. y is the resulting map. It must not overlap x, and it must not overlap the residual unless it is the
    /// residual. x is not used.
    /// </summary>
    public MatMulArgs Project;

    /// <summary>
    /// The number of threads to divide the work for, at least 1. The values in the two layers are ignored. Results do not depend
    /// on it.
    /// </summary>
    public int Threads;
}

/// <summary>
/// Computes an inverted bottleneck without writing the expanded maps to memory. They have four times the size of the map: at 128
/// x 128 pixels of 384 channels, 25 MB each would be written and read again. A work item computes a band of output rows. It keeps
/// three expanded rows in a ring buffer. The convolution reads them one strip of <see cref="Tile.Rows"/> pixels at a time, and
/// the strip is the tile operand of the last layer while it is still in the L1 cache. The ring buffer and the widened weights
/// fill the L2 cache (<see cref="Fits"/>).
/// <para>A thread that takes the band directly below its previous one finds the shared rows in the ring buffer; other threads
/// expand them again. Every value is computed by the operations of <see cref="MatMul"/> and <see cref="DepthwiseConv"/> in the
/// same order, so the result is bit for bit the same, no matter how the work is divided.</para>
/// </summary>
internal static unsafe class Bottleneck
{
    /// <summary>
    /// The target number of bands per thread. Several bands per thread balance the load at the end of the step.
    /// </summary>
    private const int ItemsOfThread = 4;

    /// <summary>
    /// The minimum number of output rows in a band. Neighboring bands on different threads both expand the rows at their border;
    /// a band must be large enough to outweigh this extra work.
    /// </summary>
    private const int FewRows = 4;

    /// <summary>
    /// The maximum size of the widened weights in bytes. It leaves room for the ring buffer in an L2 cache of 1 MB.
    /// </summary>
    private const int MostWeightBytes = 1 << 19;

    /// <summary>Determines whether a bottleneck of this shape is faster when computed as one step.</summary>
    /// <param name="pixels">The number of pixels of the map.</param>
    /// <param name="inputs">The number of channels of the map.</param>
    /// <param name="expanded">The number of channels after the first layer.</param>
    /// <param name="outputs">The number of channels of the result.</param>
    public static bool Fits(long pixels, long inputs, long expanded, long outputs) =>
        pixels >= Tile.Rows && expanded * (inputs + outputs) * sizeof(float) <= MostWeightBytes;

    private static int OutHeight(in BottleneckArgs a) => Convolution.OutputSize(a.Height, a.Stride);

    private static int RowsOfItem(in BottleneckArgs a)
    {
        int items = ItemsOfThread * a.Threads;
        return Math.Max((OutHeight(a) + items - 1) / items, FewRows);
    }

    /// <summary>Computes the number of independent work items.</summary>
    public static int Items(in BottleneckArgs a) => (OutHeight(a) + RowsOfItem(a) - 1) / RowsOfItem(a);

    /// <summary>Computes the number of scratch floats that one item needs; 64-byte aligned.</summary>
    public static nint ScratchFloats(in BottleneckArgs a) =>
        Tile.Rows * (nint)Tile.Columns + PanelsFloats(a.Expand) + PanelsFloats(a.Project) + Tile.Rows * (nint)a.Project.K
            + 3 * RowFloats(a);

    private static nint PanelsFloats(in MatMulArgs layer) =>
        (nint)(layer.N + Tile.Columns - 1) / Tile.Columns * Tile.Columns * layer.K;

    /// <summary>
    /// Computes the stride between the rows of the ring buffer: one row and five cache lines. Without the padding, rows that are
    /// multiples of 4 KiB would map to the same sets of the L1 cache.
    /// </summary>
    private static nint RowFloats(in BottleneckArgs a) => (nint)a.Width * a.Expand.N + 80;

    /// <summary>Computes one work item.</summary>
    /// <param name="a">The operands.</param>
    /// <param name="inner">The activation of the first layer and of the convolution.</param>
    /// <param name="last">The activation of the last layer.</param>
    /// <param name="item">The item, from 0 to <see cref="Items"/> - 1.</param>
    /// <param name="previous">
    /// The item of the same operands that last used <paramref name="scratch"/>, or -1 if the memory was last used for anything
    /// else.
    /// </param>
    /// <param name="scratch"><see cref="ScratchFloats"/> floats for the calling thread alone.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Execute<TInner, TLast>(in BottleneckArgs a, TInner inner, TLast last, int item, int previous, float* scratch)
        where TInner : struct, IActivation where TLast : struct, IActivation
    {
        float* tile = scratch;
        float* expand = tile + Tile.Rows * Tile.Columns;
        float* project = expand + PanelsFloats(a.Expand);
        float* strip = project + PanelsFloats(a.Project);
        float* ring = strip + Tile.Rows * (nint)a.Project.K;
        if (previous < 0)
        {
            Widen(a.Expand, expand);
            Widen(a.Project, project);
            new Span<float>(strip, Tile.Rows * a.Project.K).Clear();
        }

        int outWidth = Convolution.OutputSize(a.Width, a.Stride);
        int first = item * RowsOfItem(a), end = Math.Min(first + RowsOfItem(a), OutHeight(a));
        // If this thread computed the band above, the rows that both need are still in the ring buffer.
        int ready = previous >= 0 && previous == item - 1 ? (first - 1) * a.Stride + 2 : Math.Max(first * a.Stride - 1, 0);
        for (int r = first; r < end; r++)
        {
            int middle = r * a.Stride;
            for (; ready <= Math.Min(middle + 1, a.Height - 1); ready++)
            {
                ExpandRow(a, inner, ready, expand, tile,
                    RingRow(a, ring, ready));
            }

            for (int c = 0; c < outWidth; c += Tile.Rows)
            {
                int pixels = Math.Min(outWidth - c, Tile.Rows);
                DepthwiseConv.Pixels(RingRow(a, ring, middle - 1), RingRow(a, ring, middle), RingRow(a, ring, middle + 1),
                    a.Width, a.Expand.N,
                    a.Depthwise, a.DepthwiseBias, a.Stride, c, c + pixels, strip, inner);
                Ahead ahead = new() { LdResult = a.Project.LdY };
                for (int column = 0; column < a.Project.N; column += Tile.Columns)
                {
                    ahead.Result = a.Project.Y + (r * outWidth + c) * a.Project.LdY + column;
                    Tile.Execute(strip, a.Project.K, project + (nint)column * a.Project.K, a.Project.K, tile, Tile.Columns,
                        &ahead);
                    MatMul.Finish(a.Project, last, tile, r * outWidth + c, pixels, column,
                        Math.Min(a.Project.N - column, Tile.Columns));
                }
            }
        }
    }

    private static void Widen(in MatMulArgs layer, float* panels)
    {
        for (int column = 0; column < layer.N; column += Tile.Columns)
            Panel.Expand(layer.W, layer.Type, layer.Layout, layer.N, layer.K, column, panels + (nint)column * layer.K);
    }

    /// <summary>Gets the address of an expanded row in the ring buffer, or null outside the map.</summary>
    private static float* RingRow(in BottleneckArgs a, float* ring, int row) =>
        row < 0 || row >= a.Height ? null : ring + row % 3 * RowFloats(a);

    /// <summary>Applies the first layer to one row of the map.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ExpandRow<TInner>(in BottleneckArgs a, TInner inner, int row, float* panels, float* tile, float* y)
        where TInner : struct, IActivation
    {
        MatMulArgs layer = a.Expand;
        layer.Y = y;
        layer.LdY = layer.N;
        int from = row * a.Width, pixelsOfMap = a.Height * a.Width;
        for (int c = 0; c < a.Width; c += Tile.Rows)
        {
            // A tile may extend into the next row; those results are not stored. At the end of the map the tile starts earlier
            // instead.
            int start = Math.Min(from + c, pixelsOfMap - Tile.Rows);
            Ahead ahead = new() { LdResult = layer.LdY, Lines = 1, Run = (byte*)(layer.X + (start + Tile.Rows) * layer.LdX) };
            for (int column = 0; column < layer.N; column += Tile.Columns)
            {
                ahead.Result = y + c * layer.LdY + column;
                Tile.Execute(layer.X + start * layer.LdX, layer.LdX, panels + (nint)column * layer.K, layer.K, tile,
                    Tile.Columns, &ahead);
                MatMul.Finish(layer, inner, tile + (from + c - start) * Tile.Columns, c, Math.Min(a.Width - c, Tile.Rows), column,
                    Math.Min(layer.N - column, Tile.Columns));
            }
        }
    }

    /// <summary>Computes the reference result: the reference implementations of the three layers, one after another.</summary>
    /// <param name="a">The operands.</param>
    /// <param name="inner">The activation of the first layer and of the convolution.</param>
    /// <param name="last">The activation of the last layer.</param>
    /// <param name="expanded">Scratch memory, [Height * Width, Expand.N].</param>
    /// <param name="convolved">Scratch memory, [output pixels, Expand.N].</param>
    public static void Scalar<TInner, TLast>(in BottleneckArgs a, TInner inner, TLast last, float* expanded,
        float* convolved)
        where TInner : struct, IActivation where TLast : struct, IActivation
    {
        MatMulArgs expand = a.Expand, project = a.Project;
        expand.Y = expanded;
        expand.LdY = expand.N;
        project.X = convolved;
        project.LdX = project.K;
        MatMul.Scalar(expand, inner);
        DepthwiseConv.Scalar(expanded, a.Height, a.Width, expand.N, a.Depthwise, a.DepthwiseBias, a.Stride, convolved, inner);
        MatMul.Scalar(project, last);
    }
}
