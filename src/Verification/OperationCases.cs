using TinyZsad.Graph;
using TinyZsad.Models;
using TinyZsad.Weights;

namespace TinyZsad.Verification;

/// <summary>
/// Verifies a folder of operations and blocks: <c>cases.json</c> lists the inputs and expected values of each, and
/// <c>tensors.safetensors</c> holds them. Each case is built as a graph by the code that also builds the networks, and executed.
/// </summary>
internal static class OperationCases
{
    /// <summary>Compares the results of each operation with the expected values.</summary>
    public static IReadOnlyList<TapComparison> Run(ReferenceCase reference, Device device, double? tolerance)
    {
        using WeightStore tensors = new(SafetensorsFile.Open(reference.Content["tensors"].FilePath()));
        List<TapComparison> rows = [];
        foreach (ManifestValue element in reference.Content["cases"].Items())
        {
            string name = element["name"].Text();
            OperationCase c = new(name, element["params"], tensors);
            string[] roles = [.. element["expected"].Items().Select(r => r.Text())];
            float[][] computed = Computed(c, element, device);
            if (roles.Length > computed.Length) throw element["expected"].Error($"{computed.Length} names at most");
            for (int i = 0; i < roles.Length; i++)
            {
                (int[] shape, float[] expected) = c.Tensor(roles[i]);
                ExpectedTap tap = new(roles.Length == 1 ? name : $"{name}.{roles[i]}", shape, 1, null, expected,
                    element["tolerance"].Number());
                rows.Add(Verifier.Compare(Verifier.Limited(tap, tolerance, device), computed[i], relative: true));
            }
        }
        return rows;
    }

    /// <summary>Computes a case. Errors of the arguments of the graph are errors of the case.</summary>
    private static float[][] Computed(OperationCase c, ManifestValue element, Device device)
    {
        try
        {
            return c.Compute(element["op"].Text(), device);
        }
        catch (Exception e) when (e is ArgumentException or IndexOutOfRangeException or OverflowException)
        {
            throw element["op"].Error($"an operation that fits its tensors and params ({e.Message})", e);
        }
    }
}
