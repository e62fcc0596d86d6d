using System.Diagnostics;
using System.Text;

namespace TinyZsad.Fuzz;

/// <summary>What became of an input.</summary>
/// <param name="Kind">Which way through the parser it took, as far as that shows: the letters of the result or of the error.</param>
/// <param name="Valid">Whether it gave an object.</param>
/// <param name="Milliseconds">Its time.</param>
/// <param name="Bytes">What it allocated on the heap.</param>
/// <param name="Broken">Which promise was broken; null if none.</param>
internal readonly record struct Outcome(string Kind, bool Valid, double Milliseconds, long Bytes, string? Broken);

/// <summary>Gives a parser inputs and holds it to what it promises.</summary>
internal sealed class Examiner(FuzzTarget target) : IDisposable
{
    private readonly GuardedMemory memory = new(target.MaxLength);

    /// <summary>The longest part of an error's message that tells errors apart.</summary>
    private const int MaxKind = 120;

    /// <summary>Tries an input. What exceeds a bound is tried again: others use the machine too.</summary>
    public Outcome Examine(byte[] input)
    {
        Outcome outcome = Once(input);
        for (int again = 0; again < 3 && outcome.Milliseconds > target.MaxMilliseconds; again++) outcome = Once(input);
        return outcome;
    }

    private Outcome Once(byte[] input)
    {
        ReadOnlyMemory<byte> guarded = memory.Put(input);
        long bytes = GC.GetAllocatedBytesForCurrentThread(), start = Stopwatch.GetTimestamp();
        string kind;
        string? broken = null;
        bool valid = false;
        try
        {
            kind = target.Parse(guarded);
            valid = true;
        }
        catch (Exception e) when (target.Errors.Contains(e.GetType()))
        {
            kind = e.Message;
        }
        catch (Exception e)
        {
            kind = $"{e.GetType().Name}: {e.Message}";
            broken = $"an error that is none of its own: {e}";
        }
        double milliseconds = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        bytes = GC.GetAllocatedBytesForCurrentThread() - bytes;
        if (milliseconds > target.MaxMilliseconds)
            broken ??= $"{milliseconds:F0} ms; {target.MaxMilliseconds} are allowed";
        if (bytes > target.BytesFor(input.Length))
            broken ??= $"{bytes} bytes allocated for {input.Length}; {target.BytesFor(input.Length)} are allowed";
        return new Outcome(LettersOf(kind), valid, milliseconds, bytes, broken);
    }

    /// <summary>
    /// A message's letters but for those of hexadecimal numbers and what stands in quotation marks, which differ from input to input.
    /// </summary>
    private static string LettersOf(string message)
    {
        // Up to the last mark; where a message cuts a long quotation, to its end.
        int quote = message.IndexOf('\''), last = message.Count(c => c == '\'') % 2 == 0 ? message.LastIndexOf('\'') : message.Length;
        StringBuilder kind = new();
        for (int i = 0; i < message.Length && kind.Length < MaxKind; i++)
        {
            if (i == quote) i = last;
            else if (char.IsAsciiLetter(message[i]) && !char.IsAsciiHexDigitUpper(message[i])) kind.Append(message[i]);
        }
        return kind.ToString();
    }

    public void Dispose() => ((IDisposable)memory).Dispose();
}
