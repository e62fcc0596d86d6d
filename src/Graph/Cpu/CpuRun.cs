using System.Diagnostics;
using System.Runtime.InteropServices;

namespace TinyZsad.Graph;

/// <summary>
/// One use of a plan: an arena and what the threads need besides. Rented from <see cref="CpuPlan.Rent"/>; used by one caller at a
/// time. Executing it allocates nothing.
/// </summary>
// Dispose gives the run back for further use; only Free ends its life, and it suppresses the finalizer.
#pragma warning disable CA1816
public sealed unsafe class CpuRun : IDisposable
{
    private const int Never = int.MaxValue;

    /// <summary>Counters lie a cache line apart, or the threads would fight for the line.</summary>
    private const int CounterStride = 16;

    private readonly CpuPlan plan;
    private readonly Action<int, int> work;
    private readonly Frame frame;
    private readonly Step[][] phases;
    private readonly int[] taken;
    private readonly int[] arrived;
    private readonly Lock receiving = new();
    private byte* memory;
    private readonly float* scratch;
    private readonly nint scratchStride;

    private TapReceiver? receiver;
    private PlanProfile? profile;
    private CancellationToken cancellation;
    private Exception? failure;
    private int stopAfter;
    private int rented;

    internal CpuRun(CpuPlan plan, int threads)
    {
        this.plan = plan;
        Threads = threads;
        work = Work;
        phases = [.. plan.Phases.Select(p => p.Steps.ToArray())];
        taken = new int[phases.Sum(p => p.Length) * threads * CounterStride];
        arrived = new int[phases.Length * CounterStride];
        scratchStride = (plan.ScratchFloats + 31) / 16 * 16;
        memory = RunMemory.Allocate((nuint)(plan.ArenaBytes + threads * scratchStride * sizeof(float)));
        frame = new Frame(memory, plan.Offsets);
        scratch = (float*)(memory + plan.ArenaBytes);
    }

    internal int Threads { get; }

    /// <summary>An input of pixels, to be filled before <see cref="Execute"/>.</summary>
    public Span<byte> Bytes(string input) => new(frame.Bytes(Input(input, ValueKind.Byte)), Count(plan.Graph.Inputs[input]));

    /// <summary>An input of integers, to be filled before <see cref="Execute"/>.</summary>
    public Span<int> Ints(string input) => new(frame.Ints(Input(input, ValueKind.Int)), Count(plan.Graph.Inputs[input]));

    /// <summary>An input of floats, to be filled before <see cref="Execute"/>.</summary>
    public Span<float> Floats(string input) => new(frame.Floats(Input(input, ValueKind.Float)), Count(plan.Graph.Inputs[input]));

    /// <summary>An output, row-major, valid after <see cref="Execute"/> until the run is executed again or given back.</summary>
    public ReadOnlySpan<float> Output(string name)
    {
        ThrowIfGivenBack();
        return new(frame.Floats(plan.Graph.Outputs[name]), Count(plan.Graph.Outputs[name]));
    }

    /// <summary>Runs the plan. Results do not depend on the number of threads.</summary>
    /// <param name="team">Who computes.</param>
    /// <param name="receiver">Is handed the plan's taps.</param>
    /// <param name="profile">Takes the time of every phase.</param>
    /// <param name="cancellation">Looked at after every phase.</param>
    /// <exception cref="OperationCanceledException">It was cancelled; the run can be used again.</exception>
    public void Execute(
        ThreadTeam team, TapReceiver? receiver = null, PlanProfile? profile = null, CancellationToken cancellation = default)
    {
        cancellation.ThrowIfCancellationRequested();
        ThrowIfGivenBack();
        plan.ThrowIfDisposed();
        if (team.Size > Threads)
            throw new ArgumentException(
                $"The run was rented for {Threads} threads, and is given a team of {team.Size}.", nameof(team));
        this.receiver = receiver;
        this.profile = profile;
        this.cancellation = cancellation;
        failure = null;
        stopAfter = Never;
        Array.Clear(taken);
        Array.Clear(arrived);
        profile?.Begin();
        team.Run(work);
        this.receiver = null;
        if (failure is not null) throw new InvalidOperationException($"A step failed: {failure.Message}", failure);
        if (stopAfter != Never) cancellation.ThrowIfCancellationRequested();
    }

    /// <summary>Gives the run back to its plan; once is enough, and further calls do nothing.</summary>
    public void Dispose()
    {
        // Given back twice, it would be rented to two callers at once.
        if (Interlocked.Exchange(ref rented, 0) != 0) plan.Return(this);
    }

    internal CpuRun Rented()
    {
        Volatile.Write(ref rented, 1);
        return this;
    }

