using System.Text;

namespace TinyZsad.Weights;

/// <summary>
/// Recognises by their first bytes files that are given in place of a model or checkpoint, and says what they are and what to do. It is
/// asked only about files that are not well-formed otherwise, so it never refuses a good one.
/// </summary>
internal static class ForeignFile
{
    /// <summary>The number of first bytes that are looked at.</summary>
    public const int HeadLength = 512;

    /// <summary>The name of NumPy's archives, which are ZIP archives of arrays.</summary>
    public const string NumPyArchive = "a NumPy archive (.npz)";

    private const string TarMark = "ustar";

    private const int TarMarkOffset = 257;

    private const string Unpack = "unpack it, and use the file that is in it", Other = "only .safetensors files and PyTorch's are read",
        SaveAnew = "save it anew with a later PyTorch: torch.save(torch.load(FILE), NEW)",
        Address = "if it was downloaded, check the address and whether the model's page asks for a login or a licence",
        Access = "accept the licence on the model's page, and download the file with an access token";

    /// <summary>The first bytes of formats, in Latin-1, and what they are.</summary>
    private static readonly (string Start, string Name, string Advice)[] Formats =
    [
        ("\u001f\u008b", "a gzip archive", Unpack), ("\u00fd7zXZ\0", "an xz archive", Unpack), ("BZh", "a bzip2 archive", Unpack),
        ("(\u00b5/\u00fd", "a zstd archive", Unpack), ("\u0004\"M\u0018", "an LZ4 archive", Unpack),
        ("7z\u00bc\u00af'\u001c", "a 7z archive", Unpack), ("Rar!\u001a\u0007", "a RAR archive", Unpack),
        ("GGUF", "a GGUF model", Other), ("\u0089HDF\r\n\u001a\n", "an HDF5 file, as Keras writes models (.h5)", Other),
        ("\u0093NUMPY", "a NumPy array (.npy)", Other),
        ("\u0089PNG\r\n\u001a\n", "a PNG picture", Other), ("\u00ff\u00d8\u00ff", "a JPEG picture", Other),
        ("GIF8", "a GIF picture", Other),
        ("RIFF", "a RIFF file, such as a WebP picture", Other), ("II*\0", "a TIFF picture", Other), ("MM\0*", "a TIFF picture", Other),
        ("BM", "a BMP picture", Other), ("%PDF-", "a PDF document", Other),
    ];

    /// <summary>What a server's answer says if a login or a licence is missing.</summary>
    private static readonly string[] Denials =
    [
        "access to model", "is restricted", "is gated", "gated repo", "not authenticated", "be authenticated", "unauthorized",
        "not authorized", "authorization", "invalid username or password", "invalid credentials", "forbidden", "access denied",
        "access token",
    ];

    /// <summary>Gets a value that indicates whether a file begins as a ZIP archive.</summary>
    public static bool IsZip(ReadOnlySpan<byte> head) => head.StartsWith("PK\x03\x04"u8) || head.StartsWith("PK\x05\x06"u8);

    /// <summary>Gets a value that indicates whether a file begins as a JSON object.</summary>
    public static bool IsJson(ReadOnlySpan<byte> head) => head.TrimStart(" \t\r\n"u8) is [(byte)'{', ..];

    /// <summary>Describes a file that is given as a model, which is a safetensors file.</summary>
    /// <param name="head">The first bytes, <see cref="HeadLength"/> of them if the file has as many.</param>
    /// <returns>What the file is and what to do, without a full stop; null if the bytes tell nothing.</returns>
    public static string? DescribeModel(ReadOnlySpan<byte> head)
    {
        if (SafetensorsFile.Begins(head)) return null;
        if (IsZip(head))
        {
            return NameOfFirstEntry(head).EndsWith(".npy", StringComparison.Ordinal) ? Archive(NumPyArchive, Other)
                : Archive("a ZIP archive, as PyTorch's checkpoints are (.pt, .pth)",
                    "a model is a .safetensors file, which 'tinyzsad convert' makes of a checkpoint");
        }
        if (IsJson(head))
        {
            return head.IndexOf("\"weight_map\""u8) >= 0 || head.IndexOf("\"total_size\""u8) >= 0
                ? "this is an index of shards; a model is one file, which 'tinyzsad convert' makes of them"
                : DescribeJson(Encoding.UTF8.GetString(head));
        }
        return DescribeCheckpoint(head);
    }

    /// <summary>Says what an archive or a file of another format is.</summary>
    public static string Archive(string name, string advice = Other) => $"this is {name}; {advice}";

