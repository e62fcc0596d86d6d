using TinyZsad.Imaging;
using TinyZsad.Verification;

namespace TinyZsad.Tests.Models;

/// <summary>LiZAD's smallest case as a file in memory, and variations on it.</summary>
internal sealed class TinyModel() : CaseModel(Weights)
{
    public const string ClassName = "metal nut";

    public static readonly ReferenceCase Case = ReferenceCase.Open(TestData.Path("lizad", "tiny"));

    private static readonly CaseWeights Weights = new(Case);

    public static readonly Image Picture = Image.Load(Case.Image!);

    public static TinyModel Whole() => new();

    /// <summary>
    /// The model without its text tower, for one class whose embedding it stores: milliseconds instead of a second to prepare.
    /// </summary>
    public static TinyModel OfStoredClass(params string[] classes)
    {
        TinyModel model = new();
        foreach (string name in Case.Tensors.Select(t => t.Name).Where(n => n.StartsWith("text.", StringComparison.Ordinal)))
            model.Tensors.Remove(name);
        IReadOnlyList<ExpectedTap> taps = Case.ExpectedTaps();
        foreach (string className in classes.Length > 0 ? classes : [ClassName])
        {
            foreach (string kind in new[] { "text.normal", "text.abnormal" })
            {
                // Another name, another embedding.
                float[] values = taps.Single(t => t.Name == kind).Expected;
                model.Store($"{kind}.{className}",
                    className == ClassName ? values : [.. values.Select((v, i) => v * (1 + (i + className.Length) % 3))]);
            }
        }

        return model;
    }
}
