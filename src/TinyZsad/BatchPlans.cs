using TinyZsad.Graph;

namespace TinyZsad;

/// <summary>Compiles the plans that compute several pictures together, each when it is first needed. Thread safe.</summary>
/// <param name="single">The plan of one picture, which its owner disposes.</param>
/// <param name="compile">Compiles the plan of a number of pictures.</param>
internal sealed class BatchPlans(Plan single, Func<int, Plan> compile) : IDisposable
{
    private readonly Dictionary<int, Plan> plans = [];

    /// <summary>Gets the plan of a number of pictures.</summary>
    public Plan this[int count]
    {
        get
        {
            if (count == 1) return single;
            lock (plans)
            {
                if (!plans.TryGetValue(count, out Plan? known)) plans[count] = known = compile(count);
                return known;
            }
        }
    }

    /// <summary>Frees the memory of idle runs of the plans of several pictures.</summary>
    public void Trim()
    {
        lock (plans)
        {
            foreach (Plan plan in plans.Values) plan.Trim();
        }
    }

    /// <summary>Disposes of the plans of several pictures.</summary>
    public void Dispose()
    {
        foreach (Plan plan in plans.Values) plan.Dispose();
    }
}
