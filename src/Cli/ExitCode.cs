namespace TinyZsad.Cli;

/// <summary>Defines the exit codes of the tool.</summary>
internal static class ExitCode
{
    public const int Done = 0, CheckFailed = 1, BadInput = 2, Cancelled = 130;
}

/// <summary>The exception that is thrown when the user requests something impossible. Only its message is shown.</summary>
internal sealed class UsageException(string message) : Exception(message);
