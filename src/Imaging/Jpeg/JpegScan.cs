namespace TinyZsad.Imaging;

/// <summary>Specifies what a scan codes.</summary>
internal enum JpegScanKind
{
    /// <summary>All coefficients.</summary>
    Sequential,

    /// <summary>The DC coefficients, or their higher bits.</summary>
    DcFirst,

    /// <summary>One more bit of the DC coefficients.</summary>
    DcRefined,

    /// <summary>A band of AC coefficients of one component, or their higher bits.</summary>
    AcFirst,

    /// <summary>One more bit of a band of AC coefficients.</summary>
    AcRefined,
}

/// <summary>Represents the SOS segment. It agrees with the frame and the scans before.</summary>
internal sealed class JpegScan
{
    /// <summary>The most blocks in an MCU.</summary>
    private const int MaxMcuBlocks = 10;

    /// <summary>The most lowest bits that a scan may leave to later scans.</summary>
    private const int MaxShift = 13;

    private JpegScan(JpegSegment segment, JpegScanKind kind, JpegScanComponent[] components, JpegFrame frame, int start,
        int end, int shift)
    {
        (Segment, Kind, Components, Start, End, Shift) = (segment, kind, components, start, end, shift);
        Band = CoefficientReader.Band(start, end);
        (McusWide, McusHigh, McuBlocks) = Interleaved
            ? (frame.McusWide, frame.McusHigh, components.Sum(c => c.Component.H * c.Component.V))
            : (components[0].Component.BlocksWide, components[0].Component.BlocksHigh, 1);
    }

    public JpegSegment Segment { get; }

    public JpegScanKind Kind { get; }

    public JpegScanComponent[] Components { get; }

    /// <summary>The first coefficient in zigzag order.</summary>
    public int Start { get; }

    /// <summary>The coefficient after the last one.</summary>
    public int End { get; }

    /// <summary>The bits of the coefficients.</summary>
    public ulong Band { get; }

    /// <summary>The number of lowest bits that later scans code.</summary>
    public int Shift { get; }

    /// <summary>True if an MCU has blocks of several components. Otherwise it is a single block.</summary>
    public bool Interleaved => Components.Length > 1;

    /// <summary>The size in MCUs, and the blocks per MCU.</summary>
    public int McusWide { get; }

    public int McusHigh { get; }

    public int McuBlocks { get; }

    /// <summary>Reads the segment, and records in the components what the scan codes.</summary>
    public static JpegScan Read(ReadOnlySpan<byte> jpeg, JpegSegment segment, JpegFrame frame, JpegTables tables)
    {
        ReadOnlySpan<byte> data = segment.Data(jpeg);
        int count = data.IsEmpty ? 0 : data[0];
        if (count is < 1 or > 4 || data.Length != 4 + 2 * count)
        {
            throw FormatError.Jpeg(segment.Offset, $"{segment} has {data.Length} bytes of parameters for {count} components; " +
                "there must be 1 to 4, with 2 bytes each, and 4 more.");
        }

        ReadOnlySpan<byte> range = data[(1 + 2 * count)..];
        (int start, int end, int before, int shift) = frame.Progressive
            ? (range[0], range[1] + 1, range[2] >> 4, range[2] & 15)
            : (0, 64, 0, 0);
        JpegScanKind kind = !frame.Progressive ? JpegScanKind.Sequential
            : start == 0 ? before == 0 ? JpegScanKind.DcFirst : JpegScanKind.DcRefined
            : before == 0 ? JpegScanKind.AcFirst : JpegScanKind.AcRefined;
        if (frame.Progressive && (start == 0 ? end != 1 : start >= end || end > 64 || count > 1)
            || shift > MaxShift || before != 0 && before != shift + 1)
        {
            throw FormatError.Jpeg(segment.Offset,
                $"{segment} codes the coefficients {start} to {end - 1} of {count} components, " +
                $"bits {before} to {shift}; it must be coefficient 0, or some of 1 to 63 of one component, and either all " +
                $"bits but the last, at most {MaxShift}, or one more bit.");
        }

        JpegScanComponent[] components = new JpegScanComponent[count];
        for (int i = 0; i < count; i++)
        {
            byte id = data[1 + 2 * i], codes = data[2 + 2 * i];
            JpegComponent component = Array.Find(frame.Components, c => c.Id == id && !components.Any(o => o?.Component == c))
                ?? throw FormatError.Jpeg(segment.Offset, $"{segment} names component {id}, which the frame does not have, " +
                    "or which it named already.");
            Mark(component, segment, start, end, before, shift);
            component.LatchQuantisation(tables, segment);
            components[i] = new JpegScanComponent(component,
                kind is JpegScanKind.Sequential or JpegScanKind.DcFirst ? Code(true, codes >> 4) : null,
                kind is JpegScanKind.DcFirst or JpegScanKind.DcRefined ? null : Code(false, codes & 15));
        }

        JpegScan scan = new JpegScan(segment, kind, components, frame, start, end, shift);
        return scan.McuBlocks <= MaxMcuBlocks ? scan : throw FormatError.Jpeg(segment.Offset,
                $"{segment} interleaves {scan.McuBlocks} blocks; at most {MaxMcuBlocks} are allowed.");

        HuffmanCode Code(bool dc, int slot) => tables.Code(dc, slot, frame.Progressive, segment);
    }

    /// <summary>
    /// Checks that the file is long enough before memory is allocated: a block takes at least a bit for DC and, in a sequential file, a
    /// bit for AC.
    /// </summary>
    public void RequireData(int fileBytes)
    {
        long blocks = (long)McusWide * McusHigh * McuBlocks;
        long bits = Kind switch
        {
            JpegScanKind.Sequential => 2 * blocks,
            JpegScanKind.DcFirst or JpegScanKind.DcRefined => blocks,
            _ => 1,
        };
        if ((bits + 7) / 8 > fileBytes - Segment.End)
        {
            throw FormatError.Jpeg(Segment.Offset, $"the {blocks} blocks of the scan of {Segment} take at least {(bits + 7) / 8} " +
                $"bytes; {fileBytes - Segment.End} are left. The file is cut off or its size is damaged.");
        }
    }

    /// <summary>Records the bits that the scan codes. Each bit must be coded once, the highest first.</summary>
    private static void Mark(JpegComponent component, JpegSegment segment, int start, int end, int before, int shift)
    {
        sbyte[] unknown = component.UnknownBits;
        for (int k = start; k < end; k++)
        {
            if (k > 0 && unknown[0] == JpegComponent.Unknown)
            {
                throw FormatError.Jpeg(segment.Offset,
                $"{segment} codes coefficient {k} of component {component.Index} before any scan of coefficient 0.");
            }

            if (unknown[k] != (before == 0 ? JpegComponent.Unknown : before))
            {
                throw FormatError.Jpeg(segment.Offset, $"{segment} codes coefficient {k} of component {component.Index} " +
                    (before == 0 ? "for the first time, but " : $"below bit {before}, but ") +
                    (unknown[k] == JpegComponent.Unknown ? "no scan before it does." : $"all above bit {unknown[k]} is known."));
            }

            unknown[k] = (sbyte)shift;
        }
    }
}

/// <summary>Represents a component in a scan, with the Huffman codes that the scan uses.</summary>
internal sealed record JpegScanComponent(JpegComponent Component, HuffmanCode? Dc, HuffmanCode? Ac);
