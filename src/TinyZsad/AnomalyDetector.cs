using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Models;
using TinyZsad.Models.Nano;
using TinyZsad.Weights;

namespace TinyZsad;

/// <summary>
/// Says how anomalous a picture is, and where, by a model that has never seen its kind.
/// <para>
/// Thread safe: any number of threads may detect with one detector at once. On the CPU one of them at a time is computed by the
/// detector's whole thread team, the others each on its caller's thread; results are the same, bit for bit. At most as many detections,
/// warm-ups and profiles as there are processors run at once (each needs an arena of some megabytes), further ones wait. Disposing
/// while detections run is safe: they finish.
/// </para>
/// </summary>
/// <example>
/// <code>
/// using var detector = AnomalyDetector.Load("lizad.safetensors");
/// AnomalyResult result = detector.Detect(Image.Load("nut.png"), "metal nut");
/// Console.WriteLine(result.Score);
/// </code>
/// </example>
public sealed class AnomalyDetector : IDisposable
{
    /// <summary>What the model in the box is called, where a loaded file has its path.</summary>
    public const string DefaultModelName = NanoModel.Name;

    /// <summary>The class that is assumed where a model takes one and none is named.</summary>
    public const string DefaultClassName = "object";

    private readonly AnomalySystem system;
    private readonly ImageScore score;
    private readonly Device device;
    private readonly Plan plan;
    private readonly Lifetime lifetime;

    private AnomalyDetector(AnomalySystem system, Device device, DetectorOptions options)
    {
        this.system = system;
        this.device = device;
        score = options.Score == ImageScore.Default ? system.DefaultScore : options.Score;
        plan = device.Compile(system.DetectionGraph(score), new CompileOptions { Precision = options.Precision });
        Model = new ModelInfo(system);
        lifetime = new Lifetime(this, () =>
        {
            plan.Dispose();
            system.Dispose();
            device.Dispose();
            Turns.Dispose();
        });
    }

    /// <summary>What was loaded.</summary>
    public ModelInfo Model { get; }

    /// <summary>What detections, warm-ups and profiles wait for.</summary>
    internal SemaphoreSlim Turns { get; } = new(Math.Max(1, Environment.ProcessorCount));

    /// <summary>Threads that work on one detection.</summary>
    public int Threads => device.Threads;

    /// <summary>Loads a model; which one it is, the file's metadata says. Weights stay in the mapped file.</summary>
    /// <param name="path">A .safetensors file.</param>
    /// <param name="options">How to compute; the defaults suit most.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="ModelFormatException">The file is not a model, or not a whole one; the message names the tensor or
    /// key.</exception>
    /// <exception cref="ArgumentException">An option is out of range, or the model cannot work at the image size.</exception>
    /// <exception cref="NotSupportedException">The model has no such image score.</exception>
    public static AnomalyDetector Load(string path, DetectorOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Load(SafetensorsFile.Open(path), options);
    }

    /// <summary>
    /// Loads the model in the box: EdgeZSAD at a small size (256 pixels, no class name), trained on drawn surfaces and defects only. A
    /// try-out and a smoke test, no substitute for the trained systems; <see cref="ModelInfo.Metadata"/> has its held-out figures.
    /// </summary>
    /// <param name="options">How to compute; the defaults suit most.</param>
    /// <exception cref="ArgumentException">An option is out of range, or the model cannot work at the image size.</exception>
    /// <exception cref="NotSupportedException">The model has no such image score.</exception>
    public static AnomalyDetector LoadDefault(DetectorOptions? options = null) =>
        Load(SafetensorsFile.Open(NanoModel.Open(), DefaultModelName), options);

    /// <summary>Loads a model from an opened file, which the detector then owns, even if loading fails.</summary>
    public static AnomalyDetector Load(SafetensorsFile file, DetectorOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(file);
        options ??= new DetectorOptions();
        Device? device = null;
        AnomalySystem? system = null;
        try
        {
            device = Devices.Open(options);
            device.Rehearse(options.Precision);
            system = AnomalySystem.Load(file, device, options.ImageSize);
            return new AnomalyDetector(system, device, options);
        }
        catch
        {
            if (system is null) file.Dispose();
            else system.Dispose();
            device?.Dispose();
            throw;
        }
    }

