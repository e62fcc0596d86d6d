using TinyZsad.Graph;
using TinyZsad.Models;

namespace TinyZsad;

/// <summary>
/// Refuses results that are not finite. A score that is not a number passes every threshold, so it must never be returned.
/// </summary>
internal static class FiniteCheck
{
    /// <summary>Returns whether all values are finite.</summary>
    public static bool AreFinite(ReadOnlySpan<float> values)
    {
        // x - x is 0 for finite x and NaN otherwise. Four independent sums, so that no addition waits for the one before.
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
    /// Makes the error of a detection that is not finite. A second run of the unfused graph finds the first operation whose output is
    /// not finite, and so most likely the damaged tensor.
    /// </summary>
    /// <param name="system">The model.</param>
    /// <param name="device">The device that computes.</param>
    /// <param name="score">How the map becomes a score.</param>
    /// <param name="bind">Gives a run the inputs of the detection.</param>
    public static ModelFormatException Error(AnomalySystem system, Device device, ImageScore score, Action<Run> bind)
    {
        ComputeGraph graph = system.DetectionGraph(score);
        Dictionary<Tap, Source> sources = [];
        foreach ((string name, Value value) in graph.Inputs.Where(i => i.Value.Type == ValueKind.Float))
            Add(value, new Source($"the input '{name}'", null));
        foreach (Operation operation in graph.Operations.ToArray())
            Add(operation.Output, new Source($"the operation '{operation.Label}' ({operation.Kind})", operation.Label));

        Source? first = null;
        using CancellationTokenSource found = new();
        using Plan plan = device.Compile(graph, new CompileOptions { Demanded = sources.ContainsKey });
        using Run run = plan.Rent();
        bind(run);
        try
        {
            run.Execute((tap, values) =>
            {
                if (first is not null || AreFinite(values)) return;
                first = sources[tap];
                found.Cancel();
            }, cancellationToken: found.Token);
        }
        catch (OperationCanceledException)
        {
            // The receiver has found what it looked for.
        }

        return new ModelFormatException(system.File.Name, first is null
            ? "its result is not finite, though everything on the way to it is; the model may work at the edge of what floats hold"
            : $"its result is not finite; {first.Description} is the first of the network that gives NaN or infinity. " +
                (device.ComputesInHalf ? $"Its values may exceed what {device.Name} stores, numbers up to 65504: the CPU has no such " +
                    "limit. Otherwise the" : "The") +
                " tensors it reads are most likely damaged: compare the file's SHA-256 with that of its source.")
        {
            Operation = first?.Label,
        };

        void Add(Value value, Source source)
        {
            graph.Tap(source.Description, value);
            sources.Add(graph.Taps[^1], source);
        }
    }

    /// <summary>Where a value comes from; the label of its operation, if it comes from one.</summary>
    private sealed record Source(string Description, string? Label);
}
