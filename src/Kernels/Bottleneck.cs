using System.Runtime.CompilerServices;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// The operands of an inverted bottleneck on a channels-last map (MobileNetV2's, TinyViT's MBConv and PatchMerging): a linear
/// layer on every pixel, a depthwise 3 x 3 convolution, another linear layer, each with its activation.
/// </summary>
internal unsafe struct BottleneckArgs
{
    /// <summary>
    /// The first layer: x is the map, [<see cref="Height"/> * <see cref="Width"/>, in]; y is not used. No scale, no residual.
    /// </summary>
    public MatMulArgs Expand;

    /// <summary>The map's size; at least <see cref="Tile.Rows"/> pixels in all.</summary>
    public int Height, Width;

    /// <summary>1 or 2: the convolution's stride.</summary>
    public int Stride;

    /// <summary>The convolution's weights, [3, 3, Expand.N].</summary>
    public float* Depthwise;

    /// <summary>[Expand.N].</summary>
    public float* DepthwiseBias;

    /// <summary>
    /// The last layer: y is the resulting map, which may overlap neither x nor, but for being it, the residual; x is not used.
    /// </summary>
    public MatMulArgs Project;

    /// <summary>Threads that the work is cut for, at least 1, whatever the layers say. Results do not depend on it.</summary>
    public int Threads;
}

/// <summary>
/// An inverted bottleneck whose expanded maps never reach memory: they are four times the map, and at 128 x 128 pixels of 384
/// channels 25 MB each, written and read again. An item computes a band of output rows. It keeps three expanded rows in a ring,
/// which the convolution reads strip by strip of <see cref="Tile.Rows"/> pixels; the strip is the last layer's tile operand while
/// it lies in the first-level cache. Ring and widened weights fill the second-level cache (<see cref="Fits"/>).
/// <para>
/// A thread that takes a band after its neighbour above finds in the ring the rows that both need; others expand them anew. Every
/// value is computed by the operations of <see cref="MatMul"/> and <see cref="DepthwiseConv"/> in their order, so the result is
/// theirs, bit for bit, however the work is cut.
/// </para>
/// </summary>
internal static unsafe class Bottleneck
{
    /// <summary>Bands that each thread should find, so that none waits long for the last.</summary>
    private const int ItemsOfThread = 4;

    /// <summary>
    /// Output rows of a band at least, so that a band of somebody else's, whose ends are expanded anew, is still worth it.
    /// </summary>
    private const int FewRows = 4;

    /// <summary>Bytes of widened weights that leave room for the ring in a second-level cache of a megabyte.</summary>
    private const int MostWeightBytes = 1 << 19;

    /// <summary>Whether a bottleneck of this shape gains by being computed as one.</summary>
    /// <param name="pixels">Pixels of the map.</param>
    /// <param name="inputs">Channels of the map.</param>
    /// <param name="expanded">Channels after the first layer.</param>
    /// <param name="outputs">Channels of the result.</param>
    public static bool Fits(long pixels, long inputs, long expanded, long outputs) =>
        pixels >= Tile.Rows && expanded * (inputs + outputs) * sizeof(float) <= MostWeightBytes;

    private static int OutHeight(in BottleneckArgs a) => Convolution.OutputSize(a.Height, a.Stride);

    private static int RowsOfItem(in BottleneckArgs a)
    {
        int items = ItemsOfThread * a.Threads;
        return Math.Max((OutHeight(a) + items - 1) / items, FewRows);
    }

    /// <summary>How many independent items it is cut into.</summary>
    public static int Items(in BottleneckArgs a) => (OutHeight(a) + RowsOfItem(a) - 1) / RowsOfItem(a);

    /// <summary>Floats of scratch that one item needs; 64-byte aligned.</summary>
    public static nint ScratchFloats(in BottleneckArgs a) =>
        Tile.Rows * (nint)Tile.Columns + PanelsFloats(a.Expand) + PanelsFloats(a.Project) + Tile.Rows * (nint)a.Project.K
            + 3 * RowFloats(a);

    private static nint PanelsFloats(in MatMulArgs layer) =>
        (nint)(layer.N + Tile.Columns - 1) / Tile.Columns * Tile.Columns * layer.K;

    /// <summary>
    /// From one row of the ring to the next: five cache lines more than a row, or rows that are multiples of 4 KiB would fall into
    /// the same sets of the first-level cache.
    /// </summary>
    private static nint RowFloats(in BottleneckArgs a) => (nint)a.Width * a.Expand.N + 80;

    /// <summary>Computes one item.</summary>
    /// <param name="a">The operands.</param>
    /// <param name="inner">The activation of the first layer and of the convolution.</param>
    /// <param name="last">That of the last layer.</param>
    /// <param name="item">0 up to <see cref="Items"/>.</param>
    /// <param name="previous">
    /// The item of the same operands for which <paramref name="scratch"/> was last used; -1 where it was used for anything else.
    /// </param>
    /// <param name="scratch"><see cref="ScratchFloats"/> floats, this thread's own.</param>
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
        // The band before has left the rows that both need.
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

    /// <summary>Where an expanded row lies; null outside the map.</summary>
    private static float* RingRow(in BottleneckArgs a, float* ring, int row) =>
        row < 0 || row >= a.Height ? null : ring + row % 3 * RowFloats(a);

    /// <summary>One row of the map through the first layer.</summary>
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
            // A tile may reach into the next row, whose results are not stored; at the map's end it starts earlier.
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

    /// <summary>The definition: the three layers' own, one after another.</summary>
    /// <param name="a">The operands.</param>
    /// <param name="inner">The activation of the first layer and of the convolution.</param>
    /// <param name="last">That of the last layer.</param>
    /// <param name="expanded">[Height * Width, Expand.N].</param>
    /// <param name="convolved">[output pixels, Expand.N].</param>
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
