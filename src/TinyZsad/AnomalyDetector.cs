using System.Diagnostics;
using System.Numerics;
using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Models;
using TinyZsad.Models.Nano;
using TinyZsad.Weights;

namespace TinyZsad;

/// <summary>
/// Computes how anomalous a picture is, and where, with a model that has not seen pictures of its kind before.
/// </summary>
/// <remarks>
/// <para>Thread safe: any number of threads may use one detector at once. Detections are computed in order of arrival, on as many
/// threads as <see cref="DetectorOptions.Threads"/> says and no more; further ones wait. Results are the same, bit for bit, for any
/// number of threads and callers. On a GPU, those of batches and streams may differ in the last bits with the number of pictures that
/// are computed together.</para>
/// <para>Synchronous calls compute on their caller's thread together with the detector's threads. Asynchronous calls wait without a
/// thread and compute on the detector's threads only, never on the thread pool.</para>
/// <para>A detector may be disposed while calls run or wait: they end normally.</para>
/// </remarks>
/// <example>
/// <code>
/// using AnomalyDetector detector = AnomalyDetector.Load("lizad.safetensors");
/// AnomalyResult result = detector.Detect(Image.Load("nut.png"), "metal nut");
/// Console.WriteLine(result.Score);
/// </code>
/// </example>
public sealed class AnomalyDetector : IAnomalyDetector, IDisposable, IAsyncDisposable
{
    /// <summary>The name of the model in the box, which <see cref="ModelInfo.Path"/> holds for it.</summary>
    public const string DefaultModelName = NanoModel.Name;

    /// <summary>The class that is assumed if a model takes one and none is named.</summary>
    public const string DefaultClassName = "object";

    private const ResampleFilter Filter = ResampleFilter.Bicubic;

    private readonly AnomalySystem system;
    private readonly ImageScore score;
    private readonly bool throughput;
    private readonly Device device;
    private readonly ParallelFor onAllThreads;
    private readonly ResizeTables resizeTables;
    private readonly Plan plan;
    private readonly BatchPlans batchPlans;
    private readonly DetectionBatcher? batcher;
    private readonly Lifetime lifetime;
    private readonly ComputeThreads threads;
    private readonly Lazy<string> sha256;

    private AnomalyDetector(AnomalySystem system, Device device, Precision precision, DetectorOptions options)
    {
        this.system = system;
        this.device = device;
        onAllThreads = device.For;
        resizeTables = new ResizeTables(system.ImageSize, Filter);
        score = options.Score == ImageScore.Default ? system.DefaultScore : options.Score;
        throughput = options.Mode == DetectionMode.Throughput;
        Precision = precision;
        PrecisionNote = options.Precision == Precision.Int8 && precision != Precision.Int8 ? device.Int8Objection : null;
        Plan Compile(int batch) =>
            device.Compile(system.DetectionGraph(score), new CompileOptions { Precision = precision, Batch = batch });
        plan = Compile(1);
        batchPlans = new BatchPlans(plan, Compile);
        sha256 = new Lazy<string>(system.File.ComputeSha256, LazyThreadSafetyMode.PublicationOnly);
        system.EmbeddingFolder = FolderOf(options.CacheFolder);
        Model = new ModelInfo(system, ReadSha256);
        int concurrency = Math.Min(device.Threads, options.MaxConcurrency == 0 ? device.Threads : options.MaxConcurrency);
        int most = options.MaxConcurrency == 0 ? device.MaxBatch : Math.Min(device.MaxBatch, options.MaxConcurrency);
        PipelineWidth = device.MaxBatch > 1 ? 2 * most : concurrency + 1;
        if (device.MaxBatch > 1) batcher = new DetectionBatcher(most, BeginBatch, ComputeBatch);
        Queue = new DetectionQueue(device.Threads, concurrency, options.MaxQueueLength);
        threads = new ComputeThreads(concurrency);
        lifetime = new Lifetime(this, () =>
        {
            threads.Dispose();
            plan.Dispose();
            batchPlans.Dispose();
            system.Dispose();
            device.Dispose();
        });
    }

    /// <summary>Gets the description of the model.</summary>
    public ModelInfo Model { get; }

    /// <summary>
    /// Gets the device that computes: <c>cpu</c>, <c>reference</c>, or a GPU such as <c>cuda:0</c>, also if
    /// <see cref="DetectorOptions.Device"/> is <c>auto</c>.
    /// </summary>
    public string Device => device.Name;

    /// <summary>Gets the number of threads that compute, or that prepare pictures for a GPU.</summary>
    public int Threads => device.Threads;

