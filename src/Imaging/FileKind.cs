using System.Buffers.Binary;
using System.Text;

namespace TinyZsad.Imaging;

/// <summary>Represents a kind of file that is recognised but not decoded, so that an error can name it and say what to do.</summary>
/// <param name="Name">The format, for <see cref="ImageFormatException.Format"/>.</param>
/// <param name="What">What the file is, with its article.</param>
/// <param name="Advice">What to do with it.</param>
/// <param name="Recognises">Determines whether a file is of this kind.</param>
internal sealed record FileKind(string Name, string What, string Advice, ImageFormat.Recognition Recognises)
{
    private const string Convert = "convert it to PNG", Extract = "extract the pictures from it",
        AddTiff = $"add the package TinyZsad.Tiff and call WithTiff() on the {nameof(ImageLoadOptions)}, or {Convert}";

    /// <summary>Gets the kinds, in the order in which they are tried.</summary>
    public static IReadOnlyList<FileKind> Known { get; } =
    [
        Picture("GIF", "a", data => data.StartsWith("GIF8"u8)),
        new("TIFF", "a TIFF picture, which is not supported", AddTiff,
            data => data.StartsWith("II*\0"u8) || data.StartsWith("MM\0*"u8)),
        new("BigTIFF", "a BigTIFF picture, which is not supported", AddTiff,
            data => data.StartsWith("II+\0"u8) || data.StartsWith("MM\0+"u8)),
        Picture("WebP", "a", data => IsRiff(data, "WEBP"u8)),
        Picture("AVIF", "an", data => HasBrand(data, "avif"u8) || HasBrand(data, "avis"u8)),
        Picture("HEIC", "a", data => HasBrand(data, "heic"u8) || HasBrand(data, "heix"u8) || HasBrand(data, "heim"u8) ||
            HasBrand(data, "hevc"u8) || HasBrand(data, "hevx"u8)),
        Picture("HEIF", "a", data => HasBrand(data, "mif1"u8) || HasBrand(data, "msf1"u8)),
        Picture("JPEG XL", "a", data => data is [0xFF, 0x0A, ..] || data.StartsWith("\0\0\0\fJXL "u8)),
        Picture("JPEG 2000", "a", data => data.StartsWith("\0\0\0\fjP  "u8) || data is [0xFF, 0x4F, 0xFF, 0x51, ..]),
        Picture("JPEG XR", "a", data => data is [(byte)'I', (byte)'I', 0xBC, ..]),
        Picture("PSD", "a", data => data.StartsWith("8BPS"u8)),
        Picture("XCF", "an", data => data.StartsWith("gimp xcf"u8)),
        Picture("ICO", "an", data => data is [0, 0, 1, 0, not 0, 0, _, _, _, 0, ..]),
        Picture("CUR", "a", data => data is [0, 0, 2, 0, not 0, 0, _, _, _, 0, ..]),
        Picture("MNG", "an", data => data is [0x8A, (byte)'M', (byte)'N', (byte)'G', ..]),
        Picture("JNG", "a", data => data is [0x8B, (byte)'J', (byte)'N', (byte)'G', ..]),
        Picture("OpenEXR", "an", data => data is [0x76, 0x2F, 0x31, 0x01, ..]),
        Picture("Radiance HDR", "a", data => data.StartsWith("#?RADIANCE"u8) || data.StartsWith("#?RGBE"u8)),
        Picture("DDS", "a", data => data.StartsWith("DDS "u8)),
        Picture("QOI", "a", data => data.StartsWith("qoif"u8)),
        Picture("PFM", "a", data => data is [(byte)'P', (byte)'F' or (byte)'f', var space, ..] && PnmTokens.IsSpace(space)),
        Picture("farbfeld", "a", data => data.StartsWith("farbfeld"u8)),
        Picture("DICOM", "a", data => data.Length >= 132 && data[128..].StartsWith("DICM"u8)),
        Picture("FITS", "a", data => data.StartsWith("SIMPLE  ="u8)),
        Picture("PCX", "a", data => data is [10, 0 or 2 or 3 or 4 or 5, 1, 1 or 2 or 4 or 8, ..]),
        Picture("TGA", "a", data => data.EndsWith("TRUEVISION-XFILE.\0"u8)),
        Picture("camera raw", "a", data => HasBrand(data, "crx "u8) || data.StartsWith("FUJIFILMCCD-RAW"u8) ||
            data.StartsWith("IIRO"u8) || data.StartsWith("IIRS"u8) || data.StartsWith("IIU\0"u8)),
        Other("PDF", "a PDF document", "save its page or its picture as PNG", data => data.StartsWith("%PDF-"u8)),
        Other("PostScript", "a PostScript document", "save its page as PNG", data => data.StartsWith("%!PS"u8)),
        Other("DjVu", "a DjVu document", "save its page as PNG", data => data.StartsWith("AT&TFORM"u8)),
        new("SVG", "an SVG drawing, which is not supported", "save it as PNG in the size that it should have",
            data => IsMarkup(data, "<svg") || (IsMarkup(data, "<?xml", "<!--", "<!doctype svg") && Mentions(data, "<svg"))),
        Other("HTML", "an HTML page", "it came from an address that is not the picture's, or that reported an error",
            data => IsMarkup(data, "<!doctype html", "<html", "<head", "<body") ||
                (IsMarkup(data, "<?xml", "<!--", "<!doctype") && Mentions(data, "<html"))),
        Other("XML", "an XML document", "look for the file that it describes", data => IsMarkup(data, "<?xml")),
        Other("Git LFS pointer", "a Git LFS pointer", "run git lfs pull to get the file that it stands for",
            data => data.StartsWith("version https://git-lfs.github.com/spec/"u8)),
        Other("ZIP", "a ZIP archive or an Office document", Extract,
            data => data.StartsWith("PK\u0003\u0004"u8) || data.StartsWith("PK\u0005\u0006"u8)),
        Other("gzip", "a gzip file", Extract, data => data is [0x1F, 0x8B, ..]),
        Other("7-Zip", "a 7-Zip archive", Extract,
            data => data is [(byte)'7', (byte)'z', 0xBC, 0xAF, 0x27, 0x1C, ..]),
        Other("RAR", "a RAR archive", Extract, data => data.StartsWith("Rar!\u001a\u0007"u8)),
        Other("tar", "a tar archive", Extract, data => data.Length >= 262 && data[257..].StartsWith("ustar"u8)),
        Other("AVI", "an AVI video", "save its frames as PNG", data => IsRiff(data, "AVI "u8)),
        Other("Matroska", "a Matroska or WebM video", "save its frames as PNG",
            data => data is [0x1A, 0x45, 0xDF, 0xA3, ..]),
        Other("MP4", "an MP4 or QuickTime video", "save its frames as PNG",
            data => data.Length >= 8 && (data[4..8].SequenceEqual("ftyp"u8) || data[4..8].SequenceEqual("moov"u8))),
        Other("NumPy", "a NumPy array", "save it as PNG",
            data => data is [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', ..]),
        Other("safetensors", "a safetensors file", "it belongs where the model is asked for",
            data => data is [_, _, _, _, 0, 0, 0, 0, (byte)'{', (byte)'"' or (byte)'}' or (byte)' ', ..]),
    ];

    private static FileKind Picture(string name, string article, ImageFormat.Recognition recognises) =>
        new(name, $"{article} {name} picture, which is not supported", Convert, recognises);

    private static FileKind Other(string name, string what, string advice, ImageFormat.Recognition recognises) =>
        new(name, what + ", not a picture", advice, recognises);

    private static bool IsRiff(ReadOnlySpan<byte> data, ReadOnlySpan<byte> form) =>
        data.Length >= 12 && data.StartsWith("RIFF"u8) && data[8..].StartsWith(form);

    /// <summary>Determines whether an ISO base media file has a brand, as the major one or among the compatible ones.</summary>
    private static bool HasBrand(ReadOnlySpan<byte> data, ReadOnlySpan<byte> brand)
    {
        if (data.Length < 12 || !data[4..].StartsWith("ftyp"u8))
        {
            return false;
        }

        // The box's length is in bytes 0 to 3. The major brand, at 8, is followed by a version of four bytes.
        uint length = BinaryPrimitives.ReadUInt32BigEndian(data);
        ReadOnlySpan<byte> box = data[..(int)Math.Min(Math.Min(length, 256u), (uint)data.Length)];
        for (int at = 8; at + 4 <= box.Length; at += at == 8 ? 8 : 4)
        {
            if (box.Slice(at, 4).SequenceEqual(brand))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Determines whether a text starts with one of some tags, after a byte order mark and white space.</summary>
    private static bool IsMarkup(ReadOnlySpan<byte> data, params ReadOnlySpan<string> tags)
    {
        string start = Start(data, 64).TrimStart('\uFEFF', ' ', '\t', '\r', '\n');
        foreach (string tag in tags)
        {
            if (start.StartsWith(tag, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Determines whether a tag occurs in the first bytes, where the root element is.</summary>
    private static bool Mentions(ReadOnlySpan<byte> data, string tag) =>
        Start(data, 4096).Contains(tag, StringComparison.OrdinalIgnoreCase);

    private static string Start(ReadOnlySpan<byte> data, int length) => Encoding.UTF8.GetString(data[..Math.Min(length, data.Length)]);
}
