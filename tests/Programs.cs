using System.ComponentModel;
using System.Diagnostics;
using NUnit.Framework;

namespace TinyZsad.Tests;

/// <summary>Publishes projects of the repository for the tests, and runs what was published and other programs.</summary>
internal static class Programs
{
    /// <summary>
    /// Where publishing builds: apart from what the tests themselves run from, and kept, so that only the first time takes long.
    /// Each way to publish has its own name, because every change of properties compiles all again.
    /// </summary>
    public static string Artifacts(string name) => Path.Combine(TestData.RepositoryRoot, "artifacts", "published", name);

    /// <summary>Represents the end of a program.</summary>
    internal sealed record Result(int Code, string Output, string Error)
    {
        /// <summary>Gets the output of a program that has succeeded. Otherwise the test fails.</summary>
        public string Success()
        {
            Assert.That(Code, Is.Zero, $"{Output}\n{Error}");
            return Output;
        }
    }

    /// <summary>Publishes a project into a folder, built in another, and returns what the build prints.</summary>
    public static string Publish(string project, string runtime, string artifacts, string folder, params string[] properties) =>
        Run("dotnet", ["publish", Path.Combine(TestData.RepositoryRoot, project), "-c", "Release", "-r", runtime, "-o", folder,
            $"-p:ArtifactsPath={artifacts}", "-p:RunAnalyzers=false", .. properties.Select(p => $"-p:{p}")]).Success();

    /// <summary>
    /// Requires programs or files of Debian packages. If one is missing, the test is ignored; in CI, which installs them, it fails.
    /// </summary>
    public static void Require(params (string File, string Package)[] needed)
    {
        string[] folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
        (string File, string Package)[] missing =
            [.. needed.Where(n => !folders.Any(f => File.Exists(Path.Combine(f, n.File))))];
        if (missing.Length == 0) return;
        string message = $"This needs {string.Join(", ", missing.Select(m => m.File))}, which are not installed; on Debian: apt install "
            + string.Join(' ', missing.Select(m => m.Package).Distinct());
        if (Environment.GetEnvironmentVariable("CI") == "true") Assert.Fail(message);
        Assert.Ignore(message);
    }

    /// <summary>Runs a program to its end.</summary>
    public static Result Run(string program, params string[] arguments) => Run(program, arguments, []);

    /// <summary>Runs a program to its end, with environment variables set.</summary>
    public static Result Run(string program, string[] arguments, (string Name, string Value)[] variables, string? directory = null)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            WorkingDirectory = directory ?? TestData.RepositoryRoot,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["MSBUILDDISABLENODEREUSE"] = "1" },
        };
        foreach ((string name, string value) in variables) start.Environment[name] = value;
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> error = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return new Result(process.ExitCode, output, error.Result);
        }
        catch (Win32Exception e)
        {
            throw new AssertionException($"{program}: {e.Message}");
        }
    }
}
