using System.IO.Compression;

namespace TinyZsad.Imaging;

/// <summary>Reads the textual chunks: tEXt, zTXt and iTXt. What is malformed counts as empty.</summary>
internal static unsafe class PngText
{
    /// <summary>The most bytes of a text that are read. An XMP packet or Exif data has its orientation near the start.</summary>
    public const int MaxBytes = 1 << 20;

    public static bool IsText(PngChunk chunk) => chunk.Type is PngChunk.Text or PngChunk.CompressedText or PngChunk.InternationalText;

    /// <summary>Returns the keyword, which ends at the first zero byte.</summary>
    public static ReadOnlySpan<byte> Keyword(ReadOnlySpan<byte> data) => data[..Math.Max(data.IndexOf((byte)0), 0)];

    /// <summary>Returns the text, inflated if it is compressed, up to <see cref="MaxBytes"/>.</summary>
    /// <param name="chunk">A textual chunk.</param>
    /// <param name="data">The data of the chunk.</param>
    public static ReadOnlySpan<byte> Read(PngChunk chunk, ReadOnlySpan<byte> data)
    {
        ReadOnlySpan<byte> text = AfterZero(data);
        bool compressed = chunk.Type == PngChunk.CompressedText;
        if (chunk.Type != PngChunk.Text)
        {
            // iTXt has a flag before the compression method, and the language and the translated keyword after it.
            int methodAt = compressed ? 0 : 1;
            if (text.Length <= methodAt)
            {
                return [];
            }

            compressed |= text[0] != 0;
            if (compressed && text[methodAt] != 0)
            {
                return [];
            }

            text = text[(methodAt + 1)..];
            if (chunk.Type == PngChunk.InternationalText)
            {
                text = AfterZero(AfterZero(text));
            }
        }

        return compressed ? Inflate(text) : text[..Math.Min(text.Length, MaxBytes)];
    }

    private static ReadOnlySpan<byte> AfterZero(ReadOnlySpan<byte> data)
    {
        int zero = data.IndexOf((byte)0);
        return zero < 0 ? [] : data[(zero + 1)..];
    }

    private static ReadOnlySpan<byte> Inflate(ReadOnlySpan<byte> zlib)
    {
        if (zlib.IsEmpty)
        {
            return [];
        }

        // Deflate expands two bits to at most 258 bytes.
        byte[] text = new byte[Math.Min(1032L * zlib.Length, MaxBytes)];
        fixed (byte* first = zlib)
        {
            using UnmanagedMemoryStream source = new UnmanagedMemoryStream(first, zlib.Length);
            using ZLibStream inflater = new ZLibStream(source, CompressionMode.Decompress);
            try
            {
                return text.AsSpan(0, inflater.ReadAtLeast(text, text.Length, throwOnEndOfStream: false));
            }
            catch (Exception e) when (e is InvalidDataException or IOException)
            {
                return [];
            }
        }
    }
}
