using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace TinyZsad.Kernels;

/// <summary>
/// Decides whether the integers of <see cref="Int8Tile"/> are faster than the floats of <see cref="Tile"/> on this processor. It
/// goes by what the processor is, never by a measurement, so that results are the same in every run.
/// <para>Dot products of bytes do four multiply-adds per lane and always win. Pairs of 16-bit integers need two instructions, a
/// multiplication and an addition, for twice the multiply-adds of a fused one of floats. They win where floats are not fused, and
/// where the processor multiplies as many vectors of integers a cycle as of floats and has other units to add them. Where that is
/// not known, floats are computed.</para>
/// </summary>
internal static class Int8Benefit
{
    private const string Intel = "GenuineIntel", Amd = "AuthenticAMD";
    private const int Haswell = 0x3C, HaswellServer = 0x3F, HaswellMobile = 0x45, HaswellGraphics = 0x46;
    private const int Broadwell = 0x3D, BroadwellGraphics = 0x47, BroadwellServer = 0x4F, BroadwellSmallServer = 0x56;
    private const int Zen1And2 = 0x17, Zen3 = 0x19;

    /// <summary>Gets why integers are not known to be faster than floats on this processor, as a sentence; null if they are.</summary>
    public static string? Objection { get; } =
        Explain(Int8Tile.MultipliesBytes, Simd.Lanes, RuntimeInformation.ProcessArchitecture, Processor.Identify());

    /// <summary>Represents the identity of an x86 processor, as the instruction CPUID states it.</summary>
    /// <param name="Vendor">The name of the vendor, 12 letters; empty if there is no CPUID.</param>
    /// <param name="Family">The family.</param>
    /// <param name="Model">The model in its family.</param>
    internal readonly record struct Processor(string Vendor, int Family, int Model)
    {
        /// <summary>Gets the processor that runs this process.</summary>
        public static Processor Identify()
        {
            if (!X86Base.IsSupported) return new("", 0, 0);
            (_, int b, int c, int d) = X86Base.CpuId(0, 0);
            return Of(b, d, c, X86Base.CpuId(1, 0).Eax);
        }

        /// <summary>Decodes the registers.</summary>
        /// <param name="first">The first four letters of the vendor.</param>
        /// <param name="second">The next four letters.</param>
        /// <param name="third">The last four letters.</param>
        /// <param name="signature">Family, model and stepping.</param>
        internal static Processor Of(int first, int second, int third, int signature)
        {
            string vendor = string.Create(12, (first, second, third), static (letters, words) =>
            {
                for (int i = 0; i < 4; i++)
                {
                    letters[i] = (char)(byte)(words.first >> 8 * i);
                    letters[4 + i] = (char)(byte)(words.second >> 8 * i);
                    letters[8 + i] = (char)(byte)(words.third >> 8 * i);
                }
            });
            int family = signature >> 8 & 15, model = signature >> 4 & 15;
            // The extended model counts for the families 6 and 15, the extended family for 15 only.
            if (family is 6 or 15) model |= signature >> 12 & 0xF0;
            if (family == 15) family += signature >> 20 & 255;
            return new(vendor, family, model);
        }
    }

    /// <summary>Finds why integers are not known to be faster than floats.</summary>
    /// <param name="multipliesBytes">Whether the tile uses dot products of bytes.</param>
    /// <param name="lanes">The lanes of the vectors of floats.</param>
    /// <param name="architecture">The architecture of the process.</param>
    /// <param name="processor">The x86 processor.</param>
    internal static string? Explain(bool multipliesBytes, int lanes, Architecture architecture, Processor processor)
    {
        string? reason = multipliesBytes ? null : lanes switch
        {
            1 => "computes without vectors here",
            _ when architecture is not (Architecture.X64 or Architecture.X86) => "has no dot products of bytes",
            16 when processor.Vendor != Amd => "is not known to multiply 16-bit integers faster than 512-bit floats",
            8 when !MultipliesTwoVectors(processor) => "is not known to multiply two vectors of integers a cycle, as it does of floats",
            4 when !BeatsSse(processor) => "is not known to multiply integers faster than floats",
            _ => null,
        };
        return reason is null ? null : $"int8 brings nothing on this processor, which {reason}; computing in float32.";
    }

    /// <summary>
    /// Determines whether a processor with AVX2 multiplies two 256-bit vectors of 16-bit integers a cycle: Intel since Skylake, and
    /// AMD since Zen 3. Of other vendors it is not known.
    /// </summary>
    private static bool MultipliesTwoVectors(Processor processor) => processor switch
    {
        { Vendor: Intel, Family: 6, Model: Haswell or HaswellServer or HaswellMobile or HaswellGraphics } => false,
        { Vendor: Intel, Family: 6, Model: Broadwell or BroadwellGraphics or BroadwellServer or BroadwellSmallServer } => false,
        { Vendor: Intel } => true,
        { Vendor: Amd, Family: >= Zen3 } => true,
        _ => false,
    };

    /// <summary>
    /// Determines whether a processor computes pairs faster than the two instructions, multiplication and addition, that floats take
    /// without fused ones. Zen to Zen 2 multiply two vectors of floats a cycle, and add two others.
    /// </summary>
    private static bool BeatsSse(Processor processor) =>
        processor is { Vendor: Intel } or { Vendor: Amd, Family: not Zen1And2 };
}
