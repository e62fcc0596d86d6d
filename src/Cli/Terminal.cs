using System.Text;
using Spectre.Console;

namespace TinyZsad.Cli;

/// <summary>
/// Writes results to one stream and everything else to the other. Colors and progress are used only if a person watches the
/// stream.
/// </summary>
internal sealed class Terminal
{
    /// <summary>
    /// The width of output that is not wrapped. A terminal wraps long lines better than a table wraps its cells.
    /// </summary>
    private const int Endless = 10_000;

    private readonly IAnsiConsole results;
    private readonly IAnsiConsole log;
    private readonly bool watchedOutput;
    private readonly bool watchedError;
    private readonly Func<Stream> openInput;
    private ProgressContext? running;

    /// <summary>Initializes a terminal with the given writers.</summary>
    /// <param name="output">The writer for results.</param>
    /// <param name="error">The writer for everything else.</param>
    /// <param name="watchedOutput">Whether a person watches the results, so that they are colored.</param>
    /// <param name="watchedError">Whether a person watches the rest, so that it is colored and shows progress.</param>
    /// <param name="openInput">Opens standard input; null for an empty one.</param>
    public Terminal(TextWriter output, TextWriter error, bool watchedOutput = false, bool watchedError = false,
        Func<Stream>? openInput = null)
    {
        this.openInput = openInput ?? (() => Stream.Null);
        Output = output;
        Error = error;
        results = Open(output, watchedOutput);
        results.Profile.Width = Endless;
        log = Open(error, watchedError);
        this.watchedOutput = watchedOutput;
        this.watchedError = watchedError;
    }

    /// <summary>Creates the terminal of the process. NO_COLOR (no-color.org) makes the output as plain as in a pipe.</summary>
    public static Terminal OfConsole()
    {
        bool plain = !string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));
        bool output = !plain && !Console.IsOutputRedirected, error = !plain && !Console.IsErrorRedirected;
        return new Terminal(StandardOutput.Open(), Console.Error, output, error, Console.OpenStandardInput);
    }

    /// <summary>Opens standard input.</summary>
    public Stream OpenInput() => openInput();

    /// <summary>Gets the writer for textual results: JSON and CSV.</summary>
    public TextWriter Output { get; }

    /// <summary>Gets the writer for the error messages of the argument parser.</summary>
    public TextWriter Error { get; }

    /// <summary>Prints a table.</summary>
    public void Show(Table table)
    {
        if (watchedOutput)
        {
            results.Write(table);
            return;
        }
        // Spectre pads the last column with spaces, which are not wanted in a file.
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

    /// <summary>Prints an error message.</summary>
    public void Complain(string message) => Say("error: ", Color.Red, message);

    /// <summary>Prints a note that the user did not ask for but should see.</summary>
    public void Note(string message) => Say("note: ", Color.Yellow, message);

    /// <summary>Runs a lengthy operation, with a spinner if a person watches.</summary>
    public T Wait<T>(string what, Func<T> work) => watchedError ? log.Status().Start(Markup.Escape(what), _ => work()) : work();

    /// <summary>
    /// Runs an operation step by step, with a progress bar if a person watches and no results are printed meanwhile.
    /// </summary>
    /// <param name="what">The description of the operation.</param>
    /// <param name="steps">The number of steps.</param>
    /// <param name="resultsAsTheyCome">Whether results are printed during the operation and show the progress themselves.</param>
    /// <param name="work">The operation. It calls its argument after each step.</param>
    public void Track(string what, int steps, bool resultsAsTheyCome, Action<Action> work)
    {
        if (!watchedError || steps < 2 || (resultsAsTheyCome && watchedOutput))
        {
            work(() => { });
        }
        else
        {
            ShowProgress(progress =>
            {
                ProgressTask task = progress.AddTask(Markup.Escape(what), maxValue: steps);
                work(() => task.Increment(1));
            });
        }
    }

    /// <summary>
    /// Runs an operation that tells the share of it that is done, with a progress bar if a person watches. The bar appears when the
    /// operation first reports, below the bar of an operation that this one is a part of.
    /// </summary>
    /// <param name="what">The description of the operation.</param>
    /// <param name="work">The operation. It calls its argument with the share, from 0 to 1.</param>
    public void TrackShare(string what, Action<Action<double>> work)
    {
        if (!watchedError) work(_ => { });
        else if (running is not null) Show(running);
        else ShowProgress(Show);

        void Show(ProgressContext progress)
        {
            ProgressTask? task = null;
            work(share =>
            {
                task ??= progress.AddTask(Markup.Escape(what), maxValue: 1);
                task.Value = share;
            });
        }
    }

    private void ShowProgress(Action<ProgressContext> work) => log.Progress()
        .AutoClear(true)
        .HideCompleted(true)
        .Columns(new SpinnerColumn(), new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(),
            new RemainingTimeColumn())
        .Start(progress =>
        {
            running = progress;
            try
            {
                work(progress);
            }
            finally
            {
                running = null;
            }
        });

    /// <summary>Makes text from a file or a path safe to print on one line, without control characters.</summary>
    public static string Printable(string text)
    {
        if (!text.Any(char.IsControl)) return text;
        StringBuilder shown = new(text.Length);
        foreach (char c in text) shown.Append(c is '\r' or '\n' or '\t' ? ' ' : char.IsControl(c) ? '\uFFFD' : c);
        return shown.ToString();
    }

    private void Say(string what, Color colour, string message)
    {
        try
        {
            log.Write(new Text(what, new Style(colour)));
            log.Write(new Text(Printable(message)));
            log.WriteLine();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Nobody can be told, but the results are still wanted.
        }
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
