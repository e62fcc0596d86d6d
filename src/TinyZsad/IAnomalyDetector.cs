using TinyZsad.Imaging;

namespace TinyZsad;

/// <summary>
/// Examines pictures. <see cref="AnomalyDetector"/> and <see cref="SwappableDetector"/> implement it; tests of code that uses detectors
/// can implement it with three members, as the others have a default. Implementations are thread safe.
/// </summary>
public interface IAnomalyDetector
{
    /// <summary>Gets the description of the model.</summary>
    ModelInfo Model { get; }

    /// <inheritdoc cref="AnomalyDetector.Detect(ImageView, string?, CancellationToken)"/>
    AnomalyResult Detect(ImageView image, string? className = null, CancellationToken cancellationToken = default);

    /// <inheritdoc cref="AnomalyDetector.Detect(Image, string?, CancellationToken)"/>
    AnomalyResult Detect(Image image, string? className = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(image);
        return Detect(image.View, className, cancellationToken);
    }

    /// <inheritdoc cref="AnomalyDetector.DetectAsync(ImageFrame, string?, CancellationToken)"/>
    Task<AnomalyResult> DetectAsync(ImageFrame image, string? className = null, CancellationToken cancellationToken = default);

    /// <inheritdoc cref="AnomalyDetector.DetectAsync(Image, string?, CancellationToken)"/>
    Task<AnomalyResult> DetectAsync(Image image, string? className = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(image);
        return DetectAsync(image.Frame, className, cancellationToken);
    }

    /// <inheritdoc cref="AnomalyDetector.DetectBatch{TItem}"/>
    IReadOnlyList<DetectionOutcome<TItem>> DetectBatch<TItem>(IReadOnlyCollection<TItem> items, Func<TItem, Image> load,
        string? className = null, CancellationToken cancellationToken = default) =>
        DetectionPipeline.Run(
            items, load, (image, token) => DetectAsync(image, className, token), DetectionPipeline.DefaultWidth, cancellationToken);

    /// <inheritdoc cref="AnomalyDetector.DetectStreamAsync{TItem}"/>
    IAsyncEnumerable<DetectionOutcome<TItem>> DetectStreamAsync<TItem>(IAsyncEnumerable<TItem> items,
        Func<TItem, CancellationToken, ValueTask<Image>> load, string? className = null,
        CancellationToken cancellationToken = default) =>
        DetectionPipeline.RunAsync(
            items, load, (image, token) => DetectAsync(image, className, token), DetectionPipeline.DefaultWidth, cancellationToken);
}
