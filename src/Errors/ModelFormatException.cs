namespace TinyZsad;

/// <summary>
/// The exception that is thrown when a model file cannot be used: it is malformed, truncated or damaged, or does not hold what the
/// model that it names needs.
/// </summary>
public sealed class ModelFormatException : TinyZsadException
{
    /// <summary>Initializes an error that belongs to no single file.</summary>
    /// <param name="message">What is wrong, where, and what would be right.</param>
    /// <param name="inner">The error that caused this one; null if there is none.</param>
    public ModelFormatException(string message, Exception? inner = null) : base(message, inner) => Reason = message;

    /// <summary>Initializes the error of a file. The message is "file: reason".</summary>
    /// <param name="file">The file's path, or the name it was opened under.</param>
    /// <param name="reason">What is wrong, where in the file, and what would be right.</param>
    /// <param name="inner">The error that caused this one; null if there is none.</param>
    public ModelFormatException(string file, string reason, Exception? inner = null) : base($"{file}: {reason}", inner) =>
        (File, Reason) = (file, reason);

    /// <summary>Gets the file that the message begins with; null if the error belongs to no single file.</summary>
    public string? File { get; }

    /// <summary>Gets the message without the file.</summary>
    public string Reason { get; }

    /// <summary>Gets the name of the tensor that is wrong or missing; null if the error concerns no single tensor.</summary>
    public string? Tensor { get; init; }

    /// <summary>Gets the metadata key that is wrong or missing; null if the error concerns no single key.</summary>
    public string? Key { get; init; }

    /// <summary>Gets the byte offset in the file at which the error was found; null if it is not at one place.</summary>
    public long? Offset { get; init; }

    /// <summary>
    /// Gets the label of the first operation whose output is not finite; null if the error is of another kind.
    /// </summary>
    public string? Operation { get; init; }
}
