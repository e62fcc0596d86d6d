using TinyZsad.Graph;

namespace TinyZsad.Cuda;

/// <summary>
/// Represents a graph compiled for a GPU: operations are fused and translated into launches, every value has an offset in one arena, and
/// the weights are in device memory.
/// </summary>
internal sealed class CudaPlan : Plan
{
    private readonly DeviceWeights.Lease weights;

    private CudaPlan(CudaDevice device, ComputeGraph graph, IReadOnlyList<Tap> taps, int batch, CudaLowering lowering,
        DeviceWeights.Lease weights) : base(graph, taps)
    {
        this.weights = weights;
        Device = device;
        Batch = batch;
        Layout = lowering.Layout;
        Steps = lowering.Steps;
        Inputs = lowering.Inputs;
        Outputs = lowering.Outputs;
        RowNumbers = lowering.RowNumbers;
        Parts = [.. Steps.Select(s => new PlanPart(s.Label, s.Kind, batch * s.Flops,
            s.Reads.Concat(s.Writes).Sum(v => (long)batch * v.Rows * v.Columns * (Layout.IsHalf(v) ? 2 : v.ElementSize))
            + s.WeightBytes))];
    }

    internal CudaDevice Device { get; }

    internal CudaLayout Layout { get; }

    internal IReadOnlyList<CudaStep> Steps { get; }

    /// <summary>Gets the inputs and the values to which they are copied from the host.</summary>
    internal IReadOnlyList<(Value Input, Value Uploaded)> Inputs { get; }

    /// <summary>Gets the outputs and the values from which they are copied to the host.</summary>
    internal IReadOnlyList<(Value Output, Value Downloaded)> Outputs { get; }

    /// <summary>Gets the inputs that are row numbers, with the number of rows that they choose from.</summary>
    internal IReadOnlyList<(Value Input, int Rows)> RowNumbers { get; }

    /// <inheritdoc/>
    public override int Batch { get; }

    /// <inheritdoc/>
    public override long ArenaBytes => Layout.ArenaBytes;

    /// <inheritdoc/>
    public override long WeightBytes => weights.Bytes;

    /// <inheritdoc/>
    public override IReadOnlyList<PlanPart> Parts { get; }

    /// <summary>Compiles a graph.</summary>
    public static CudaPlan Compile(CudaDevice device, ComputeGraph graph, CompileOptions options)
    {
        Tap[] taps = options.DemandedOf(graph);
        List<Operation> operations = Fusion.Run(graph, graph.Outputs.Values.Concat(taps.Select(t => t.Value)),
            new FusionRules { Epilogues = true, Rotary = true });
        taps = options.TapsOf(graph, taps, operations);
        DeviceWeights.Lease weights = device.Weights.NewLease();
        try
        {
            CudaLowering lowering = new(graph, operations, taps, options.Batch, weights, device.Driver.Properties);
            return new CudaPlan(device, graph, taps, options.Batch, lowering, weights);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    protected override Run NewRun() => new CudaRun(this);

    /// <inheritdoc/>
    protected override void Free() => weights.Dispose();
}
