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
    /// The prefixes of a state dict, by preference: none, or the keys of training scripts. PyTorch Lightning adds the name of the
    /// attribute that holds the network. Averaged weights (EMA) are used only if there are no others.
    /// </summary>
    private static readonly string[] Wrappers =
    [
        "", "model_state_dict.", "state_dict.", "state_dict.model.", "state_dict.net.", "model.", "net.", "model_ema.",
        "state_dict_ema.",
    ];

    /// <summary>The parts of names that DistributedDataParallel and torch.compile add, nested in any way and anywhere.</summary>
    private static readonly string[] Modules = ["module", "_orig_mod"];

    /// <summary>The maximum number of groups of left-out tensors with the same first part of the name.</summary>
    private const int MaxGroups = 8;

    private readonly Checkpoint checkpoint;
    private readonly Dictionary<string, CheckpointTensor> tensors; // by their names without Modules
    private readonly string prefix;
    private readonly string? better;
    private readonly HashSet<string> used = new(StringComparer.Ordinal);
    private readonly HashSet<string> known = new(StringComparer.Ordinal);

    private StateDict(Checkpoint checkpoint, Dictionary<string, CheckpointTensor> tensors, string prefix, string? better)
    {
        this.checkpoint = checkpoint;
        this.tensors = tensors;
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
        Dictionary<string, CheckpointTensor> tensors = new(StringComparer.Ordinal);
        foreach (CheckpointTensor tensor in checkpoint.Tensors)
        {
            // A tensor that has the name itself comes before one that has it within modules.
            string plain = Plain(tensor.Name);
            if (plain == tensor.Name) tensors[plain] = tensor;
            else tensors.TryAdd(plain, tensor);
        }

        foreach (string wrapper in Wrappers)
        {
            foreach (string inner in within.Prepend(""))
            {
                if (tensors.ContainsKey($"{wrapper}{inner}{marker}"))
                    return new StateDict(checkpoint, tensors, $"{wrapper}{inner}", wrapper == "model." ? $"best.{inner}" : null);
            }
        }

        return null;
    }

    /// <summary>Gets a name without the parts that wrappers of modules add.</summary>
    private static string Plain(string name) => Modules.Any(m => name.Contains($"{m}.", StringComparison.Ordinal))
        ? string.Join('.', name.Split('.').Where(part => !Modules.Contains(part)))
        : name;

    /// <summary>Creates the error of a checkpoint that does not hold a network.</summary>
    public static ModelFormatException NotFound(Checkpoint checkpoint, string network, string markers)
    {
        string holds = checkpoint.Tensors.Count == 0
            ? "it holds no tensor at all"
            : $"its tensors are {string.Join(", ", checkpoint.Tensors.Take(3).Select(t => Shown.Quote(t.Name)))}"
                + (checkpoint.Tensors.Count > 3 ? $" and {checkpoint.Tensors.Count - 3} others" : "");
        // A whole module, pickled with its class, is the most likely object to hold the weights.
        string skipped = checkpoint.Skipped.Count == 0 ? "" : "; objects of classes that are not known were skipped "
            + $"({string.Join("; ", checkpoint.Skipped)}). If the weights are in one, save them alone, where its program is at hand: "
            + "torch.save(model.state_dict(), FILE)";
        return new ModelFormatException(
            checkpoint.Name, $"this is no checkpoint of {network}: it has no tensor {markers}, neither at the top nor under "
            + $"{string.Join(", ", Wrappers.Skip(1).Select(w => w.TrimEnd('.')))}; {holds}{skipped}.");
    }

    /// <summary>Gets the path of the checkpoint, for messages.</summary>
    public string File => checkpoint.Name;

    /// <summary>Creates the error of a tensor.</summary>
    /// <param name="tensor">The tensor's full name in the checkpoint.</param>
    /// <param name="what">What is wrong, without a full stop.</param>
    public ModelFormatException Error(string tensor, string what) => new(File, $"{what}.") { Tensor = tensor };

    /// <summary>Gets a value that indicates whether the network has a tensor.</summary>
    public bool Has(string name) => tensors.ContainsKey(prefix + name);

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
        while (tensors.Keys.Any(t => t.StartsWith($"{prefix}{name}.{n}.", StringComparison.Ordinal))) n++;
        return n;
    }

    /// <summary>Gets the names of the network that begin with a name.</summary>
    public IEnumerable<string> NamesBelow(string name) =>
        tensors.Keys.Where(t => t.StartsWith(prefix + name, StringComparison.Ordinal)).Select(t => t[prefix.Length..]);

    /// <summary>
    /// Checks that each floating-point tensor is used or known not to be needed. An unknown tensor belongs to another network.
    /// </summary>
    /// <param name="network">The name of the network, for the message.</param>
    /// <param name="within">The prefix of the tensors to check.</param>
    /// <param name="superfluous">Returns whether inference does not need a tensor.</param>
    /// <exception cref="ModelFormatException">There is an unknown tensor.</exception>
    public void RefuseOthers(string network, string within, Func<string, bool> superfluous)
    {
        foreach ((string name, CheckpointTensor t) in tensors)
        {
            if (t.IsFloat && name.StartsWith(prefix + within, StringComparison.Ordinal)
                && !known.Contains(name[prefix.Length..]) && !superfluous(name[prefix.Length..]))
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
            .Select(t => (Tensor: t, Name: Plain(t.Name))).Select(t => (t.Tensor, Wrapper(t.Name), t.Name[Wrapper(t.Name).Length..]))];
        // The state of an optimizer has hundreds of numbered entries, which become one group.
        HashSet<string> crowded = [.. unused.Select(u => Group(u.Name)).Distinct().GroupBy(First)
            .Where(g => g.Count() > MaxGroups).Select(g => g.Key)];
        return unused.GroupBy(u => u.Wrapper + (crowded.Contains(First(u.Name)) ? $"{First(u.Name)}.*" : Group(u.Name)))
            .Select(g => new LeftOutTensors(
                part, g.Count() == 1 ? g.First().Tensor.Name : g.Key, g.Count(),
                // Tensors that repeat elements may have any number of them.
                (long)Int128.Min(long.MaxValue, g.Aggregate((Int128)0, (sum, u) => sum + u.Tensor.ElementCount))));

        static string First(string name) => name.Split('.')[0];
    }

    private bool TryGet(string name, [MaybeNullWhen(false)] out CheckpointTensor tensor) =>
        (better is not null && tensors.TryGetValue(better + name, out tensor)) || tensors.TryGetValue(prefix + name, out tensor);

    /// <summary>Gets the group of a name: "visual.*" for "visual.trunk.stem.0.weight", "layer.11.*" for "layer.11.norm1.weight".</summary>
    private static string Group(string name) =>
        IntegerBuffer().Match(name) is { Success: true } buffer ? $"*.{buffer.Value}"
        : GroupName().Match(name) is { Success: true } group ? $"{group.Value}*" : name;

    [GeneratedRegex(@"^[^.]+\.(\d+\.)?")]
    private static partial Regex GroupName();

    [GeneratedRegex("(num_batches_tracked|attention_bias_idxs)$")]
    private static partial Regex IntegerBuffer();
}
