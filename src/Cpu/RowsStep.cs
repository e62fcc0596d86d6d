using TinyZsad.Graph;

namespace TinyZsad.Cpu;

/// <summary>Computes some rows of an operation's output.</summary>
internal unsafe delegate void RowsKernel(Frame frame, int firstRow, int rows, float* scratch);

/// <summary>Work that memory bounds, shared out by rows of the output.</summary>
internal sealed unsafe class RowsStep : OperationStep
{
    /// <summary>Elements an item covers at least, so that handing it out costs little beside it.</summary>
    private const int ElementsOfItem = 16384;

    private readonly RowsKernel kernel;
    private readonly int rows;
    private readonly int rowsOfItem;

    /// <summary>Makes the step.</summary>
    /// <param name="operation">What it computes.</param>
    /// <param name="kernel">Computes some of the rows.</param>
    /// <param name="rows">Rows to share out; those of the output by default.</param>
    /// <param name="columns">Elements of a row; those of the output by default.</param>
    /// <param name="scratch">Floats of scratch an item needs.</param>
    /// <param name="inPlace">An input whose memory the output may take.</param>
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

    /// <summary>What the kernel is compiled for: the type that its lambda lives in, activation included.</summary>
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
