namespace TinyZsad.Cli;

/// <summary>What the tool tells the shell.</summary>
internal static class ExitCode
{
    public const int Done = 0, CheckFailed = 1, BadInput = 2, Cancelled = 130;
}

/// <summary>The user asked for something that cannot be done; the message is all there is to say.</summary>
internal sealed class UsageException(string message) : Exception(message);
