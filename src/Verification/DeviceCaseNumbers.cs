using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Verification;

/// <summary>Makes the inputs and weights of a <see cref="DeviceCase"/>: the same random numbers each time, about 1 in size.</summary>
internal sealed unsafe class DeviceCaseNumbers
{
    private readonly List<Array> kept = [];
    private readonly List<(string Name, int Count)> inputs = [];
    private int seed;

    /// <summary>Adds an input of floats to a graph.</summary>
    public Value Input(ComputeGraph graph, int rows, int columns)
    {
        inputs.Add(($"x{inputs.Count}", rows * columns));
        return graph.Input(inputs[^1].Name, rows, columns);
    }

    /// <summary>Adds an input of pixels to a graph.</summary>
    public Value Pixels(ComputeGraph graph, int pixels)
    {
        inputs.Add(($"pixels{inputs.Count}", 3 * pixels));
        return graph.Input(inputs[^1].Name, pixels, 3, ValueKind.Byte);
    }

    /// <summary>Makes a matrix of halves, [outputs, inputs], scaled so that a product keeps the size of its input.</summary>
    public Parameter Weight(int outputs, int inputCount)
    {
        float[] values = Numbers(outputs * inputCount, 1 / MathF.Sqrt(inputCount));
        Half[] halves = GC.AllocateUninitializedArray<Half>(values.Length, pinned: true);
        for (int i = 0; i < values.Length; i++) halves[i] = (Half)values[i];
        kept.Add(halves);
        fixed (Half* first = halves) return new Parameter($"weight{seed}", (nint)first, FloatType.F16, outputs, inputCount);
    }

    /// <summary>Makes a vector of floats.</summary>
    public Parameter Vector(int count) => Floats(count);

    /// <summary>Makes a tensor of floats. Its numbers are halves.</summary>
    public Parameter Floats(params int[] shape)
    {
        int count = shape.Aggregate(1, (n, d) => n * d);
        float[] pinned = GC.AllocateUninitializedArray<float>(count, pinned: true);
        Numbers(count, shape.Length < 3 ? 1 : 0.2f).CopyTo(pinned, 0);
        kept.Add(pinned);
        fixed (float* first = pinned) return new Parameter($"floats{seed}", (nint)first, FloatType.F32, shape);
    }

    /// <summary>Fills the inputs of a run.</summary>
    public void Fill(Run run)
    {
        for (int i = 0; i < inputs.Count; i++)
        {
            (string name, int count) = inputs[i];
            Random random = new(1000 + i);
            if (name.StartsWith("pixels", StringComparison.Ordinal))
            {
                random.NextBytes(run.Bytes(name));
                continue;
            }

            Span<float> values = run.Floats(name);
            for (int j = 0; j < count; j++) values[j] = (float)(Half)(2 * random.NextSingle() - 1);
        }
    }

    private float[] Numbers(int count, float scale)
    {
        Random random = new(++seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) values[i] = (float)(Half)(scale * (2 * random.NextSingle() - 1));
        return values;
    }
}