    /// <summary>
    /// Gets the width in bits of the vectors that compute: 512 (AVX-512), 256 (AVX2), 128 (SSE, or Arm64's AdvSimd) or 32 (no vectors);
    /// 0 for a device that does not use the processor's vectors.
    /// </summary>
    /// <remarks>
    /// The JIT compiler selects it for the processor. In a program that is compiled ahead of time, it is fixed: the package selects
    /// AVX2 on x64, and the property IlcInstructionSet of the project another.
    /// </remarks>
    public int VectorWidth => device.VectorWidth;

    /// <summary>
    /// Gets why <see cref="VectorWidth"/> is less than that of the processor, as a sentence for a log; null if it is not.
    /// </summary>
    public string? VectorLimit => device.VectorLimit;

    /// <summary>
    /// Gets how linear layers are computed: as <see cref="Precision.Float32"/> or <see cref="Precision.Int8"/>. It is Float32 although
    /// <see cref="DetectorOptions.Precision"/> is Int8 where 8-bit integers are not known to be faster.
    /// </summary>
    public Precision Precision { get; }

    /// <summary>
    /// Gets why <see cref="Precision"/> is not the <see cref="Precision.Int8"/> that was asked for, as a sentence for a log; null if it
    /// is what was asked for.
    /// </summary>
    public string? PrecisionNote { get; }

    /// <summary>Gets where all calls that compute wait.</summary>
    internal DetectionQueue Queue { get; }

    /// <summary>Gets the items of a batch or a stream that are under way at once: those that compute, and the next.</summary>
    internal int PipelineWidth { get; }

    /// <summary>Gets a task that completes when the detector is disposed and its last call has ended.</summary>
    internal Task Freed => lifetime.Freed;

    /// <summary>Loads a model from a file, whose metadata says which system it holds.</summary>
    /// <remarks>
    /// The file is mapped, and must not be overwritten or truncated in place while the detector lives, which would end the process.
    /// Replace it by writing another file and renaming that, or set <see cref="DetectorOptions.InMemory"/>.
    /// </remarks>
    /// <param name="path">A .safetensors file.</param>
    /// <param name="options">How to compute; null for the defaults.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="ModelFormatException">
    /// The file is not a model, or is damaged or incomplete; the properties name the tensor, the metadata key or the offset.
    /// </exception>
    /// <exception cref="ArgumentException">An option is out of its range, or the model cannot work at the image size.</exception>
    /// <exception cref="NotSupportedException">The model has no such image score.</exception>
    public static AnomalyDetector Load(string path, DetectorOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= new DetectorOptions();
        options.Check();
        return Load(options.InMemory ? SafetensorsFile.Read(path) : SafetensorsFile.Open(path), options);
    }

    /// <summary>Loads a model from a stream, which is read to its end into memory and left open.</summary>
    /// <param name="stream">The bytes of a .safetensors file, from the stream's position on.</param>
    /// <param name="options">How to compute; null for the defaults.</param>
    /// <exception cref="ModelFormatException">The bytes are not a model, or are damaged or incomplete.</exception>
    /// <exception cref="ArgumentException">An option is out of its range, or the model cannot work at the image size.</exception>
    /// <exception cref="NotSupportedException">The model has no such image score.</exception>
    public static AnomalyDetector Load(Stream stream, DetectorOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        options?.Check();
        return Load(SafetensorsFile.Read(stream, NameOf(stream)), options);
    }

    /// <summary>Loads a model from bytes, which are used where they are and must not change while the detector lives.</summary>
    /// <param name="model">The bytes of a .safetensors file.</param>
    /// <param name="options">How to compute; null for the defaults.</param>
    /// <inheritdoc cref="Load(Stream, DetectorOptions?)" path="/exception"/>
    public static AnomalyDetector Load(ReadOnlyMemory<byte> model, DetectorOptions? options = null) =>
        Load(SafetensorsFile.Open(model, "memory"), options);

    /// <summary>
    /// Loads the model in the box: EdgeZSAD at a small size (256 pixels, no class name), trained on drawn surfaces and defects only. It
    /// is for trying the library and for smoke tests, and no substitute for the trained systems. <see cref="ModelInfo.Metadata"/> has
    /// its held-out figures.
    /// </summary>
    /// <param name="options">How to compute; null for the defaults.</param>
    /// <exception cref="ArgumentException">An option is out of its range, or the model cannot work at the image size.</exception>
    /// <exception cref="NotSupportedException">The model has no such image score.</exception>
    public static AnomalyDetector LoadDefault(DetectorOptions? options = null) =>
        Load(SafetensorsFile.Open(NanoModel.Open(), DefaultModelName), options);

