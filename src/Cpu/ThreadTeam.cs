using System.Runtime.ExceptionServices;

namespace TinyZsad.Cpu;

/// <summary>
/// A few threads that work on one job together with the calling thread. Between jobs they sleep; within a job they spin, so that a job
/// costs one wake-up. A team serves one job at a time; a caller that finds it busy computes alone. Thread safe.
/// </summary>
internal sealed class ThreadTeam : IDisposable
{
    /// <summary>What the team is busy with: a loop gives it up to a job that wants it.</summary>
    private const int Idle = 0, Job = 1, Loop = 2;

    private readonly SemaphoreSlim[] wake;
    private readonly Thread[] threads;
    private Action<int, int>? job;
    private int running;
    private int busy;
    private int wanted;
    private volatile bool disposed;

    /// <summary>Starts the threads.</summary>
    /// <param name="size">The threads of a job, including the calling one; at least 1.</param>
    public ThreadTeam(int size)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        wake = [.. Enumerable.Range(1, size - 1).Select(_ => new SemaphoreSlim(0))];
        threads = [.. wake.Select(
            (signal, i) => new Thread(() => Serve(i + 1, signal)) { IsBackground = true, Name = $"TinyZsad {i + 1}" })];
        foreach (Thread thread in threads) thread.UnsafeStart();
    }

    /// <summary>Gets the number of threads of a job, including the calling one.</summary>
    public int Size => threads.Length + 1;

    /// <summary>
    /// Calls <paramref name="work"/> once on every thread, with the thread's number and the number of threads, and returns when all
    /// calls have returned. If another job runs, <paramref name="work"/> is called once, as (0, 1); a loop of <see cref="For"/> gives
    /// the team up instead.
    /// </summary>
    /// <param name="work">The job; it must not throw.</param>
    public void Run(Action<int, int> work)
    {
        if (threads.Length == 0 || !Take())
        {
            work(0, 1);
            return;
        }

        RunTaken(work);
    }

    /// <summary>
    /// Calls <paramref name="body"/> once for each number from 0 to <paramref name="count"/> - 1, on all threads if the team is idle
    /// and no job wants it, and returns when all calls have returned.
    /// </summary>
    /// <exception cref="Exception">What a call has thrown; the numbers not begun by then are left out.</exception>
    public void For(int count, Action<int> body)
    {
        int next = 0;
        Exception? failure = null;
        if (count > 1 && threads.Length > 0 && Volatile.Read(ref wanted) == 0 && TryTake(Loop))
        {
            RunTaken((_, _) => Iterate(mayYield: true));
        }

        // What is left if a job wanted the team, or all of it.
        Iterate(mayYield: false);
        if (failure is not null) ExceptionDispatchInfo.Throw(failure);

        void Iterate(bool mayYield)
        {
            while (!(mayYield && Volatile.Read(ref wanted) > 0))
            {
                int i = Interlocked.Increment(ref next) - 1;
                if (i >= count) return;
                try
                {
                    body(i);
                }
                catch (Exception e)
                {
                    failure = e;
                    Volatile.Write(ref next, count);
                }
            }
        }
    }

    /// <summary>Takes the team for a job; false if another job has it that does not give it up.</summary>
    private bool Take()
    {
        if (TryTake(Job)) return true;
        Interlocked.Increment(ref wanted);
        try
        {
            for (SpinWait spin = default; Volatile.Read(ref busy) != Job; spin.SpinOnce(sleep1Threshold: -1))
            {
                if (TryTake(Job)) return true;
                if (disposed) return false;
            }

            return false;
        }
        finally
        {
            Interlocked.Decrement(ref wanted);
        }
    }

    private bool TryTake(int use) => !disposed && Interlocked.CompareExchange(ref busy, use, Idle) == Idle;

    private void RunTaken(Action<int, int> work)
    {
        job = work;
        Volatile.Write(ref running, threads.Length);
        foreach (SemaphoreSlim signal in wake) signal.Release();
        work(0, Size);
        Spin.Until(ref running, 0);
        job = null;
        Volatile.Write(ref busy, Idle);
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
            if (Interlocked.CompareExchange(ref busy, Job, Idle) != Idle)
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
