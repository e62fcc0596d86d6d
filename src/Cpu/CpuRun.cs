using System.Runtime.ExceptionServices;
using TinyZsad.Graph;

namespace TinyZsad.Cpu;

/// <summary>
/// Represents a run on the CPU: an arena and the scratch memory and counters of the threads. An execution allocates nothing.
/// </summary>
internal sealed unsafe class CpuRun : Run
{
    private const int Never = int.MaxValue;

    /// <summary>The distance between counters: one cache line each, to avoid false sharing.</summary>
    private const int CounterStride = 16;

    private readonly CpuPlan plan;
    private readonly Action<int, int> work;
    private readonly Frame frame;
    private readonly Step[][] phases;
    private readonly int[] taken;
    private readonly int[] arrived;
    private readonly Lock receiving = new();
    private readonly nuint bytes;
    private byte* memory;
    private readonly float* scratch;
    private readonly nint scratchStride;

    private TapReceiver? receiver;
    private PlanProfile? profile;
    private CancellationToken cancellationToken;
    private Exception? failure;
    private int stopAfter;

    internal CpuRun(CpuPlan plan) : base(plan)
    {
        this.plan = plan;
        work = Work;
        phases = [.. plan.Phases.Select(p => p.Steps.ToArray())];
        int threads = plan.Team.Size;
        taken = new int[phases.Sum(p => p.Length) * threads * CounterStride];
        arrived = new int[phases.Length * CounterStride];
        scratchStride = (plan.ScratchFloats + 31) / 16 * 16;
        bytes = (nuint)(plan.ArenaBytes + threads * scratchStride * sizeof(float));
        memory = RunMemory.Allocate(bytes);
        frame = new Frame(memory, plan.Layout);
        scratch = (float*)(memory + plan.ArenaBytes);
    }

    /// <summary>Gets the memory of an input or output. Inputs and outputs are contiguous.</summary>
    protected override Span<byte> HostMemory(Value value) => new(frame.Bytes(value), checked((int)plan.Layout.Bytes(value)));

    protected override void Compute(
        TapReceiver? receiver, PlanProfile? profile, bool singleThread, CancellationToken cancellationToken)
    {
        this.receiver = receiver;
        this.profile = profile;
        this.cancellationToken = cancellationToken;
        failure = null;
        stopAfter = Never;
        Array.Clear(taken);
        Array.Clear(arrived);
        profile?.Begin();
        if (singleThread) work(0, 1);
        else plan.Team.Run(work);
        this.receiver = null;
        if (failure is not null) ExceptionDispatchInfo.Throw(failure);
        if (stopAfter != Never) cancellationToken.ThrowIfCancellationRequested();
    }

    protected override void Free()
    {
        RunMemory.Free(memory, bytes);
        memory = null;
    }

    /// <summary>
    /// Executes the phases on one thread of the team. In each phase, a thread takes items until none is left, and then waits for
    /// the other threads (a barrier). Each group of a step's items is divided into as many ranges as there are threads. A thread
    /// processes its own range of the first group, then its range of the second group and so on. Afterward it takes items from
    /// the ranges of other threads (work stealing).
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
                // An exception must not leave a thread of the team, because the other threads would wait for it forever.
                failure = e;
                Volatile.Write(ref stopAfter, Math.Min(p, stopAfter));
            }
            if (worker == 0 && cancellationToken.IsCancellationRequested) Volatile.Write(ref stopAfter, Math.Min(p, stopAfter));

            Interlocked.Increment(ref arrived[p * CounterStride]);
            Spin.Until(ref arrived[p * CounterStride], workers);
            if (worker == 0) profile?.Mark(p);

            // The value is compared with this phase, because a faster thread may already have stopped a later phase, where it
            // waits for this thread.
            if (Volatile.Read(ref stopAfter) <= p) return;
        }
    }

    /// <summary>Computes the first item of a range.</summary>
    private static int Share(int items, int stretch, int workers) => (int)((long)items * stretch / workers);

    private void HandOut(TapStep tap)
    {
        if (receiver is not { } to) return;
        lock (receiving) to(tap.Tap, tap.Read(frame));
    }
}
