namespace TinyZsad;

/// <summary>
/// The exception that is thrown when a detection names a class that the model cannot embed: the file holds no embedding of it, and no
/// text tower to compute one.
/// </summary>
public sealed class UnknownClassException : TinyZsadException
{
    /// <summary>Initializes the error.</summary>
    /// <param name="className">The class that was asked for.</param>
    /// <param name="knownClasses">The classes that the file holds.</param>
    /// <param name="file">The model file's path, or the name it was opened under.</param>
    public UnknownClassException(string className, IReadOnlyList<string> knownClasses, string file) : base(
        $"{file}: it holds no embedding of the class '{className}' and no text tower to compute one; it knows " +
        (knownClasses.Count == 0 ? "no class." : $"{string.Join(", ", knownClasses)}.")) =>
        (ClassName, KnownClasses, File) = (className, knownClasses, file);

    /// <summary>Gets the class that was asked for.</summary>
    public string ClassName { get; }

    /// <summary>Gets the classes that the file holds.</summary>
    public IReadOnlyList<string> KnownClasses { get; }

    /// <summary>Gets the model file's path, or the name it was opened under.</summary>
    public string File { get; }
}
