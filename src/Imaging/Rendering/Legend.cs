using System.Globalization;

namespace TinyZsad.Imaging;

/// <summary>Draws the strip beside an overlay: the score, and a bar of the colours with the values of its top, middle and bottom.</summary>
internal readonly struct Legend
{
    private const int Gap = 4, BarWidth = 10, LeastBarHeight = 40;
    private const string Title = "score";

    private static readonly (byte, byte, byte) Background = (24, 24, 27), Ink = (240, 240, 240), DimInk = (160, 160, 165);

    private readonly string? score;
    private readonly string high, middle, low;
    private readonly int scale;

    /// <summary>Lays the legend out. The text is about a thirtieth of the shorter side high.</summary>
    public Legend(int pictureWidth, int pictureHeight, float low, float high, float? score)
    {
        scale = Math.Max((Math.Min(pictureWidth, pictureHeight) + 100) / 220, 1);
        int decimals = Math.Clamp(2 - (int)Math.Floor(Math.Log10((double)high - low)), 0, 6);
        this.score = score is { } value ? Text(value, decimals + 1) : null;
        this.high = Text(high, decimals);
        middle = Text(((double)low + high) / 2, decimals);
        this.low = Text(low, decimals);

        int labels = Math.Max(BitmapFont.Measure(this.high), Math.Max(BitmapFont.Measure(middle), BitmapFont.Measure(this.low)));
        int header = this.score is null ? 0 : Math.Max(BitmapFont.Measure(Title), BitmapFont.Measure(this.score));
        Width = scale * (2 * Gap + Math.Max(BarWidth + Gap + labels, header));
        LeastHeight = scale * (HeaderHeight + LeastBarHeight + Gap);
    }

    /// <summary>The width of the strip, in pixels.</summary>
    public int Width { get; }

    /// <summary>The height that the strip needs, in pixels.</summary>
    public int LeastHeight { get; }

    private int HeaderHeight => this.score is null ? Gap : 4 * Gap + 2 * BitmapFont.Height;

    /// <summary>Draws the legend at the right border of a canvas, over the whole height.</summary>
    public void Draw(Canvas canvas)
    {
        int left = canvas.Width - Width + Gap * scale;
        canvas.Fill(canvas.Width - Width, 0, Width, canvas.Height, Background);
        if (this.score is not null)
        {
            canvas.Write(Title, left, Gap * scale, scale, DimInk);
            canvas.Write(this.score, left, (2 * Gap + BitmapFont.Height) * scale, scale, Ink);
        }

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
        : Math.Abs(value) < 1e6 ? value.ToString("F" + decimals, CultureInfo.InvariantCulture)
        : value.ToString("0.00e+0", CultureInfo.InvariantCulture);
}
