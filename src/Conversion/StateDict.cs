using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;
using TinyZsad.Weights;

namespace TinyZsad.Conversion;

/// <summary>
/// The tensors of one network within a checkpoint, by the names that its authors gave them, and which of them were used.
/// </summary>
internal sealed partial class StateDict
{
    /// <summary>
    /// Where a state dict may stand: at the top, or under a key that training scripts save it under; the average of a training's
    /// weights (EMA) only where there are no plain ones. DistributedDataParallel adds "module.".
    /// </summary>
    private static readonly string[] Wrappers =
        ["", "model_state_dict.", "state_dict.", "model.", "model_ema.", "state_dict_ema."];

    private static readonly string[] Modules = ["", "module."];

    /// <summary>Groups of left-out tensors that may share the first part of their names.</summary>
    private const int MaxGroups = 8;

    private readonly Checkpoint checkpoint;
    private readonly string prefix;
    private readonly string? better;
    private readonly HashSet<string> used = new(StringComparer.Ordinal);
    private readonly HashSet<string> known = new(StringComparer.Ordinal);

    private StateDict(Checkpoint checkpoint, string prefix, string? better)
    {
        this.checkpoint = checkpoint;
        this.prefix = prefix;
        this.better = better;
    }

    /// <summary>Finds a network in a checkpoint by a tensor that it must have.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="marker">The tensor's name in the network.</param>
    /// <param name="within">What may stand before the network's names, in the order of preference; first of all nothing.</param>
    /// <returns>Null if no place has it.</returns>
    /// <remarks>
    /// Training (<c>tools/train_edgezsad.py</c>) keeps under "best" those tensors of "model" that it trains, as they did best;
    /// they are taken instead.
    /// </remarks>
    public static StateDict? Find(Checkpoint checkpoint, string marker, params string[] within)
    {
        foreach (string wrapper in Wrappers)
        {
            foreach (string module in Modules)
            {
                foreach (string inner in within.Prepend(""))
                {
                    if (checkpoint.TryGet($"{wrapper}{module}{inner}{marker}", out _))
                    {
                        return new StateDict(checkpoint, $"{wrapper}{module}{inner}",
                            wrapper == "model." ? $"best.{inner}" : null);
                    }
                }
            }
        }

        return null;
    }

    /// <summary>A network of another file than the one that was asked for.</summary>
    public static ModelFormatException NotFound(Checkpoint checkpoint, string network, string markers)
    {
        string holds = checkpoint.Tensors.Count == 0
            ? "it holds no tensor at all"
            : $"its tensors are {string.Join(", ", checkpoint.Tensors.Take(3).Select(t => Shown.Quote(t.Name)))}"
                + (checkpoint.Tensors.Count > 3 ? $" and {checkpoint.Tensors.Count - 3} others" : "");
        return new ModelFormatException(
            checkpoint.Name, $"this is no checkpoint of {network}: it has no tensor {markers}, neither at the top nor under "
            + $"{string.Join(", ", Wrappers.Skip(1).Select(w => w.TrimEnd('.')))}; {holds}.");
    }

    /// <summary>The file, for messages.</summary>
    public string File => checkpoint.Name;

    /// <summary>Creates the error of a tensor.</summary>
    /// <param name="tensor">The tensor's full name in the checkpoint.</param>
    /// <param name="what">What is wrong, without a full stop.</param>
    public ModelFormatException Error(string tensor, string what) => new(File, $"{what}.") { Tensor = tensor };

    public bool Has(string name) => checkpoint.TryGet(prefix + name, out _);

    /// <summary>A tensor of floats that the network must have.</summary>
    /// <param name="name">Its name in the network.</param>
    /// <param name="rank">How many dimensions it must have; null for any number.</param>
    /// <exception cref="ModelFormatException">It is missing, or something else.</exception>
    public CheckpointTensor Take(string name, int? rank = null)
    {
        if (!TryGet(name, out CheckpointTensor? tensor))
            throw Error(prefix + name, $"tensor '{prefix}{name}' is missing");
        if (!tensor.IsFloat)
            throw Error(tensor.Name, $"tensor '{tensor}' is of whole numbers, where weights are floats");
        if (rank is not null && tensor.Shape.Length != rank)
            throw Error(tensor.Name, $"tensor '{tensor}' has {tensor.Shape.Length} dimensions, where {rank} are right");
        if (tensor.ElementCount == 0)
            throw Error(tensor.Name, $"tensor '{tensor}' is empty");
        used.Add(tensor.Name);
        known.Add(name);
        return tensor;
    }

