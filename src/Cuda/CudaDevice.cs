using System.Globalization;
using System.Runtime.ExceptionServices;
using TinyZsad.Graph;

namespace TinyZsad.Cuda;

/// <summary>
/// Represents an NVIDIA GPU: hand-written PTX that its driver compiles, halves where tensor cores multiply, sums in floats. Any number of
/// executions run at once, each on a stream of its own. Results are the same, bit for bit, in each execution on one GPU with one driver.
/// </summary>
internal sealed class CudaDevice : Device
{
    /// <summary>The least compute capability: 8.0, for <c>cp.async</c> and products of halves with sums in floats.</summary>
    private const int LeastCapability = 80;

    private readonly int threads;
    private int freed;

    /// <summary>Initializes the device.</summary>
    /// <param name="name">The name by which it is selected.</param>
    /// <param name="driver">The GPU. The device disposes of it.</param>
    /// <param name="threads">The number of host threads that prepare pictures; at least 1.</param>
    /// <exception cref="DeviceException">The GPU is too old.</exception>
    public CudaDevice(string name, Driver driver, int threads)
    {
        GpuProperties gpu = driver.Properties;
        if (gpu.Major * 10 + gpu.Minor < LeastCapability)
        {
            driver.Dispose();
            throw new DeviceException(name, string.Create(CultureInfo.InvariantCulture,
                $"{gpu.Name} has compute capability {gpu.Major}.{gpu.Minor}; the kernels need 8.0 (Ampere, Orin) or later."));
        }

        Name = name;
        Driver = driver;
        this.threads = threads;
        Kernels = new KernelLibrary(driver);
        Weights = new DeviceWeights(driver) { Name = name };
        Arithmetic = string.Create(CultureInfo.InvariantCulture,
            $"cuda {gpu.Name} sm_{gpu.Major}{gpu.Minor} {gpu.DriverVersion} {typeof(CudaDevice).Module.ModuleVersionId:N}");
    }

    /// <inheritdoc/>
    public override string Name { get; }

    /// <inheritdoc/>
    public override int Threads => threads;

    /// <inheritdoc/>
    public override string Arithmetic { get; }

    /// <inheritdoc/>
    public override bool ComputesInHalf => true;

    /// <inheritdoc/>
    public override int MaxBatch => 16;

    internal Driver Driver { get; }

    internal KernelLibrary Kernels { get; }

    internal DeviceWeights Weights { get; }

    /// <inheritdoc/>
    public override bool Supports(Precision precision) => precision == Precision.Float32;

    /// <inheritdoc/>
    public override Plan Compile(ComputeGraph graph, CompileOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(graph);
        graph.Freeze();
        options ??= new CompileOptions();
        options.CheckBatch(this);
        if (!Supports(options.Precision))
            throw new NotSupportedException($"{Name} multiplies halves, not {options.Precision}; choose Float32, or compute on the CPU.");
        return CudaPlan.Compile(this, graph, options);
    }

    /// <inheritdoc/>
    public override void For(int count, Action<int> body)
    {
        if (threads == 1 || count == 1)
        {
            base.For(count, body);
            return;
        }

        try
        {
            Parallel.For(0, count, new ParallelOptions { MaxDegreeOfParallelism = threads }, body);
        }
        catch (AggregateException e) when (e.InnerException is { } first)
        {
            ExceptionDispatchInfo.Throw(first);
        }
    }

    /// <inheritdoc/>
    protected override void Free()
    {
        if (Interlocked.Exchange(ref freed, 1) != 0) return;
        try
        {
            Weights.Dispose();
            Kernels.Dispose();
        }
        catch (DeviceException)
        {
            // The device is lost, and what it held with it.
        }
        finally
        {
            Driver.Dispose();
        }
    }
}
