using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using TinyZsad.Imaging;

namespace TinyZsad;

/// <summary>Examines many items with a few of them under way at once, and gives their outcomes in the order of the items.</summary>
internal static class DetectionPipeline
{
    /// <summary>The items under way at once where a detector does not say how many it computes at once.</summary>
    public const int DefaultWidth = 2;

    /// <summary>Examines a batch; the calling thread loads the pictures.</summary>
    /// <param name="items">The items.</param>
    /// <param name="load">Loads the picture of an item.</param>
    /// <param name="detect">Begins the detection of a picture.</param>
    /// <param name="width">The most items under way at once.</param>
    /// <param name="cancellationToken">Ends the batch.</param>
    public static IReadOnlyList<DetectionOutcome<TItem>> Run<TItem>(IReadOnlyCollection<TItem> items, Func<TItem, Image> load,
        Func<Image, CancellationToken, Task<AnomalyResult>> detect, int width, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(items);
        ArgumentNullException.ThrowIfNull(load);
        List<DetectionOutcome<TItem>> outcomes = new(items.Count);
        Queue<(TItem Item, Task<AnomalyResult> Task)> pending = new();
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            foreach (TItem item in items)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (pending.Count == width) TakeOldest();
                Task<AnomalyResult> task;
                try
                {
                    Image image = load(item) ?? throw new InvalidOperationException("The item was loaded as null.");
                    task = detect(image, stop.Token);
                }
                catch (Exception e) when (!EndsAll(e, cancellationToken))
                {
                    task = Task.FromException<AnomalyResult>(e);
                }

                pending.Enqueue((item, task));
            }

            while (pending.Count > 0) TakeOldest();
            return outcomes;
        }
        finally
        {
            stop.Cancel();
            foreach ((_, Task task) in pending) Task.WaitAny([task], CancellationToken.None);
        }

        void TakeOldest()
        {
            (TItem item, Task<AnomalyResult> task) = pending.Dequeue();
            // Unlike Wait, it does not throw.
            Task.WaitAny([task], CancellationToken.None);
            outcomes.Add(Outcome(item, task, cancellationToken));
        }
    }

    /// <summary>
    /// Examines items as they come. Pictures are loaded and examined while later items are awaited and earlier outcomes are used.
    /// </summary>
    /// <inheritdoc cref="Run"/>
    public static async IAsyncEnumerable<DetectionOutcome<TItem>> RunAsync<TItem>(IAsyncEnumerable<TItem> items,
        Func<TItem, CancellationToken, ValueTask<Image>> load, Func<Image, CancellationToken, Task<AnomalyResult>> detect, int width,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(items);
        ArgumentNullException.ThrowIfNull(load);
        Queue<(TItem Item, Task<AnomalyResult> Task)> pending = new();
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        IAsyncEnumerator<TItem> source = items.GetAsyncEnumerator(stop.Token);
        Task<bool>? next = null;
        try
        {
            ExceptionDispatchInfo? failure = null;
            bool more = true;
            while (more || pending.Count > 0)
            {
                if (more && next is null && pending.Count < width) next = source.MoveNextAsync().AsTask();

                // An outcome is given when it is there, even if the source has nothing new. Outcomes of the items before a failure of
                // the source come before the failure.
                if (pending.Count > 0)
                {
                    Task head = pending.Peek().Task;
                    if (next is not null) await Task.WhenAny(next, head).ConfigureAwait(false);
                    if (next is null || head.IsCompleted)
                    {
                        (TItem item, Task<AnomalyResult> task) = pending.Dequeue();
                        await ((Task)task).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                        yield return Outcome(item, task, cancellationToken);
                        continue;
                    }
                }

                try
                {
                    more = await next!.ConfigureAwait(false);
                }
                catch (Exception e)
                {
                    failure = ExceptionDispatchInfo.Capture(e);
                    more = false;
                }

                next = null;
                if (more) pending.Enqueue((source.Current, LoadAndDetectAsync(source.Current)));
            }

            if (failure is not null)
            {
                cancellationToken.ThrowIfCancellationRequested();
                failure.Throw();
            }
        }
        finally
        {
            // Nothing runs on for a caller who has stopped listening, and nothing uses the source after its end.
            await stop.CancelAsync().ConfigureAwait(false);
            if (next is not null) await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            foreach ((_, Task task) in pending) await task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await source.DisposeAsync().ConfigureAwait(false);
        }

        async Task<AnomalyResult> LoadAndDetectAsync(TItem item)
        {
            Image image = await load(item, stop.Token).ConfigureAwait(false)
                ?? throw new InvalidOperationException("The item was loaded as null.");
            return await detect(image, stop.Token).ConfigureAwait(false);
        }
    }

    /// <summary>The outcome of a completed task, or its exception where that ends the whole batch.</summary>
    private static DetectionOutcome<TItem> Outcome<TItem>(
        TItem item, Task<AnomalyResult> task, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (task.IsCompletedSuccessfully) return new DetectionOutcome<TItem>(item, task.Result);
        Exception error = task.Exception?.InnerException ?? new TaskCanceledException(task);
        if (EndsAll(error, cancellationToken)) ExceptionDispatchInfo.Throw(error);
        return new DetectionOutcome<TItem>(item, error);
    }

    /// <summary>Whether an error is one of the call and not of a single picture.</summary>
    private static bool EndsAll(Exception error, CancellationToken cancellationToken) => error is UnknownClassException
        || (error is OperationCanceledException && cancellationToken.IsCancellationRequested)
        || (error is ObjectDisposedException { ObjectName: string name }
            && (name == typeof(AnomalyDetector).FullName || name == typeof(SwappableDetector).FullName));
}
