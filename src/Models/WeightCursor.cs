using System.Runtime.InteropServices;
using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Weights;

namespace TinyZsad.Models;

/// <summary>Represents the weights of a linear layer in the layout of the checkpoint.</summary>
/// <param name="Weight">The matrix, [outputs, inputs].</param>
/// <param name="Bias">The bias, [outputs]; null for none.</param>
internal sealed record LinearWeights(Parameter Weight, Parameter? Bias)
{
    /// <summary>Gets a range of the outputs. A packed projection holds the rows of several layers.</summary>
    public LinearWeights Outputs(int first, int count) => new(Weight.Rows(first, count), Bias?.Rows(first, count));
}

/// <summary>Provides extension methods for parameters.</summary>
internal static class ParameterParts
{
    /// <summary>Gets a range of the first dimension, without a copy.</summary>
    public static Parameter Rows(this Parameter p, int first, int count) =>
        new(p.Name, p.Address + (nint)(p.Count / p.Shape[0] * first * p.Type.Size()), p.Type, [count, .. p.Shape.Skip(1)]);

    /// <summary>Copies the elements as floats.</summary>
    public static unsafe float[] ToFloats(this Parameter p)
    {
        float[] values = new float[p.Count];
        for (int i = 0; i < values.Length; i++) values[i] = p.Type.Read((void*)p.Address, i);
        return values;
    }
}

/// <summary>Represents the weights of a layer normalization, [width] each.</summary>
internal sealed record NormWeights(Parameter Weight, Parameter Bias);

/// <summary>
/// Represents the weights of a model: the file, whose matrices are used in place, and the vectors (biases, norms, scales, tables) that
/// are copied as floats. The store owns both.
/// </summary>
internal sealed unsafe class WeightStore(SafetensorsFile file) : IDisposable
{
    private readonly List<nint> owned = [];

    /// <summary>Gets the model file.</summary>
    public SafetensorsFile File => file;

    /// <summary>Gets the cursor at the root of the tensor names.</summary>
    public WeightCursor Root => new(this, "");

    /// <summary>Creates the error of a metadata key of the file.</summary>
    /// <param name="key">The key.</param>
    /// <param name="reason">What is wrong, as a sentence.</param>
    public ModelFormatException KeyError(string key, string reason) => new(file.Name, reason) { Key = key };

    /// <summary>Creates the error of a tensor of the file.</summary>
    /// <param name="tensor">The tensor's full name.</param>
    /// <param name="reason">What is wrong, as a sentence.</param>
    public ModelFormatException TensorError(string tensor, string reason) => new(file.Name, reason) { Tensor = tensor };

    /// <summary>Copies floats into memory of the store.</summary>
    public Parameter Floats(string name, ReadOnlySpan<float> values, params int[] shape)
    {
        float* p = Allocate(values.Length);
        values.CopyTo(new Span<float>(p, values.Length));
        return new Parameter(name, (nint)p, FloatType.F32, shape);
    }

    /// <summary>Gets a parameter as aligned floats, copied if necessary.</summary>
    public Parameter Widened(Parameter p)
    {
        if (p.Type == FloatType.F32 && p.Address % sizeof(float) == 0) return p;
        float* floats = Allocate(p.Count);
        for (nint i = 0; i < p.Count; i++) floats[i] = p.Type.Read((void*)p.Address, i);
        return new Parameter(p.Name, (nint)floats, FloatType.F32, [.. p.Shape]);
    }

