using TinyZsad.Graph;
using TinyZsad.Models;

namespace TinyZsad;

/// <summary>How an <see cref="AnomalyDetector"/> computes. Read once, when the model is loaded.</summary>
public sealed record DetectorOptions
{
    /// <summary>The device that computes unless another is named.</summary>
    public const string DefaultDevice = "cpu";

    /// <summary>
    /// What computes: <c>cpu</c>, or <c>reference</c>, which follows the plain definition of every operation in double precision,
    /// on one thread, for comparison with small models.
    /// </summary>
    public string Device { get; init; } = DefaultDevice;

    /// <summary>The names that <see cref="Device"/> takes.</summary>
    public static IReadOnlyList<string> DeviceNames => Devices.Names;

    /// <summary>Threads that work on one detection, 1 to 256; 0 takes one a processor. Results do not depend on it.</summary>
    public int Threads { get; init; }

    /// <summary>How the map becomes one number for the picture.</summary>
    public ImageScore Score { get; init; } = ImageScore.Default;

    /// <summary>
    /// How linear layers are computed. <see cref="Precision.Int8"/> is faster and less exact; what it costs a model,
    /// a verification tells. The text tower, whose embeddings are computed once a class, is always in floats.
    /// </summary>
    public Precision Precision { get; init; }

    /// <summary>
    /// Pixels each way that pictures are brought to; null for what the file states. Only VisualAD takes another size than that: a
    /// multiple of its patch, up to what its position tables hold. Loading refuses a size that the model cannot work at.
    /// </summary>
    public int? ImageSize { get; init; }

    internal int ThreadCount => Threads switch
    {
        0 => Math.Min(Environment.ProcessorCount, 256),
        >= 1 and <= 256 => Threads,
        _ => throw new ArgumentOutOfRangeException(nameof(Threads), Threads, "Threads is 1 to 256, or 0 for one a processor."),
    };

    /// <summary>Throws where an option is out of its range.</summary>
    internal void Check()
    {
        _ = ThreadCount;
        if (Device is null || !Devices.IsKnown(Device))
        {
            throw new ArgumentOutOfRangeException(nameof(Device), Device,
                $"No such device; there are {string.Join(", ", Devices.Names)}.");
        }

        if (!Enum.IsDefined(Score)) throw new ArgumentOutOfRangeException(nameof(Score), Score, "No such image score.");
        if (!Enum.IsDefined(Precision)) throw new ArgumentOutOfRangeException(nameof(Precision), Precision, "No such precision.");
    }
}