    /// <summary>Loads a model from an open file, which the detector owns from now on, even if loading fails.</summary>
    /// <param name="file">The model.</param>
    /// <param name="options">How to compute; null for the defaults.</param>
    /// <inheritdoc cref="Load(Stream, DetectorOptions?)" path="/exception"/>
    public static AnomalyDetector Load(SafetensorsFile file, DetectorOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(file);
        options ??= new DetectorOptions();
        Device? device = null;
        AnomalySystem? system = null;
        try
        {
            device = Devices.Open(options);
            Precision precision = options.Precision == Precision.Float32 ? Precision.Float32
                : options.Precision == Precision.Int8 && device.Int8Objection is not null ? Precision.Float32
                : Precision.Int8;
            device.Rehearse(precision);
            system = AnomalySystem.Load(file, device, options.ImageSize);
            return new AnomalyDetector(system, device, precision, options);
        }
        catch
        {
            if (system is null) file.Dispose();
            else system.Dispose();
            device?.Dispose();
            throw;
        }
    }

    /// <summary>Loads a model from a file on a thread of its own.</summary>
    /// <param name="path">A .safetensors file.</param>
    /// <param name="options">How to compute; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels loading before it begins or when it has ended, not in between.</param>
    /// <exception cref="OperationCanceledException">Loading was cancelled.</exception>
    /// <inheritdoc cref="Load(string, DetectorOptions?)" path="/remarks|/exception"/>
    public static Task<AnomalyDetector> LoadAsync(
        string path, DetectorOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return OnThreadOfItsOwn(() => Load(path, options), cancellationToken);
    }

