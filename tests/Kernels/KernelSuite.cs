using TinyZsad.KernelCases;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Kernels;

/// <summary>
/// The command <c>TinyZsad.Tests kernels [part of a name]</c>: runs the kernel cases in this process, in every layout. The command
/// <c>TinyZsad.Tests kernels-sample N</c> runs one of N, and none of the large ones, for processors that are emulated.
/// </summary>
internal static class KernelSuite
{
    /// <summary>Prints one line for each failed case, and the count. Returns 0 if no case fails; otherwise 1.</summary>
    public static int Run(string part, TextWriter output) =>
        Run(KernelCase.All.Where(c => c.Name.Contains(part, StringComparison.OrdinalIgnoreCase)), output);

    /// <summary>Runs one of <paramref name="every"/> small cases.</summary>
    public static int RunSample(int every, TextWriter output) =>
        Run(KernelCase.All.Where(c => !c.Typical).Where((_, i) => i % every == 0), output);

    private static int Run(IEnumerable<KernelCase> cases, TextWriter output)
    {
        output.WriteLine($"{Simd.Lanes} lanes, products of {Products}");
        int passed = 0, failed = 0;
        string kernel = "";
        Difference shares = default;
        using Workspace workspace = new();
        foreach (KernelCase c in cases.Where(c => !c.TimedOnly))
        {
            if (c.Kernel != kernel)
            {
                WriteShares(shares, output);
                shares = default;
                output.WriteLine(kernel = c.Kernel);    // names the kernel if an access outside a block ends the process
                output.Flush();
            }
            // The small cases cover every end of memory and every misalignment. Repeating large ones would only take time.
            IEnumerable<Layout> layouts = c.Typical ? Layout.All[..1] : Layout.All;
            string? failure = null;
            foreach (Layout layout in layouts) failure ??= Failure(c, layout, workspace, ref shares);
            if (failure == null)
                passed++;
            else
                failed++;
            if (failure != null)
                output.WriteLine($"FAILED {c.Name}, {failure}");
        }
        WriteShares(shares, output);
        output.WriteLine($"{passed} passed, {failed} failed");
        return failed == 0 && passed > 0 ? 0 : 1;
    }

    /// <summary>Prints the largest part of its tolerances that a kernel used in all its cases.</summary>
    private static void WriteShares(Difference shares, TextWriter output)
    {
        if (shares.Max > 0)
            output.WriteLine($"  {shares.Max:p0} of the error allowed, {shares.RootMeanSquare:p0} of the root mean square");
    }

    /// <summary>Gets how 8-bit integers are multiplied in this process.</summary>
    public static string Products => Vnni512.IsSupported ? "bytes, emitted" : Int8Tile.MultipliesBytes ? "bytes" : "16-bit integers";

    private static string? Failure(KernelCase c, Layout layout, Workspace workspace, ref Difference shares)
    {
        workspace.Reset(layout);
        KernelRun run = c.Prepare(workspace);
        run.Simd();
        if (!workspace.Untouched())
            return $"{layout}: it wrote outside its result";
        run.Scalar();
        Difference error = run.Error();
        if (c.Coarse)
        {
            return error.RootMeanSquare > c.RmsTolerance ? null
                : $"{layout}: a rounded operand goes unnoticed, {error.RootMeanSquare:g3} of {c.RmsTolerance:g3}";
        }

        if (error.Max > 0) shares = shares.Or(new(error.Max / c.Tolerance, error.RootMeanSquare / c.RmsTolerance));
        return error.Max > c.Tolerance ? $"{layout}: error {error.Max:g3}, allowed {c.Tolerance:g3} ({c.Because})"
            : error.RootMeanSquare > c.RmsTolerance
                ? $"{layout}: root mean square {error.RootMeanSquare:g3}, allowed {c.RmsTolerance:g3} ({c.Because})"
            : null;
    }
}
