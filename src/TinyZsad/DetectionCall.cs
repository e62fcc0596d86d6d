namespace TinyZsad;

/// <summary>A call that blocks its caller's thread while it waits, and computes on it.</summary>
internal sealed class BlockingCall(bool needsAllThreads) : DetectionQueue.Ticket(needsAllThreads), IDisposable
{
    private readonly ManualResetEventSlim admitted = new();

    public override void OnAdmitted() => admitted.Set();

    /// <summary>Enters a queue and waits until the call may compute.</summary>
    /// <exception cref="OperationCanceledException">The wait was cancelled; the call has left the queue.</exception>
    /// <exception cref="DetectorBusyException">The queue is full.</exception>
    public void Enter(DetectionQueue queue, bool canBeRefused, CancellationToken cancellationToken)
    {
        queue.Enter(this, canBeRefused);
        try
        {
            admitted.Wait(cancellationToken);
        }
        catch
        {
            // Cancelled or interrupted. A call that was admitted meanwhile leaves.
            if (!queue.TryWithdraw(this)) queue.Leave(this);
            throw;
        }
    }

    public void Dispose() => admitted.Dispose();
}

/// <summary>A call that waits without a thread and computes on one of the detector's.</summary>
/// <param name="queue">The queue it waits in.</param>
/// <param name="threads">The threads that it computes on.</param>
/// <param name="needsAllThreads">See <see cref="DetectionQueue.Ticket"/>.</param>
/// <param name="compute">The computation; its argument is the number of threads that it may use.</param>
/// <param name="ended">Called once when the call has ended in any way.</param>
/// <param name="cancellationToken">Ends the wait; the computation observes it by itself.</param>
internal sealed class AsynchronousCall<T>(DetectionQueue queue, ComputeThreads threads, bool needsAllThreads,
    Func<int, T> compute, Action ended, CancellationToken cancellationToken)
    : DetectionQueue.Ticket(needsAllThreads)
{
    private readonly TaskCompletionSource<T> completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock registering = new();
    private CancellationTokenRegistration registration;
    private bool hasEnded;

    /// <summary>Enters the queue.</summary>
    /// <returns>
    /// The result, or the error: <see cref="DetectorBusyException"/> if the queue is full. The task is completed by the thread that
    /// computes, so that a thread of the pool may wait for it; continuations run on the pool.
    /// </returns>
    public Task<T> Run(bool canBeRefused)
    {
        try
        {
            queue.Enter(this, canBeRefused);
        }
        catch (DetectorBusyException e)
        {
            ended();
            return Task.FromException<T>(e);
        }

        CancellationTokenRegistration registered =
            cancellationToken.UnsafeRegister(static call => ((AsynchronousCall<T>)call!).Cancel(), this);
        lock (registering)
        {
            registration = registered;
            if (hasEnded) registered.Unregister();
        }

        return completion.Task;
    }

    public override void OnAdmitted()
    {
        try
        {
            threads.Run(Compute);
        }
        catch (Exception e)
        {
            // No thread could be started.
            queue.Leave(this);
            completion.SetException(e);
            ended();
        }
    }

    private void Compute()
    {
        T result = default!;
        Exception? error = null;
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            result = compute(Threads);
        }
        catch (Exception e)
        {
            error = e;
        }

        queue.Leave(this);
        lock (registering)
        {
            hasEnded = true;
            registration.Unregister();
        }

        if (error is OperationCanceledException && cancellationToken.IsCancellationRequested)
            completion.SetCanceled(cancellationToken);
        else if (error is not null) completion.SetException(error);
        else completion.SetResult(result);
        ended();
    }

    private void Cancel()
    {
        if (!queue.TryWithdraw(this)) return;
        completion.SetCanceled(cancellationToken);
        ended();
    }
}
