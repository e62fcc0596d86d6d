using System.Runtime.InteropServices;
using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Weights;

namespace TinyZsad.Models;

/// <summary>A linear layer's weights as the checkpoint has them.</summary>
internal sealed record LinearWeights(Parameter Weight, Parameter? Bias)
{
    /// <summary>Some of its outputs: a packed projection holds several layers one below the other.</summary>
    public LinearWeights Outputs(int first, int count) => new(Weight.Rows(first, count), Bias?.Rows(first, count));
}

/// <summary>Parts of parameters.</summary>
internal static class ParameterParts
{
    /// <summary>Some of the parameter's first dimension; no copy.</summary>
    public static Parameter Rows(this Parameter p, int first, int count) =>
        new(p.Name, p.Address + (nint)(p.Count / p.Shape[0] * first * p.Type.Size()), p.Type, [count, .. p.Shape.Skip(1)]);

    /// <summary>The parameter's numbers as floats, copied.</summary>
    public static unsafe float[] ToFloats(this Parameter p)
    {
        float[] values = new float[p.Count];
        for (int i = 0; i < values.Length; i++) values[i] = p.Type.Read((void*)p.Address, i);
        return values;
    }
}

/// <summary>A layer normalisation's weights.</summary>
internal sealed record NormWeights(Parameter Weight, Parameter Bias);

/// <summary>
/// What a model reads: the mapped file, whose matrices are used where they lie, and the few vectors (biases, norms, scales,
/// tables) that are kept as floats beside it. Freed with the model.
/// </summary>
internal sealed unsafe class WeightStore(SafetensorsFile file) : IDisposable
{
    private readonly List<nint> owned = [];

    public SafetensorsFile File => file;

    /// <summary>The root of the checkpoint's names.</summary>
    public WeightCursor Root => new(this, "");

    /// <summary>Creates the error of a metadata key of the file.</summary>
    /// <param name="key">The key.</param>
    /// <param name="reason">What is wrong, as a sentence.</param>
    public ModelFormatException KeyError(string key, string reason) => new(file.Name, reason) { Key = key };

    /// <summary>Creates the error of a tensor of the file.</summary>
    /// <param name="tensor">The tensor's full name.</param>
    /// <param name="reason">What is wrong, as a sentence.</param>
    public ModelFormatException TensorError(string tensor, string reason) => new(file.Name, reason) { Tensor = tensor };

    /// <summary>Floats of our own, for a vector widened or a table computed at load.</summary>
    public Parameter Floats(string name, ReadOnlySpan<float> values, params int[] shape)
    {
        float* p = Allocate(values.Length);
        values.CopyTo(new Span<float>(p, values.Length));
        return new Parameter(name, (nint)p, FloatType.F32, shape);
    }

    public Parameter Widened(Parameter p)
    {
        if (p.Type == FloatType.F32 && p.Address % sizeof(float) == 0) return p;
        float* floats = Allocate(p.Count);
        for (nint i = 0; i < p.Count; i++) floats[i] = p.Type.Read((void*)p.Address, i);
        return new Parameter(p.Name, (nint)floats, FloatType.F32, [.. p.Shape]);
    }

    public void Dispose()
    {
        foreach (nint p in owned) NativeMemory.AlignedFree((void*)p);
        owned.Clear();
        file.Dispose();
    }

    private float* Allocate(long count)
    {
        void* p = NativeMemory.AlignedAlloc((nuint)(count * sizeof(float)), 64);
        lock (owned) owned.Add((nint)p);
        return (float*)p;
    }
}

