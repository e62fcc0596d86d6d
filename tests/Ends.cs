using System.Runtime.ExceptionServices;

namespace TinyZsad.Tests;

/// <summary>
/// Stops waiting for what hangs. It is no measure of time: the limit is a thousand times what anything here takes, so that a busy
/// machine never reaches it. How much work something is, is told by what it allocates or counts.
/// </summary>
internal static class Ends
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    /// <summary>Runs something on a thread of its own and gives its result, or its exception.</summary>
    public static T Eventually<T>(Func<T> work)
    {
        T result = default!;
        ExceptionDispatchInfo? error = null;
        Thread thread = new(() =>
        {
            try
            {
                result = work();
            }
            catch (Exception e)
            {
                error = ExceptionDispatchInfo.Capture(e);
            }
        }) { IsBackground = true };
        thread.Start();
        if (!thread.Join(Limit)) throw new TimeoutException($"It has not ended after {Limit.TotalMinutes} minutes.");
        error?.Throw();
        return result;
    }
}
