using TinyZsad.Graph;

namespace TinyZsad.Cpu;

/// <summary>Computes some rows of an operation's output.</summary>
internal unsafe delegate void RowsKernel(Frame frame, int firstRow, int rows, float* scratch);

/// <summary>Computes a memory-bound operation, divided by rows of the output.</summary>
internal sealed unsafe class RowsStep : OperationStep
{
    /// <summary>The minimum number of elements per item, so that scheduling costs little in comparison.</summary>
    private const int ElementsOfItem = 16384;

    private readonly RowsKernel kernel;
    private readonly int rows;
    private readonly int rowsOfItem;

    /// <summary>Initializes the step.</summary>
    /// <param name="operation">The operation to compute.</param>
    /// <param name="kernel">Computes some of the rows.</param>
    /// <param name="rows">The number of rows to divide; that of the output by default.</param>
    /// <param name="columns">The number of elements in a row; that of the output by default.</param>
    /// <param name="scratch">The number of scratch floats that an item needs.</param>
    /// <param name="inPlace">An input whose memory the output may reuse.</param>
    public RowsStep(
        Operation operation, RowsKernel kernel, int? rows = null, int? columns = null, nint scratch = 0, Value? inPlace = null)
        : base(operation)
    {
        this.kernel = kernel;
        this.rows = rows ?? operation.Output.Rows;
        rowsOfItem = Math.Max(1, ElementsOfItem / (columns ?? operation.Output.Columns));
        ScratchFloats = scratch;
        InPlace = inPlace;
    }

    /// <summary>
    /// Gets the closure type of the kernel's lambda. Its type arguments include the activation, and the kernel is compiled once
    /// for each.
    /// </summary>
    public Type? CompiledFor => kernel.Target?.GetType();

    public override int Items => (rows + rowsOfItem - 1) / rowsOfItem;

    public override nint ScratchFloats { get; }

    public override Value? InPlace { get; }

    public override void Run(in Frame frame, int item, int previous, float* scratch)
    {
        int first = item * rowsOfItem;
        kernel(frame, first, Math.Min(rowsOfItem, rows - first), scratch);
    }
}
