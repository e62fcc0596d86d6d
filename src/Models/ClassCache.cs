namespace TinyZsad.Models;

/// <summary>
/// Represents a cache of the embeddings of the most recently used classes. Concurrent callers of a class share one computation. A
/// computation that fails or is cancelled leaves no entry, and the next caller computes again. All members are thread safe.
/// </summary>
internal sealed class ClassCache
{
    /// <summary>The maximum number of classes; each takes 4 KiB.</summary>
    public const int Capacity = 256;

    private readonly Lock gate = new();
    private readonly Dictionary<string, LinkedListNode<Entry>> entries = new(StringComparer.Ordinal);
    private readonly LinkedList<Entry> order = new();

    private sealed class Entry(string name)
    {
        public string Name => name;

        /// <summary>Gets the semaphore of the caller that computes. It has no wait handle to dispose.</summary>
        public SemaphoreSlim Computing { get; } = new(1, 1);

        /// <summary>Gets or sets the embedding; null until it is computed. Guarded by the gate.</summary>
        public ClassEmbedding? Embedding { get; set; }

        /// <summary>Gets or sets the number of callers that compute or wait. Guarded by the gate.</summary>
        public int Callers { get; set; }
    }

    /// <summary>Returns whether the embedding of a class is in the cache.</summary>
    public bool Holds(string name)
    {
        lock (gate) return entries.TryGetValue(name, out LinkedListNode<Entry>? node) && node.Value.Embedding is not null;
    }

    /// <summary>Gets the embedding of a class, computed if the cache does not hold it.</summary>
    /// <param name="name">The class.</param>
    /// <param name="compute">Computes the embedding of the class.</param>
    /// <param name="cancellationToken">
    /// The token that cancels waiting for another caller's computation. Cancelling the computation itself is up to
    /// <paramref name="compute"/>.
    /// </param>
    /// <exception cref="OperationCanceledException">The wait is cancelled.</exception>
    public ClassEmbedding Get(string name, Func<string, ClassEmbedding> compute, CancellationToken cancellationToken)
    {
        Entry entry;
        lock (gate)
        {
            entry = entries.TryGetValue(name, out LinkedListNode<Entry>? node) ? node.Value : new Entry(name);
            Use(entry);
            if (entry.Embedding is { } known) return known;
            entry.Callers++;
        }
        try
        {
            entry.Computing.Wait(cancellationToken);
            try
            {
                return Computed(entry, compute);
            }
            finally
            {
                entry.Computing.Release();
            }
        }
        finally
        {
            lock (gate)
                if (--entry.Callers == 0 && entry.Embedding is null && IsHere(entry)) Remove(entry);
        }
    }

    private ClassEmbedding Computed(Entry entry, Func<string, ClassEmbedding> compute)
    {
        lock (gate)
            if (entry.Embedding is { } known) return known;
        ClassEmbedding embedding = compute(entry.Name);
        lock (gate)
        {
            entry.Embedding = embedding;
            // Other classes may have displaced the entry during the computation.
            Use(entry);
        }
        return embedding;
    }

    /// <summary>
    /// Makes an entry the most recently used one, which may displace the least recently used one. If the cache holds a newer entry of
    /// the same name, that one stays.
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
