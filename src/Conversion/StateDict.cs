using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;
using TinyZsad.Weights;

namespace TinyZsad.Conversion;

/// <summary>
/// Represents the tensors of one network in a checkpoint by their original names, and records which of them are used.
/// </summary>
internal sealed partial class StateDict
{
    /// <summary>
    /// The prefixes of a state dict, by preference: none, or the keys of training scripts. Averaged weights (EMA) are used only if there
    /// are no others. DistributedDataParallel adds "module.".
    /// </summary>
    private static readonly string[] Wrappers =
        ["", "model_state_dict.", "state_dict.", "model.", "model_ema.", "state_dict_ema."];

    private static readonly string[] Modules = ["", "module."];

    /// <summary>The maximum number of groups of left-out tensors with the same first part of the name.</summary>
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

    /// <summary>Finds a network in a checkpoint by one of its tensors.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="marker">The name of the tensor in the network.</param>
    /// <param name="within">The possible prefixes of the network's names, by preference. No prefix is always tried first.</param>
    /// <returns>The network; null if the checkpoint does not hold the tensor.</returns>
    /// <remarks>
    /// <c>tools/train_edgezsad.py</c> stores the best values of the trained tensors of "model" under "best". They are preferred.
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

    /// <summary>Creates the error of a checkpoint that does not hold a network.</summary>
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

    /// <summary>Gets the path of the checkpoint, for messages.</summary>
    public string File => checkpoint.Name;

    /// <summary>Creates the error of a tensor.</summary>
    /// <param name="tensor">The tensor's full name in the checkpoint.</param>
    /// <param name="what">What is wrong, without a full stop.</param>
    public ModelFormatException Error(string tensor, string what) => new(File, $"{what}.") { Tensor = tensor };

    /// <summary>Gets a value that indicates whether the network has a tensor.</summary>
    public bool Has(string name) => checkpoint.TryGet(prefix + name, out _);

    /// <summary>Gets a required floating-point tensor and marks it as used.</summary>
    /// <param name="name">The name in the network.</param>
    /// <param name="rank">The required number of dimensions; null for any.</param>
    /// <exception cref="ModelFormatException">The tensor is missing, empty, or has another type or rank.</exception>
    public CheckpointTensor Take(string name, int? rank = null)
    {
        if (!TryGet(name, out CheckpointTensor? tensor))
            throw Error(prefix + name, $"tensor '{prefix}{name}' is missing");
        if (tensor.Problem is { } problem)
            throw Error(tensor.Name, $"tensor '{tensor}' {problem}");
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

    /// <summary>Gets an optional floating-point tensor and marks it as used.</summary>
    public bool TryTake(string name, [MaybeNullWhen(false)] out CheckpointTensor tensor)
    {
        tensor = Has(name) ? Take(name) : null;
        return tensor is not null;
    }

    /// <summary>Gets one dimension of a required tensor, without marking it as used.</summary>
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

    /// <summary>Gets the number of items of a name: <c>blocks.0.</c>, <c>blocks.1.</c> and so on.</summary>
    public int CountOf(string name)
    {
        int n = 0;
        while (checkpoint.Tensors.Any(t => t.Name.StartsWith($"{prefix}{name}.{n}.", StringComparison.Ordinal))) n++;
        return n;
    }

    /// <summary>Gets the names of the network that begin with a name.</summary>
    public IEnumerable<string> NamesBelow(string name) =>
        checkpoint.Tensors.Where(t => t.Name.StartsWith(prefix + name, StringComparison.Ordinal))
            .Select(t => t.Name[prefix.Length..]);

    /// <summary>
    /// Checks that each floating-point tensor is used or known not to be needed. An unknown tensor belongs to another network.
    /// </summary>
    /// <param name="network">The name of the network, for the message.</param>
    /// <param name="within">The prefix of the tensors to check.</param>
    /// <param name="superfluous">Returns whether inference does not need a tensor.</param>
    /// <exception cref="ModelFormatException">There is an unknown tensor.</exception>
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

    /// <summary>Gets the tensors of a checkpoint that its networks do not use, in groups of similar names.</summary>
    public static IEnumerable<LeftOutTensors> Unused(string part, Checkpoint checkpoint, IEnumerable<StateDict> networks)
    {
        StateDict[] parts = [.. networks];
        HashSet<string> all = [.. parts.SelectMany(n => n.used)];
        // Tensors are grouped by their names without the prefix of the state dict.
        string Wrapper(string name) => parts.Select(n => n.prefix)
            .Where(p => name.StartsWith(p, StringComparison.Ordinal)).MaxBy(p => p.Length) ?? "";
        (CheckpointTensor Tensor, string Wrapper, string Name)[] unused = [.. checkpoint.Tensors.Where(t => !all.Contains(t.Name))
            .Select(t => (t, Wrapper(t.Name), t.Name[Wrapper(t.Name).Length..]))];
        // The state of an optimizer has hundreds of numbered entries, which become one group.
        HashSet<string> crowded = [.. unused.Select(u => Group(u.Name)).Distinct().GroupBy(First)
            .Where(g => g.Count() > MaxGroups).Select(g => g.Key)];
        return unused.GroupBy(u => u.Wrapper + (crowded.Contains(First(u.Name)) ? $"{First(u.Name)}.*" : Group(u.Name)))
            .Select(g => new LeftOutTensors(
                part, g.Count() == 1 ? g.First().Tensor.Name : g.Key, g.Count(), g.Sum(u => u.Tensor.ElementCount)));

        static string First(string name) => name.Split('.')[0];
    }

    private bool TryGet(string name, [MaybeNullWhen(false)] out CheckpointTensor tensor) =>
        (better is not null && checkpoint.TryGet(better + name, out tensor)) || checkpoint.TryGet(prefix + name, out tensor);

    /// <summary>Gets the group of a name: "visual.*" for "visual.trunk.stem.0.weight", "layer.11.*" for "layer.11.norm1.weight".</summary>
    private static string Group(string name) =>
        IntegerBuffer().Match(name) is { Success: true } buffer ? $"*.{buffer.Value}"
        : GroupName().Match(name) is { Success: true } group ? $"{group.Value}*" : name;

    [GeneratedRegex(@"^[^.]+\.(\d+\.)?")]
    private static partial Regex GroupName();

    [GeneratedRegex("(num_batches_tracked|attention_bias_idxs)$")]
    private static partial Regex IntegerBuffer();
}