    /// <summary>
    /// Describes a file that is given as a checkpoint. A ZIP archive and JSON may be one, and what they are shows inside them.
    /// </summary>
    /// <inheritdoc cref="DescribeModel"/>
    public static string? DescribeCheckpoint(ReadOnlySpan<byte> head)
    {
        if (head.IsEmpty) return "the file is empty, as it is if a download or a copy failed; get it again";
        if (SafetensorsFile.Begins(head) || IsZip(head) || IsJson(head)) return null;
        if (head is [0x80, < 6, ..])
            return $"this is PyTorch's legacy format, a bare pickle as torch.save wrote it before 1.6, which is not read; {SaveAnew}";
        if (head.Length > TarMarkOffset + TarMark.Length && Starts(head[TarMarkOffset..], TarMark))
        {
            return head.StartsWith("storages"u8) || head.StartsWith("sys_info"u8)
                ? $"this is PyTorch's oldest format, a tar archive, as torch.save wrote before 0.1.10, which is not read; {SaveAnew}"
                : Archive("a tar archive", Unpack);
        }
        if (IsText(head)) return DescribeText(Encoding.UTF8.GetString(head).TrimStart('\ufeff').Trim());
        foreach ((string start, string name, string advice) in Formats)
            if (Starts(head, start)) return Archive(name, advice);
        if (head.Length >= 8 && head[4..].StartsWith("TFL3"u8)) return Archive("a TensorFlow Lite model");
        // The version of the format, and then the producer's name or version, the graph or the operator sets.
        return head is [0x08, > 0 and < 64, 0x12 or 0x1a or 0x3a or 0x42, ..] ? Archive("an ONNX model") : null;
    }

    private static string DescribeJson(string text) =>
        text.Contains("\"error", StringComparison.OrdinalIgnoreCase) || text.Contains("\"message\"", StringComparison.OrdinalIgnoreCase)
            || IsDenial(text) ? Answer(text)
            : "this is a JSON document, such as a model's configuration; the weights are in another file, a .safetensors file";

    /// <summary>Says that a text is a server's answer, and what to do.</summary>
    public static string Answer(string text)
    {
        return $"this is text in place of the file, {Shown.Quote(text)}; {(IsDenial(text) ? Access : Address)}";
    }

    private static bool IsDenial(string text) => Denials.Any(word => text.Contains(word, StringComparison.OrdinalIgnoreCase));

    private static string DescribeText(string text)
    {
        if (text.StartsWith("version https://git-lfs", StringComparison.Ordinal))
            return "this is a Git LFS pointer, which stands for the file in a repository; run 'git lfs pull' there to get the file";
        if (Begins("<!doctype html") || Begins("<html") || Begins("<head"))
        {
            return $"this is an HTML page in place of the file; {Address}, and on Hugging Face that the address has /resolve/ and not "
                + "/blob/";
        }
        return Begins("<?xml") || Begins("<error") ? $"this is XML in place of the file, {Shown.Quote(text)}; {Address}" : Answer(text);

        bool Begins(string start) => text.StartsWith(start, StringComparison.OrdinalIgnoreCase);
    }

    private static bool Starts(ReadOnlySpan<byte> head, string start)
    {
        if (head.Length < start.Length) return false;
        for (int i = 0; i < start.Length; i++)
            if (head[i] != start[i]) return false;
        return true;
    }

    /// <summary>Gets the name in the first local header of a ZIP archive, as far as it lies in the first bytes.</summary>
    private static string NameOfFirstEntry(ReadOnlySpan<byte> head)
    {
        const int LengthOffset = 26, NameOffset = 30;
        if (head.Length < NameOffset) return "";
        int length = head[LengthOffset] | head[LengthOffset + 1] << 8;
        return Encoding.UTF8.GetString(head[NameOffset..Math.Min(head.Length, NameOffset + length)]);
    }

    /// <summary>Gets a value that indicates whether bytes are UTF-8 without control characters. The last character may be cut.</summary>
    private static bool IsText(ReadOnlySpan<byte> head)
    {
        bool isCut = head.Length == HeadLength;
        while (!head.IsEmpty)
        {
            if (Rune.DecodeFromUtf8(head, out Rune rune, out int length) != System.Buffers.OperationStatus.Done)
                return isCut && head.Length < 4;
            if (Rune.IsControl(rune) && rune.Value is not ('\t' or '\r' or '\n' or '\f')) return false;
            head = head[length..];
        }
        return true;
    }
}
