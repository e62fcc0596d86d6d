namespace TinyZsad;

/// <summary>
/// Lets an object be disposed while calls run in it: new calls are refused at once, and the last call that leaves does the
/// freeing.
/// </summary>
internal sealed class Lifetime(object owner, Action free)
{
    private const int Closed = 1 << 30;
    private int state;

    /// <summary>Registers a call.</summary>
    /// <exception cref="ObjectDisposedException">It is disposed.</exception>
    public void Enter()
    {
        if ((Interlocked.Increment(ref state) & Closed) == 0) return;
        Leave();
        throw new ObjectDisposedException(owner.GetType().FullName);
    }

    /// <summary>Ends a call.</summary>
    public void Leave()
    {
        if (Interlocked.Decrement(ref state) == Closed) Free();
    }

    /// <summary>Refuses further calls, and frees now or when the last call leaves.</summary>
    public void Close()
    {
        if ((Interlocked.Or(ref state, Closed) & Closed) == 0 && Volatile.Read(ref state) == Closed) Free();
    }

    private int freed;

    private void Free()
    {
        if (Interlocked.Exchange(ref freed, 1) == 0) free();
    }
}