    /// <summary>Examines a picture.</summary>
    /// <param name="image">The picture, of any size.</param>
    /// <param name="className">
    /// What the picture shows ("metal nut"), for a model that takes a class; <see cref="DefaultClassName"/> if null. The first
    /// detection of a class embeds its name, which takes seconds; later ones do not. Ignored by models that take none.
    /// </param>
    /// <param name="cancellationToken">Stops the detection between two operations.</param>
    /// <exception cref="ObjectDisposedException">The detector is disposed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled. The detector stays usable.</exception>
    /// <exception cref="ModelFormatException">
    /// The class is not stored in the file, and the file has no text tower; or the result is not finite, because weights are damaged:
    /// the message names the first operation whose output is not.
    /// </exception>
    public AnomalyResult Detect(Image image, string? className = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(image);
        return Detect(image.View, className, cancellationToken);
    }

    /// <summary>
    /// Examines a picture in somebody else's memory, such as a camera's buffer, without copying it at full size.
    /// </summary>
    /// <inheritdoc cref="Detect(Image, string?, CancellationToken)"/>
    public AnomalyResult Detect(ImageView image, string? className = null, CancellationToken cancellationToken = default)
    {
        using Turn turn = TakeTurn(cancellationToken);
        className = system.TakesClassName ? className ?? DefaultClassName : null;
        long start = Stopwatch.GetTimestamp();
        ClassEmbedding? prepared = system.Prepare(className, cancellationToken);
        long embedded = Stopwatch.GetTimestamp();
        using Run run = plan.Rent();
        Resampler.Resize(
            image, run.Bytes(AnomalySystem.Pixels), system.ImageSize, system.ImageSize, cancellationToken: cancellationToken);
        system.Bind(run, prepared);
        long resized = Stopwatch.GetTimestamp();
        run.Execute(cancellationToken: cancellationToken);
        Detection detection = system.Read(run, score);
        if (!float.IsFinite(detection.Score) || !FiniteCheck.AreFinite(detection.Map))
        {
            byte[] pixels = new byte[run.Bytes(AnomalySystem.Pixels).Length];
            Resampler.Resize(image, pixels, system.ImageSize, system.ImageSize, cancellationToken: cancellationToken);
            throw FiniteCheck.Error(system, device, score, again =>
            {
                pixels.CopyTo(again.Bytes(AnomalySystem.Pixels));
                system.Bind(again, prepared);
            });
        }
        long done = Stopwatch.GetTimestamp();
        return new AnomalyResult(detection, system.ImageSize, image.Width, image.Height, className,
            new DetectionTimings(Stopwatch.GetElapsedTime(embedded, resized), Stopwatch.GetElapsedTime(start, embedded),
                Stopwatch.GetElapsedTime(resized, done)));
    }

    /// <summary>Examines a picture on a thread of the pool.</summary>
    /// <inheritdoc cref="Detect(Image, string?, CancellationToken)"/>
    public Task<AnomalyResult> DetectAsync(Image image, string? className = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(image);
        return Task.Run(() => Detect(image, className, cancellationToken), cancellationToken);
    }

    /// <summary>Examines several pictures of one class, one after the other, each with the whole thread team.</summary>
    /// <returns>A result a picture, in their order.</returns>
    /// <inheritdoc cref="Detect(Image, string?, CancellationToken)"/>
    public IReadOnlyList<AnomalyResult> DetectBatch(IReadOnlyCollection<Image> images, string? className = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(images);
        return [.. images.Select(image => Detect(image, className, cancellationToken))];
    }

