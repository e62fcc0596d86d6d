using System.Runtime.InteropServices;
using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Kernels;

namespace TinyZsad.Cpu;

/// <summary>
/// Translates linear layers to 8-bit integers. One step quantizes the rows of the input and is shared by all layers that read it;
/// another one multiplies. The class owns the quantized weights and stores them once for all parameters with the same memory.
/// </summary>
/// <param name="threads">The number of threads to divide the work for.</param>
internal sealed unsafe class Int8Lowering(int threads) : IDisposable
{
    /// <summary>
    /// The minimum number of rows and the minimum width. With fewer rows, quantization does not pay off; a narrow layer takes
    /// little time anyway.
    /// </summary>
    private const int LeastRows = 16, LeastWidth = 64;

    private readonly List<nint> owned = [];
    private readonly Dictionary<Value, Value> quantized = [];
    private readonly Dictionary<Packing, nint> packed = [];

    /// <summary>Gets the size of the quantized weights in bytes.</summary>
    public long Bytes { get; private set; }

    /// <summary>
    /// Determines whether quantizing a layer is acceptable for accuracy and worth it, and whether its sums cannot overflow.
    /// </summary>
    public static bool Suits(LinearOperation linear) =>
        !linear.Trunk && linear.X.Rows >= LeastRows && linear.Outputs >= LeastWidth
            && linear.X.Columns is >= LeastWidth and <= Int8Tile.MaxInputs;

    /// <summary>Creates the steps that compute a layer.</summary>
    /// <param name="linear">The layer.</param>
    /// <param name="layout">The memory layout of the values. The quantized input is added to it.</param>
    public IEnumerable<Step> Lower(LinearOperation linear, Layout layout)
    {
        List<Step> steps = [];
        if (!quantized.TryGetValue(linear.X, out Value? rows))
        {
            rows = layout.Add(Int8Rows.Rows(linear.X.Rows), Int8Rows.Stride(linear.X.Columns), ValueKind.Byte);
            quantized.Add(linear.X, rows);
            steps.Add(new QuantizeStep(linear, rows));
        }
        steps.Add(CpuLowering.With(linear.Activation, new Maker(linear, layout, threads, rows, Packed(linear))));
        return steps;
    }

    public void Dispose()
    {
        foreach (nint p in owned) NativeMemory.AlignedFree((void*)p);
        owned.Clear();
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the weights of a plan that was not disposed, when it is garbage collected.</summary>
    ~Int8Lowering() => Dispose();

    private nint Packed(LinearOperation linear)
    {
        int n = linear.Outputs, k = linear.X.Columns;
        if (packed.TryGetValue(new Packing(linear.Weight.Memory, linear.Layout, n), out nint known)) return known;
        nint bytes = Int8Weights.Bytes(n, k);
        void* p = NativeMemory.AlignedAlloc((nuint)bytes, Arena.Alignment);
        owned.Add((nint)p);
        Bytes += bytes;
        float* scratch = (float*)NativeMemory.AlignedAlloc((nuint)Int8Weights.ScratchFloats(k) * sizeof(float), Arena.Alignment);
        Int8Weights.Execute(linear.Weight.Pointer, linear.Weight.Type, linear.Layout, n, k, scratch, (byte*)p);
        NativeMemory.AlignedFree(scratch);
        packed.Add(new Packing(linear.Weight.Memory, linear.Layout, n), (nint)p);
        return (nint)p;
    }

    /// <summary>Identifies packed weights by their memory and how it is read.</summary>
    private sealed record Packing((nint, FloatType, long) Memory, WeightLayout Layout, int Outputs);

    private readonly struct Maker(LinearOperation linear, Layout layout, int threads, Value rows, nint weights)
        : CpuLowering.IWithActivation
    {
        public Step Make<TActivation>(TActivation activation) where TActivation : struct, IActivation =>
            new Int8LinearStep<TActivation>(linear, layout, threads, rows, weights, activation);
    }
}
