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
    /// <param name="width">The items under way at once.</param>
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
                if (pending.Count > width) TakeOldest();
            }

            while (pending.Count > 0) TakeOldest();
            return outcomes;
        }
        finally
        {
            stop.Cancel();
            foreach ((_, Task task) in pending) Wait(task);
        }

        void TakeOldest()
        {
            (TItem item, Task<AnomalyResult> task) = pending.Dequeue();
            Wait(task);
            outcomes.Add(Outcome(item, task, cancellationToken));
        }
    }

    /// <summary>Examines items as they come. Pictures are loaded and examined while earlier outcomes are used.</summary>
    /// <inheritdoc cref="Run"/>
    public static async IAsyncEnumerable<DetectionOutcome<TItem>> RunAsync<TItem>(IAsyncEnumerable<TItem> items,
        Func<TItem, CancellationToken, ValueTask<Image>> load, Func<Image, CancellationToken, Task<AnomalyResult>> detect, int width,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(items);
        ArgumentNullException.ThrowIfNull(load);
        Queue<(TItem Item, Task<AnomalyResult> Task)> pending = new();
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            await using ConfiguredCancelableAsyncEnumerable<TItem>.Enumerator source =
                items.WithCancellation(stop.Token).ConfigureAwait(false).GetAsyncEnumerator();
            ExceptionDispatchInfo? failure = null;
            bool more = true;
            while (more)
            {
                try
                {
                    more = await source.MoveNextAsync();
                }
                catch (Exception e)
                {
                    failure = ExceptionDispatchInfo.Capture(e);
                    more = false;
                }

                if (more) pending.Enqueue((source.Current, LoadAndDetectAsync(source.Current)));

                // Outcomes that are there already are given at once. Those before a failure of the source come first.
                while (pending.Count > 0 && (!more || pending.Count > width || pending.Peek().Task.IsCompleted))
                {
                    (TItem item, Task<AnomalyResult> task) = pending.Dequeue();
                    await ((Task)task).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    yield return Outcome(item, task, cancellationToken);
                }
            }

            failure?.Throw();
        }
        finally
        {
            // Nothing runs on for a caller who has stopped listening.
            await stop.CancelAsync().ConfigureAwait(false);
            foreach ((_, Task task) in pending) await task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
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

    private static void Wait(Task task) => ((IAsyncResult)task).AsyncWaitHandle.WaitOne();
}
