using TinyZsad.Formats;

namespace TinyZsad.Cuda.Kernels;

/// <summary>Creates the launches of <c>elementwise.ptx</c>. Every matrix is floats or halves.</summary>
internal static class ElementwiseKernel
{
    /// <summary>The most values of a mean.</summary>
    public const int MostValues = 8;

    /// <summary>Creates the launch of y = f(x). y may be x.</summary>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch Activation(DeviceMatrix x, ActivationFunction activation, DeviceMatrix y, int batch)
    {
        CheckSame(x, y, nameof(x));
        return Create("activation", KernelOperands.IsWide(y, x), y, batch,
            new KernelArguments().Add(y).Add(x).Add((int)activation.Kind).Add(activation.Slope), KernelOperands.Flags(y, x));
    }

    /// <summary>Creates the launch of y[r, c] = x[r, c] * factors[c], with factors in floats. y may be x.</summary>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch Scale(DeviceMatrix x, ulong factors, DeviceMatrix y, int batch)
    {
        CheckSame(x, y, nameof(x));
        KernelOperands.Check(factors, nameof(factors));
        return Create("scale", KernelOperands.IsWide(y, x) && KernelOperands.IsWide(factors), y, batch,
            new KernelArguments().Add(y).Add(x).Add(factors), KernelOperands.Flags(y, x));
    }

    /// <summary>Creates the launch of y = a + b, or a - b. y may be either.</summary>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch Add(DeviceMatrix a, DeviceMatrix b, bool subtract, DeviceMatrix y, int batch)
    {
        CheckSame(a, y, nameof(a));
        CheckSame(b, y, nameof(b));
        return Create("add", KernelOperands.IsWide(y, a, b), y, batch,
            new KernelArguments().Add(y).Add(a).Add(b).Add(subtract ? -1f : 1f), KernelOperands.Flags(y, a, b));
    }

    /// <summary>Creates the launch of the element-wise mean of up to <see cref="MostValues"/> matrices. y may be any of them.</summary>
    /// <exception cref="ArgumentException">Shapes do not match, or there are too many values or none.</exception>
    public static Launch Mean(ReadOnlySpan<DeviceMatrix> values, DeviceMatrix y, int batch)
    {
        if (values.Length is < 1 or > MostValues)
            throw new ArgumentException($"A mean is of 1 to {MostValues} values, not of {values.Length}.", nameof(values));
        KernelArguments arguments = new KernelArguments().Add(y);
        bool wide = KernelOperands.IsWide(y) && KernelOperands.IsWide(values);
        for (int i = 0; i < MostValues; i++)
        {
            if (i < values.Length) CheckSame(values[i], y, nameof(values));
            arguments.Add(i < values.Length ? values[i] : default);
        }

        return Create("mean", wide, y, batch, arguments.Add(values.Length).Add(1f / values.Length), KernelOperands.Flags([y, .. values]));
    }

    /// <summary>Creates the launch of y[r] = x[r] + table[r mod rows of the table]. y may be x.</summary>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch AddRows(DeviceMatrix x, DeviceMatrix table, DeviceMatrix y, int batch)
    {
        CheckSame(x, y, nameof(x));
        KernelOperands.Check(table, table.Rows, x.Columns, nameof(table));
        return Create("add_rows", KernelOperands.IsWide(y, x, table), y, batch,
            new KernelArguments().Add(y).Add(x).Add(table).Add(table.Rows), KernelOperands.Flags(y, x, table));
    }

    /// <summary>Creates the launch of y = x, which converts between formats.</summary>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch CopyRows(DeviceMatrix x, DeviceMatrix y, int batch)
    {
        CheckSame(x, y, nameof(x));
        return Create("copy_rows", KernelOperands.IsWide(y, x), y, batch, new KernelArguments().Add(y).Add(x),
            KernelOperands.Flags(y, x));
    }

    /// <summary>Creates the launch of y[r] = x[ids[r]]. A row whose number is not one of x is NaN: the kernel cannot report it.</summary>
    /// <param name="x">The rows to choose from.</param>
    /// <param name="ids">The row numbers, contiguous: integers of 32 bits.</param>
    /// <param name="y">The result.</param>
    /// <param name="batch">The number of pictures.</param>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch Gather(DeviceMatrix x, DeviceMatrix ids, DeviceMatrix y, int batch)
    {
        KernelOperands.Check(x, x.Rows, y.Columns, nameof(x));
        KernelOperands.Check(y, y.Rows, x.Columns, nameof(y));
        if (ids.Half || KernelOperands.Distance(ids, y.Rows, nameof(ids)) != 1)
            throw new ArgumentException("Row numbers must be contiguous integers of 32 bits.", nameof(ids));
        return Create("gather", KernelOperands.IsWide(y, x), y, batch,
            new KernelArguments().Add(y).Add(x).Add(ids.Address).Add(ids.BatchStride).Add(x.Rows), KernelOperands.Flags(y, x));
    }

    /// <summary>Creates the launch of rotary positions. y may be x.</summary>
    /// <param name="x">The rows of one sequence, with heads side by side.</param>
    /// <param name="cos">The address of floats, [rows - prefix, head width / 2], contiguous.</param>
    /// <param name="sin">The address of floats of the same shape.</param>
    /// <param name="prefix">The number of leading rows that are copied.</param>
    /// <param name="heads">The number of heads.</param>
    /// <param name="y">The result.</param>
    /// <param name="batch">The number of pictures.</param>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch Rotary(DeviceMatrix x, ulong cos, ulong sin, int prefix, int heads, DeviceMatrix y, int batch)
    {
        CheckSame(x, y, nameof(x));
        KernelOperands.Check(cos, nameof(cos));
        KernelOperands.Check(sin, nameof(sin));
        if (heads < 1 || x.Columns % (2 * heads) != 0)
            throw new ArgumentException($"{x.Columns} columns are not {heads} heads of an even width.", nameof(heads));
        if (prefix < 0 || prefix > x.Rows) throw new ArgumentException($"There are no {prefix} leading rows of {x.Rows}.", nameof(prefix));
        int half = x.Columns / heads / 2;
        bool wide = half % 4 == 0 && KernelOperands.IsWide(y, x) && KernelOperands.IsWide(cos) && KernelOperands.IsWide(sin);
        return Create("rotary", wide, y with { Columns = y.Columns / 2 }, batch,
            new KernelArguments().Add(y).Add(x).Add(cos).Add(sin).Add(prefix).Add(half), KernelOperands.Flags(y, x));
    }

    private static void CheckSame(DeviceMatrix x, DeviceMatrix y, string name)
    {
        KernelOperands.Check(y, y.Rows, y.Columns, nameof(y));
        KernelOperands.Check(x, y.Rows, y.Columns, name);
    }

    /// <summary>Creates a launch: a thread for four elements, or one.</summary>
    private static Launch Create(string kernel, bool wide, DeviceMatrix y, int batch, KernelArguments arguments, int flags)
    {
        int width = wide ? 4 : 1;
        return new Launch("elementwise", $"{kernel}_{width}", KernelOperands.Grid((long)y.Rows * y.Columns / width, batch),
            new Dim3(KernelOperands.Threads), 0, arguments.Add(y.Rows).Add(y.Columns).Add(flags).ToMemory());
    }
}
