using System.Diagnostics;

namespace TinyZsad.Fuzz;

/// <summary>
/// Keeps the input under examination in a file, so that it survives the process, and ends a process that hangs.
/// </summary>
internal sealed class Watchdog : IDisposable
{
    /// <summary>An input that takes longer hangs.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    private readonly FuzzTarget target;
    private readonly string path;
    private readonly FileStream file;
    private readonly Timer timer;
    private long since; // when the input began, as a timestamp; 0 between inputs

    /// <param name="target">Whose inputs.</param>
    /// <param name="path">The file to keep them in, one at a time.</param>
    public Watchdog(FuzzTarget target, string path)
    {
        this.target = target;
        this.path = path;
        file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
        timer = new Timer(_ => Look(), null, 500, 500);
    }

    /// <summary>An input is about to be tried.</summary>
    public void Begin(byte[] input)
    {
        file.Position = 0;
        file.Write(input);
        file.SetLength(input.Length);
        Volatile.Write(ref since, Stopwatch.GetTimestamp());
    }

    /// <summary>It came to an end.</summary>
    public void End() => Volatile.Write(ref since, 0);

    private void Look()
    {
        long start = Volatile.Read(ref since);
        if (start == 0 || Stopwatch.GetElapsedTime(start) < Limit) return;
        Console.Error.WriteLine($"{target.Name}: an input takes more than {Limit.TotalSeconds} s. {FuzzRun.Repeat(target, path)}");
        Environment.Exit(3);
    }

    public void Dispose()
    {
        timer.Dispose();
        file.Dispose();
        File.Delete(path);
    }
}
