using System.Diagnostics;
using NUnit.Framework;
using TinyZsad.Cli;

namespace TinyZsad.Tests.Cli;

/// <summary>The option --cache, and what is shown while a class is embedded.</summary>
public sealed class CacheTests : InFolder
{
    private string Cache => In("cache");

    private ToolRun Detect(string cache, params string[] more) =>
        ToolRun.Detect(["--class", "nut", "--format", "csv", "--cache", cache, .. more, ToolRun.Coffee]);

    /// <summary>The score, without the time.</summary>
    private static string Score(ToolRun run)
    {
        Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
        return run.Lines[1].Split(',')[1];
    }

    [Test]
    public void A_second_run_reads_what_the_first_wrote()
    {
        string computed = Score(Detect(Cache));
        string entry = Directory.EnumerateFiles(Cache).Single();
        DateTime longAgo = new(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc);
        File.SetLastWriteTimeUtc(entry, longAgo);
        byte[] bytes = File.ReadAllBytes(entry);
        Assert.That(Score(Detect(Cache)), Is.EqualTo(computed));
        Assert.That(File.GetLastWriteTimeUtc(entry), Is.GreaterThan(longAgo), "it is used");
        Assert.That(Score(Detect("off")), Is.EqualTo(computed));
        Assert.That(Directory.Exists("off"), Is.False);
        Assert.That(ToolRun.Of("embed", "-m", Seeded(), "--class", "nut", "screw", "-o", In("o"), "--cache", Cache).Code, Is.Zero);
        Assert.That(ToolRun.Of("bench", "--case", ToolRun.Tiny, "--class", "brick", "--runs", "1", "--cache", Cache).Code, Is.Zero);
        Assert.That(Directory.EnumerateFiles(Cache).Count(), Is.EqualTo(3), "nut is there already");
        Assert.That(File.ReadAllBytes(entry), Is.EqualTo(bytes));
    }

    [Test]
    public void Its_folder_need_not_be_usable()
    {
        File.WriteAllText(In("file"), "");
        Assert.That(Score(Detect(In("file", "cache"))), Is.EqualTo(Score(Detect("off"))));
        Assert.That(ToolRun.Detect("--cache", " ", ToolRun.Coffee).Error, Does.Contain("--cache is empty"));
    }

    [Test]
    public void Two_processes_at_once_both_succeed()
    {
        Process[] processes = [.. Enumerable.Range(0, 2).Select(_ => Process.Start(new ProcessStartInfo("dotnet",
            [
                typeof(Tool).Assembly.Location, "detect", "--case", ToolRun.Tiny, "--threads", "1", "--class", "nut", "--format", "csv",
                "--cache", Cache, ToolRun.Coffee,
            ])
            { RedirectStandardOutput = true, RedirectStandardError = true })!)];
        string expected = Score(Detect("off"));
        foreach (Process process in processes)
        {
            using (process)
            {
                Task<string> error = process.StandardError.ReadToEndAsync();
                string output = process.StandardOutput.ReadToEnd();
                process.WaitForExit();
                Assert.That(Score(new ToolRun(process.ExitCode, output, error.Result)), Is.EqualTo(expected));
            }
        }
        string entry = Directory.EnumerateFiles(Cache).Single();
        byte[] bytes = File.ReadAllBytes(entry);
        Assert.That(Score(Detect(Cache)), Is.EqualTo(expected));
        Assert.That(File.ReadAllBytes(entry), Is.EqualTo(bytes));
        Assert.That(Directory.EnumerateFileSystemEntries(Cache).Count(), Is.EqualTo(1), "no temporary file is left");
    }

    /// <summary>The bar, alone and below another one, is for a person who watches.</summary>
    [Test]
    public void Progress_is_shown_to_a_person_who_waits()
    {
        Assert.That(Shown(true, t => t.TrackShare("Embedding [x]", report => report(0.5))),
            Does.Contain("Embedding [x]").And.Contain("50%"));
        Assert.That(Shown(true, t => t.TrackShare("Embedding [x]", _ => { })), Is.Empty, "it takes no time");
        Assert.That(Shown(false, t => t.TrackShare("Embedding [x]", report => report(0.5))), Is.Empty, "nobody watches");
        Assert.That(Shown(true, t => t.Track("Examining", 2, resultsAsTheyCome: false, step =>
        {
            step();
            t.TrackShare("Embedding [x]", report => report(0.25));
        })), Does.Contain("Embedding [x]").And.Contain("25%").And.Contain("Examining"));

        static string Shown(bool watched, Action<Terminal> work)
        {
            using StringWriter output = new(), error = new();
            work(new Terminal(output, error, watchedError: watched));
            return error.ToString().Trim();
        }
    }
}