    public bool TryTake(string name, [MaybeNullWhen(false)] out CheckpointTensor tensor)
    {
        tensor = Has(name) ? Take(name) : null;
        return tensor is not null;
    }

    /// <summary>One dimension of a tensor that the network must have, which is not marked as used.</summary>
    public long Size(string name, int rank, int dimension)
    {
        bool before = known.Contains(name);
        CheckpointTensor tensor = Take(name, rank);
        if (!before)
        {
            known.Remove(name);
            used.Remove(tensor.Name);
        }
        return tensor.Shape[dimension];
    }

    /// <summary>How many blocks there are under a name: <c>blocks.0.</c>, <c>blocks.1.</c> and so on.</summary>
    public int CountOf(string name)
    {
        int n = 0;
        while (checkpoint.Tensors.Any(t => t.Name.StartsWith($"{prefix}{name}.{n}.", StringComparison.Ordinal))) n++;
        return n;
    }

    /// <summary>Names under the network's place, below some name.</summary>
    public IEnumerable<string> NamesBelow(string name) =>
        checkpoint.Tensors.Where(t => t.Name.StartsWith(prefix + name, StringComparison.Ordinal))
            .Select(t => t.Name[prefix.Length..]);

    /// <summary>
    /// Checks that the network has no tensor that was neither used nor known to be superfluous: it would be another network.
    /// </summary>
    /// <param name="network">What it is called.</param>
    /// <param name="within">What its tensors begin with; those of other parts may be there.</param>
    /// <param name="superfluous">Which of its tensors inference does not need. Whole numbers never are weights.</param>
    /// <exception cref="ModelFormatException">There is one.</exception>
    public void RefuseOthers(string network, string within, Func<string, bool> superfluous)
    {
        foreach (CheckpointTensor t in checkpoint.Tensors)
        {
            if (t.IsFloat && t.Name.StartsWith(prefix + within, StringComparison.Ordinal)
                && !known.Contains(t.Name[prefix.Length..]) && !superfluous(t.Name[prefix.Length..]))
            {
                throw Error(t.Name, $"tensor '{t}' does not belong to {network}; this is another network");
            }
        }
    }

    /// <summary>What of some networks' checkpoint is not in the model, in groups of names alike.</summary>
    public static IEnumerable<LeftOutTensors> Unused(string part, Checkpoint checkpoint, IEnumerable<StateDict> networks)
    {
        StateDict[] parts = [.. networks];
        HashSet<string> all = [.. parts.SelectMany(n => n.used)];
        // What a state dict is wrapped in says nothing of its tensors.
        string Wrapper(string name) => parts.Select(n => n.prefix)
            .Where(p => name.StartsWith(p, StringComparison.Ordinal)).MaxBy(p => p.Length) ?? "";
        (CheckpointTensor Tensor, string Wrapper, string Name)[] unused = [.. checkpoint.Tensors.Where(t => !all.Contains(t.Name))
            .Select(t => (t, Wrapper(t.Name), t.Name[Wrapper(t.Name).Length..]))];
        // An optimizer has hundreds of numbered entries.
        HashSet<string> crowded = [.. unused.Select(u => Group(u.Name)).Distinct().GroupBy(First)
            .Where(g => g.Count() > MaxGroups).Select(g => g.Key)];
        return unused.GroupBy(u => u.Wrapper + (crowded.Contains(First(u.Name)) ? $"{First(u.Name)}.*" : Group(u.Name)))
            .Select(g => new LeftOutTensors(
                part, g.Count() == 1 ? g.First().Tensor.Name : g.Key, g.Count(), g.Sum(u => u.Tensor.ElementCount)));

        static string First(string name) => name.Split('.')[0];
    }

    private bool TryGet(string name, [MaybeNullWhen(false)] out CheckpointTensor tensor) =>
        (better is not null && checkpoint.TryGet(better + name, out tensor)) || checkpoint.TryGet(prefix + name, out tensor);

    /// <summary>"visual.trunk.stem.0.weight" is one of "visual.*", "layer.11.norm1.weight" one of "layer.11.*".</summary>
    private static string Group(string name) =>
        IntegerBuffer().Match(name) is { Success: true } buffer ? $"*.{buffer.Value}"
        : GroupName().Match(name) is { Success: true } group ? $"{group.Value}*" : name;

    [GeneratedRegex(@"^[^.]+\.(\d+\.)?")]
    private static partial Regex GroupName();

    [GeneratedRegex("(num_batches_tracked|attention_bias_idxs)$")]
    private static partial Regex IntegerBuffer();
}