    /// <summary>Frees its memory for good.</summary>
    internal void Free()
    {
        RunMemory.Free(memory);
        memory = null;
        GC.SuppressFinalize(this);
    }

    /// <summary>A run that is never given back frees its memory when it is collected.</summary>
    ~CpuRun() => Free();

    /// <summary>
    /// What every thread of the team does: take items of a phase until none is left, wait for the others, go on. Each group of a
    /// step's items is as many stretches as there are threads. A thread goes through its own stretch of the first group, then of
    /// the second and so on, and then helps out with those of others.
    /// </summary>
    private void Work(int worker, int workers)
    {
        float* own = scratch + worker * scratchStride;
        int counter = 0;
        for (int p = 0; p < phases.Length; p++)
        {
            try
            {
                foreach (Step step in phases[p])
                {
                    int previous = -1, groups = step.Groups, itemsOfGroup = step.Items / groups;
                    for (int i = 0; i < workers; i++)
                    {
                        int stretch = (worker + i) % workers;
                        int begin = Share(itemsOfGroup, stretch, workers);
                        int length = Share(itemsOfGroup, stretch + 1, workers) - begin;
                        ref int next = ref taken[(counter + stretch) * CounterStride];
                        for (int n; (n = Interlocked.Increment(ref next) - 1) < groups * length;)
                        {
                            int item = n / length * itemsOfGroup + begin + n % length;
                            step.Run(frame, item, previous, own);
                            previous = item;
                            if (step is TapStep tap) HandOut(tap);
                        }
                    }
                    counter += workers;
                }
            }
            catch (Exception e)
            {
                // Nothing may leave a thread of the team: the others would wait for it for ever.
                failure = e;
                Volatile.Write(ref stopAfter, Math.Min(p, stopAfter));
            }
            if (worker == 0 && cancellation.IsCancellationRequested) Volatile.Write(ref stopAfter, Math.Min(p, stopAfter));

            Interlocked.Increment(ref arrived[p * CounterStride]);
            Spin.Until(ref arrived[p * CounterStride], workers);
            if (worker == 0) profile?.Mark(p);

            // Compared with the phase, not with "never": a faster thread may already have stopped a later one, and waits there
            // for this one.
            if (Volatile.Read(ref stopAfter) <= p) return;
        }
    }

    /// <summary>Where a stretch begins.</summary>
    private static int Share(int items, int stretch, int workers) => (int)((long)items * stretch / workers);

    private void HandOut(TapStep tap)
    {
        if (receiver is not { } to) return;
        lock (receiving) to(tap.Tap, tap.Read(frame));
    }

    private void ThrowIfGivenBack() => ObjectDisposedException.ThrowIf(Volatile.Read(ref rented) == 0, this);

    private Value Input(string name, ValueKind type)
    {
        ThrowIfGivenBack();
        Value value = plan.Graph.Inputs[name];
        return value.Type == type
            ? value
            : throw new ArgumentException($"Input '{name}' holds {value.Type} elements, not {type}.");
    }

    private static int Count(Value value) => checked(value.Rows * value.Columns);
}

/// <summary>The time that each phase of a plan took, summed over runs. One run at a time may write to it.</summary>
public sealed class PlanProfile
{
    private readonly CpuPlan plan;
    private readonly long[] ticks;
    private long last;

    /// <summary>An empty profile of a plan.</summary>
    public PlanProfile(CpuPlan plan)
    {
        this.plan = plan;
        ticks = new long[plan.Phases.Count];
    }

    /// <summary>How many runs it holds.</summary>
    public int Runs { get; private set; }

    /// <summary>One line a phase, in order of execution.</summary>
    public IReadOnlyList<ProfileEntry> Entries =>
        [.. plan.Phases.Select((p, i) => new ProfileEntry(
            string.Join(" + ", p.Steps.Select(s => s.Label).Distinct()),
            string.Join(" + ", p.Steps.Select(s => s.Kind).Distinct()),
            TimeSpan.FromSeconds((double)ticks[i] / Stopwatch.Frequency / Math.Max(Runs, 1)), p.Flops, p.Bytes))];

    internal void Begin()
    {
        Runs++;
        last = Stopwatch.GetTimestamp();
    }

    internal void Mark(int phase)
    {
        long now = Stopwatch.GetTimestamp();
        ticks[phase] += now - last;
        last = now;
    }
}

/// <summary>What one phase of a plan cost.</summary>
/// <param name="Label">Where in the network: the weights' names, or the block.</param>
/// <param name="Kind">The operations.</param>
/// <param name="Time">Mean time of a run.</param>
/// <param name="Flops">Floating-point operations, two a multiply-add.</param>
/// <param name="Bytes">Bytes read and written, weights included, each counted once.</param>
public sealed record ProfileEntry(string Label, string Kind, TimeSpan Time, long Flops, long Bytes);
