using System.Diagnostics;
using NUnit.Framework;
using TinyZsad.Cli;
using TinyZsad.Verification;

namespace TinyZsad.Tests.Cli;

/// <summary>Represents the result of a run of the tool.</summary>
internal sealed record ToolRun(int Code, string Output, string Error)
{
    public static readonly string Tiny = TestData.Path("lizad", "tiny");

    public static readonly string Coffee = TestData.Path("images", "lizad-coffee-300x420.png");

    public string[] Lines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    public string[] ErrorLines => Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Runs the tool in this process, as it runs without a terminal.</summary>
    public static ToolRun Of(params string[] args) => Of(args, default(CancellationToken));

    public static ToolRun Of(string[] args, CancellationToken cancellationToken) => Of(args, [], cancellationToken);

    /// <summary>Runs the tool with bytes as its standard input.</summary>
    public static ToolRun Of(string[] args, ReadOnlySpan<byte> input, CancellationToken cancellationToken = default)
    {
        using StringWriter output = new(), error = new();
        byte[] bytes = input.ToArray();
        Terminal terminal = new(output, error, openInput: () => new MemoryStream(bytes));
        int code = Tool.RunAsync(args, terminal, cancellationToken).GetAwaiter().GetResult();
        return new ToolRun(code, output.ToString(), error.ToString());
    }

    /// <summary>Runs detection with the tiny case, whose weights are generated in milliseconds.</summary>
    public static ToolRun Detect(params string[] args) => Of(["detect", "--case", Tiny, "--threads", "1", .. args]);
}

/// <summary>Provides a separate folder for each test.</summary>
public abstract class InFolder
{
    protected string Folder { get; private set; } = "";

    [SetUp]
    public void MakeFolder() => Folder = Directory.CreateTempSubdirectory("tinyzsad-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(Folder, recursive: true);

    protected string In(params string[] parts) => Path.Combine([Folder, .. parts]);

    /// <summary>Copies the test picture to a path in the folder.</summary>
    protected string Picture(params string[] parts)
    {
        string path = In(parts);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.Copy(TestData.Path("images", "lizad-coffee-300x420-70.png"), path);
        return path;
    }

    protected string Seeded()
    {
        string path = In("tiny.safetensors");
        ReferenceCase.WriteModel(path, ReferenceCase.Open(ToolRun.Tiny));
        return path;
    }

    /// <summary>Runs a script of sh in the folder.</summary>
    protected void Shell(string script)
    {
        using Process process = Process.Start(new ProcessStartInfo("sh", ["-c", script]) { WorkingDirectory = Folder })!;
        process.WaitForExit();
        Assert.That(process.ExitCode, Is.Zero);
    }
}
