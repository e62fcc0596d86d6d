using TinyZsad.Kernels;

namespace TinyZsad.Graph;

/// <summary>A linear layer with everything fused into it.</summary>
internal sealed unsafe class LinearStep<TActivation>(LinearOperation linear, TActivation activation) : OperationStep(linear)
    where TActivation : struct, IActivation
{
    public override Value? InPlace => linear.Residual;

    public override int Items { get; } = MatMul.Items(linear.X.Rows, linear.Outputs, linear.X.Columns);

    public override int Groups { get; } = MatMul.Groups(linear.X.Rows, linear.Outputs, linear.X.Columns);

    public override nint ScratchFloats => MatMul.ScratchFloats(linear.X.Rows, linear.Outputs, linear.X.Columns);

    public override void Run(in Frame frame, int item, int previous, float* scratch) =>
        MatMul.Execute(LinearOperands.Of(linear, frame), activation, item, previous, scratch);
}
