using System.Buffers.Binary;

namespace TinyZsad.Imaging;

/// <summary>Represents the SOF segment. The coding is supported, the size within the limits, and the components are valid.</summary>
internal sealed class JpegFrame
{
    /// <summary>The width and the height of a block, in samples.</summary>
    public const int BlockSide = 8;

    private JpegFrame(int width, int height, bool progressive, JpegComponent[] components)
    {
        Width = width;
        Height = height;
        Progressive = progressive;
        Components = components;
        MaxH = components.Max(c => c.H);
        MaxV = components.Max(c => c.V);
        McusWide = Blocks(width, MaxH);
        McusHigh = Blocks(height, MaxV);
        foreach (JpegComponent component in components)
        {
            component.Place(this);
        }
    }

    public int Width { get; }

    public int Height { get; }

    /// <summary>True for SOF2: several scans code parts of the coefficients.</summary>
    public bool Progressive { get; }

    public JpegComponent[] Components { get; }

    /// <summary>The largest sampling factors. A component with these has a sample per pixel.</summary>
    public int MaxH { get; }

    public int MaxV { get; }

    /// <summary>
    /// The size in MCUs (minimum coded units), which are <see cref="MaxH"/> by <see cref="MaxV"/> blocks of pixels.
    /// </summary>
    public int McusWide { get; }

    public int McusHigh { get; }

    public static JpegFrame Read(ReadOnlySpan<byte> jpeg, JpegSegment segment, ImageLimits limits)
    {
        RequireKnownCoding(segment);
        ReadOnlySpan<byte> data = segment.Data(jpeg);
        if (data.Length < 6 || data.Length != 6 + 3 * data[5])
        {
            throw FormatError.Jpeg(segment.Offset, $"{segment} has {data.Length} bytes of parameters; " +
                "it must have 6 and 3 more for each component.");
        }

        int height = BinaryPrimitives.ReadUInt16BigEndian(data[1..]), width = BinaryPrimitives.ReadUInt16BigEndian(data[3..]);
        if (data[0] != 8)
        {
            throw FormatError.Jpeg(segment.Offset, $"{segment} has samples of {data[0]} bits; only those of 8 are supported.");
        }

        if (height == 0)
        {
            throw FormatError.Jpeg(segment.Offset, $"{segment} leaves the height to a DNL marker after the first scan, " +
                "which is not supported; the height must stand there.");
        }

        limits.CheckSize(JpegDecoder.Format, segment.Offset, width, height);
        if (data[5] is not (1 or 3 or 4))
        {
            throw FormatError.Jpeg(segment.Offset, $"{segment} has {data[5]} components; " +
                "supported are 1 (gray), 3 (colour) and 4 (CMYK).");
        }

        JpegComponent[] components = new JpegComponent[data[5]];
        for (int i = 0; i < components.Length; i++)
        {
            components[i] = JpegComponent.Read(i, data.Slice(6 + 3 * i, 3), segment);
        }

        RequireWholeSteps(components, segment);
        return new JpegFrame(width, height, segment.Marker == JpegMarker.Sof2, components);
    }

    /// <summary>Returns the number of MCUs that samples take.</summary>
    public static int Blocks(int samples, int blocksPerMcu) => (samples - 1) / (BlockSide * blocksPerMcu) + 1;

    private static void RequireKnownCoding(JpegSegment segment)
    {
        string? coding = segment.Marker switch
        {
            JpegMarker.Sof0 or JpegMarker.Sof1 or JpegMarker.Sof2 => null,
            0xC3 => "lossless coding",
            0xC5 or 0xC6 or 0xC7 => "hierarchical coding",
            0xC9 or 0xCA => "arithmetic coding",
            0xCB => "lossless arithmetic coding",
            JpegMarker.Sof55 => "JPEG-LS",
            _ => "hierarchical arithmetic coding",
        };
        if (coding is not null)
        {
            throw FormatError.Jpeg(segment.Offset, $"{segment} announces {coding}, which is not supported; " +
                "supported are baseline, extended sequential and progressive Huffman coding.");
        }
    }

    /// <summary>Checks that a sample covers a whole number of pixels, like libjpeg.</summary>
    private static void RequireWholeSteps(JpegComponent[] components, JpegSegment segment)
    {
        int maxH = components.Max(c => c.H), maxV = components.Max(c => c.V);
        foreach (JpegComponent c in components)
        {
            if (maxH % c.H != 0 || maxV % c.V != 0)
            {
                throw FormatError.Jpeg(segment.Offset, $"{segment} gives component {c.Index} the sampling factors {c.H} x {c.V}; " +
                    $"the largest are {maxH} x {maxV}, and fractional sampling is not supported.");
            }
        }
    }
}
