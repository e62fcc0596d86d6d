namespace TinyZsad.Imaging;

/// <summary>
/// Decodes JPEG (ITU-T T.81): baseline, extended sequential and progressive Huffman coding with 8 bits and 1, 3 or 4 components. The
/// pixels equal those of libjpeg-turbo 2.1 with default settings and, for CMYK, those of Pillow.
/// </summary>
/// <remarks>
/// Like libjpeg, the decoder tolerates harmless faults: extra bytes between segments and after coded data, padding, unneeded segments,
/// data after the picture, and a missing EOI if the picture is complete. Unlike libjpeg, it refuses damaged or missing data, and scans
/// that contradict each other.
/// </remarks>
internal sealed unsafe class JpegDecoder : IDisposable
{
    public const string Format = "JPEG";

    public static IReadOnlyList<string> Extensions { get; } = [".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi"];

    /// <summary>
    /// The most scans, the limit of libjpeg-turbo for untrusted files. The time for a scan depends on the size of the picture and not
    /// on the length of the scan, so this limits the time.
    /// </summary>
    private const int MaxScans = 500;

    private readonly DecodingContext context;
    private readonly (JpegColourSpace Space, int Components)? given;
    private readonly JpegTables tables = new();
    private readonly NativeBuffer<byte> buffer = new(JpegBitReader.NeededBytes);
    private JpegFrame? frame;
    private JpegCoefficients? coefficients;
    private int scans;

    /// <summary>The content of the application segments.</summary>
    private bool jfif;
    private byte? adobeTransform;
    private JpegOrientation orientation;

    private JpegDecoder(DecodingContext context, (JpegColourSpace Space, int Components)? given) =>
        (this.context, this.given) = (context, given);

    public static bool Recognises(ReadOnlySpan<byte> data) => data is [0xFF, JpegMarker.Soi, 0xFF, ..];

    public static void Decode(ReadOnlySpan<byte> jpeg, DecodingContext context)
    {
        using JpegDecoder decoder = new JpegDecoder(context, null);
        decoder.Read(jpeg);
    }

    /// <summary>Decodes a picture of which another file says what its components mean, and not its own headers.</summary>
    /// <param name="jpeg">The picture.</param>
    /// <param name="context">The context.</param>
    /// <param name="space">The meaning of the components.</param>
    /// <param name="components">Their number, which is at least as many as the meaning needs.</param>
    public static void Decode(ReadOnlySpan<byte> jpeg, DecodingContext context, JpegColourSpace space, int components)
    {
        using JpegDecoder decoder = new JpegDecoder(context, (space, components));
        decoder.Read(jpeg);
    }

    /// <summary>Reads the size of the decoded picture.</summary>
    public static (int Width, int Height) ReadSize(ReadOnlySpan<byte> jpeg, ImageLoadOptions options)
    {
        JpegFrame? frame = null;
        JpegOrientation orientation = default;
        int at = 2;
        while ((frame is null || options.ApplyExifOrientation) && JpegSegment.Next(jpeg, at) is { } segment
            && segment.Marker is not (JpegMarker.Sos or JpegMarker.Eoi))
        {
            at = segment.End;
            if (JpegMarker.StartsFrame(segment.Marker))
            {
                frame ??= JpegFrame.Read(jpeg, segment, options.Limits);
            }
            else if (segment.Marker == JpegMarker.App1)
            {
                orientation.Note(segment, jpeg);
            }
        }

        if (frame is null)
        {
            throw FormatError.Jpeg(at, $"no SOF, which must say the size, comes before a scan or the end, from offset {at} on.");
        }

        return ExifOrientation.SizeOf(
            frame.Width, frame.Height, options.ApplyExifOrientation ? orientation.Read(jpeg) : ExifOrientation.Upright);
    }

    public void Dispose()
    {
        coefficients?.Dispose();
        buffer.Dispose();
    }

    private void Read(ReadOnlySpan<byte> jpeg)
    {
        int at = 2;
        while (JpegSegment.Next(jpeg, at) is { } segment)
        {
            this.context.ThrowIfCancelled();
            at = segment.End;
            switch (segment.Marker)
            {
                case JpegMarker.Sos:
                    if (ReadScan(jpeg, segment, ref at))
                    {
                        return;
                    }

                    break;
                case JpegMarker.Eoi:
                    AssembleKnown(jpeg, segment);
                    return;
                case JpegMarker.Dqt:
                    tables.ReadQuantisation(jpeg, segment);
                    break;
                case JpegMarker.Dht:
                    tables.ReadHuffman(jpeg, segment);
                    break;
                case JpegMarker.Dri:
                    tables.ReadRestartInterval(jpeg, segment);
                    break;
                case JpegMarker.Dac:
                    throw FormatError.Jpeg(segment.Offset, $"{segment} announces arithmetic coding, which is not supported; " +
                        "supported is Huffman coding.");
                case byte marker when JpegMarker.StartsFrame(marker):
                    if (this.frame is not null)
                    {
                        throw FormatError.Jpeg(segment.Offset, $"{segment} starts a second frame; there must be one.");
                    }

                    this.frame = JpegFrame.Read(jpeg, segment, this.context.Limits);
                    break;
                case >= JpegMarker.App0 and <= JpegMarker.App15:
                    NoteApplication(jpeg, segment);
                    break;
                case JpegMarker.Com or JpegMarker.Dnl or JpegMarker.Tem or (>= JpegMarker.Rst0 and <= JpegMarker.Rst7):
                    break;
                default:
                    throw FormatError.Jpeg(segment.Offset, $"{segment} does not belong in a picture.");
            }
        }

        if (this.frame is null || !IsComplete(this.frame))
        {
            throw FormatError.Jpeg(jpeg.Length,
                $"the data end at offset {jpeg.Length}, where a marker should follow; the file is cut off before its EOI.");
        }

        Assemble(jpeg, this.frame);
    }

