namespace TinyZsad.Cuda.Kernels;

/// <summary>Creates the launches of <c>layer_norm.ptx</c>.</summary>
internal static class LayerNormKernel
{
    /// <summary>The numbers of units of 128 columns that a warp keeps in registers.</summary>
    private static readonly int[] Units = [1, 2, 3, 4, 6, 8];

    /// <summary>Creates the launch of y[r] = (x[r] - mean) / sqrt(variance + eps) * weight + bias.</summary>
    /// <param name="x">Floats or halves.</param>
    /// <param name="weight">The address of as many floats as x has columns.</param>
    /// <param name="bias">The address of as many floats.</param>
    /// <param name="eps">What is added to the variance.</param>
    /// <param name="y">Floats or halves. It may be x.</param>
    /// <param name="batch">The number of pictures.</param>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch Create(DeviceMatrix x, ulong weight, ulong bias, float eps, DeviceMatrix y, int batch)
    {
        KernelOperands.Check(x, x.Rows, x.Columns, nameof(x));
        KernelOperands.Check(y, x.Rows, x.Columns, nameof(y));
        KernelOperands.Check(weight, nameof(weight));
        KernelOperands.Check(bias, nameof(bias));
        bool wide = KernelOperands.IsWide(y, x) && KernelOperands.IsWide(weight) && KernelOperands.IsWide(bias);
        int kept = Array.Find(Units, u => 128 * u >= x.Columns);
        string kernel = !wide ? "layer_norm_any_1" : kept == 0 ? "layer_norm_any_4" : $"layer_norm_{kept}_{(x.Half ? "h" : "f")}";
        return new Launch("layer_norm", kernel, KernelOperands.Blocks((x.Rows + 3) / 4, 1, batch), new Dim3(128), 0,
            new KernelArguments().Add(y).Add(x).Add(weight).Add(bias).Add(x.Rows).Add(x.Columns).Add(eps)
                .Add(KernelOperands.Flags(y, x)).ToMemory());
    }
}
