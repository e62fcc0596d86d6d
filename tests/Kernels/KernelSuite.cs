using System.Runtime.Intrinsics.X86;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Kernels;

/// <summary><c>TinyZsad.Tests kernels [part of a name]</c>: runs the kernel cases in this process, in every layout.</summary>
internal static class KernelSuite
{
    /// <summary>Prints one line for each failing case and the count; 0 where none fails, else 1.</summary>
    public static int Run(string part, TextWriter output)
    {
        output.WriteLine($"{Simd.Lanes} lanes, products of {Products}");
        int passed = 0, failed = 0;
        string kernel = "";
        using Workspace workspace = new();
        foreach (KernelCase c in KernelCases.All)
        {
            if (!c.Name.Contains(part, StringComparison.OrdinalIgnoreCase))
                continue;
            if (c.Kernel != kernel)
            {
                output.WriteLine(kernel = c.Kernel);    // a read outside ends the process: the last line says in which kernel
                output.Flush();
            }
            // The small cases meet every end of memory and every misalignment; a large one would only take longer.
            IEnumerable<Layout> layouts = c.Typical ? Layout.All[..1] : Layout.All;
            string? failure = layouts.Select(layout => Failure(c, layout, workspace)).FirstOrDefault(f => f != null);
            if (failure == null)
                passed++;
            else
                failed++;
            if (failure != null)
                output.WriteLine($"FAILED {c.Name}, {failure}");
        }
        output.WriteLine($"{passed} passed, {failed} failed");
        return failed == 0 && passed > 0 ? 0 : 1;
    }

    /// <summary>How 8-bit integers are multiplied in this process.</summary>
    public static string Products => Vnni512.IsSupported ? "bytes, emitted" : AvxVnni.IsSupported ? "bytes" : "16-bit integers";

    private static string? Failure(KernelCase c, Layout layout, Workspace workspace)
    {
        workspace.Reset(layout);
        KernelRun run = c.Prepare(workspace);
        run.Simd();
        if (!workspace.Untouched())
            return $"{layout}: it wrote outside its result";
        run.Scalar();
        double error = run.Error();
        return error <= c.Tolerance ? null : $"{layout}: error {error:g3}, allowed {c.Tolerance:g3} ({c.Because})";
    }
}