/// <summary>
/// A place in the checkpoint's tree of names: <c>w.At("layer", i).At("attention").Linear("q_proj", 384, 384)</c>. Every tensor it
/// hands out has been checked for presence, type and shape.
/// </summary>
internal readonly struct WeightCursor(WeightStore store, string prefix, Func<string, string>? rename = null)
{
    /// <summary>Where the floats that a model computes at load are kept.</summary>
    public WeightStore Store => store;

    public WeightCursor At(string name) => new(store, $"{prefix}{name}.", rename);

    public WeightCursor At(string name, int index) => new(store, $"{prefix}{name}.{index}.", rename);

    /// <summary>
    /// The same place in a checkpoint whose tensors have other names: <paramref name="rename"/> gives them for ours.
    /// </summary>
    public WeightCursor Renamed(Func<string, string> rename) => new(store, prefix, rename);

    public bool Has(string name) => store.File.TryGet(FullName(name), out _);

    private string FullName(string name) => rename is null ? prefix + name : rename(prefix + name);

    /// <summary>The dimensions of a tensor that must be there, with so many of them, none of them zero.</summary>
    public int[] Shape(string name, int rank)
    {
        TensorEntry entry = Entry(name, $"with {rank} dimensions");
        if (entry.Shape.Length != rank || entry.Shape.Any(d => d is < 1 or > 1 << 20))
            throw Error(name, $"has shape {Text(entry.Shape)}, where {rank} dimensions of 1 to {1 << 20} are needed");
        return [.. entry.Shape.Select(d => (int)d)];
    }

    /// <summary>Whether the file holds any tensor under this place, whole or not.</summary>
    public bool Exists
    {
        get
        {
            string here = FullName("");
            return store.File.Tensors.Any(t => t.Name.StartsWith(here, StringComparison.Ordinal));
        }
    }

    /// <summary>
    /// How many indexes there are under a name: one more than the highest of <c>layer.0</c>, <c>layer.1</c> and so on, up to a
    /// limit.
    /// </summary>
    /// <remarks>By what exists rather than by one tensor of each: where that one is missing, reading the layer says so.</remarks>
    public int CountOf(string name, int limit = 256)
    {
        int n = limit;
        while (n > 0 && !At(name, n - 1).Exists) n--;
        return n;
    }

    /// <summary>A matrix, or anything else that kernels read in its stored form.</summary>
    public Parameter Tensor(string name, params int[] shape)
    {
        TensorEntry entry = Entry(name, $"as {Text(shape.Select(d => (long)d))}");
        if (!entry.Shape.SequenceEqual(shape.Select(d => (long)d)))
            throw Error(name, $"has shape {Text(entry.Shape)}, where {Text(shape.Select(d => (long)d))} is needed");
        FloatType type = entry.Type switch
        {
            ElementType.F16 => FloatType.F16,
            ElementType.BF16 => FloatType.BF16,
            ElementType.F32 => FloatType.F32,
            _ => throw Error(name, $"holds {entry.Type}, where F16, BF16 or F32 is needed"),
        };
        return new Parameter(FullName(name), entry.Address, type, shape);
    }

    /// <summary>A vector, as floats. Several dimensions, such as [1, 1, 384], count as one.</summary>
    public Parameter Vector(string name, params int[] shape)
    {
        Parameter widened = store.Widened(Tensor(name, shape));
        return new Parameter(widened.Name, widened.Address, FloatType.F32, (int)widened.Count);
    }

    /// <summary><c>name.weight</c> [outputs, inputs] and, unless it has none, <c>name.bias</c> [outputs].</summary>
    public LinearWeights Linear(string name, int outputs, int inputs, bool bias = true) =>
        new(At(name).Tensor("weight", outputs, inputs), bias ? At(name).Vector("bias", outputs) : null);

    /// <summary><c>name.weight</c> and <c>name.bias</c>, [width] each.</summary>
    public NormWeights Norm(string name, int width) => new(At(name).Vector("weight", width), At(name).Vector("bias", width));

    private TensorEntry Entry(string name, string needed) =>
        store.File.TryGet(FullName(name), out TensorEntry? entry)
            ? entry
            : throw Error(name, $"is missing; the model needs it {needed}");

    private ModelFormatException Error(string name, string what) =>
        store.TensorError(FullName(name), $"tensor '{FullName(name)}' {what}.");

    private static string Text(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
