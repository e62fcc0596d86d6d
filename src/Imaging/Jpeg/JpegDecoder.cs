namespace TinyZsad.Imaging;

/// <summary>
/// JPEG (ITU-T T.81): baseline, extended sequential and progressive Huffman coding of 8 bits, with 1, 3 or 4 components. The
/// pixels are those of libjpeg-turbo 2.1's default settings, and Pillow's where there are inks.
/// </summary>
/// <remarks>
/// Harmless faults do not matter, as with libjpeg: bytes between segments and behind the coded data of a scan or a restart
/// interval, padding, segments that nobody needs, whatever follows the picture, no EOI where nothing can be missing. Where data
/// are damaged or missing, libjpeg guesses on; this decoder refuses, as it does where scans contradict each other.
/// </remarks>
internal sealed unsafe class JpegDecoder : IDisposable
{
    /// <summary>
    /// The most scans: libjpeg-turbo's own limit for files that one does not trust. A scan takes time by the size of the picture,
    /// however few bytes it has, so that this bounds the time.
    /// </summary>
    private const int MaxScans = 500;

    private readonly ImageLimits limits;
    private readonly JpegTables tables = new();
    private readonly NativeBuffer<byte> buffer = new(JpegBitReader.NeededBytes);
    private JpegFrame? frame;
    private JpegCoefficients? coefficients;
    private int scans;

    /// <summary>What the application segments told.</summary>
    private bool jfif;
    private byte? adobeTransform;
    private JpegSegment? exif;

    /// <summary>What Exif data start with in a segment.</summary>
    private static ReadOnlySpan<byte> ExifSignature => "Exif\0\0"u8;

    private JpegDecoder(ImageLimits limits) => this.limits = limits;

    public static bool Recognises(ReadOnlySpan<byte> data) => data is [0xFF, JpegMarker.Soi, 0xFF, ..];

    /// <summary>Decodes a picture.</summary>
    /// <param name="jpeg">The file.</param>
    /// <param name="limits">How large it may be.</param>
    /// <param name="applyExifOrientation">True to turn it as its Exif data say.</param>
    public static Image Decode(ReadOnlySpan<byte> jpeg, ImageLimits limits, bool applyExifOrientation)
    {
        using JpegDecoder decoder = new JpegDecoder(limits);
        Image image = decoder.Read(jpeg);
        return applyExifOrientation && decoder.exif is { } exif
            ? ExifOrientation.Apply(image, ExifOrientation.Read(exif.Data(jpeg)[ExifSignature.Length..])) : image;
    }

    public void Dispose()
    {
        coefficients?.Dispose();
        buffer.Dispose();
    }

    private Image Read(ReadOnlySpan<byte> jpeg)
    {
        int at = 2;
        while (JpegSegment.Next(jpeg, at) is { } segment)
        {
            at = segment.End;
            switch (segment.Marker)
            {
                case JpegMarker.Sos:
                    if (ReadScan(jpeg, segment, ref at) is { } image)
                    {
                        return image;
                    }

                    break;
                case JpegMarker.Eoi:
                    return RequirePicture(segment);
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
                    throw new ImageFormatException($"JPEG: {segment} announces arithmetic coding, which is not supported; " +
                        "supported is Huffman coding.");
                case >= JpegMarker.Sof0 and <= JpegMarker.Sof15 and not JpegMarker.Jpg:
                    if (this.frame is not null)
                    {
                        throw new ImageFormatException($"JPEG: {segment} starts a second frame; there must be one.");
                    }

                    this.frame = JpegFrame.Read(jpeg, segment, this.limits);
                    break;
                case >= JpegMarker.App0 and <= JpegMarker.App15:
                    NoteApplication(jpeg, segment);
                    break;
                case JpegMarker.Com or JpegMarker.Dnl or JpegMarker.Tem or (>= JpegMarker.Rst0 and <= JpegMarker.Rst7):
                    break;
                default:
                    throw new ImageFormatException($"JPEG: {segment} does not belong in a picture.");
            }
        }

        return this.frame is not null && IsComplete(this.frame) ? Assemble(this.frame) : throw new ImageFormatException(
            $"JPEG: the data end at offset {jpeg.Length}, where a marker should follow; the file is cut off before its EOI.");
    }

