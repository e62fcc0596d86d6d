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

    private readonly ImageLimits _limits;
    private readonly JpegTables _tables = new();
    private readonly NativeBuffer<byte> _buffer = new(JpegBitReader.NeededBytes);
    private JpegFrame? _frame;
    private JpegCoefficients? _coefficients;
    private int _scans;

    /// <summary>What the application segments told.</summary>
    private bool _jfif;
    private byte? _adobeTransform;
    private JpegSegment? _exif;

    /// <summary>What Exif data start with in a segment.</summary>
    private static ReadOnlySpan<byte> ExifSignature => "Exif\0\0"u8;

    private JpegDecoder(ImageLimits limits) => _limits = limits;

    public static bool Recognises(ReadOnlySpan<byte> data) => data is [0xFF, JpegMarker.Soi, 0xFF, ..];

    /// <summary>Decodes a picture.</summary>
    /// <param name="jpeg">The file.</param>
    /// <param name="limits">How large it may be.</param>
    /// <param name="applyExifOrientation">True to turn it as its Exif data say.</param>
    public static Image Decode(ReadOnlySpan<byte> jpeg, ImageLimits limits, bool applyExifOrientation)
    {
        using var decoder = new JpegDecoder(limits);
        Image image = decoder.Read(jpeg);
        return applyExifOrientation && decoder._exif is { } exif
            ? ExifOrientation.Apply(image, ExifOrientation.Read(exif.Data(jpeg)[ExifSignature.Length..])) : image;
    }

    public void Dispose()
    {
        _coefficients?.Dispose();
        _buffer.Dispose();
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
                    _tables.ReadQuantisation(jpeg, segment);
                    break;
                case JpegMarker.Dht:
                    _tables.ReadHuffman(jpeg, segment);
                    break;
                case JpegMarker.Dri:
                    _tables.ReadRestartInterval(jpeg, segment);
                    break;
                case JpegMarker.Dac:
                    throw new ImageFormatException($"JPEG: {segment} announces arithmetic coding, which is not supported; " +
                        "supported is Huffman coding.");
                case >= JpegMarker.Sof0 and <= JpegMarker.Sof15 and not JpegMarker.Jpg:
                    if (_frame is not null)
                    {
                        throw new ImageFormatException($"JPEG: {segment} starts a second frame; there must be one.");
                    }

                    _frame = JpegFrame.Read(jpeg, segment, _limits);
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

        return _frame is not null && IsComplete(_frame) ? Assemble(_frame) : throw new ImageFormatException(
            $"JPEG: the data end at offset {jpeg.Length}, where a marker should follow; the file is cut off before its EOI.");
    }

    private void NoteApplication(ReadOnlySpan<byte> jpeg, JpegSegment segment)
    {
        ReadOnlySpan<byte> data = segment.Data(jpeg);
        switch (segment.Marker)
        {
            case JpegMarker.App0 when data.Length >= 14 && data.StartsWith("JFIF\0"u8):
                _jfif = true;
                break;
            case JpegMarker.App1 when data.StartsWith(ExifSignature):
                _exif ??= segment;
                break;
            case JpegMarker.App14 when data.Length >= 12 && data.StartsWith("Adobe"u8):
                _adobeTransform = data[11];
                break;
        }
    }

    /// <summary>Reads a scan.</summary>
    /// <returns>The picture, if a sequential file has told it all by now.</returns>
    private Image? ReadScan(ReadOnlySpan<byte> jpeg, JpegSegment segment, ref int at)
    {
        JpegFrame frame = _frame ?? throw new ImageFormatException(
            $"JPEG: {segment} comes before any SOF, which must say the size.");
        if (++_scans > MaxScans)
        {
            throw new ImageFormatException($"JPEG: {segment} is scan {_scans} of the picture; at most {MaxScans} are supported.");
        }

        JpegScan scan = JpegScan.Read(jpeg, segment, frame, _tables);
        scan.RequireData(jpeg.Length);
        if (!frame.Progressive && scan.Components.Length == frame.Components.Length)
        {
            return ReadAtOnce(jpeg, frame, scan);
        }

        _coefficients ??= new JpegCoefficients(frame, whole: true);
        _coefficients.Provide(scan);
        var decoder = new JpegScanDecoder(jpeg, scan, _tables.RestartInterval, _coefficients, _buffer.Start);
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
        using var picture = new JpegPicture(frame, JpegColour.Guess(frame, _jfif, _adobeTransform));
        _coefficients = new JpegCoefficients(frame, whole: false);
        _coefficients.Provide(scan);
        var decoder = new JpegScanDecoder(jpeg, scan, _tables.RestartInterval, _coefficients, _buffer.Start);
        for (int row = 0; row < frame.McusHigh; row++)
        {
            decoder.ReadRow(row);
            picture.Add(_coefficients, smoothing: null, row);
            _coefficients.Clear();
        }

        decoder.RequireEnd();
        return picture.ToImage();
    }

    /// <summary>At the end of the file: the picture, of which something of every component must be known.</summary>
    private Image RequirePicture(JpegSegment end)
    {
        JpegFrame frame = _frame ?? throw new ImageFormatException($"JPEG: {end} comes before any SOF; there is no picture.");
        if (Array.Find(frame.Components, c => c.UnknownBits[0] == JpegComponent.Unknown) is { } missing)
        {
            throw new ImageFormatException($"JPEG: {end} comes before any scan of component {missing.Index}.");
        }

        return Assemble(frame);
    }

    private Image Assemble(JpegFrame frame)
    {
        using var picture = new JpegPicture(frame, JpegColour.Guess(frame, _jfif, _adobeTransform));
        using BlockSmoothing? smoothing = BlockSmoothing.Create(frame, _coefficients!);
        for (int row = 0; row < frame.McusHigh; row++)
        {
            picture.Add(_coefficients!, smoothing, row);
        }

        return picture.ToImage();
    }

    private static bool IsComplete(JpegFrame frame) =>
        !frame.Components.Any(c => c.UnknownBits.AsSpan().ContainsAnyExcept((sbyte)0));
}
