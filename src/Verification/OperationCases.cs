using TinyZsad.Graph;
using TinyZsad.Models;
using TinyZsad.Weights;

namespace TinyZsad.Verification;

/// <summary>
/// A folder of single operations and blocks: <c>cases.json</c> says of each which inputs it takes and which values it gives,
/// <c>tensors.safetensors</c> holds them all. Each is built as a graph by the very code that the networks are made of, and run.
/// </summary>
internal static class OperationCases
{
    /// <summary>Compares every operation with its expected values, at the tolerance of each.</summary>
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
                    tolerance ?? element["tolerance"].Number());
                rows.Add(Verifier.Compare(tap, computed[i], relative: true));
            }
        }
        return rows;
    }

    /// <summary>The graph checks what it is made of; that its errors are the case's is known here alone.</summary>
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
