namespace TinyZsad.Imaging;

/// <summary>One component of a JPEG frame, such as brightness.</summary>
internal sealed class JpegComponent
{
    private readonly int quantTable;

    private JpegComponent(int index, byte id, int h, int v, int quantTable)
    {
        (Index, Id, H, V) = (index, id, h, v);
        this.quantTable = quantTable;
        Array.Fill(UnknownBits, Unknown);
    }

    /// <summary>For <see cref="UnknownBits"/>: no scan has coded this coefficient yet.</summary>
    public const sbyte Unknown = -1;

    /// <summary>Its place in the frame, from 0.</summary>
    public int Index { get; }

    /// <summary>How scans call it.</summary>
    public byte Id { get; }

    /// <summary>Sampling factors: blocks an MCU, 1 to 4 each.</summary>
    public int H { get; }

    public int V { get; }

    /// <summary>Samples a row and rows that show something.</summary>
    public int Width { get; private set; }

    public int Height { get; private set; }

    /// <summary>Blocks a row and rows of blocks that show something.</summary>
    public int BlocksWide { get; private set; }

    public int BlocksHigh { get; private set; }

    /// <summary>Blocks of a row in memory: those of whole MCUs, and up to whole vectors.</summary>
    public int RowBlocks { get; private set; }

    /// <summary>
    /// The steps of quantisation in natural order: those that were defined when the first scan of the component started; null
    /// before that.
    /// </summary>
    public ushort[]? Quantisation { get; private set; }

    /// <summary>
    /// Of each coefficient, in zigzag order: how many of its lowest bits no scan has told yet, 0 where it is complete.
    /// </summary>
    public sbyte[] UnknownBits { get; } = new sbyte[64];

    public static JpegComponent Read(int index, ReadOnlySpan<byte> data, JpegSegment segment)
    {
        int h = data[1] >> 4, v = data[1] & 15;
        if (h is < 1 or > 4 || v is < 1 or > 4)
        {
            throw FormatError.Jpeg(segment.Offset,
                $"{segment} gives component {index} the sampling factors {h} x {v}; each must be 1 to 4.");
        }

        if (data[2] >= JpegTables.Slots)
        {
            throw FormatError.Jpeg(segment.Offset, $"{segment} gives component {index} the quantisation table {data[2]}; " +
                $"there are 0 to {JpegTables.Slots - 1}.");
        }

        return new JpegComponent(index, data[0], h, v, data[2]);
    }

    /// <summary>Computes the sizes from those of the frame.</summary>
    public void Place(JpegFrame frame)
    {
        Width = (frame.Width * H - 1) / frame.MaxH + 1;
        Height = (frame.Height * V - 1) / frame.MaxV + 1;
        BlocksWide = JpegFrame.Blocks(Width, 1);
        BlocksHigh = JpegFrame.Blocks(Height, 1);
        int vector = InverseDct.MaxBlocks;
        RowBlocks = (frame.McusWide * H + vector - 1) / vector * vector;
    }

    /// <summary>Keeps the quantisation table for all scans to come, if this one is the component's first.</summary>
    public void LatchQuantisation(JpegTables tables, JpegSegment scan) =>
        Quantisation ??= tables.Quantisation(this.quantTable) ?? throw FormatError.Jpeg(scan.Offset,
                $"{scan} needs quantisation table {this.quantTable}, which no DQT before it defines.");
}
