using System.Diagnostics;

namespace TinyZsad.Graph;

/// <summary>Measures the time of each part of a plan, summed over runs. Only one run at a time may write to it.</summary>
internal sealed class PlanProfile
{
    private readonly long[] ticks;
    private long last;

    /// <summary>Initializes an empty profile of a plan.</summary>
    public PlanProfile(Plan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        Plan = plan;
        ticks = new long[plan.Parts.Count];
    }

    /// <summary>Gets the plan whose runs are measured.</summary>
    public Plan Plan { get; }

    /// <summary>Gets the number of measured runs.</summary>
    public int Runs { get; private set; }

    /// <summary>Gets one entry per part, in order of execution.</summary>
    public IReadOnlyList<ProfileEntry> Entries =>
        [.. Plan.Parts.Select((p, i) => new ProfileEntry(p.Label, p.Kind,
            TimeSpan.FromSeconds((double)ticks[i] / Stopwatch.Frequency / Math.Max(Runs, 1)), p.Flops, p.Bytes))];

    /// <summary>Marks the start of a run.</summary>
    internal void Begin()
    {
        Runs++;
        last = Stopwatch.GetTimestamp();
    }

    /// <summary>Marks the end of a part.</summary>
    internal void Mark(int part)
    {
        long now = Stopwatch.GetTimestamp();
        ticks[part] += now - last;
        last = now;
    }
}
