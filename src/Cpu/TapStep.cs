using TinyZsad.Graph;

namespace TinyZsad.Cpu;

/// <summary>Marks where in a plan a demanded value is ready to be handed out.</summary>
internal sealed unsafe class TapStep(Tap tap) : Step
{
    public Tap Tap => tap;

    public override string Label => tap.Name;

    public override string Kind => "Tap";

    public override IReadOnlyList<Value> Reads { get; } = [tap.Value];

    public override IReadOnlyList<Value> Writes => [];

    public override int Items => 1;

    public float[] Read(in Frame frame) => tap.Read(frame.Floats(tap.Value), frame.Stride(tap.Value));

    /// <summary>The run hands the value out itself: it knows the receiver.</summary>
    public override void Run(in Frame frame, int item, int previous, float* scratch) { }
}
