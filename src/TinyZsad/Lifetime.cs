namespace TinyZsad;

/// <summary>
/// Lets an object be disposed while calls run in it: new calls are refused at once, and the last call that leaves frees the object.
/// </summary>
internal sealed class Lifetime(object owner, Action free)
{
    private const int Closed = 1 << 30;
    private readonly TaskCompletionSource freed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int state, freeing;

    /// <summary>Gets a task that completes when the object is freed.</summary>
    public Task Freed => freed.Task;

    /// <summary>Registers a call, unless the object is disposed.</summary>
    public bool TryEnter()
    {
        if ((Interlocked.Increment(ref state) & Closed) == 0) return true;
        Leave();
        return false;
    }

    /// <summary>Registers a call.</summary>
    /// <exception cref="ObjectDisposedException">The object is disposed.</exception>
    public void Enter() => ObjectDisposedException.ThrowIf(!TryEnter(), owner);

    /// <summary>Registers a part of a call that is registered itself, even if the object is disposed meanwhile.</summary>
    public void EnterAgain() => Interlocked.Increment(ref state);

    /// <summary>Ends a call.</summary>
    public void Leave()
    {
        if (Interlocked.Decrement(ref state) == Closed) Free();
    }

    /// <summary>Refuses further calls, and frees the object now or when the last call leaves.</summary>
    public void Close()
    {
        if ((Interlocked.Or(ref state, Closed) & Closed) == 0 && Volatile.Read(ref state) == Closed) Free();
    }

    private void Free()
    {
        if (Interlocked.Exchange(ref freeing, 1) != 0) return;
        try
        {
            free();
        }
        finally
        {
            freed.SetResult();
        }
    }
}
