using TinyZsad.Imaging;

namespace TinyZsad;

/// <summary>
/// A detector whose model can be replaced while it is used. Calls that have begun end with the model that they began with; later calls
/// use the new one, and no call fails because of a swap. In a stream every picture counts as a call. Thread safe.
/// </summary>
/// <example>
/// <code>
/// await using SwappableDetector detector = new(await AnomalyDetector.LoadAsync("part.safetensors"));
/// // ... detections run, a new model arrives ...
/// detector.Swap(await AnomalyDetector.LoadAsync("part-2.safetensors"));
/// </code>
/// </example>
public sealed class SwappableDetector : IAnomalyDetector, IDisposable, IAsyncDisposable
{
    private readonly Lock swapping = new();
    private Holder current;
    private bool disposed;

    /// <summary>A detector and the calls that use it.</summary>
    private sealed class Holder
    {
        public Holder(AnomalyDetector detector)
        {
            Detector = detector;
            Calls = new Lifetime(detector, detector.Dispose);
        }

        public AnomalyDetector Detector { get; }

        public Lifetime Calls { get; }
    }

    /// <summary>Initializes the detector with its first model.</summary>
    /// <param name="detector">The model, which this object disposes from now on.</param>
    public SwappableDetector(AnomalyDetector detector)
    {
        ArgumentNullException.ThrowIfNull(detector);
        current = new Holder(detector);
    }

    /// <summary>Gets the description of the model that new calls use.</summary>
    public ModelInfo Model => Current.Model;

    /// <summary>
    /// Replaces the model. Returns at once; the old model is disposed when the last call that uses it ends.
    /// </summary>
    /// <param name="next">The new model, which this object disposes from now on. Warm it up before, to keep the first call fast.</param>
    /// <returns>A task that completes when the old model is disposed.</returns>
    /// <exception cref="ObjectDisposedException">This object is disposed. The new model stays the caller's.</exception>
    /// <exception cref="ArgumentException">The model is the one in use.</exception>
    public Task Swap(AnomalyDetector next)
    {
        ArgumentNullException.ThrowIfNull(next);
        Holder old;
        lock (swapping)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            if (next == current.Detector) throw new ArgumentException("This model is in use already.", nameof(next));
            old = current;
            Volatile.Write(ref current, new Holder(next));
        }

        return End(old);
    }

    /// <inheritdoc/>
    public AnomalyResult Detect(Image image, string? className = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(image);
        return Detect(image.View, className, cancellationToken);
    }

    /// <inheritdoc/>
    public AnomalyResult Detect(ImageView image, string? className = null, CancellationToken cancellationToken = default)
    {
        Holder holder = Enter();
        try
        {
            return holder.Detector.Detect(image, className, cancellationToken);
        }
        finally
        {
            holder.Calls.Leave();
        }
    }

    /// <inheritdoc/>
    public Task<AnomalyResult> DetectAsync(Image image, string? className = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(image);
        return DetectAsync(image.Frame, className, cancellationToken);
    }

    /// <inheritdoc/>
    public Task<AnomalyResult> DetectAsync(
        ImageFrame image, string? className = null, CancellationToken cancellationToken = default) =>
        WithCurrentAsync(detector => detector.DetectAsync(image, className, cancellationToken));

    /// <inheritdoc/>
    public IReadOnlyList<DetectionOutcome<TItem>> DetectBatch<TItem>(IReadOnlyCollection<TItem> items, Func<TItem, Image> load,
        string? className = null, CancellationToken cancellationToken = default)
    {
        Holder holder = Enter();
        try
        {
            return holder.Detector.DetectBatch(items, load, className, cancellationToken);
        }
        finally
        {
            holder.Calls.Leave();
        }
    }

    /// <summary>
    /// Examines pictures as they come, as <see cref="AnomalyDetector.DetectStreamAsync{TItem}"/> does. Each picture is examined with the
    /// model that is in use when it is loaded, so a swap takes effect within the stream. A new model that lacks the class ends it.
    /// </summary>
    /// <inheritdoc cref="AnomalyDetector.DetectStreamAsync{TItem}"/>
    public IAsyncEnumerable<DetectionOutcome<TItem>> DetectStreamAsync<TItem>(IAsyncEnumerable<TItem> items,
        Func<TItem, CancellationToken, ValueTask<Image>> load, string? className = null,
        CancellationToken cancellationToken = default) =>
        DetectionPipeline.RunAsync(items, load, DetectOneOfStream(className), Current.PipelineWidth, cancellationToken);

    /// <summary>Refuses further calls. The model is disposed now, or when the last call that uses it ends.</summary>
    public void Dispose() => _ = EndAll();

    /// <summary>Refuses further calls, and waits until the last one has ended and the model is disposed.</summary>
    public async ValueTask DisposeAsync() => await EndAll().ConfigureAwait(false);

    /// <summary>Gets the model that new calls use.</summary>
    internal AnomalyDetector Current => Volatile.Read(ref current).Detector;

    private Func<Image, CancellationToken, Task<AnomalyResult>> DetectOneOfStream(string? className) =>
        (image, token) => WithCurrentAsync(detector => detector.DetectOneOfStreamAsync(image, className, token));

    private async Task<AnomalyResult> WithCurrentAsync(Func<AnomalyDetector, Task<AnomalyResult>> detect)
    {
        Holder holder = Enter();
        try
        {
            return await detect(holder.Detector).ConfigureAwait(false);
        }
        finally
        {
            holder.Calls.Leave();
        }
    }

    /// <summary>Registers a call with the current model, again if it is replaced in between.</summary>
    private Holder Enter()
    {
        while (true)
        {
            Holder holder = Volatile.Read(ref current);
            if (holder.Calls.TryEnter()) return holder;
            ObjectDisposedException.ThrowIf(Volatile.Read(ref disposed), this);
        }
    }

    private Task EndAll()
    {
        lock (swapping) disposed = true;
        return End(current);
    }

    private static async Task End(Holder holder)
    {
        holder.Calls.Close();
        await holder.Calls.Freed.ConfigureAwait(false);
        await holder.Detector.Freed.ConfigureAwait(false);
    }
}