    private void NoteApplication(ReadOnlySpan<byte> jpeg, JpegSegment segment)
    {
        ReadOnlySpan<byte> data = segment.Data(jpeg);
        switch (segment.Marker)
        {
            case JpegMarker.App0 when data.Length >= 14 && data.StartsWith("JFIF\0"u8):
                jfif = true;
                break;
            case JpegMarker.App1 when scans == 0:
                this.orientation.Note(segment, jpeg);
                break;
            case JpegMarker.App14 when data.Length >= 12 && data.StartsWith("Adobe"u8):
                adobeTransform = data[11];
                break;
        }
    }

    /// <summary>Reads a scan.</summary>
    /// <returns>True if the picture is decoded: the scan completes a sequential file.</returns>
    private bool ReadScan(ReadOnlySpan<byte> jpeg, JpegSegment segment, ref int at)
    {
        JpegFrame frame = this.frame ?? throw FormatError.Jpeg(segment.Offset,
                $"{segment} comes before any SOF, which must say the size.");
        if (++scans > MaxScans)
        {
            throw FormatError.Jpeg(segment.Offset, $"{segment} is scan {scans} of the picture; at most {MaxScans} are supported.");
        }

        JpegScan scan = JpegScan.Read(jpeg, segment, frame, tables);
        scan.RequireData(jpeg.Length);
        if (!frame.Progressive && scan.Components.Length == frame.Components.Length)
        {
            ReadAtOnce(jpeg, frame, scan);
            return true;
        }

        coefficients ??= new JpegCoefficients(frame, whole: true);
        coefficients.Provide(scan);
        JpegScanDecoder decoder = new JpegScanDecoder(jpeg, scan, tables.RestartInterval, coefficients, buffer.Start);
        for (int row = 0; row < frame.McusHigh; row++)
        {
            this.context.ThrowIfCancelled();
            decoder.ReadRow(row);
        }

        decoder.RequireEnd();
        at = decoder.Offset;
        if (frame.Progressive || !IsComplete(frame))
        {
            return false;
        }

        Assemble(jpeg, frame);
        return true;
    }

    /// <summary>Decodes a picture with one scan row by row.</summary>
    private void ReadAtOnce(ReadOnlySpan<byte> jpeg, JpegFrame frame, JpegScan scan)
    {
        using JpegPicture picture = CreatePicture(jpeg, frame);
        coefficients = new JpegCoefficients(frame, whole: false);
        coefficients.Provide(scan);
        JpegScanDecoder decoder = new JpegScanDecoder(jpeg, scan, tables.RestartInterval, coefficients, buffer.Start);
        for (int row = 0; row < frame.McusHigh; row++)
        {
            this.context.ThrowIfCancelled();
            decoder.ReadRow(row);
            picture.Add(coefficients, smoothing: null, row);
            coefficients.Clear();
        }

        decoder.RequireEnd();
    }

    /// <summary>Makes the picture at the end of the file, from at least one scan of each component.</summary>
    private void AssembleKnown(ReadOnlySpan<byte> jpeg, JpegSegment end)
    {
        JpegFrame frame = this.frame ?? throw FormatError.Jpeg(end.Offset, $"{end} comes before any SOF; there is no picture.");
        if (Array.Find(frame.Components, c => c.UnknownBits[0] == JpegComponent.Unknown) is { } missing)
        {
            throw FormatError.Jpeg(end.Offset, $"{end} comes before any scan of component {missing.Index}.");
        }

        Assemble(jpeg, frame);
    }

    /// <summary>Makes the picture from the coefficients of all scans.</summary>
    private void Assemble(ReadOnlySpan<byte> jpeg, JpegFrame frame)
    {
        using JpegPicture picture = CreatePicture(jpeg, frame);
        using BlockSmoothing? smoothing = BlockSmoothing.Create(frame, coefficients!);
        for (int row = 0; row < frame.McusHigh; row++)
        {
            this.context.ThrowIfCancelled();
            picture.Add(coefficients!, smoothing, row);
        }
    }

    private JpegPicture CreatePicture(ReadOnlySpan<byte> jpeg, JpegFrame frame)
    {
        if (this.given is { } expected && expected.Components != frame.Components.Length)
        {
            throw FormatError.Jpeg(null,
                $"the frame has {frame.Components.Length} components; the file that contains it states {expected.Components}.");
        }

        int turn = this.context.ApplyExifOrientation ? this.orientation.Read(jpeg) : ExifOrientation.Upright;
        Memory<byte> pixels = this.context.Allocate(frame.Width, frame.Height, turn);
        return new JpegPicture(frame, this.given?.Space ?? JpegColour.Guess(frame, jfif, adobeTransform), pixels);
    }

    private static bool IsComplete(JpegFrame frame) =>
        !frame.Components.Any(c => c.UnknownBits.AsSpan().ContainsAnyExcept((sbyte)0));
}
