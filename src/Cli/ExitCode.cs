namespace TinyZsad.Cli;

/// <summary>Defines the exit codes of the tool.</summary>
internal static class ExitCode
{
    /// <summary>All was done.</summary>
    public const int Done = 0;

    /// <summary>The results are there, but a check failed or a file could not be saved.</summary>
    public const int CheckFailed = 1;

    /// <summary>An argument or an input was wrong. The other inputs were handled.</summary>
    public const int BadInput = 2;

    /// <summary>Interrupted, as by Ctrl+C: 128 and the number of SIGINT, as shells give it.</summary>
    public const int Cancelled = 130;

    /// <summary>Nobody reads the results any more: 128 and the number of SIGPIPE.</summary>
    public const int OutputClosed = 141;
}

/// <summary>The exception that is thrown when nobody reads the results any more.</summary>
internal sealed class OutputClosedException(Exception inner) : IOException("Nobody reads the results any more.", inner);

/// <summary>The exception that is thrown when the user requests something impossible. Only its message is shown.</summary>
internal sealed class UsageException(string message) : Exception(message);
