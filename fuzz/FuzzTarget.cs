namespace TinyZsad.Fuzz;

/// <summary>A parser to be given anything, and what it promises.</summary>
/// <param name="Name">What the command line calls it.</param>
/// <param name="Parse">
/// Parses an input, uses everything that the result gives, and says what it is in a few words; or throws.
/// </param>
/// <param name="Seeds">Good inputs, to be damaged.</param>
internal sealed record FuzzTarget(string Name, Func<ReadOnlyMemory<byte>, string> Parse, Func<IEnumerable<byte[]>> Seeds)
{
    /// <summary>Words of the format, in Latin-1, a character a byte.</summary>
    public string[] Tokens { get; init; } = [];

    /// <summary>The kinds of error for a wrong input, mostly one; none where every input is right.</summary>
    public Type[] Errors { get; init; } = [typeof(ModelFormatException)];

    /// <summary>
    /// Corrects, in place, what would stop a damaged input at the door (checksums, lengths), so that what lies inside is reached.
    /// </summary>
    public Action<byte[]>? Repair { get; init; }

    /// <summary>The longest input that is tried, in bytes.</summary>
    public int MaxLength { get; init; } = 1 << 16;

    /// <summary>The time that an input may take, in milliseconds.</summary>
    public double MaxMilliseconds { get; init; } = 1000;

    /// <summary>Bytes that an input may allocate altogether: so many whatever it is,</summary>
    public long MaxBytes { get; init; } = 1 << 20;

    /// <summary>and so many more for each of its own bytes.</summary>
    public long MaxBytesEach { get; init; } = 64;

    /// <summary>What an input of a length may allocate on the heap, over its whole time.</summary>
    public long BytesFor(int length) => MaxBytes + MaxBytesEach * length;

    public override string ToString() => Name;
}
