using TinyZsad.Graph;

namespace TinyZsad.Cpu;

/// <summary>Marks the point in a plan where a demanded value is available.</summary>
internal sealed unsafe class TapStep(Tap tap) : Step
{
    public Tap Tap => tap;

    public override string Label => tap.Name;

    public override string Kind => "Tap";

    public override IReadOnlyList<Value> Reads { get; } = [tap.Value];

    public override IReadOnlyList<Value> Writes => [];

    public override int Items => 1;

    public float[] Read(in Frame frame) => tap.Read(frame.Floats(tap.Value), frame.Stride(tap.Value));

    /// <summary>Does nothing. The run passes the value to the receiver itself, because it knows the receiver.</summary>
    public override void Run(in Frame frame, int item, int previous, float* scratch) { }
}
