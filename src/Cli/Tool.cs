using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Globalization;

namespace TinyZsad.Cli;

/// <summary>Represents a command with its examples and its subcommands.</summary>
internal sealed record Documented(Command Command, IReadOnlyList<string> Examples, params IReadOnlyList<Documented> Parts);

/// <summary>Runs the whole tool: takes arguments, writes text, and returns an exit code.</summary>
internal static class Tool
{
    public const string Name = "tinyzsad";

    /// <summary>The time that an interrupted command has for cleaning up.</summary>
    private static readonly TimeSpan TidyTime = TimeSpan.FromSeconds(15);

    /// <summary>Runs a command line.</summary>
    /// <param name="args">The arguments, without the name of the program.</param>
    /// <param name="terminal">The terminal to write to.</param>
    /// <param name="cancellationToken">Cancels the command, as Ctrl+C does.</param>
    /// <returns>One of <see cref="ExitCode"/>.</returns>
    public static async Task<int> RunAsync(string[] args, Terminal terminal, CancellationToken cancellationToken = default)
    {
        // Programs read the results, so no number depends on the culture.
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        EmulatedGpu.Register();
        RootCommand root = Commands(terminal);
        // Response files are disabled, so that a path may start with '@'.
        ParserConfiguration plain = new() { ResponseFileTokenReplacer = null };
        ParseResult parsed = root.Parse(args.Length == 0 ? ["--help"] : args, plain);
        if (parsed.Errors.Count > 0)
        {
            terminal.Complain($"{parsed.Errors[0].Message} (see {Name} {WordsOf(parsed.CommandResult)}--help)");
            return ExitCode.BadInput;
        }
        InvocationConfiguration configuration = new()
        {
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = TidyTime,
            Output = terminal.Output,
            Error = terminal.Error,
        };
        try
        {
            return await parsed.InvokeAsync(configuration, cancellationToken);
        }
        catch (OutputClosedException)
        {
            return ExitCode.OutputClosed;
        }
        catch (IOException e)
        {
            // The help and the version are written outside of the actions of commands.
            terminal.Complain(e.Message);
            return ExitCode.BadInput;
        }
    }

    /// <summary>Sets the action of a command. An exception is reported as one line and an exit code.</summary>
    public static void SetAction(this Command command, Terminal terminal, Func<ParseResult, CancellationToken, int> run) =>
        command.SetAction((parsed, cancellationToken) => Task.Run(() =>
        {
            try
            {
                return run(parsed, cancellationToken);
            }
            catch (OperationCanceledException)
            {
                return ExitCode.Cancelled;
            }
            catch (Exception e) when (e is not OutputClosedException)
            {
                terminal.Complain(Explain(e));
                return ExitCode.BadInput;
            }
        }, CancellationToken.None));

    /// <summary>Describes an exception in one sentence.</summary>
    public static string Explain(Exception e) => PictureOptions.Translate(e switch
    {
        OutOfMemoryException => "there is not enough memory for it.",
        FileNotFoundException { FileName: { } name } when name.Contains('\uFFFD') =>
            $"{name}: the name is not UTF-8, so the file cannot be opened; rename it.",
        ArgumentException { ParamName: { } name } => e.Message.Replace($" (Parameter '{name}')", "").Split('\n')[0],
        TinyZsadException or UsageException or ArgumentException => e.Message,
        IOException or UnauthorizedAccessException or NotSupportedException => e.Message,
        _ => $"unexpected {e.GetType().Name}: {e.Message}",
    });

    /// <summary>Gets the words that call a command, such as "convert lizad ".</summary>
    private static string WordsOf(CommandResult result) =>
        result.Parent is CommandResult parent ? $"{WordsOf(parent)}{result.Command.Name} " : "";

    private static RootCommand Commands(Terminal terminal)
    {
        RootCommand root = new("Finds anomalies in pictures, with models that have never seen such pictures (zero-shot).")
        {
            HelpName = Name,
        };
        Documented[] commands =
        [
            DetectCommand.Create(terminal), InspectCommand.Create(terminal), VerifyCommand.Create(terminal),
            BenchCommand.Create(terminal), ConvertCommand.Create(terminal), EmbedCommand.Create(terminal),
            SeedCommand.Create(terminal), DevicesCommand.Create(terminal),
        ];
        foreach (Documented documented in commands) root.Add(documented.Command);

        Dictionary<Command, IReadOnlyList<string>> examples = commands
            .SelectMany(c => c.Parts.Prepend(c)).ToDictionary(c => c.Command, c => c.Examples);
        examples[root] = [.. commands.Select(c => c.Examples[0])];
        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpWithExamples((HelpAction)help.Action!, examples);
        return root;
    }

    private sealed class HelpWithExamples(HelpAction help, Dictionary<Command, IReadOnlyList<string>> examples)
        : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            int code = help.Invoke(parseResult);
            TextWriter output = parseResult.InvocationConfiguration.Output;
            output.WriteLine("Examples:");
            foreach (string example in examples[parseResult.CommandResult.Command]) output.WriteLine($"  {Name} {example}");
            return code;
        }
    }
}
