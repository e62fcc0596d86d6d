using TinyZsad.Imaging;
using TinyZsad.Verification;

namespace TinyZsad.Tests.Models;

/// <summary>EdgeZSAD's smallest cases as files in memory, and variations on them.</summary>
internal sealed class EdgeModel(CaseWeights weights) : CaseModel(weights)
{
    /// <summary>Windows that fit.</summary>
    public static readonly CaseWeights Tiny = new(ReferenceCase.Open(TestData.Path("edgezsad", "tiny")));

    /// <summary>Odd maps, windows that do not fit.</summary>
    public static readonly CaseWeights Padded = new(ReferenceCase.Open(TestData.Path("edgezsad", "padded")));

    /// <summary>The picture of <see cref="Tiny"/>.</summary>
    public static readonly Image Picture = Image.Load(Tiny.Case.Image!);

    public static EdgeModel Whole() => new(Tiny);

    /// <summary>The values that <see cref="Tiny"/> expects of a tap.</summary>
    public static float[] Expected(string tap) => Tiny.Case.ExpectedTaps().Single(t => t.Name == tap).Expected;
}
