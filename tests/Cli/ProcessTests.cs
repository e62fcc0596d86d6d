using System.Diagnostics;
using NUnit.Framework;
using TinyZsad.Cli;

namespace TinyZsad.Tests.Cli;

/// <summary>What only a process of its own can show.</summary>
public sealed class ProcessTests : InFolder
{
    [Test]
    public void Piped_output_is_plain_and_results_only()
    {
        using Process process = Start("detect", "--case", ToolRun.Tiny, Picture("ä.png"), In("missing.png"));
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.That(process.ExitCode, Is.EqualTo(ExitCode.BadInput));
        Assert.That(output, Does.StartWith("picture").And.Contain("ä.png").And.Not.Contain("\u001b").And.Not.Contain("missing"));
        Assert.That(error.Result, Does.Contain("note: ").And.Contain("error: ").And.Not.Contain("\u001b"));
    }

    [Test]
    public void Ctrl_c_ends_it_cleanly()
    {
        if (!OperatingSystem.IsLinux()) Assert.Ignore("It needs kill and /proc.");
        string ignored = File.ReadLines("/proc/self/status").First(l => l.StartsWith("SigIgn:", StringComparison.Ordinal))
            .Split('\t')[1];
        if ((Convert.ToUInt64(ignored, 16) & 1 << 1) != 0)
            Assert.Ignore("The tests themselves run with SIGINT ignored, which children inherit.");
        using Process process = Start("bench", "--case", ToolRun.Tiny, "--runs", "1000000", "--threads", "1");
        Task<string> error = process.StandardError.ReadToEndAsync(), output = process.StandardOutput.ReadToEndAsync();
        Thread.Sleep(1500);
        using (Process kill = Process.Start("kill", ["-INT", $"{process.Id}"])) kill.WaitForExit();
        bool ended = process.WaitForExit(TimeSpan.FromSeconds(10));
        if (!ended) process.Kill();
        Assert.That(ended, "it went on");
        Assert.That((process.ExitCode, output.Result, error.Result), Is.EqualTo((ExitCode.Cancelled, "", "")));
    }

    /// <summary>How the README and the comparison publish it, and how a script for some other system would.</summary>
    [TestCase("UseCurrentRuntimeIdentifier=true", "true")]
    [TestCase("RuntimeIdentifier=win-x64", "true")]
    [TestCase("RuntimeIdentifier=", "")]
    public void Published_for_one_system_it_is_compiled_ahead(string property, string expected)
    {
        string project = TestData.Path("..", "..", "src", "Cli", "TinyZsad.Cli.csproj");
        ProcessStartInfo start = new("dotnet", ["msbuild", project, $"-p:{property}", "-getProperty:PublishReadyToRun"])
        {
            RedirectStandardOutput = true,
        };
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.That((process.ExitCode, output.Trim()), Is.EqualTo((0, expected)));
    }

    private static Process Start(params string[] args)
    {
        ProcessStartInfo start = new("dotnet", [typeof(Tool).Assembly.Location, .. args])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = System.Text.Encoding.UTF8,
        };
        return Process.Start(start)!;
    }
}
