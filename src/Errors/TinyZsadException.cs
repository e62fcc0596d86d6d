namespace TinyZsad;

/// <summary>
/// The root of everything that can go wrong with a model file, a picture or a device. The message says what was wrong, where,
/// and what would be right. Wrong arguments are <see cref="ArgumentException"/>s instead.
/// </summary>
public abstract class TinyZsadException : Exception
{
    private protected TinyZsadException(string message, Exception? inner) : base(message, inner) { }
}

/// <summary>A model file that cannot be used: malformed, truncated, or not holding what the model it names needs.</summary>
public sealed class ModelFormatException : TinyZsadException
{
    /// <summary>Makes an error that is of no single file.</summary>
    /// <param name="message">What is wrong, where, and what would be right.</param>
    /// <param name="inner">The cause, where another error led to this one.</param>
    public ModelFormatException(string message, Exception? inner = null) : base(message, inner) => Reason = message;

    /// <summary>Makes the error of a file. Its message is "file: reason".</summary>
    /// <param name="file">What the file is called: its path, or the name it was opened under.</param>
    /// <param name="reason">What is wrong, where in the file, and what would be right.</param>
    /// <param name="inner">The cause, where another error led to this one.</param>
    public ModelFormatException(string file, string reason, Exception? inner = null) : base($"{file}: {reason}", inner) =>
        (File, Reason) = (file, reason);

    /// <summary>The file that the message begins with; null where the error is of no single file.</summary>
    public string? File { get; }

    /// <summary>The message without the file, for those who show the file beside it.</summary>
    public string Reason { get; }
}

/// <summary>
/// A picture that cannot be decoded: unknown or unsupported format, damaged data, or larger than the limits allow.
/// </summary>
public sealed class ImageFormatException : TinyZsadException
{
    /// <summary>Makes the error.</summary>
    /// <param name="message">What is wrong, where in the data, and what would be right.</param>
    /// <param name="inner">The cause, where another error led to this one.</param>
    public ImageFormatException(string message, Exception? inner = null) : base(message, inner) { }
}
