using TinyZsad.Imaging;

namespace TinyZsad;

/// <summary>
/// Gathers the pictures of batches and streams, for a device that computes several together. A computation takes all pictures that wait
/// when it begins, up to a limit, so a picture never waits for others to come. Thread safe.
/// </summary>
/// <param name="most">The most pictures of one computation.</param>
/// <param name="begin">Begins a computation: calls its argument when its turn has come, on another thread.</param>
/// <param name="compute">Computes pictures of one class and completes each of them.</param>
internal sealed class DetectionBatcher(int most, Action<Action> begin, Action<IReadOnlyList<DetectionBatcher.Entry>> compute)
{
    private readonly Lock gate = new();
    private readonly List<Entry> waiting = [];
    private bool running;

    /// <summary>Represents a picture that waits for its computation.</summary>
    /// <param name="image">The picture.</param>
    /// <param name="className">The class; null if the system takes none.</param>
    /// <param name="start">The timestamp of the call.</param>
    /// <param name="ended">Called once when the detection has ended in any way.</param>
    /// <param name="cancellationToken">Ends the wait. A computation that has begun goes on.</param>
    internal sealed class Entry(ImageFrame image, string? className, long start, Action ended, CancellationToken cancellationToken)
    {
        private readonly TaskCompletionSource<AnomalyResult> completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ImageFrame Image => image;

        public string? ClassName => className;

        public long Start => start;

        public Task<AnomalyResult> Task => completion.Task;

        /// <summary>Completes the detection with its result.</summary>
        public void Complete(AnomalyResult result)
        {
            if (completion.TrySetResult(result)) ended();
        }

        /// <summary>Completes the detection with an error, unless it is complete.</summary>
        public void Fail(Exception error)
        {
            if (completion.TrySetException(error)) ended();
        }

        /// <summary>Completes the detection if it is cancelled.</summary>
        public bool IsCancelled()
        {
            if (!cancellationToken.IsCancellationRequested) return false;
            if (completion.TrySetCanceled(cancellationToken)) ended();
            return true;
        }
    }

    /// <summary>Adds a picture. Its task completes after its computation.</summary>
    public Task<AnomalyResult> Add(Entry entry)
    {
        lock (gate)
        {
            waiting.Add(entry);
            if (running) return entry.Task;
            running = true;
        }

        begin(ComputeNext);
        return entry.Task;
    }

    /// <summary>Completes all pictures that wait with an error, because no computation can begin.</summary>
    public void Abandon(Exception error)
    {
        Entry[] abandoned;
        lock (gate)
        {
            abandoned = [.. waiting];
            waiting.Clear();
            running = false;
        }

        foreach (Entry entry in abandoned) entry.Fail(error);
    }

    private void ComputeNext()
    {
        List<Entry> taken = [];
        lock (gate)
        {
            waiting.RemoveAll(e => e.IsCancelled());
            if (waiting.Count > 0)
            {
                string? className = waiting[0].ClassName;
                taken = [.. waiting.Where(e => e.ClassName == className).Take(most)];
                waiting.RemoveAll(taken.Contains);
            }
        }

        try
        {
            if (taken.Count > 0) compute(taken);
        }
        catch (Exception e)
        {
            foreach (Entry entry in taken) entry.Fail(e);
        }

        lock (gate)
        {
            running = waiting.Count > 0;
            if (!running) return;
        }

        begin(ComputeNext);
    }
}
