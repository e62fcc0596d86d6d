using TinyZsad.Formats;

namespace TinyZsad.Graph;

/// <summary>
/// Selects the operations that the wanted values depend on, and fuses element-wise operations with their neighbors as allowed by
/// a device's <see cref="FusionRules"/>. Activation, LayerScale and residual become the epilogue of the linear layer before them;
/// rotary positions become the prologue of the attention after them. Then the three layers of a bottleneck become one operation.
/// A value that is wanted itself, or that two operations read, is not fused away.
/// </summary>
internal static class Fusion
{
    /// <summary>Computes the fused operations in an order of execution.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="wanted">The values that must exist: outputs and demanded taps.</param>
    /// <param name="rules">The fusions that the device supports.</param>
    public static List<Operation> Run(ComputeGraph graph, IEnumerable<Value> wanted, FusionRules rules)
    {
        HashSet<Value> kept = [.. wanted.Select(v => v.Root)];
        List<Operation> needed = Needed(graph, kept);
        Dictionary<Value, int> readers = [];
        foreach (Value input in needed.SelectMany(o => o.Inputs)) readers[input.Root] = readers.GetValueOrDefault(input.Root) + 1;

        List<Operation?> order = [];
        Dictionary<Value, int> position = [];
        foreach (Operation operation in needed)
        {
            (Operation fused, Operation?[] swallowed) = rules.Epilogues ? WithEpilogue(operation) : (operation, []);
            if (rules.Rotary && operation is AttentionOperation attention) (fused, swallowed) = WithRotary(attention);
            Take(fused, operation, swallowed);
        }
        foreach (LinearOperation project in order.OfType<LinearOperation>().ToArray())
        {
            if (Swallow<DepthwiseConvOperation>(project.X) is { } depthwise && Swallow<LinearOperation>(depthwise.X) is { } expand
                && expand.Activation == depthwise.Activation && expand is { Scale: null, Residual: null }
                && new BottleneckOperation(expand, depthwise, project) is { } bottleneck && rules.Bottleneck(bottleneck))
            {
                Take(bottleneck, project, [expand, depthwise]);
            }
        }

        return [.. order.OfType<Operation>()];

        // Gets the operation that computes a value if exactly one other operation reads the value and may therefore absorb it.
        T? Swallow<T>(Value value) where T : Operation =>
            value.Root == value && !kept.Contains(value) && readers[value] == 1 && position.TryGetValue(value, out int at)
                ? order[at] as T
                : null;

        (Operation Fused, Operation?[] Swallowed) WithEpilogue(Operation operation)
        {
            switch (operation)
            {
                case ActivationOperation a when Swallow<LinearOperation>(a.X) is { Activation.Kind: ActivationKind.None } l
                    && (l.Scale is null || l.Residual is not null):
                    return (l with { Activation = a.Activation, ActivateLast = l.Residual is not null }, [l]);
                case ActivationOperation a when Swallow<ConvolutionOperation>(a.X) is { Activation.Kind: ActivationKind.None } c:
                    return (c with { Activation = a.Activation }, [c]);
                case ScaleOperation s when Swallow<LinearOperation>(s.X) is { Scale: null, Residual: null } l:
                    return (l with { Scale = s.Scale }, [l]);
                case AddOperation { Subtract: false } a when Swallow<LinearOperation>(a.B) is { Residual: null } l:
                    return (l with { Residual = a.A }, [l]);
                case AddOperation { Subtract: false } a when Swallow<LinearOperation>(a.A) is { Residual: null } l:
                    return (l with { Residual = a.B }, [l]);
                default:
                    return (operation, []);
            }
        }

        (Operation Fused, Operation?[] Swallowed) WithRotary(AttentionOperation a)
        {
            // The kernel rotates every head with the same table and after one prefix for both queries and keys. It supports a
            // single sequence.
            RotaryOperation? Rotation(Value value) =>
                Swallow<RotaryOperation>(value) is { } r && r.Heads == a.Heads && a.Batch == 1 ? r : null;
            RotaryOperation? q = Rotation(a.Q), k = Rotation(a.K);
            if (q is not null && k is not null && q.Table.Prefix != k.Table.Prefix) k = null;
            if (q is null && k is null) return (a, []);
            return (a with { Q = q?.X ?? a.Q, K = k?.X ?? a.K, RotateQueries = q?.Table, RotateKeys = k?.Table }, [q, k]);
        }

        // Puts the fused operation in the place of the one that computed its value.
        void Take(Operation fused, Operation operation, Operation?[] swallowed)
        {
            foreach (Operation? gone in swallowed)
                if (gone is not null) order[position[gone.Output]] = null;
            if (fused != operation)
            {
                fused = fused with
                {
                    Output = operation.Output,
                    Label = swallowed.OfType<Operation>().FirstOrDefault(o => o is not RotaryOperation)?.Label ?? operation.Label,
                };
            }

            if (!position.TryAdd(operation.Output, order.Count)) order[position[operation.Output]] = fused;
            else order.Add(fused);
        }
    }

    /// <summary>Gets the operations that the given values depend on, in the order of the graph.</summary>
    private static List<Operation> Needed(ComputeGraph graph, HashSet<Value> kept)
    {
        HashSet<Value> wanted = [.. kept];
        List<Operation> needed = [];
        foreach (Operation operation in graph.Operations.Reverse().Where(o => wanted.Contains(o.Output)))
        {
            needed.Add(operation);
            wanted.UnionWith(operation.Inputs.Select(v => v.Root));
        }
        needed.Reverse();
        return needed;
    }
}
