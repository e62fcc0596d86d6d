namespace TinyZsad.Cpu;

/// <summary>
/// A few threads that work on one job together with the thread that calls <see cref="Run"/>. Between jobs they sleep; within a
/// job they never do, so a job pays one wake-up and no more. A team serves one job at a time; whoever finds it busy computes
/// alone.
/// </summary>
internal sealed class ThreadTeam : IDisposable
{
    private readonly SemaphoreSlim[] wake;
    private readonly Thread[] threads;
    private Action<int, int>? job;
    private int running;
    private int busy;
    private volatile bool disposed;

    /// <summary>Starts the threads.</summary>
    /// <param name="size">Threads of a job, the calling one included; at least 1.</param>
    public ThreadTeam(int size)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        wake = [.. Enumerable.Range(1, size - 1).Select(_ => new SemaphoreSlim(0))];
        threads = [.. wake.Select(
            (signal, i) => new Thread(() => Serve(i + 1, signal)) { IsBackground = true, Name = $"TinyZsad {i + 1}" })];
        foreach (Thread thread in threads) thread.Start();
    }

    /// <summary>Threads of a job, the calling one included.</summary>
    public int Size => threads.Length + 1;

    /// <summary>
    /// Calls <paramref name="work"/> once on every thread, with its number and how many there are, and returns when all are done.
    /// The job must not throw. While another job runs, <paramref name="work"/> is called once, as (0, 1). Any number of threads
    /// may call this at once.
    /// </summary>
    public void Run(Action<int, int> work)
    {
        if (threads.Length == 0 || disposed || Interlocked.CompareExchange(ref busy, 1, 0) != 0)
        {
            work(0, 1);
            return;
        }
        job = work;
        Volatile.Write(ref running, threads.Length);
        foreach (SemaphoreSlim signal in wake) signal.Release();
        work(0, Size);
        Spin.Until(ref running, 0);
        job = null;
        Volatile.Write(ref busy, 0);
    }

    private void Serve(int number, SemaphoreSlim signal)
    {
        while (true)
        {
            signal.Wait();
            if (disposed) return;
            job!(number, Size);
            Interlocked.Decrement(ref running);
        }
    }

    /// <summary>Ends the threads, after the job that runs. Later jobs are computed by their callers alone.</summary>
    public void Dispose()
    {
        // Taking the team for good makes sure that no job is under way, and that none will find it free.
        while (!disposed)
        {
            if (Interlocked.CompareExchange(ref busy, 1, 0) != 0)
            {
                Thread.Sleep(1);
                continue;
            }
            disposed = true;
            foreach (SemaphoreSlim signal in wake) signal.Release();
            foreach (Thread thread in threads) thread.Join();
            foreach (SemaphoreSlim signal in wake) signal.Dispose();
        }
    }
}

/// <summary>Waiting without sleeping, for the microseconds that threads of a team wait for each other.</summary>
internal static class Spin
{
    /// <summary>Returns once the field has the value.</summary>
    public static void Until(ref int field, int value)
    {
        for (int turns = 0; Volatile.Read(ref field) != value; turns++)
        {
            // A partner that takes longer than some thirty microseconds has a long item or has lost its core to someone else: let
            // the system run it.
            if (turns < 100) Thread.SpinWait(8);
            else Thread.Yield();
        }
    }
}
