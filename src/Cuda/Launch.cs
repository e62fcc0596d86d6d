using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TinyZsad.Cuda;

/// <summary>Specifies the extent of a grid or a block.</summary>
internal readonly record struct Dim3(int X, int Y = 1, int Z = 1)
{
    /// <summary>Gets the product of the three.</summary>
    public long Count => (long)X * Y * Z;

    /// <inheritdoc/>
    public override string ToString() => $"{X} x {Y} x {Z}";
}

/// <summary>
/// Represents one execution of a kernel. The classes in <c>src/Cuda/Kernels</c> create launches: they know a kernel's parameters and
/// its grid, one class for each file in <c>cuda/</c>. A launch is immutable.
/// </summary>
/// <param name="Module">The file in <c>cuda/</c>, without the extension.</param>
/// <param name="Kernel">The entry of the file.</param>
/// <param name="Grid">The number of blocks.</param>
/// <param name="Block">The number of threads of a block.</param>
/// <param name="SharedBytes">The size of the block's dynamic shared memory.</param>
/// <param name="Arguments">The arguments as they lie in the kernel's parameter space.</param>
internal sealed record Launch(string Module, string Kernel, Dim3 Grid, Dim3 Block, int SharedBytes, ReadOnlyMemory<byte> Arguments);

/// <summary>Lays out the arguments of a kernel: each at the next offset that is a multiple of its size, as in PTX.</summary>
internal sealed class KernelArguments
{
    private readonly List<byte> bytes = [];

    /// <summary>Adds an address or a 64-bit number.</summary>
    public KernelArguments Add(ulong value) => Append(value);

    /// <summary>Adds a size or another 32-bit number.</summary>
    public KernelArguments Add(int value) => Append(value);

    /// <summary>Adds a float.</summary>
    public KernelArguments Add(float value) => Append(value);

    /// <summary>Adds a matrix: address, stride and batch stride (<c>.u64, .u32, .u32</c>).</summary>
    public KernelArguments Add(in DeviceMatrix matrix) => Add(matrix.Address).Add(matrix.Stride).Add(matrix.BatchStride);

    /// <summary>Gets the parameter space.</summary>
    public ReadOnlyMemory<byte> ToMemory() => bytes.ToArray();

    private KernelArguments Append<T>(T value) where T : unmanaged
    {
        while (bytes.Count % Unsafe.SizeOf<T>() != 0) bytes.Add(0);
        bytes.AddRange(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));
        return this;
    }
}
