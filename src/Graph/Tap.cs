namespace TinyZsad.Graph;

/// <summary>
/// Specifies the element order in which a tapped value is provided: that of the PyTorch tensor with the same name.
/// </summary>
internal enum TapLayout
{
    /// <summary>Row by row, as stored.</summary>
    Rows,

    /// <summary>Column by column: channels first.</summary>
    ChannelsFirst,

    /// <summary>[heads, rows, columns / heads]: the matrices of the heads one after the other.</summary>
    HeadsFirst,
}

/// <summary>Represents a named intermediate value that a run can provide.</summary>
/// <param name="Name">The name, as in the reference cases, such as <c>vision.hidden3</c>.</param>
/// <param name="Value">The value.</param>
/// <param name="Shape">The shape in the original model. Its product is the number of elements of the value.</param>
/// <param name="Layout">The order of the elements in that shape.</param>
/// <param name="Heads">The number of heads, for <see cref="TapLayout.HeadsFirst"/>.</param>
internal sealed record Tap(string Name, Value Value, IReadOnlyList<int> Shape, TapLayout Layout, int Heads)
{
    /// <summary>Copies the value, with the given row stride, in the element order of the tap.</summary>
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
/// Receives tapped values during a run, in the order they are computed. It may be called from any thread of the device, but only
/// by one at a time.
/// </summary>
/// <param name="tap">The tap.</param>
/// <param name="values">The elements in the order of <see cref="Tap.Shape"/>. The receiver owns the array.</param>
internal delegate void TapReceiver(Tap tap, float[] values);
