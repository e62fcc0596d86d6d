using System.Text;
using Spectre.Console;

namespace TinyZsad.Cli;

/// <summary>
/// Where the tool writes: results to one side, everything else to the other. Colours, and progress, only where a person looks on.
/// </summary>
internal sealed class Terminal
{
    /// <summary>Results have no edge to wrap at: a terminal wraps lines better than a table its cells.</summary>
    private const int Endless = 10_000;

    private readonly IAnsiConsole results;
    private readonly IAnsiConsole log;
    private readonly bool watchedOutput;
    private readonly bool watchedError;

    /// <summary>Writes to given writers.</summary>
    /// <param name="output">For results.</param>
    /// <param name="error">For everything else.</param>
    /// <param name="watchedOutput">Whether a person looks at the results: colours.</param>
    /// <param name="watchedError">Whether a person looks at the rest: colours and progress.</param>
    public Terminal(TextWriter output, TextWriter error, bool watchedOutput = false, bool watchedError = false)
    {
        Output = output;
        Error = error;
        results = Open(output, watchedOutput);
        results.Profile.Width = Endless;
        log = Open(error, watchedError);
        this.watchedOutput = watchedOutput;
        this.watchedError = watchedError;
    }

    /// <summary>The process's own; NO_COLOR (no-color.org) makes it as plain as a pipe.</summary>
    public static Terminal OfConsole()
    {
        bool plain = !string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));
        bool output = !plain && !Console.IsOutputRedirected, error = !plain && !Console.IsErrorRedirected;
        return new Terminal(Console.Out, Console.Error, output, error);
    }

    /// <summary>For results that are text: JSON, CSV.</summary>
    public TextWriter Output { get; }

    /// <summary>For the help of the argument parser.</summary>
    public TextWriter Error { get; }

    /// <summary>Prints a result.</summary>
    public void Show(Table table)
    {
        if (watchedOutput)
        {
            results.Write(table);
            return;
        }
        // Spectre fills the last column up with blanks, which nobody needs in a file.
        using StringWriter text = new();
        Open(text, watched: false).Write(table);
        foreach (ReadOnlySpan<char> line in text.ToString().TrimEnd().AsSpan().EnumerateLines()) Output.WriteLine(line.TrimEnd());
    }

    /// <summary>Prints an empty line between results.</summary>
    public void Space() => results.WriteLine();

    /// <summary>Prints a line among the results.</summary>
    public void Show(string line, Style? style = null)
    {
        results.Write(new Text(Printable(line), style));
        results.WriteLine();
    }

    /// <summary>Says what went wrong.</summary>
    public void Complain(string message) => Say("error: ", Color.Red, message);

    /// <summary>Says what the user should know and did not ask for.</summary>
    public void Note(string message) => Say("note: ", Color.Yellow, message);

    /// <summary>Does something that takes its time, with a spinner where a person looks on.</summary>
    public T Wait<T>(string what, Func<T> work) => watchedError ? log.Status().Start(Markup.Escape(what), _ => work()) : work();

    /// <summary>Does something step by step, with a bar where a person looks on and no results pass by.</summary>
    /// <param name="what">What is done.</param>
    /// <param name="steps">How many steps there are.</param>
    /// <param name="resultsAsTheyCome">Whether results are printed on the way, and show by themselves how far it is.</param>
    /// <param name="work">The work; it calls its argument after each step.</param>
    public void Track(string what, int steps, bool resultsAsTheyCome, Action<Action> work)
    {
        if (!watchedError || steps < 2 || (resultsAsTheyCome && watchedOutput))
        {
            work(() => { });
        }
        else
        {
            log.Progress()
                .AutoClear(true)
                .Columns(new SpinnerColumn(), new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(),
                    new RemainingTimeColumn())
                .Start(progress =>
                {
                    ProgressTask task = progress.AddTask(Markup.Escape(what), maxValue: steps);
                    work(() => task.Increment(1));
                });
        }
    }

    /// <summary>Text from a file or a path on one line, without what would steer a terminal.</summary>
    public static string Printable(string text)
    {
        if (!text.Any(char.IsControl)) return text;
        StringBuilder shown = new(text.Length);
        foreach (char c in text) shown.Append(c is '\r' or '\n' or '\t' ? ' ' : char.IsControl(c) ? '\uFFFD' : c);
        return shown.ToString();
    }

    private void Say(string what, Color colour, string message)
    {
        log.Write(new Text(what, new Style(colour)));
        log.Write(new Text(Printable(message)));
        log.WriteLine();
    }

    private static IAnsiConsole Open(TextWriter writer, bool watched)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = watched ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = watched ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = watched ? InteractionSupport.Detect : InteractionSupport.No,
            Enrichment = new ProfileEnrichment { UseDefaultEnrichers = false },
        });
        if (!watched) console.Profile.Width = Endless;
        return console;
    }
}
