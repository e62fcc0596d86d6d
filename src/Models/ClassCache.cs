namespace TinyZsad.Models;

/// <summary>
/// The embeddings of the classes used last. Each is computed once, even if several threads ask for it at once; a computation that fails or is
/// cancelled leaves nothing behind, and the next to ask tries again. Thread safe.
/// </summary>
internal sealed class ClassCache
{
    /// <summary>Classes kept; 4 KiB each.</summary>
    public const int Capacity = 256;

    private readonly Lock gate = new();
    private readonly Dictionary<string, LinkedListNode<Entry>> entries = new(StringComparer.Ordinal);
    private readonly LinkedList<Entry> order = new();

    private sealed class Entry(string name)
    {
        public string Name => name;
        public Lock Computing { get; } = new();
        public ClassEmbedding? Embedding { get; set; }
    }

    /// <summary>The embedding of a class, computed if it is not here.</summary>
    public ClassEmbedding Get(string name, Func<string, ClassEmbedding> compute)
    {
        Entry entry;
        lock (gate)
        {
            if (entries.TryGetValue(name, out LinkedListNode<Entry>? node)) order.Remove(node);
            else entries[name] = node = new LinkedListNode<Entry>(new Entry(name));
            order.AddFirst(node);
            if (order.Count > Capacity)
            {
                entries.Remove(order.Last!.Value.Name);
                order.RemoveLast();
            }
            entry = node.Value;
        }
        lock (entry.Computing) return entry.Embedding ??= compute(name);
    }
}
