namespace TinyZsad.Graph;

/// <summary>In which order a tapped value is handed out: the one that PyTorch's tensor of that name has.</summary>
internal enum TapLayout
{
    /// <summary>Row by row, as it lies.</summary>
    Rows,

    /// <summary>Column by column: channels first.</summary>
    ChannelsFirst,

    /// <summary>[heads, rows, columns / heads]: each head's matrix after the other.</summary>
    HeadsFirst,
}

/// <summary>A named intermediate that a run can hand out.</summary>
/// <param name="Name">As in the reference cases, such as <c>vision.hidden3</c>.</param>
/// <param name="Value">The value.</param>
/// <param name="Shape">The shape under which it is known; its product is the value's element count.</param>
/// <param name="Layout">The order of its elements under that shape.</param>
/// <param name="Heads">How many heads, for <see cref="TapLayout.HeadsFirst"/>.</param>
internal sealed record Tap(string Name, Value Value, IReadOnlyList<int> Shape, TapLayout Layout, int Heads)
{
    /// <summary>Copies the value, row by row with the given stride, into the tap's own order.</summary>
    internal unsafe float[] Read(float* x, int stride)
    {
        int rows = Value.Rows, columns = Value.Columns;
        float[] y = new float[(long)rows * columns];
        int at = 0;
        if (Layout == TapLayout.ChannelsFirst)
        {
            for (int c = 0; c < columns; c++)
                for (int r = 0; r < rows; r++) y[at++] = x[(nint)r * stride + c];
        }
        else
        {
            int heads = Layout == TapLayout.HeadsFirst ? Heads : 1, width = columns / heads;
            for (int h = 0; h < heads; h++)
            {
                for (int r = 0; r < rows; r++)
                    for (int c = 0; c < width; c++) y[at++] = x[(nint)r * stride + h * width + c];
            }
        }
        return y;
    }
}

/// <summary>
/// Receives tapped values while a run goes on, in the order they are computed. May be called from any thread of the device, one at
/// a time.
/// </summary>
/// <param name="tap">Which one.</param>
/// <param name="values">Its elements in the order of <see cref="Tap.Shape"/>; the receiver's own.</param>
internal delegate void TapReceiver(Tap tap, float[] values);