    /// <summary>Loads a model from a stream, which is read asynchronously to its end into memory and left open.</summary>
    /// <param name="stream">The bytes of a .safetensors file, from the stream's position on.</param>
    /// <param name="options">How to compute; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels loading.</param>
    /// <exception cref="OperationCanceledException">Loading was cancelled.</exception>
    /// <inheritdoc cref="Load(Stream, DetectorOptions?)" path="/exception"/>
    public static async Task<AnomalyDetector> LoadAsync(
        Stream stream, DetectorOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        options?.Check();
        SafetensorsFile file = await SafetensorsFile.ReadAsync(stream, NameOf(stream), cancellationToken).ConfigureAwait(false);
        try
        {
            return await OnThreadOfItsOwn(() => Load(file, options), cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            // Loading closes the file if it fails, but not if it was cancelled before it began.
            file.Dispose();
            throw;
        }
    }

    /// <summary>Examines a picture.</summary>
    /// <param name="image">The picture, of any size.</param>
    /// <param name="className">
    /// What the picture shows ("metal nut"), for a model that takes a class; <see cref="DefaultClassName"/> if null. The first
    /// detection of a class embeds its name, which takes seconds unless <see cref="DetectorOptions.CacheFolder"/> has it; later ones do
    /// not. Models that take no class ignore it.
    /// </param>
    /// <param name="cancellationToken">Cancels the wait and the detection.</param>
    /// <exception cref="ObjectDisposedException">The detector is disposed.</exception>
    /// <exception cref="OperationCanceledException">The detection was cancelled. The detector stays usable.</exception>
    /// <exception cref="DetectorBusyException">
    /// <see cref="DetectorOptions.MaxQueueLength"/> detections wait already.
    /// </exception>
    /// <exception cref="UnknownClassException">The file holds neither the class nor a text tower to embed it.</exception>
    /// <exception cref="ArgumentException">The picture is empty, or the name of the class is blank.</exception>
    /// <exception cref="DeviceException">The GPU failed, or has too little memory. A detector on the CPU is not affected.</exception>
    /// <exception cref="ModelFormatException">
    /// The result is not finite, because weights are damaged; <see cref="ModelFormatException.Operation"/> is the first operation whose
    /// output is not.
    /// </exception>
    public AnomalyResult Detect(Image image, string? className = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(image);
        return Detect(image.View, className, cancellationToken);
    }

    /// <summary>Examines a picture in the caller's memory, such as a camera's buffer, without a copy at full size.</summary>
    /// <inheritdoc cref="Detect(Image, string?, CancellationToken)"/>
    public AnomalyResult Detect(ImageView image, string? className = null, CancellationToken cancellationToken = default) =>
        Detect(image, default, className, cancellationToken);

    /// <summary>Examines a picture, and stores the map in the caller's memory instead of a new array.</summary>
    /// <param name="image">The picture, of any size.</param>
    /// <param name="mapBuffer">
    /// At least <see cref="ModelInfo.ImageSize"/> squared values. <see cref="AnomalyResult.Map"/> refers to it, and everything that the
    /// result computes from the map later, so the buffer may be used again only when the result is no longer needed. Empty for a new
    /// array.
    /// </param>
    /// <param name="className">See <see cref="Detect(Image, string?, CancellationToken)"/>.</param>
    /// <param name="cancellationToken">Cancels the wait and the detection.</param>
    /// <exception cref="ArgumentException">The buffer is too short, or the picture is empty.</exception>
    /// <inheritdoc cref="Detect(Image, string?, CancellationToken)" path="/exception"/>
    public AnomalyResult Detect(
        ImageView image, Memory<float> mapBuffer, string? className = null, CancellationToken cancellationToken = default)
    {
        CheckArguments(image, mapBuffer);
        className = ClassOf(className);
        long start = Stopwatch.GetTimestamp();
        using BlockingTurn turn = TakeTurn(NeedsAllThreads(className), canBeRefused: true, cancellationToken);
        return Compute(image, mapBuffer, className, turn.Threads, start, cancellationToken);
    }

    /// <summary>Examines a picture without a thread that waits. The task completes on the thread pool.</summary>
    /// <inheritdoc cref="Detect(Image, string?, CancellationToken)"/>
    public Task<AnomalyResult> DetectAsync(Image image, string? className = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(image);
        return DetectAsync(image.Frame, className, cancellationToken);
    }

    /// <summary>
    /// Examines a picture in the caller's memory, such as a camera's buffer, without a thread that waits. The memory must not change
    /// until the task completes, which it does on the thread pool.
    /// </summary>
    /// <inheritdoc cref="Detect(Image, string?, CancellationToken)"/>
    public Task<AnomalyResult> DetectAsync(
        ImageFrame image, string? className = null, CancellationToken cancellationToken = default) =>
        DetectAsync(image, default, className, cancellationToken);

    /// <summary>
    /// Examines a picture without a thread that waits, and stores the map in the caller's memory instead of a new array.
    /// </summary>
    /// <inheritdoc cref="Detect(ImageView, Memory{float}, string?, CancellationToken)"/>
    public Task<AnomalyResult> DetectAsync(
        ImageFrame image, Memory<float> mapBuffer, string? className = null, CancellationToken cancellationToken = default)
    {
        CheckArguments(image.View, mapBuffer);
        className = ClassOf(className);
        return lifetime.TryEnter()
            ? ComputeAsync(image, mapBuffer, className, NeedsAllThreads(className), canBeRefused: true, cancellationToken)
            : Task.FromException<AnomalyResult>(Disposed());
    }

    /// <summary>
    /// Examines many pictures of one class, as many at once as the detector has threads. A picture that cannot be loaded or examined
    /// does not end the batch.
    /// </summary>
    /// <typeparam name="TItem">What the caller has of each picture: its path, or the picture itself.</typeparam>
    /// <param name="items">The items.</param>
    /// <param name="load">
    /// Loads the picture of an item, on the calling thread, a few pictures ahead. What it throws becomes the outcome of the item. The
    /// detector does not dispose the picture.
    /// </param>
    /// <param name="className">See <see cref="Detect(Image, string?, CancellationToken)"/>.</param>
    /// <param name="cancellationToken">Cancels the batch.</param>
    /// <returns>An outcome per item, in the order of the items.</returns>
    /// <exception cref="ObjectDisposedException">The detector is disposed.</exception>
    /// <exception cref="OperationCanceledException">The batch was cancelled. The detector stays usable.</exception>
    /// <exception cref="UnknownClassException">The file holds neither the class nor a text tower to embed it.</exception>
    public IReadOnlyList<DetectionOutcome<TItem>> DetectBatch<TItem>(IReadOnlyCollection<TItem> items, Func<TItem, Image> load,
        string? className = null, CancellationToken cancellationToken = default)
    {
        className = ClassOf(className);
        // The batch is one call: the detector may be disposed while it runs.
        lifetime.Enter();
        try
        {
            return DetectionPipeline.Run(items, load, (image, token) =>
            {
                lifetime.EnterAgain();
                return DetectOneOfManyAsync(image, className, token);
            }, PipelineWidth, cancellationToken);
        }
        finally
        {
            lifetime.Leave();
        }
    }

    /// <summary>
    /// Examines many pictures of one class, as many at once as the detector has threads. A picture that cannot be examined does not end
    /// the batch.
    /// </summary>
    /// <param name="images">The pictures.</param>
    /// <param name="className">See <see cref="Detect(Image, string?, CancellationToken)"/>.</param>
    /// <param name="cancellationToken">Cancels the batch.</param>
    /// <returns>An outcome per picture, in their order.</returns>
    /// <inheritdoc cref="DetectBatch{TItem}" path="/exception"/>
    public IReadOnlyList<DetectionOutcome<Image>> DetectBatch(IReadOnlyCollection<Image> images, string? className = null,
        CancellationToken cancellationToken = default) => DetectBatch(images, image => image, className, cancellationToken);

    /// <summary>
    /// Examines pictures as they come, as many at once as the detector has threads. Loading and examining overlap. A picture that
    /// cannot be loaded or examined does not end the stream.
    /// </summary>
    /// <typeparam name="TItem">What the caller has of each picture: its path, a frame's number, or the picture itself.</typeparam>
    /// <param name="items">
    /// The items. Besides those that are computed, only the next is asked for ahead. What the source throws is thrown after the
    /// outcomes of the items before.
    /// </param>
    /// <param name="load">
    /// Loads the picture of an item, at the same time as others. What it throws becomes the outcome of the item. The detector does not
    /// dispose the picture.
    /// </param>
    /// <param name="className">See <see cref="Detect(Image, string?, CancellationToken)"/>.</param>
    /// <param name="cancellationToken">Cancels the stream.</param>
    /// <returns>An outcome per item, in the order of the items.</returns>
    /// <exception cref="ObjectDisposedException">The detector is disposed, before or while the stream runs.</exception>
    /// <exception cref="OperationCanceledException">The stream was cancelled. The detector stays usable.</exception>
    /// <exception cref="UnknownClassException">The file holds neither the class nor a text tower to embed it.</exception>
    /// <exception cref="ArgumentException">The name of the class is blank.</exception>
    public IAsyncEnumerable<DetectionOutcome<TItem>> DetectStreamAsync<TItem>(IAsyncEnumerable<TItem> items,
        Func<TItem, CancellationToken, ValueTask<Image>> load, string? className = null,
        CancellationToken cancellationToken = default)
    {
        string? name = ClassOf(className);
        return DetectionPipeline.RunAsync(items, load, (image, token) => DetectOneOfStreamAsync(image, name, token), PipelineWidth,
            cancellationToken);
    }

    /// <summary>
    /// Examines pictures as they come, as many at once as the detector has threads. A picture that cannot be examined does not end the
    /// stream.
    /// </summary>
    /// <param name="images">
    /// The pictures. Besides those that are computed, only the next is asked for ahead. What the source throws is thrown after the
    /// outcomes of the pictures before.
    /// </param>
    /// <param name="className">See <see cref="Detect(Image, string?, CancellationToken)"/>.</param>
    /// <param name="cancellationToken">Cancels the stream.</param>
    /// <returns>An outcome per picture, in their order.</returns>
    /// <inheritdoc cref="DetectBatch{TItem}" path="/exception"/>
    public IAsyncEnumerable<DetectionOutcome<Image>> DetectStreamAsync(IAsyncEnumerable<Image> images, string? className = null,
        CancellationToken cancellationToken = default) =>
        DetectStreamAsync(images, (image, _) => ValueTask.FromResult(image), className, cancellationToken);

    /// <summary>
    /// Does in advance what makes the first detection slow: compiling code, reading weights, and embedding the class. Waits for its
    /// turn like a detection.
    /// </summary>
    /// <param name="className">A class to embed; null to embed none.</param>
    /// <param name="cancellationToken">Cancels the wait and the work.</param>
    /// <exception cref="OperationCanceledException">The work was cancelled. The detector stays usable.</exception>
    /// <exception cref="ObjectDisposedException">The detector is disposed.</exception>
    /// <exception cref="UnknownClassException">The file holds neither the class nor a text tower to embed it.</exception>
    public void Warmup(string? className = null, CancellationToken cancellationToken = default)
    {
        using BlockingTurn turn = TakeTurn(needsAllThreads: true, canBeRefused: false, cancellationToken);
        ExecuteGray(className, 1, null, cancellationToken);
    }

    /// <summary>Does the same without a thread that waits.</summary>
    /// <inheritdoc cref="Warmup"/>
    public Task WarmupAsync(string? className = null, CancellationToken cancellationToken = default)
    {
        if (!lifetime.TryEnter()) return Task.FromException(Disposed());
        return RunRegisteredAsync(needsAllThreads: true, canBeRefused: false, _ =>
        {
            ExecuteGray(className, 1, null, cancellationToken);
            return true;
        }, cancellationToken);
    }

    /// <summary>
    /// Measures where the time of a detection goes: executes the network on a gray picture and gives the mean time of each operation.
    /// Waits for its turn like a detection.
    /// </summary>
    /// <param name="runs">The runs to average over, after one that does not count; at least 1.</param>
    /// <param name="className">A class to measure with; null for a stand-in that costs the same.</param>
    /// <param name="cancellationToken">Cancels the wait and the work.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are no runs.</exception>
    /// <inheritdoc cref="Warmup" path="/exception"/>
    public IReadOnlyList<ProfileEntry> Profile(
        int runs = 5, string? className = null, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(runs, 1);
        using BlockingTurn turn = TakeTurn(needsAllThreads: true, canBeRefused: false, cancellationToken);
        ExecuteGray(className, 1, null, cancellationToken);
        PlanProfile profile = new(plan);
        ExecuteGray(className, runs, profile, cancellationToken);
        return profile.Entries;
    }

    /// <summary>
    /// Writes a copy of the model that holds the embeddings of some classes, so that detection need not compute them and the text
    /// tower can be left out.
    /// </summary>
    /// <param name="path">The new file; not the loaded one.</param>
    /// <param name="classNames">The classes, as detections will name them.</param>
    /// <param name="textTower">Whether to keep the text tower.</param>
    /// <param name="cancellationToken">Cancels the work.</param>
    /// <exception cref="NotSupportedException">The model takes no class.</exception>
    /// <exception cref="ArgumentException">The path is that of the loaded model.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <inheritdoc cref="Warmup" path="/exception"/>
    public void SaveWithClasses(string path, IReadOnlyCollection<string> classNames, bool textTower = true,
        CancellationToken cancellationToken = default) => SaveWithClasses(path, classNames, textTower, null, cancellationToken);

    /// <summary>Does the same and reports the share of the classes that is done, from 0 to 1.</summary>
    internal void SaveWithClasses(string path, IReadOnlyCollection<string> classNames, bool textTower, Action<double>? progress,
        CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(classNames);
        if (Model.Path.Length > 0 && Path.GetFullPath(path) == Path.GetFullPath(Model.Path))
            throw new ArgumentException($"{path} is the loaded model itself; write to another file.", nameof(path));
        // Not in the queue: many classes take minutes, which detections need not wait for.
        lifetime.Enter();
        try
        {
            system.SaveWithClasses(path, classNames, textTower, progress, cancellationToken);
        }
        finally
        {
            lifetime.Leave();
        }
    }

    /// <summary>
    /// Returns the memory of arenas that no detection uses to the operating system. Detections allocate it again as they need it. Call
    /// this after a burst.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The detector is disposed.</exception>
    public void Trim()
    {
        lifetime.Enter();
        try
        {
            plan.Trim();
            batchPlans.Trim();
            device.Trim();
        }
        finally
        {
            lifetime.Leave();
        }
    }

    /// <summary>
    /// Refuses further calls. The model is freed now, or when the last call that runs or waits ends.
    /// </summary>
    public void Dispose() => lifetime.Close();

    /// <summary>Refuses further calls, waits until those that run or wait have ended, and frees the model.</summary>
    public async ValueTask DisposeAsync()
    {
        lifetime.Close();
        await lifetime.Freed.ConfigureAwait(false);
    }

    /// <summary>
    /// Embeds a class in advance, if the model takes one. Waits for its turn like a detection.
    /// </summary>
    /// <param name="className">See <see cref="Detect(Image, string?, CancellationToken)"/>.</param>
    /// <param name="progress">Called on this thread with the share that is done, from 0 to 1, if the class is not known yet.</param>
    /// <param name="cancellationToken">Cancels the wait and the work.</param>
    internal void Embed(string? className, Action<double> progress, CancellationToken cancellationToken)
    {
        className = ClassOf(className);
        using BlockingTurn turn = TakeTurn(NeedsAllThreads(className), canBeRefused: false, cancellationToken);
        system.Prepare(className, cancellationToken, progress);
    }

    /// <summary>Examines a picture of a stream.</summary>
    internal Task<AnomalyResult> DetectOneOfStreamAsync(Image image, string? className, CancellationToken cancellationToken)
    {
        className = ClassOf(className);
        return lifetime.TryEnter()
            ? DetectOneOfManyAsync(image, className, cancellationToken)
            : Task.FromException<AnomalyResult>(Disposed());
    }

    /// <summary>Examines a picture of a batch or a stream, whose call is registered.</summary>
    private Task<AnomalyResult> DetectOneOfManyAsync(Image image, string? className, CancellationToken cancellationToken)
    {
        try
        {
            return batcher is null
                ? ComputeAsync(image.Frame, default, className, !system.IsPrepared(className), canBeRefused: false, cancellationToken)
                : batcher.Add(new DetectionBatcher.Entry(
                    image.Frame, className, Stopwatch.GetTimestamp(), lifetime.Leave, cancellationToken));
        }
        catch
        {
            // The picture is disposed.
            lifetime.Leave();
            throw;
        }
    }

    /// <summary>Computes a detection, whose call is registered, when its turn comes.</summary>
    private Task<AnomalyResult> ComputeAsync(ImageFrame image, Memory<float> mapBuffer, string? className, bool needsAllThreads,
        bool canBeRefused, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        return RunRegisteredAsync(needsAllThreads, canBeRefused, usable =>
            Compute(image.View, mapBuffer, className, usable, start, cancellationToken), cancellationToken);
    }

    /// <summary>Computes a detection whose turn has come.</summary>
    private AnomalyResult Compute(ImageView image, Memory<float> mapBuffer, string? className, int usableThreads, long start,
        CancellationToken cancellationToken)
    {
        bool alone = usableThreads == 1;
        long admitted = Stopwatch.GetTimestamp();
        ClassEmbedding? prepared = system.Prepare(className, cancellationToken);
        long embedded = Stopwatch.GetTimestamp();
        using Run run = plan.Rent();
        Resample(image, run, alone, cancellationToken);
        system.Bind(run, prepared);
        long resized = Stopwatch.GetTimestamp();
        run.Execute(singleThread: alone, cancellationToken: cancellationToken);
        return ReadResult(run, image, mapBuffer, className, prepared, done => new DetectionTimings(
            Stopwatch.GetElapsedTime(start, admitted), Stopwatch.GetElapsedTime(embedded, resized),
            Stopwatch.GetElapsedTime(admitted, embedded), Stopwatch.GetElapsedTime(resized, done)), cancellationToken);
    }

    /// <summary>Reads the result of a picture after an execution.</summary>
    private AnomalyResult ReadResult(Run run, ImageView image, Memory<float> mapBuffer, string? className, ClassEmbedding? prepared,
        Func<long, DetectionTimings> timings, CancellationToken cancellationToken)
    {
        Detection detection = system.Read(run, score, mapBuffer);
        if (!float.IsFinite(detection.Score) || !FiniteCheck.AreFinite(detection.Map.Span))
        {
            byte[] pixels = new byte[run.Bytes(AnomalySystem.Pixels).Length];
            Resample(image, pixels, alone: true, cancellationToken);
            throw FiniteCheck.Error(system, device, score, again =>
            {
                pixels.CopyTo(again.Bytes(AnomalySystem.Pixels));
                system.Bind(again, prepared);
            });
        }

        return new AnomalyResult(detection, system.ImageSize, image.Width, image.Height, device)
        {
            ClassName = className,
            Timings = timings(Stopwatch.GetTimestamp()),
        };
    }

    /// <summary>Begins a computation of the batcher, whose pictures are registered, when its turn comes.</summary>
    private void BeginBatch(Action compute)
    {
        lifetime.EnterAgain();
        RunRegisteredAsync(needsAllThreads: true, canBeRefused: false, _ =>
        {
            compute();
            return true;
        }, CancellationToken.None).ContinueWith(
            failed => batcher!.Abandon(failed.Exception!.InnerException!), CancellationToken.None,
            TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    /// <summary>Computes pictures of one class together and completes each of them.</summary>
    private void ComputeBatch(IReadOnlyList<DetectionBatcher.Entry> entries)
    {
        string? className = entries[0].ClassName;
        long admitted = Stopwatch.GetTimestamp();
        ClassEmbedding? prepared = system.Prepare(className, CancellationToken.None);
        long embedded = Stopwatch.GetTimestamp();
        // Powers of two, so that there are few plans.
        for (int first = 0; first < entries.Count;)
        {
            int count = 1 << BitOperations.Log2((uint)(entries.Count - first));
            using Run run = batchPlans[count].Rent();
            HashSet<DetectionBatcher.Entry> failed = [];
            for (int i = 0; i < count; i++)
            {
                run.Picture = i;
                system.Bind(run, prepared);
                try
                {
                    Resample(entries[first + i].Image.View, run, alone: false, CancellationToken.None);
                }
                catch (Exception e) when (e is not DeviceException)
                {
                    // The others are computed. What its place holds does not matter.
                    entries[first + i].Fail(e);
                    failed.Add(entries[first + i]);
                }
            }

            long resized = Stopwatch.GetTimestamp();
            run.Execute();
            for (int i = 0; i < count; i++)
            {
                run.Picture = i;
                DetectionBatcher.Entry entry = entries[first + i];
                if (failed.Contains(entry)) continue;
                try
                {
                    entry.Complete(ReadResult(run, entry.Image.View, default, className, prepared, done => new DetectionTimings(
                        Stopwatch.GetElapsedTime(entry.Start, admitted), Stopwatch.GetElapsedTime(embedded, resized),
                        Stopwatch.GetElapsedTime(admitted, embedded), Stopwatch.GetElapsedTime(resized, done)), CancellationToken.None));
                }
                catch (Exception e)
                {
                    // A result that is not finite, or that cannot be explained: those of the others are there.
                    entry.Fail(e);
                }
            }

            first += count;
        }
    }

    /// <summary>Gives a run the pixels of a picture. A device that resizes pictures does so.</summary>
    private unsafe void Resample(ImageView image, Run run, bool alone, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (run.CanResize && image.Format == PixelFormat.Rgb24 && image.Stride >= 0
            && resizeTables.TryGet(image.Width) is { } horizontal && resizeTables.TryGet(image.Height) is { } vertical)
        {
            fixed (byte* top = &image.Top)
            {
                if (run.TryResize(AnomalySystem.Pixels, (nint)top, image.Stride, horizontal, vertical)) return;
            }
        }

        Resample(image, run.Bytes(AnomalySystem.Pixels), alone, cancellationToken);
    }

    private void Resample(ImageView image, Span<byte> pixels, bool alone, CancellationToken cancellationToken) =>
        Resampler.Resize(image, pixels, system.ImageSize, system.ImageSize, Filter,
            alone ? null : onAllThreads, cancellationToken);

    private void CheckArguments(ImageView image, Memory<float> mapBuffer)
    {
        if (image.Width == 0) throw new ArgumentException("The picture is empty (a default value).", nameof(image));
        long needed = (long)system.ImageSize * system.ImageSize;
        if (!mapBuffer.IsEmpty && mapBuffer.Length < needed)
        {
            throw new ArgumentException($"The map has {needed} values; the buffer holds {mapBuffer.Length}.", nameof(mapBuffer));
        }
    }

    private string? ClassOf(string? className)
    {
        if (!system.TakesClassName) return null;
        if (className is not null && string.IsNullOrWhiteSpace(className))
            throw new ArgumentException("The name of the class is blank; it is null or a name.", nameof(className));
        return className ?? DefaultClassName;
    }

    /// <summary>Opens the folder where class embeddings are kept; null for none.</summary>
    private EmbeddingFolder? FolderOf(string? option)
    {
        if (!system.AnyClass || device.Arithmetic is not { } arithmetic) return null;
        string? folder = option ?? EmbeddingFolder.OfUser;
        // The calls that embed are registered, and end normally when the detector is disposed.
        return string.IsNullOrEmpty(folder) ? null : new EmbeddingFolder(folder, () => sha256.Value, arithmetic);
    }

    private string ReadSha256()
    {
        lifetime.Enter();
        try
        {
            return sha256.Value;
        }
        finally
        {
            lifetime.Leave();
        }
    }

    /// <summary>Embedding a class takes all threads in any mode, as the detections that follow are likely to wait for it.</summary>
    private bool NeedsAllThreads(string? className) => !throughput || !system.IsPrepared(className);

    /// <summary>Executes the network on a gray picture.</summary>
    private void ExecuteGray(string? className, int runs, PlanProfile? profile, CancellationToken cancellationToken)
    {
        ClassEmbedding? prepared =
            className is null || !system.TakesClassName ? null : system.Prepare(className, cancellationToken);
        using Run run = plan.Rent();
        for (int i = 0; i < runs; i++)
        {
            run.Bytes(AnomalySystem.Pixels).Fill(128);
            system.Bind(run, prepared);
            run.Execute(profile: profile, cancellationToken: cancellationToken);
        }
    }

    /// <summary>Runs a computation, whose call is registered, on the detector's threads when its turn comes.</summary>
    /// <param name="needsAllThreads">Whether it waits for all threads.</param>
    /// <param name="canBeRefused">Whether it is refused if the queue is full.</param>
    /// <param name="compute">The computation; its argument is the number of threads that it may use.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    private Task<T> RunRegisteredAsync<T>(
        bool needsAllThreads, bool canBeRefused, Func<int, T> compute, CancellationToken cancellationToken) =>
        new AsynchronousCall<T>(Queue, threads, needsAllThreads, compute, lifetime.Leave, cancellationToken).Run(canBeRefused);

    private ObjectDisposedException Disposed() => new(GetType().FullName);

    /// <summary>Waits until a computation on the calling thread may begin.</summary>
    private BlockingTurn TakeTurn(bool needsAllThreads, bool canBeRefused, CancellationToken cancellationToken)
    {
        lifetime.Enter();
        BlockingCall call = new(needsAllThreads);
        try
        {
            call.Enter(Queue, canBeRefused, cancellationToken);
            return new BlockingTurn(this, call);
        }
        catch
        {
            call.Dispose();
            lifetime.Leave();
            throw;
        }
    }

    /// <summary>The use of a detector by its caller's thread; disposing it ends the use.</summary>
    private readonly ref struct BlockingTurn(AnomalyDetector detector, BlockingCall call)
    {
        public int Threads => call.Threads;

        public void Dispose()
        {
            detector.Queue.Leave(call);
            call.Dispose();
            detector.lifetime.Leave();
        }
    }

    private static Task<AnomalyDetector> OnThreadOfItsOwn(Func<AnomalyDetector> load, CancellationToken cancellationToken) =>
        Task.Factory.StartNew(() =>
        {
            AnomalyDetector detector = load();
            if (!cancellationToken.IsCancellationRequested) return detector;
            detector.Dispose();
            throw new OperationCanceledException(cancellationToken);
        }, cancellationToken, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);

    private static string NameOf(Stream stream) => stream is FileStream file ? file.Name : "stream";
}
