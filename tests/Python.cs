using System.Diagnostics;
using NUnit.Framework;

namespace TinyZsad.Tests;

/// <summary>Runs the programs under tools, for which Python with PyTorch, NumPy and Pillow must be installed.</summary>
internal static class Python
{
    /// <summary>The repository, in which they run.</summary>
    public static readonly string Root = Path.GetFullPath(Path.Combine(TestData.Path(), "..", ".."));

    /// <summary>The first Python that has what the programs need.</summary>
    private static readonly Lazy<string?> Program = new(() =>
        new[] { "python3", "/usr/bin/python3" }.FirstOrDefault(
            python => Run(python, TimeSpan.FromMinutes(1), "-c", "import torch, numpy, PIL").Code == 0));

    /// <summary>Runs Python in the repository's root; the test fails if it does, and is skipped where there is none.</summary>
    public static void Succeeds(params string[] arguments)
    {
        if (Program.Value is not { } python)
        {
            Assert.Ignore(
                "This needs Python with PyTorch, NumPy and Pillow, which are not installed; on Debian: apt install " +
                "python3-torch python3-numpy python3-pil.");
            return;
        }
        (int code, string output) = Run(python, TimeSpan.FromMinutes(10), arguments);
        Assert.That(code, Is.Zero, output);
    }

    private static (int Code, string Output) Run(string program, TimeSpan limit, params string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            WorkingDirectory = Root, RedirectStandardOutput = true, RedirectStandardError = true
        };
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(limit))
            {
                process.Kill(entireProcessTree: true);
                return (-1, $"{program} was stopped after {limit}.");
            }
            return (process.ExitCode, output.Result + errors.Result);
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            return (-1, $"{program}: {e.Message}");
        }
    }
}
