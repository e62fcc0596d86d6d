namespace TinyZsad;

/// <summary>
/// The base class of the errors that a model file, a picture or a detector's state causes. The message says what is wrong, where,
/// and what would be right; the properties of the derived classes carry the same facts. Wrong arguments are reported by
/// <see cref="ArgumentException"/> and its derived classes instead.
/// </summary>
public abstract class TinyZsadException : Exception
{
    private protected TinyZsadException(string message, Exception? inner = null) : base(message, inner) { }
}
