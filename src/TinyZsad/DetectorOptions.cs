namespace TinyZsad;

/// <summary>Specifies how an <see cref="AnomalyDetector"/> computes. The options are read once, when the model is loaded.</summary>
public sealed record DetectorOptions
{
    /// <summary>The device that computes unless another is named.</summary>
    public const string DefaultDevice = "cpu";

    private const int MostThreads = 256;

    /// <summary>
    /// Gets the device: <c>cpu</c>; <c>cuda</c> or <c>cuda:N</c>, the first or another NVIDIA GPU (numbered from 0); <c>auto</c>, a GPU if
    /// one can be used and otherwise the CPU; or <c>reference</c>, which executes the plain definition of every operation in double
    /// precision on one thread, for comparison with small models.
    /// </summary>
    /// <remarks>
    /// A GPU needs compute capability 8.0 (Ampere, Orin) or later and the driver of CUDA 11.1 or later; nothing else is installed. It
    /// multiplies halves and sums in floats, so scores differ from those of the CPU by up to a few thousandths. If a GPU is asked for and
    /// cannot be used, loading throws a <see cref="DeviceException"/>.
    /// </remarks>
    public string Device { get; init; } = DefaultDevice;

    /// <summary>Gets the names that <see cref="Device"/> takes.</summary>
    public static IReadOnlyList<string> DeviceNames => Devices.Names;

    /// <summary>
    /// Gets the number of threads that compute, 1 to 256; 0 for one per processor, the default. Results do not depend on it.
    /// </summary>
    public int Threads { get; init; }

    /// <summary>
    /// Gets how single detections share the threads. Batches and streams always use <see cref="DetectionMode.Throughput"/>.
    /// </summary>
    public DetectionMode Mode { get; init; }

    /// <summary>
    /// Gets the most pictures that are computed at once in throughput mode, by batches and by streams; each needs an arena of some
    /// megabytes. 1 to 256; 0 for <see cref="Threads"/>, the default. More than the number of threads has no effect.
    /// On a GPU it is the most pictures that are computed together, 16 by default and at most.
    /// </summary>
    public int MaxConcurrency { get; init; }

    /// <summary>
    /// Gets the most detections that wait for others at once; at least 0. A further one is refused with a
    /// <see cref="DetectorBusyException"/>. The default is 1024. Batches and streams are never refused, as they wait with a few pictures
    /// only.
    /// </summary>
    public int MaxQueueLength { get; init; } = 1024;

    /// <summary>Gets how the map becomes one score for the picture.</summary>
    public ImageScore Score { get; init; } = ImageScore.Default;

    /// <summary>
    /// Gets how linear layers are computed. <see cref="Precision.Int8"/> is faster and less exact; verify a model before relying on it.
    /// Where it would not be faster, floats are computed, and <see cref="AnomalyDetector.PrecisionNote"/> says so;
    /// <see cref="Precision.ForcedInt8"/> computes integers even there. The text tower, which runs once per class, always computes in
    /// floats.
    /// </summary>
    public Precision Precision { get; init; }

    /// <summary>
    /// Gets the width and height in pixels that pictures are resized to; null for what the model file states. Only VisualAD takes
    /// another size: a multiple of its patch size, up to what its position tables hold.
    /// </summary>
    public int? ImageSize { get; init; }

    /// <summary>
    /// Gets whether the model file is read into memory. False, the default, maps it: loading is faster, and processes share the memory,
    /// but a file that is overwritten or truncated in place while it is loaded ends the process. Servers whose model files may change
    /// set this to true, or replace files by renaming.
    /// </summary>
    public bool InMemory { get; init; }

    /// <summary>
    /// Gets the folder where the embeddings of classes are kept for other detectors and processes, so that only the first of them takes
    /// seconds for the first detection of a class. Null, the default, for <c>tinyzsad</c> in the user's cache folder: <c>XDG_CACHE_HOME</c>
    /// if it is set; otherwise <c>~/.cache</c>, on macOS <c>~/Library/Caches</c>, on Windows the local application data. Empty to keep
    /// nothing on disk.
    /// </summary>
    /// <remarks>
    /// <para>The folder is created when it is needed. If it cannot be read or written, or the user has no cache folder, classes are
    /// embedded by each detector, without an error. An entry takes about 5 KiB; those used longest ago are deleted when there are more
    /// than 1024. The folder may be deleted at any time.</para>
    /// <para>Results are the same, bit for bit, with and without it: an entry holds for one model file, one build of this library and one
    /// kind of processor, and its content is checked. To find entries, the SHA-256 of the model file is computed, once, before the first
    /// class is embedded. Whoever can write to the folder can change results, as with the model file.</para>
    /// </remarks>
    public string? CacheFolder { get; init; }

    internal int ThreadCount => Threads == 0 ? Math.Min(Environment.ProcessorCount, MostThreads) : Threads;

    /// <summary>Throws if an option is out of its range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    internal void Check()
    {
        CheckCount(Threads, nameof(Threads));
        CheckCount(MaxConcurrency, nameof(MaxConcurrency));
        ArgumentOutOfRangeException.ThrowIfNegative(MaxQueueLength);
        if (Device is null || !Devices.IsKnown(Device))
        {
            throw new ArgumentOutOfRangeException(nameof(Device), Device,
                $"No such device; there are {string.Join(", ", Devices.Names)}.");
        }

        if (CacheFolder?.Contains('\0') == true)
            throw new ArgumentOutOfRangeException(nameof(CacheFolder), CacheFolder, "It is a path, without NUL characters.");
        CheckDefined(Mode, nameof(Mode));
        CheckDefined(Score, nameof(Score));
        CheckDefined(Precision, nameof(Precision));
    }

    private static void CheckCount(int value, string name)
    {
        if (value is < 0 or > MostThreads)
            throw new ArgumentOutOfRangeException(name, value, $"{name} is 1 to {MostThreads}, or 0 for the default.");
    }

    private static void CheckDefined<T>(T value, string name) where T : struct, Enum
    {
        if (!Enum.IsDefined(value))
            throw new ArgumentOutOfRangeException(name, value, $"It is one of {string.Join(", ", Enum.GetNames<T>())}.");
    }
}
