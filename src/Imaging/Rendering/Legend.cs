namespace TinyZsad.Imaging;

/// <summary>
/// The strip beside an overlay: the score, and below it the colours as a bar with what its top, middle and bottom stand for.
/// </summary>
internal readonly struct Legend
{
    private const int Gap = 4, BarWidth = 10, LeastBarHeight = 40;
    private const string Title = "score";

    private static readonly (byte, byte, byte) Background = (24, 24, 27), Ink = (240, 240, 240), DimInk = (160, 160, 165);

    private readonly string score, high, middle, low;
    private readonly int scale;

    /// <summary>Lays it out for a picture of a given size: text about a thirtieth of the shorter side high.</summary>
    public Legend(int pictureWidth, int pictureHeight, float low, float high, float score)
    {
        scale = Math.Max((Math.Min(pictureWidth, pictureHeight) + 100) / 220, 1);
        int decimals = Math.Clamp(2 - (int)Math.Floor(Math.Log10((double)high - low)), 0, 6);
        this.score = Text(score, decimals + 1);
        this.high = Text(high, decimals);
        middle = Text(((double)low + high) / 2, decimals);
        this.low = Text(low, decimals);

        int labels = Math.Max(BitmapFont.Measure(this.high), Math.Max(BitmapFont.Measure(middle), BitmapFont.Measure(this.low)));
        int header = Math.Max(BitmapFont.Measure(Title), BitmapFont.Measure(this.score));
        Width = scale * (2 * Gap + Math.Max(BarWidth + Gap + labels, header));
        LeastHeight = scale * (HeaderHeight + LeastBarHeight + Gap);
    }

    /// <summary>Pixels that the strip takes beside the picture.</summary>
    public int Width { get; }

    /// <summary>Pixels below which the strip does not fit.</summary>
    public int LeastHeight { get; }

    private static int HeaderHeight => 4 * Gap + 2 * BitmapFont.Height;

    /// <summary>Draws it at the right border of a canvas, over the whole height.</summary>
    public void Draw(Canvas canvas)
    {
        int left = canvas.Width - Width + Gap * scale;
        canvas.Fill(canvas.Width - Width, 0, Width, canvas.Height, Background);
        canvas.Write(Title, left, Gap * scale, scale, DimInk);
        canvas.Write(this.score, left, (2 * Gap + BitmapFont.Height) * scale, scale, Ink);

        int top = HeaderHeight * scale, height = canvas.Height - top - Gap * scale, width = BarWidth * scale;
        ReadOnlySpan<byte> colours = Heatmap.Colours;
        for (int y = 0; y < height; y++)
        {
            int level = height == 1 ? 255 : (int)(255L * (height - 1 - y) / (height - 1));
            canvas.Fill(left, top + y, width, 1, (colours[3 * level], colours[3 * level + 1], colours[3 * level + 2]));
        }

        int labels = left + width + Gap * scale, text = BitmapFont.Height * scale;
        canvas.Write(this.high, labels, top, scale, Ink);
        canvas.Write(middle, labels, top + (height - text) / 2, scale, DimInk);
        canvas.Write(this.low, labels, top + height - text, scale, Ink);
    }

    private static string Text(double value, int decimals) => !double.IsFinite(value)
        ? double.IsNaN(value) ? "nan" : value < 0 ? "-inf" : "+inf"
        : Math.Abs(value) < 1e6 ? value.ToString("F" + decimals)
        : value.ToString("0.00e+0");
}
