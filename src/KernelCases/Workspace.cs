namespace TinyZsad.KernelCases;

/// <summary>Specifies the position of a block in its pages.</summary>
/// <param name="AtEnd">
/// Whether its last byte is the last one before an unreadable page. Otherwise the block starts after one.
/// </param>
/// <param name="Offset">
/// The distance from the unreadable page to the start of the block, in elements, so that every misalignment is tested.
/// </param>
internal readonly record struct Layout(bool AtEnd, int Offset)
{
    /// <summary>At the end (with the alignment given by the length), and 0 to 3 elements from the start.</summary>
    public static readonly Layout[] All = [new(true, 0), new(false, 0), new(false, 1), new(false, 2), new(false, 3)];

    public override string ToString() => AtEnd ? "at end" : $"offset {Offset}";
}

/// <summary>
/// Provides the memory of one kernel case: blocks in guarded pages, filled from a fixed seed, with a pattern around them that
/// <see cref="Untouched"/> checks.
/// </summary>
internal sealed unsafe class Workspace : IDisposable
{
    private const byte Pattern = 0xA7;
    private const int Fringe = 256;

    private readonly Dictionary<int, Stack<GuardedBuffer>> free = [];
    private readonly List<(GuardedBuffer Buffer, nint Start, nint Length)> used = [];
    private Layout layout;

    /// <summary>
    /// Gets whether the case is timed. Its memory is then as in a plan, without the gaps between rows that tests check, and one thread
    /// runs its items in order.
    /// </summary>
    public bool Timed { get; init; }

    /// <summary>Gets a generator that produces the same numbers for every layout of a case.</summary>
    public Random Random { get; private set; } = new(1);

    /// <summary>Releases all blocks.</summary>
    public void Reset(Layout next)
    {
        foreach ((GuardedBuffer buffer, _, _) in used)
            FreeOf(buffer.Pages).Push(buffer);
        used.Clear();
        layout = next;
        Random = new(1);
    }

    /// <summary>Allocates a block of <paramref name="n"/> elements without clearing it.</summary>
    public T* Block<T>(nint n) where T : unmanaged
    {
        nint bytes = n * sizeof(T);
        int pages = (int)((bytes + 4 * sizeof(T)) / Environment.SystemPageSize) + 1;
        Stack<GuardedBuffer> stack = FreeOf(pages);
        GuardedBuffer buffer = stack.Count > 0 ? stack.Pop() : new(pages);
        byte* p = layout.AtEnd ? buffer.End - bytes : buffer.Begin + layout.Offset * sizeof(T);
        Around(buffer, p, bytes, out Span<byte> before, out Span<byte> after);
        before.Fill(Pattern);
        after.Fill(Pattern);
        used.Add((buffer, (nint)p, bytes));
        return (T*)p;
    }

    /// <summary>Gets the distance of the rows of a matrix.</summary>
    /// <param name="cols">The number of columns.</param>
    /// <param name="gap">The elements between two rows in a test.</param>
    public int Stride(int cols, int gap) => !Timed ? cols + gap : cols % 1024 == 0 ? cols + 16 : cols;

    /// <summary>Allocates a block for pointers to other blocks.</summary>
    public float** Pointers(nint n) => (float**)Block<nint>(n);

    /// <summary>Allocates a block of floats, each computed from its index.</summary>
    public float* Floats(nint n, Func<nint, double> value)
    {
        float* p = Block<float>(n);
        for (nint i = 0; i < n; i++)
            p[i] = (float)value(i);
        return p;
    }

    /// <summary>Allocates normally distributed floats.</summary>
    public float* Normal(nint n, double deviation = 1, double mean = 0) =>
        Floats(n, _ =>
        {
            double radius = Math.Sqrt(-2 * Math.Log(1 - Random.NextDouble()));
            return mean + deviation * radius * Math.Cos(2 * Math.PI * Random.NextDouble());
        });

    /// <summary>Allocates a block for results and fills it with NaN, so that missing writes are detected.</summary>
    public float* Output(nint n) => Floats(n, _ => float.NaN);

    /// <summary>
    /// Allocates a block for results: a copy of <paramref name="x"/> for a kernel that works in place, otherwise NaN.
    /// </summary>
    public float* Result(float* x, nint n, bool inPlace) => inPlace ? Copy(x, n) : Output(n);

    /// <summary>Allocates a block with the same content.</summary>
    public T* Copy<T>(T* from, nint n) where T : unmanaged
    {
        T* to = Block<T>(n);
        new Span<T>(from, (int)n).CopyTo(new Span<T>(to, (int)n));
        return to;
    }

    /// <summary>
    /// Allocates a copy rounded to the given number of significant bits: 8 as in bfloat16 or 11 as in binary16. A test must be
    /// able to distinguish it from the original numbers.
    /// </summary>
    public float* Rounded(float* x, nint n, int bits)
    {
        uint step = 1u << (24 - bits);
        return Floats(n, i => BitConverter.UInt32BitsToSingle((BitConverter.SingleToUInt32Bits(x[i]) + step / 2) & ~(step - 1)));
    }

    /// <summary>Determines whether nothing was written outside the blocks.</summary>
    public bool Untouched()
    {
        foreach ((GuardedBuffer buffer, nint start, nint length) in used)
        {
            Around(buffer, (byte*)start, length, out Span<byte> before, out Span<byte> after);
            if (before.ContainsAnyExcept(Pattern) || after.ContainsAnyExcept(Pattern))
                return false;
        }
        return true;
    }

    public void Dispose()
    {
        Reset(default);
        foreach (Stack<GuardedBuffer> stack in free.Values)
        {
            foreach (GuardedBuffer buffer in stack)
                buffer.Dispose();
        }

        free.Clear();
    }

    private Stack<GuardedBuffer> FreeOf(int pages) =>
        free.TryGetValue(pages, out Stack<GuardedBuffer>? s) ? s : free[pages] = new();

    private static void Around(GuardedBuffer buffer, byte* p, nint bytes, out Span<byte> before, out Span<byte> after)
    {
        byte* from = (byte*)Math.Max((nint)buffer.Begin, (nint)p - Fringe);
        byte* to = (byte*)Math.Min((nint)buffer.End, (nint)p + bytes + Fringe);
        before = new(from, (int)(p - from));
        after = new(p + bytes, (int)(to - p - bytes));
    }
}
