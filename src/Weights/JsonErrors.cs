using System.Text.Json;

namespace TinyZsad.Weights;

/// <summary>Provides the position of JSON errors as the byte offset in the text.</summary>
internal static class JsonErrors
{
    /// <summary>Gets the byte offset of an error; null if the error has no position.</summary>
    /// <param name="error">The error, which has a line and a position in it.</param>
    /// <param name="json">The text that was parsed.</param>
    public static long? Offset(this JsonException error, ReadOnlySpan<byte> json)
    {
        if (error is not { LineNumber: { } lines, BytePositionInLine: { } position }) return null;
        long start = 0;
        for (; lines > 0 && json.IndexOf((byte)'\n') is >= 0 and int end; lines--)
        {
            start += end + 1;
            json = json[(end + 1)..];
        }
        return start + position;
    }
}
