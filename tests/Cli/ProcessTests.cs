using System.Diagnostics;
using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Cli;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Cli;

/// <summary>Tests behavior that only a separate process can show.</summary>
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
        if ((Mask("/proc/self/status", "SigIgn:") & 1 << 1) != 0)
            Assert.Ignore("The tests themselves run with SIGINT ignored, which children inherit.");
        using Process process = Start("bench", "--case", ToolRun.Tiny, "--runs", "1000000", "--threads", "1");
        Task<string> error = process.StandardError.ReadToEndAsync(), output = process.StandardOutput.ReadToEndAsync();
        // Before the process handles the signal, the system would end it.
        bool started = SpinWait.SpinUntil(() => process.HasExited || Catches(process.Id), TimeSpan.FromMinutes(3));
        Assert.That(started, "it never starts");
        using (Process kill = Process.Start("kill", ["-INT", $"{process.Id}"])) kill.WaitForExit();
        bool ended = process.WaitForExit(TimeSpan.FromMinutes(3));
        if (!ended) process.Kill();
        Assert.That(ended, "it went on");
        Assert.That((process.ExitCode, output.Result, error.Result), Is.EqualTo((ExitCode.Cancelled, "", "")));
    }

    /// <summary>What head does: it reads a line and closes the pipe.</summary>
    [Test]
    public void A_closed_pipe_ends_it_quietly()
    {
        if (OperatingSystem.IsWindows()) Assert.Ignore("The console's stream does not tell there.");
        string picture = Picture("a.png");
        for (int i = 0; i < 3000; i++) File.Copy(picture, In($"{i}.png"));
        using Process process = Start("detect", "--case", ToolRun.Tiny, "--class", "nut", "--format", "json", Folder);
        Task<string> error = process.StandardError.ReadToEndAsync();
        Assert.That(process.StandardOutput.ReadLine(), Does.StartWith("{\"path\""));
        process.StandardOutput.Close();
        bool ended = process.WaitForExit(TimeSpan.FromMinutes(1));
        if (!ended) process.Kill();
        Assert.That(ended, "it went on for nobody");
        Assert.That((process.ExitCode, error.Result), Is.EqualTo((ExitCode.OutputClosed, "")));
        using Process help = Start("--help");
        help.StandardOutput.Close();
        help.WaitForExit();
        Assert.That(help.ExitCode, Is.EqualTo(ExitCode.OutputClosed).Or.Zero, "the text may have been written before");
    }

    [Test]
    public void Results_that_cannot_be_written_are_an_error()
    {
        if (!OperatingSystem.IsLinux()) Assert.Ignore("It needs sh and /dev/full.");
        string tool = typeof(Tool).Assembly.Location, picture = Picture("a.png");
        foreach (string arguments in new[] { "--help", $"detect --case {ToolRun.Tiny} --class nut --format csv {picture}" })
        {
            using Process process = Process.Start(new ProcessStartInfo("sh", ["-c", $"dotnet {tool} {arguments} > /dev/full"])
            {
                RedirectStandardError = true,
            })!;
            string error = process.StandardError.ReadToEnd();
            process.WaitForExit();
            Assert.That((process.ExitCode, error.Trim().Split('\n').Length), Is.EqualTo((ExitCode.BadInput, 1)), error);
            Assert.That(error, Does.StartWith("error: standard output cannot be written to"));
        }
    }

    [Test]
    public void Standard_input_of_the_process_is_read()
    {
        ProcessStartInfo start = StartInfo("detect", "--case", ToolRun.Tiny, "--class", "nut", "--format", "json", "-");
        start.RedirectStandardInput = true;
        using Process process = Process.Start(start)!;
        process.StandardInput.BaseStream.Write(File.ReadAllBytes(Picture("a.png")));
        process.StandardInput.Close();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.That((process.ExitCode, output[..11]), Is.EqualTo((0, "{\"path\":\"-\"")));
    }

    /// <summary>A setting that disables vectors, forgotten in the environment, would otherwise only be slow.</summary>
    [TestCase("DOTNET_EnableAVX512", 16, "AVX-512")]
    [TestCase("DOTNET_EnableAVX2", 8, "AVX2|AVX-512")]
    [TestCase("DOTNET_EnableHWIntrinsic", 4, "SSE|AdvSimd")]
    public void Bench_names_the_setting_that_disables_vectors(string setting, int disabled, string missing)
    {
        if (Simd.Lanes < disabled) Assert.Ignore("This processor does not have the vectors.");
        ProcessStartInfo start = StartInfo("bench", "--case", ToolRun.Tiny, "--runs", "1", "--json");
        start.Environment[setting] = "0";
        using Process process = Process.Start(start)!;
        JsonElement root = JsonDocument.Parse(process.StandardOutput.ReadToEnd()).RootElement;
        Assert.That(root.GetProperty("simd_lanes").GetInt32(), Is.LessThan(disabled));
        Assert.That(root.GetProperty("instruction_set_limit").GetString(),
            Does.Match($"^The processor has ({missing}), but {setting}=0 is set"));
    }

    /// <summary>Determines whether a process handles SIGINT.</summary>
    private static bool Catches(int process)
    {
        Thread.Sleep(10);
        return (Mask($"/proc/{process}/status", "SigCgt:") & 1 << 1) != 0;
    }

    /// <summary>Reads a set of signals that Linux reports for a process.</summary>
    private static ulong Mask(string status, string key) => Convert.ToUInt64(
        File.ReadLines(status).First(l => l.StartsWith(key, StringComparison.Ordinal)).Split('\t')[1], 16);

    /// <summary>
    /// Evaluates the publish settings of the README and of the comparison, and those of a script for another system.
    /// </summary>
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

    private static Process Start(params string[] args) => Process.Start(StartInfo(args))!;

    private static ProcessStartInfo StartInfo(params string[] args) => new("dotnet", [typeof(Tool).Assembly.Location, .. args])
    {
        RedirectStandardOutput = true,
        RedirectStandardError = true,
        StandardOutputEncoding = System.Text.Encoding.UTF8,
    };
}
