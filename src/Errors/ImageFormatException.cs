namespace TinyZsad;

/// <summary>
/// The exception that is thrown when a picture cannot be decoded: its format is unknown or unsupported, its data is damaged, or it is
/// larger than the limits allow.
/// </summary>
public sealed class ImageFormatException : TinyZsadException
{
    /// <summary>Initializes an error of encoded data.</summary>
    /// <param name="message">What is wrong, where in the data, and what would be right.</param>
    /// <param name="inner">The error that caused this one; null if there is none.</param>
    public ImageFormatException(string message, Exception? inner = null) : base(message, inner) { }

    /// <summary>Initializes the error of a file from the error of its data. The message is "file: message".</summary>
    /// <param name="file">The file's path.</param>
    /// <param name="error">The error of its data, whose properties are taken over.</param>
    internal ImageFormatException(string file, ImageFormatException error) : base($"{file}: {error.Message}", error.InnerException) =>
        (File, Format, Offset) = (file, error.Format, error.Offset);

    /// <summary>Gets the path of the picture; null if it did not come from a file.</summary>
    public string? File { get; }

    /// <summary>Gets the picture's format, such as "PNG"; null if it is unknown.</summary>
    public string? Format { get; init; }

    /// <summary>Gets the byte offset in the encoded data at which the error was found; null if it is not at one place.</summary>
    public long? Offset { get; init; }
}
