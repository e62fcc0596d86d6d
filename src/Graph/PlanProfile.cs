using System.Diagnostics;

namespace TinyZsad.Graph;

/// <summary>The time that each part of a plan took, summed over runs. One run at a time may write to it.</summary>
public sealed class PlanProfile
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

/// <summary>What one part of a plan cost.</summary>
/// <param name="Label">Where in the network: the weights' names, or the block.</param>
/// <param name="Kind">The operations.</param>
/// <param name="Time">Mean time of a run.</param>
/// <param name="Flops">Floating-point operations, two a multiply-add.</param>
/// <param name="Bytes">Bytes read and written, weights included, each counted once.</param>
public sealed record ProfileEntry(string Label, string Kind, TimeSpan Time, long Flops, long Bytes);
