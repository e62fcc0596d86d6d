namespace TinyZsad.Imaging;

/// <summary>Represents a component of a frame, such as luma.</summary>
internal sealed class JpegComponent
{
    private readonly int quantTable;

    private JpegComponent(int index, byte id, int h, int v, int quantTable)
    {
        (Index, Id, H, V) = (index, id, h, v);
        this.quantTable = quantTable;
        Array.Fill(UnknownBits, Unknown);
    }

    /// <summary>The value in <see cref="UnknownBits"/> for a coefficient that no scan has coded yet.</summary>
    public const sbyte Unknown = -1;

    /// <summary>The index in the frame.</summary>
    public int Index { get; }

    /// <summary>The identifier in scans.</summary>
    public byte Id { get; }

    /// <summary>The sampling factors: blocks per MCU, 1 to 4 in each direction.</summary>
    public int H { get; }

    public int V { get; }

    /// <summary>The size in samples, without padding.</summary>
    public int Width { get; private set; }

    public int Height { get; private set; }

    /// <summary>The size in blocks, without padding.</summary>
    public int BlocksWide { get; private set; }

    public int BlocksHigh { get; private set; }

    /// <summary>The blocks per row in memory, padded to whole MCUs and vectors.</summary>
    public int RowBlocks { get; private set; }

    /// <summary>
    /// The quantisation steps in natural order, as they are defined when the component's first scan starts; null before it.
    /// </summary>
    public ushort[]? Quantisation { get; private set; }

    /// <summary>
    /// The number of lowest bits that no scan has coded yet, for each coefficient in zigzag order; 0 if it is complete.
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

    /// <summary>Computes the sizes.</summary>
    public void Place(JpegFrame frame)
    {
        Width = (frame.Width * H - 1) / frame.MaxH + 1;
        Height = (frame.Height * V - 1) / frame.MaxV + 1;
        BlocksWide = JpegFrame.Blocks(Width, 1);
        BlocksHigh = JpegFrame.Blocks(Height, 1);
        int vector = InverseDct.MaxBlocks;
        RowBlocks = (frame.McusWide * H + vector - 1) / vector * vector;
    }

    /// <summary>Stores the quantisation table at the component's first scan.</summary>
    public void LatchQuantisation(JpegTables tables, JpegSegment scan) =>
        Quantisation ??= tables.Quantisation(this.quantTable) ?? throw FormatError.Jpeg(scan.Offset,
                $"{scan} needs quantisation table {this.quantTable}, which no DQT before it defines.");
}
