using TinyZsad.Cuda.Kernels;
using TinyZsad.Graph;

namespace TinyZsad.Cuda;

/// <summary>
/// Represents a run on a GPU: an arena in device memory, pinned host memory for inputs and outputs, and a stream. A normal execution
/// copies the inputs and replays one CUDA graph, which launches all kernels and copies the outputs. With taps or a profile, every step
/// is launched and waited for by itself. Pictures of other sizes are resized into their input's place in the arena when they are given.
/// </summary>
internal sealed unsafe class CudaRun : Run
{
    private readonly CudaPlan plan;
    private readonly Driver driver;
    private readonly (Launch Launch, nint Function)[][] launches;
    private readonly Dictionary<Value, nint> hostOffsets = [];
    private readonly HashSet<(Value Input, int Picture)> resized = [];
    private readonly PictureResizer resizer;
    private readonly CudaFrame frame;
    private readonly long hostBytes;
    private ulong arena;
    private nint host;
    private nint stream;
    private nint graph;

    internal CudaRun(CudaPlan plan) : base(plan)
    {
        this.plan = plan;
        driver = plan.Device.Driver;
        resizer = new PictureResizer(driver, plan.Device.Kernels);
        foreach (Value value in plan.Inputs.Select(i => i.Input).Concat(plan.Outputs.Select(o => o.Output)).Distinct())
        {
            hostOffsets.Add(value, (nint)hostBytes);
            hostBytes += (plan.Batch * PictureBytes(value) + Arena.Alignment - 1) / Arena.Alignment * Arena.Alignment;
        }

        try
        {
            arena = driver.Allocate(plan.ArenaBytes);
            host = driver.AllocateHost(hostBytes);
            new Span<byte>((void*)host, checked((int)hostBytes)).Clear();
            stream = driver.CreateStream();
            frame = new CudaFrame(plan.Layout, arena);
            // Kernels are compiled now, which is not allowed while a stream is captured.
            launches = [.. plan.Steps.Select(s => s.Launches(frame).Select(l => (l, plan.Device.Kernels.Function(l))).ToArray())];
        }
        catch
        {
            Free();
            GC.SuppressFinalize(this);
            throw;
        }
    }

    /// <inheritdoc/>
    public override bool CanResize => true;

    /// <inheritdoc/>
    protected override bool TryResizeOnDevice(Value input, nint rgb, int stride, ResizeAxis horizontal, ResizeAxis vertical)
    {
        // A picture of the right size goes the way of all inputs.
        if (horizontal.IsIdentity && vertical.IsIdentity || !PictureResizer.CanResize(horizontal, vertical)) return false;
        resized.Remove((input, Picture));
        resizer.Resize(rgb, stride, horizontal, vertical, AddressOf(input, UploadedOf(input), Picture), stream);
        resized.Add((input, Picture));
        return true;
    }

    /// <inheritdoc/>
    protected override Span<byte> HostMemory(Value value)
    {
        // Whoever asks for the memory of an input fills it, which replaces a picture that was resized into the arena.
        resized.Remove((value, Picture));
        int bytes = checked((int)PictureBytes(value));
        return new Span<byte>((byte*)host + hostOffsets[value] + (long)Picture * bytes, bytes);
    }

    /// <inheritdoc/>
    protected override void Compute(
        TapReceiver? receiver, PlanProfile? profile, bool singleThread, CancellationToken cancellationToken)
    {
        try
        {
            CheckRowNumbers();
            if (receiver is null && profile is null)
            {
                if (graph == 0)
                {
                    graph = Capture(() =>
                    {
                        for (int i = 0; i < launches.Length; i++) Start(i);
                        CopyOutputs();
                    });
                }

                CopyInputs();
                driver.LaunchGraph(graph, stream);
                driver.Synchronize(stream);
            }
            else
            {
                ComputeStepwise(receiver, profile, cancellationToken);
            }
        }
        finally
        {
            // The execution has overwritten the pictures.
            resized.Clear();
        }

        cancellationToken.ThrowIfCancellationRequested();
    }

    /// <inheritdoc/>
    public override TimeSpan Measure(int repeats)
    {
        CopyInputs();
        nint repeated = Capture(() =>
        {
            for (int r = 0; r < repeats; r++)
                for (int i = 0; i < launches.Length; i++) Start(i);
        });
        nint begin = 0, end = 0;
        try
        {
            begin = driver.CreateEvent();
            end = driver.CreateEvent();
            driver.LaunchGraph(repeated, stream);
            driver.Record(begin, stream);
            driver.LaunchGraph(repeated, stream);
            driver.Record(end, stream);
            driver.SynchronizeEvent(end);
            return driver.Elapsed(begin, end) / repeats;
        }
        finally
        {
            driver.Synchronize(stream);
            if (begin != 0) driver.DestroyEvent(begin);
            if (end != 0) driver.DestroyEvent(end);
            driver.DestroyGraph(repeated);
        }
    }

