using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;
using System.Text.Json.Serialization;

namespace TinyZsad;

/// <summary>
/// The result or the error of one item of a batch or a stream, together with the caller's item. Immutable and thread safe.
/// </summary>
/// <typeparam name="TItem">What the caller gave: a picture, a path, a frame number.</typeparam>
public sealed class DetectionOutcome<TItem>
{
    /// <summary>Initializes the outcome of an item that was examined.</summary>
    /// <param name="item">The caller's item.</param>
    /// <param name="result">Its result.</param>
    public DetectionOutcome(TItem item, AnomalyResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        (Item, Result) = (item, result);
    }

    /// <summary>Initializes the outcome of an item that could not be examined.</summary>
    /// <param name="item">The caller's item.</param>
    /// <param name="error">The reason.</param>
    public DetectionOutcome(TItem item, Exception error)
    {
        ArgumentNullException.ThrowIfNull(error);
        (Item, Error) = (item, error);
    }

    /// <summary>Gets the caller's item.</summary>
    public TItem Item { get; }

    /// <summary>Gets whether the item was examined.</summary>
    [MemberNotNullWhen(true, nameof(Result))]
    [MemberNotNullWhen(false, nameof(Error), nameof(ErrorMessage))]
    public bool Succeeded => Result is not null;

    /// <summary>Gets the result; null if there is an error.</summary>
    public AnomalyResult? Result { get; }

    /// <summary>Gets the reason why there is no result: the picture could not be loaded or examined. Null if there is a result.</summary>
    [JsonIgnore]
    public Exception? Error { get; }

    /// <summary>Gets the message of the error; null if there is a result.</summary>
    public string? ErrorMessage => Error?.Message;

    /// <summary>Gets the result, or throws the error.</summary>
    public AnomalyResult GetResult()
    {
        if (Error is not null) ExceptionDispatchInfo.Throw(Error);
        return Result!;
    }

    /// <summary>Returns the item with its score or its error.</summary>
    public override string ToString() => $"{Item}: {(Succeeded ? Result : ErrorMessage)}";
}
