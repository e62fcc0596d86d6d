namespace TinyZsad.Imaging;

/// <summary>Calls <paramref name="body"/> for 0 to <paramref name="count"/> - 1, on any threads, and returns when all calls have.</summary>
internal delegate void ParallelFor(int count, Action<int> body);