    /// <inheritdoc/>
    protected override void Free()
    {
        try
        {
            // Inputs may have been given that were never executed.
            if (stream != 0) driver.Synchronize(stream);
            resizer?.Free();
            if (graph != 0) driver.DestroyGraph(graph);
            if (stream != 0) driver.DestroyStream(stream);
            if (host != 0) driver.FreeHost(host);
            if (arena != 0) driver.Free(arena);
        }
        catch (Exception e) when (e is DeviceException or ObjectDisposedException)
        {
            // The device is lost or given back, and the memory with it. This may be a finalizer, which must not throw.
        }

        (graph, stream, host, arena) = (0, 0, 0, 0);
    }

    private static long PictureBytes(Value value) => (long)value.Rows * value.Columns * value.ElementSize;

    /// <summary>Records work on the stream as a graph.</summary>
    private nint Capture(Action work)
    {
        driver.BeginCapture(stream);
        try
        {
            work();
        }
        catch
        {
            EndFailedCapture();
            throw;
        }

        return driver.EndCapture(stream);
    }

    /// <summary>Takes the stream out of capture mode after an error, which matters more than another one now.</summary>
    private void EndFailedCapture()
    {
        try
        {
            nint unfinished = driver.EndCapture(stream);
            if (unfinished != 0) driver.DestroyGraph(unfinished);
        }
        catch (DeviceException)
        {
            // The recording is invalid.
        }
    }

    private void ComputeStepwise(TapReceiver? receiver, PlanProfile? profile, CancellationToken cancellationToken)
    {
        CopyInputs();
        driver.Synchronize(stream);
        // Others are converted by a step.
        foreach ((Value input, Value uploaded) in plan.Inputs)
            if (input == uploaded) HandOut(input, receiver);
        profile?.Begin();
        for (int i = 0; i < launches.Length; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Start(i);
            driver.Synchronize(stream);
            profile?.Mark(i);
            foreach (Value written in plan.Steps[i].Writes) HandOut(written, receiver);
        }

        CopyOutputs();
        driver.Synchronize(stream);
    }

    private void Start(int step)
    {
        foreach ((Launch launch, nint function) in launches[step]) driver.Launch(function, launch, stream);
    }

    /// <summary>Copies the inputs from the host, except the pictures that were resized into the arena.</summary>
    private void CopyInputs()
    {
        foreach ((Value input, Value uploaded) in plan.Inputs)
        {
            long bytes = PictureBytes(input);
            for (int first = 0; first < plan.Batch;)
            {
                int end = first;
                while (end < plan.Batch && !resized.Contains((input, end))) end++;
                if (end > first)
                {
                    driver.CopyToDevice(AddressOf(input, uploaded, first), host + hostOffsets[input] + (nint)(first * bytes),
                        (end - first) * bytes, stream);
                }

                first = end + 1;
            }
        }
    }

    /// <summary>Gets where a picture's input lies. The pictures of an input that the host copies are contiguous.</summary>
    private ulong AddressOf(Value input, Value uploaded, int picture) => frame[uploaded].Address + (ulong)(picture * PictureBytes(input));

    private Value UploadedOf(Value input) => plan.Inputs.First(i => i.Input == input).Uploaded;

    private void CopyOutputs()
    {
        foreach ((Value output, Value downloaded) in plan.Outputs)
            driver.CopyToHost(host + hostOffsets[output], frame[downloaded].Address, plan.Batch * PictureBytes(output), stream);
    }

    /// <summary>Hands out the taps of a value that was just computed.</summary>
    private void HandOut(Value made, TapReceiver? receiver)
    {
        if (receiver is null) return;
        foreach (Tap tap in plan.Taps.Where(t => t.Value.Root == made)) receiver(tap, Read(tap));
    }

    /// <summary>
    /// Reads a tap of the first picture. A kernel makes its rows contiguous floats, because the gaps between them hold nothing.
    /// </summary>
    private float[] Read(Tap tap)
    {
        Value value = tap.Value;
        float[] values = new float[(long)value.Rows * value.Columns];
        long bytes = (long)values.Length * sizeof(float);
        ulong packed = driver.Allocate(bytes);
        try
        {
            Launch copy = ElementwiseKernel.CopyRows(
                frame[value] with { BatchStride = 0 }, new DeviceMatrix(packed, value.Rows, value.Columns, value.Columns), 1);
            driver.Launch(plan.Device.Kernels.Function(copy), copy, stream);
            fixed (float* to = values)
            {
                driver.CopyToHost((nint)to, packed, bytes, stream);
                driver.Synchronize(stream);
            }
        }
        finally
        {
            driver.Free(packed);
        }

        fixed (float* first = values) return tap.Read(first, value.Columns);
    }

    /// <summary>Checks the row numbers that callers give. Kernels do not check them.</summary>
    private void CheckRowNumbers()
    {
        foreach ((Value input, int rows) in plan.RowNumbers)
        {
            ReadOnlySpan<int> numbers = new((byte*)host + hostOffsets[input], plan.Batch * input.Rows);
            for (int i = 0; i < numbers.Length; i++)
            {
                if ((uint)numbers[i] >= (uint)rows)
                    throw new ArgumentOutOfRangeException(nameof(input), numbers[i], $"Row number {i} is not 0 to {rows - 1}.");
            }
        }
    }
}
