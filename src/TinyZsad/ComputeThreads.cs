using System.Collections.Concurrent;

namespace TinyZsad;

/// <summary>
/// Threads for calls whose callers do not wait on a thread of their own. They are started when they are first needed, so that
/// synchronous callers start none, and the thread pool stays free for its users. Thread safe.
/// </summary>
/// <param name="most">The most threads.</param>
internal sealed class ComputeThreads(int most) : IDisposable
{
    private readonly ConcurrentQueue<Action> work = new();
    private readonly SemaphoreSlim ready = new(0);
    private readonly Lock gate = new();
    private int started, idle;
    private volatile bool ended;

    /// <summary>Runs an action on one of the threads. The action must not throw.</summary>
    public void Run(Action action)
    {
        lock (gate)
        {
            if (idle > 0) idle--;
            else if (started < most) Start();
        }

        work.Enqueue(action);
        ready.Release();
    }

    /// <summary>Ends the threads, each after the action that it runs. Does not wait for them.</summary>
    public void Dispose()
    {
        ended = true;
        if (started > 0) ready.Release(started);
    }

    private void Start()
    {
        // Without the caller's execution context, which would live as long as the thread.
        new Thread(Serve) { IsBackground = true, Name = $"TinyZsad detection {started + 1}" }
            .UnsafeStart();
        started++;
    }

    private void Serve()
    {
        while (true)
        {
            ready.Wait();
            if (work.TryDequeue(out Action? action)) action();
            else if (ended) return;
            lock (gate) idle++;
        }
    }
}
