using System.Diagnostics;

namespace TinyZsad.Graph;

/// <summary>The time that each part of a plan took, summed over runs. One run at a time may write to it.</summary>
internal sealed class PlanProfile
{
    private readonly long[] ticks;
    private long last;

    /// <summary>An empty profile of a plan.</summary>
    public PlanProfile(Plan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        Plan = plan;
        ticks = new long[plan.Parts.Count];
    }

    /// <summary>Whose runs it measures.</summary>
    public Plan Plan { get; }

    /// <summary>How many runs it holds.</summary>
    public int Runs { get; private set; }

    /// <summary>One line a part, in order of execution.</summary>
    public IReadOnlyList<ProfileEntry> Entries =>
        [.. Plan.Parts.Select((p, i) => new ProfileEntry(p.Label, p.Kind,
            TimeSpan.FromSeconds((double)ticks[i] / Stopwatch.Frequency / Math.Max(Runs, 1)), p.Flops, p.Bytes))];

    /// <summary>A run begins.</summary>
    internal void Begin()
    {
        Runs++;
        last = Stopwatch.GetTimestamp();
    }

    /// <summary>A part has ended.</summary>
    internal void Mark(int part)
    {
        long now = Stopwatch.GetTimestamp();
        ticks[part] += now - last;
        last = now;
    }
}