    /// <summary>
    /// Examines pictures as they come, in order. The next picture is awaited while the last is examined, so that reading it and
    /// examining it overlap; no more than that one is asked for ahead.
    /// </summary>
    /// <inheritdoc cref="Detect(Image, string?, CancellationToken)"/>
    public async IAsyncEnumerable<AnomalyResult> DetectStream(
        IAsyncEnumerable<Image> images, string? className = null,
            [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(images);
        Task<AnomalyResult>? pending = null;
        try
        {
            await using ConfiguredCancelableAsyncEnumerable<Image>.Enumerator source =
                images.WithCancellation(cancellationToken).ConfigureAwait(false).GetAsyncEnumerator();
            while (true)
            {
                ExceptionDispatchInfo? failure = null;
                bool more = false;
                try
                {
                    more = await source.MoveNextAsync();
                }
                catch (Exception e)
                {
                    failure = ExceptionDispatchInfo.Capture(e);
                }
                // The picture before comes first, even where the source has failed.
                if (pending is not null)
                {
                    AnomalyResult result = await pending.ConfigureAwait(false);
                    pending = null;
                    yield return result;
                }
                failure?.Throw();
                if (!more) yield break;
                pending = DetectAsync(source.Current, className, cancellationToken);
            }
        }
        finally
        {
            // Nothing runs on behind a caller who has stopped listening.
            if (pending is not null) await ((Task)pending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>
    /// Does once, on a gray picture, what the first detection would otherwise be slow for: compiling, mapping, embedding the
    /// class. Waits for its turn as a detection does.
    /// </summary>
    /// <param name="className">A class to embed now; with null none is embedded.</param>
    /// <param name="cancellationToken">Stops it between two operations.</param>
    /// <exception cref="OperationCanceledException">It was cancelled. The detector stays usable.</exception>
    public void Warmup(string? className = null, CancellationToken cancellationToken = default)
    {
        using Turn turn = TakeTurn(cancellationToken);
        ExecuteGray(className, 1, null, cancellationToken);
    }

    /// <summary>
    /// Measures where the time of a detection goes: runs it on a gray picture and sums up, operation by operation. Waits for its
    /// turn as a detection does.
    /// </summary>
    /// <param name="runs">How many runs to average over, after one that does not count.</param>
    /// <param name="className">A class to measure with; with null a stand-in that costs as much.</param>
    /// <param name="cancellationToken">Stops it between two operations.</param>
    /// <exception cref="OperationCanceledException">It was cancelled. The detector stays usable.</exception>
    public IReadOnlyList<ProfileEntry> Profile(
        int runs = 5, string? className = null, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(runs, 1);
        using Turn turn = TakeTurn(cancellationToken);
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
    /// <param name="classNames">The classes, as they will be named at detection.</param>
    /// <param name="textTower">Whether to keep the text tower.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="NotSupportedException">The model takes no class.</exception>
    public void SaveWithClasses(string path, IReadOnlyCollection<string> classNames, bool textTower = true,
        CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(classNames);
        if (Path.GetFullPath(path) == Path.GetFullPath(Model.Path))
            throw new ArgumentException($"{path} is the loaded model itself; write to another file.", nameof(path));
        // Without a turn: many classes take minutes, which detections need not wait for.
        lifetime.Enter();
        try
        {
            system.SaveWithClasses(path, classNames, textTower, cancellationToken);
        }
        finally
        {
            lifetime.Leave();
        }
    }

    /// <summary>Frees the model, now or when the last running detection ends.</summary>
    public void Dispose() => lifetime.Close();

    /// <summary>Runs the network on a gray picture.</summary>
    private void ExecuteGray(string? className, int runs, PlanProfile? profile, CancellationToken cancellationToken)
    {
        ClassEmbedding? prepared = className is null || !system.TakesClassName ? null : system.Prepare(className, cancellationToken);
        using Run run = plan.Rent();
        for (int i = 0; i < runs; i++)
        {
            run.Bytes(AnomalySystem.Pixels).Fill(128);
            system.Bind(run, prepared);
            run.Execute(profile: profile, cancellationToken: cancellationToken);
        }
    }

    /// <summary>Waits until one of the detections that may run at once can begin.</summary>
    /// <exception cref="ObjectDisposedException">The detector is disposed.</exception>
    private Turn TakeTurn(CancellationToken cancellationToken)
    {
        lifetime.Enter();
        try
        {
            Turns.Wait(cancellationToken);
            return new Turn(this);
        }
        catch
        {
            lifetime.Leave();
            throw;
        }
    }

    /// <summary>A use of the detector: its model stays until it ends, and one of the turns is taken.</summary>
    private readonly ref struct Turn(AnomalyDetector detector)
    {
        public void Dispose()
        {
            detector.Turns.Release();
            detector.lifetime.Leave();
        }
    }
}
