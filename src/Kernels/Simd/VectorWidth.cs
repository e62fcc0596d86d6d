using System.Globalization;
using System.Runtime;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace TinyZsad.Kernels;

/// <summary>Names the vectors that <see cref="Simd"/> selects, and what keeps them narrower than those of the processor.</summary>
internal static class VectorWidth
{
    private const int BitsOfLane = 8 * sizeof(float);

    /// <summary>Settings of the runtime that disable instruction sets if they are 0, the widest vectors first.</summary>
    private static readonly string[] Switches =
        ["DOTNET_EnableAVX512", "DOTNET_EnableAVX2", "DOTNET_EnableAVX", "DOTNET_EnableSSE42", "DOTNET_EnableHWIntrinsic"];

    /// <summary>A setting of the runtime in bits, a decimal number. Vectors that are wider are disabled.</summary>
    private const string Preferred = "DOTNET_PreferredVectorBitWidth";

    /// <summary>Gets the width in bits.</summary>
    public static int Bits => Simd.Lanes * BitsOfLane;

    /// <summary>Gets the name of the instruction set of the vectors.</summary>
    public static string InstructionSet => NameOf(Simd.Lanes, Architecture);

    /// <summary>Gets why the vectors are narrower than those of the processor; null if they are not.</summary>
    public static string? Limit { get; } =
        Explain(Simd.Lanes, LanesOfProcessor(), Architecture, IsCompiledAhead, Environment.GetEnvironmentVariable);

    /// <summary>
    /// Gets whether the process has no JIT compiler. <see cref="System.Runtime.CompilerServices.RuntimeFeature"/> does not tell:
    /// its properties are also false in a program that sets PublishAot and is not published. With a JIT compiler, kernels are
    /// compiled in the process even if the rest of the program is not.
    /// </summary>
    public static bool IsCompiledAhead => JitInfo.GetCompiledMethodCount() == 0;

    private static Architecture Architecture => RuntimeInformation.ProcessArchitecture;

    /// <summary>Finds why the vectors are narrower than those of the processor.</summary>
    /// <param name="lanes">The lanes that are used.</param>
    /// <param name="available">The lanes that the processor has.</param>
    /// <param name="architecture">The architecture of the process.</param>
    /// <param name="compiledAhead">Whether the process has no JIT compiler.</param>
    /// <param name="setting">Gets an environment variable.</param>
    internal static string? Explain(
        int lanes, int available, Architecture architecture, bool compiledAhead, Func<string, string?> setting)
    {
        if (lanes >= available) return null;
        string missing = $"The processor has {NameOf(available, architecture)}, but";
        if (compiledAhead)
        {
            return $"{missing} the program was compiled ahead of time for {NameOf(lanes, architecture)}. "
                + "Set IlcInstructionSet in its project.";
        }

        foreach (string name in Switches)
        {
            if (IsZero(setting(name))) return $"{missing} {name}={setting(name)} is set.";
        }

        if (setting(Preferred) is { Length: > 0 } width) return $"{missing} {Preferred}={width} is set.";
        return $"{missing} the runtime does not use it on this system.";
    }

    private static bool IsZero(string? value) =>
        int.TryParse(value, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out int number) && number == 0;

    private static string NameOf(int lanes, Architecture architecture) => lanes switch
    {
        16 => "AVX-512",
        8 => "AVX2",
        4 => architecture is Architecture.X64 or Architecture.X86 ? "SSE" : "AdvSimd",
        _ => "no vectors",
    };

    /// <summary>
    /// Gets the lanes of the widest vectors that the processor has, also those that the runtime does not use. The properties
    /// IsSupported do not tell: in a program that is compiled ahead of time, many are constants.
    /// </summary>
    private static int LanesOfProcessor()
    {
        const int avxStateAndFma = 1 << 27 | 1 << 28 | 1 << 12;                             // OSXSAVE, AVX, FMA in ecx
        const int avx2 = 1 << 5;
        const int avx512 = 1 << 16 | 1 << 17 | 1 << 28 | 1 << 30 | 1 << 31;                 // F, DQ, CD, BW, VL in ebx

        // Processors of 64 bits have vectors of 128 bits at least. Without the instruction CPUID no more is known.
        if (!X86Base.IsSupported || X86Base.CpuId(0, 0).Eax < 7) return 4;
        int features = X86Base.CpuId(1, 0).Ecx, extended = X86Base.CpuId(7, 0).Ebx;
        if ((features & avxStateAndFma) != avxStateAndFma || (extended & avx2) == 0) return 4;
        return (extended & avx512) == avx512 ? 16 : 8;
    }
}