    private void NoteApplication(ReadOnlySpan<byte> jpeg, JpegSegment segment)
    {
        ReadOnlySpan<byte> data = segment.Data(jpeg);
        switch (segment.Marker)
        {
            case JpegMarker.App0 when data.Length >= 14 && data.StartsWith("JFIF\0"u8):
                jfif = true;
                break;
            case JpegMarker.App1 when data.StartsWith(ExifSignature):
                this.exif ??= segment;
                break;
            case JpegMarker.App14 when data.Length >= 12 && data.StartsWith("Adobe"u8):
                adobeTransform = data[11];
                break;
        }
    }

    /// <summary>Reads a scan.</summary>
    /// <returns>The picture, if a sequential file has told it all by now.</returns>
    private Image? ReadScan(ReadOnlySpan<byte> jpeg, JpegSegment segment, ref int at)
    {
        JpegFrame frame = this.frame ?? throw new ImageFormatException(
            $"JPEG: {segment} comes before any SOF, which must say the size.");
        if (++scans > MaxScans)
        {
            throw new ImageFormatException($"JPEG: {segment} is scan {scans} of the picture; at most {MaxScans} are supported.");
        }

        JpegScan scan = JpegScan.Read(jpeg, segment, frame, tables);
        scan.RequireData(jpeg.Length);
        if (!frame.Progressive && scan.Components.Length == frame.Components.Length)
        {
            return ReadAtOnce(jpeg, frame, scan);
        }

        coefficients ??= new JpegCoefficients(frame, whole: true);
        coefficients.Provide(scan);
        JpegScanDecoder decoder = new JpegScanDecoder(jpeg, scan, tables.RestartInterval, coefficients, buffer.Start);
        for (int row = 0; row < frame.McusHigh; row++)
        {
            decoder.ReadRow(row);
        }

        decoder.RequireEnd();
        at = decoder.Offset;
        return !frame.Progressive && IsComplete(frame) ? Assemble(frame) : null;
    }

    /// <summary>Reads and transforms a picture of one scan row by row.</summary>
    private Image ReadAtOnce(ReadOnlySpan<byte> jpeg, JpegFrame frame, JpegScan scan)
    {
        using JpegPicture picture = new JpegPicture(frame, JpegColour.Guess(frame, jfif, adobeTransform));
        coefficients = new JpegCoefficients(frame, whole: false);
        coefficients.Provide(scan);
        JpegScanDecoder decoder = new JpegScanDecoder(jpeg, scan, tables.RestartInterval, coefficients, buffer.Start);
        for (int row = 0; row < frame.McusHigh; row++)
        {
            decoder.ReadRow(row);
            picture.Add(coefficients, smoothing: null, row);
            coefficients.Clear();
        }

        decoder.RequireEnd();
        return picture.ToImage();
    }

    /// <summary>At the end of the file: the picture, of which something of every component must be known.</summary>
    private Image RequirePicture(JpegSegment end)
    {
        JpegFrame frame = this.frame ?? throw new ImageFormatException($"JPEG: {end} comes before any SOF; there is no picture.");
        if (Array.Find(frame.Components, c => c.UnknownBits[0] == JpegComponent.Unknown) is { } missing)
        {
            throw new ImageFormatException($"JPEG: {end} comes before any scan of component {missing.Index}.");
        }

        return Assemble(frame);
    }

    private Image Assemble(JpegFrame frame)
    {
        using JpegPicture picture = new JpegPicture(frame, JpegColour.Guess(frame, jfif, adobeTransform));
        using BlockSmoothing? smoothing = BlockSmoothing.Create(frame, coefficients!);
        for (int row = 0; row < frame.McusHigh; row++)
        {
            picture.Add(coefficients!, smoothing, row);
        }

        return picture.ToImage();
    }

    private static bool IsComplete(JpegFrame frame) =>
        !frame.Components.Any(c => c.UnknownBits.AsSpan().ContainsAnyExcept((sbyte)0));
}
