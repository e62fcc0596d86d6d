using TinyZsad.Graph;

namespace TinyZsad.Cuda;

/// <summary>Provides the addresses of the values of one run.</summary>
/// <param name="Layout">The layout of the plan.</param>
/// <param name="Arena">The address of the arena in device memory.</param>
internal readonly record struct CudaFrame(CudaLayout Layout, ulong Arena)
{
    /// <summary>Gets where a value lies.</summary>
    public DeviceMatrix this[Value value] => Layout.Matrix(value, Arena);
}

/// <summary>Represents a part of a CUDA plan: one operation, after fusion, as one or a few launches.</summary>
/// <param name="Label">The position in the network, for profiles.</param>
/// <param name="Kind">The kind of work, for profiles.</param>
/// <param name="Reads">The values that the step reads.</param>
/// <param name="Writes">The values that the step writes.</param>
/// <param name="Launches">Creates the launches for the memory of a run.</param>
internal sealed record CudaStep(string Label, string Kind, IReadOnlyList<Value> Reads, IReadOnlyList<Value> Writes,
    Func<CudaFrame, IReadOnlyList<Launch>> Launches)
{
    /// <summary>Initializes the step of an operation.</summary>
    public CudaStep(Operation operation, Func<CudaFrame, IReadOnlyList<Launch>> launches)
        : this(operation.Label, operation.Kind, operation.Inputs, [operation.Output], launches) =>
        (Flops, WeightBytes) = (operation.Flops, operation.WeightBytes);

    /// <summary>
    /// Gets a value that the step reads and whose memory its output may reuse, element by element; null if there is none.
    /// </summary>
    public Value? InPlace { get; init; }

    /// <summary>Gets the number of floating-point operations for one picture.</summary>
    public long Flops { get; init; }

    /// <summary>Gets the number of bytes of weights read.</summary>
    public long WeightBytes { get; init; }
}
