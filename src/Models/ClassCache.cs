namespace TinyZsad.Models;

/// <summary>
/// The embeddings of the classes used last. Each is computed once, even if several threads ask for it at once; a computation that
/// fails or is cancelled leaves nothing behind, and the next to ask tries again. Thread safe.
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
            entry = entries.TryGetValue(name, out LinkedListNode<Entry>? node) ? node.Value : new Entry(name);
            Use(entry);
        }
        lock (entry.Computing)
        {
            if (entry.Embedding is { } known) return known;
            try
            {
                entry.Embedding = compute(name);
            }
            catch
            {
                lock (gate)
                    if (IsHere(entry)) Remove(entry);
                throw;
            }
            // Whoever failed before this one has taken the entry away.
            lock (gate) Use(entry);
            return entry.Embedding;
        }
    }

    /// <summary>
    /// Makes an entry the one used last; the one used longest ago may have to go. A younger one of its name stays instead.
    /// </summary>
    private void Use(Entry entry)
    {
        if (IsHere(entry)) order.Remove(entries[entry.Name]);
        else if (entries.ContainsKey(entry.Name)) return;
        entries[entry.Name] = order.AddFirst(entry);
        if (order.Count > Capacity) Remove(order.Last!.Value);
    }

    private void Remove(Entry entry)
    {
        order.Remove(entries[entry.Name]);
        entries.Remove(entry.Name);
    }

    private bool IsHere(Entry entry) => entries.TryGetValue(entry.Name, out LinkedListNode<Entry>? node) && node.Value == entry;
}