    /// <summary>Frees the memory and closes the file.</summary>
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
/// Represents a position in the tree of tensor names: <c>w.At("layer", i).At("attention").Linear("q_proj", 384, 384)</c>. Its methods
/// check that a tensor exists and that its type and shape are right.
/// </summary>
internal readonly struct WeightCursor(WeightStore store, string prefix, Func<string, string>? rename = null)
{
    /// <summary>Gets the weights.</summary>
    public WeightStore Store => store;

    /// <summary>Gets the position of a child.</summary>
    public WeightCursor At(string name) => new(store, $"{prefix}{name}.", rename);

    /// <summary>Gets the position of an item of a child.</summary>
    public WeightCursor At(string name, int index) => new(store, $"{prefix}{name}.{index}.", rename);

    /// <summary>
    /// Gets the same position in a file that uses other names, which <paramref name="rename"/> gives for the names of the model.
    /// </summary>
    public WeightCursor Renamed(Func<string, string> rename) => new(store, prefix, rename);

    /// <summary>Gets a value that indicates whether the file holds a tensor.</summary>
    public bool Has(string name) => store.File.TryGet(FullName(name), out _);

    private string FullName(string name) => rename is null ? prefix + name : rename(prefix + name);

    /// <summary>Gets the dimensions of a tensor, which must have the given rank and no dimension of 0.</summary>
    /// <exception cref="ModelFormatException">The tensor is missing or has another shape.</exception>
    public int[] Shape(string name, int rank)
    {
        TensorEntry entry = Entry(name, $"with {rank} dimensions");
        if (entry.Shape.Length != rank || entry.Shape.Any(d => d is < 1 or > 1 << 20))
            throw Error(name, $"has shape {Text(entry.Shape)}, where {rank} dimensions of 1 to {1 << 20} are needed");
        return [.. entry.Shape.Select(d => (int)d)];
    }

    /// <summary>Gets a value that indicates whether the file holds any tensor below this position.</summary>
    public bool Exists
    {
        get
        {
            string here = FullName("");
            return store.File.Tensors.Any(t => t.Name.StartsWith(here, StringComparison.Ordinal));
        }
    }

    /// <summary>
    /// Gets the number of items of a child: one more than the highest index of <c>layer.0</c>, <c>layer.1</c> and so on, up to a limit.
    /// </summary>
    /// <remarks>An item counts if it has any tensor. A missing tensor is then an error when the item is read.</remarks>
    public int CountOf(string name, int limit = 256)
    {
        int n = limit;
        while (n > 0 && !At(name, n - 1).Exists) n--;
        return n;
    }

    /// <summary>Gets a tensor in its stored type, for kernels that support all types.</summary>
    /// <exception cref="ModelFormatException">The tensor is missing or has another type or shape.</exception>
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
            _ => throw Error(name, $"holds {Shown.Clip(entry.TypeName)}, where F16, BF16 or F32 is needed"),
        };
        return new Parameter(FullName(name), entry.Address, type, shape);
    }

    /// <summary>Gets a tensor as a vector of floats. Several dimensions, such as [1, 1, 384], become one.</summary>
    /// <exception cref="ModelFormatException">The tensor is missing or has another type or shape.</exception>
    public Parameter Vector(string name, params int[] shape)
    {
        Parameter widened = store.Widened(Tensor(name, shape));
        return new Parameter(widened.Name, widened.Address, FloatType.F32, (int)widened.Count);
    }

    /// <summary>Gets <c>name.weight</c>, [outputs, inputs], and optionally <c>name.bias</c>, [outputs].</summary>
    /// <exception cref="ModelFormatException">A tensor is missing or has another type or shape.</exception>
    public LinearWeights Linear(string name, int outputs, int inputs, bool bias = true) =>
        new(At(name).Tensor("weight", outputs, inputs), bias ? At(name).Vector("bias", outputs) : null);

    /// <summary>Gets <c>name.weight</c> and <c>name.bias</c>, [width] each.</summary>
    /// <exception cref="ModelFormatException">A tensor is missing or has another type or shape.</exception>
    public NormWeights Norm(string name, int width) => new(At(name).Vector("weight", width), At(name).Vector("bias", width));

    private TensorEntry Entry(string name, string needed) =>
        store.File.TryGet(FullName(name), out TensorEntry? entry)
            ? entry
            : throw Error(name, $"is missing; the model needs it {needed}");

    private ModelFormatException Error(string name, string what) =>
        store.TensorError(FullName(name), $"tensor '{FullName(name)}' {what}.");

    private static string Text(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
