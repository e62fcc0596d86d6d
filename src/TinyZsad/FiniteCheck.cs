using TinyZsad.Graph;
using TinyZsad.Models;

namespace TinyZsad;

/// <summary>
/// Refuses results that are not finite. A score that is not a number passes every threshold, so it must never be given out.
/// </summary>
internal static class FiniteCheck
{
    /// <summary>Whether all values are finite.</summary>
    public static bool AreFinite(ReadOnlySpan<float> values)
    {
        // x - x is 0 where x is finite, and not a number elsewhere. Four sums, so that no addition waits for the one before.
        float a = 0, b = 0, c = 0, d = 0;
        int i = 0;
        for (; i <= values.Length - 4; i += 4)
        {
            a += values[i] - values[i];
            b += values[i + 1] - values[i + 1];
            c += values[i + 2] - values[i + 2];
            d += values[i + 3] - values[i + 3];
        }
        for (; i < values.Length; i++) a += values[i] - values[i];
        return a + b + c + d == 0;
    }

    /// <summary>
    /// The error of a detection that is not finite. It names the first operation whose output is not, found by a second run of the
    /// graph as it is written, and so most likely the damaged tensor.
    /// </summary>
    /// <param name="system">The model.</param>
    /// <param name="device">What computes.</param>
    /// <param name="score">How the map becomes a score.</param>
    /// <param name="bind">Gives a run the inputs of the detection.</param>
    public static ModelFormatException Error(AnomalySystem system, Device device, ImageScore score, Action<Run> bind)
    {
        ComputeGraph graph = system.DetectionGraph(score);
        Dictionary<Value, string> names = graph.Inputs.Where(i => i.Value.Type == ValueKind.Float)
            .ToDictionary(i => i.Value, i => $"the input '{i.Key}'");
        foreach (Operation operation in graph.Operations)
            names.Add(operation.Output, $"the operation '{operation.Label}' ({operation.Kind})");
        HashSet<Tap> own = [];
        foreach ((Value value, string name) in names)
        {
            graph.Tap(name, value);
            own.Add(graph.Taps[^1]);
        }
        string? first = null;
        using CancellationTokenSource found = new();
        using Plan plan = device.Compile(graph, new CompileOptions { Demanded = own.Contains });
        using Run run = plan.Rent();
        bind(run);
        try
        {
            run.Execute((tap, values) =>
            {
                if (first is not null || AreFinite(values)) return;
                first = tap.Name;
                found.Cancel();
            }, cancellationToken: found.Token);
        }
        catch (OperationCanceledException)
        {
        }
        return new ModelFormatException(system.File.Name, first is null
            ? "its result is not finite, though everything on the way to it is; the model may work at the edge of what floats hold"
            : $"its result is not finite; {first} is the first of the network that gives NaN or infinity. The tensors it reads are " +
                "most likely damaged: compare the file's SHA-256 with that of its source.");
    }
}
