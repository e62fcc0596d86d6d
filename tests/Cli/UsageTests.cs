using System.CommandLine.Parsing;
using NUnit.Framework;
using TinyZsad.Cli;

namespace TinyZsad.Tests.Cli;

public sealed class UsageTests
{
    [TestCase("detect")]
    [TestCase("inspect")]
    [TestCase("verify")]
    [TestCase("bench")]
    [TestCase("convert")]
    [TestCase("convert lizad")]
    [TestCase("convert edgezsad")]
    [TestCase("convert visualad")]
    [TestCase("embed")]
    [TestCase("seed")]
    [TestCase("devices")]
    public void Help_ends_in_examples_of_the_command(string command)
    {
        ToolRun run = ToolRun.Of([.. command.Split(' '), "--help"]);
        Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
        string[] examples = [.. run.Lines.SkipWhile(l => l != "Examples:").Skip(1)];
        Assert.That(examples, Is.Not.Empty);
        Assert.That(examples, Has.All.Match($"^tinyzsad {command}( |$)"));
        Assert.That(run.Output, Does.Contain($"tinyzsad {command}").And.Not.Contain("TinyZsad.Cli"));
    }

    [Test]
    public void Every_example_parses()
    {
        string[] examples = [.. new[]
            {
                "detect", "inspect", "verify", "bench", "convert lizad", "convert edgezsad", "convert visualad", "embed", "seed",
            }.SelectMany(command =>
                ToolRun.Of([.. command.Split(' '), "--help"]).Lines.SkipWhile(l => l != "Examples:").Skip(1))];
        Assert.That(examples, Has.Length.AtLeast(12));
        foreach (string example in examples)
        {
            // A missing file, or kernel, may be the only error. Those that exist would only take time.
            IEnumerable<string> words = CommandLineParser.SplitCommandLine(example).Skip(1).TakeWhile(w => w != ">")
                .Select(w => w == "Attention" || w.StartsWith("tests/", StringComparison.Ordinal) ? "nowhere" : w);
            string error = ToolRun.Of([.. words]).Error;
            Assert.That(error, Does.StartWith("error: ").And.Not.Contain("--help").And.Not.Contain("unexpected"), example);
        }
    }

    [Test]
    public void Without_arguments_it_shows_its_help()
    {
        ToolRun run = ToolRun.Of();
        Assert.That(run.Code, Is.Zero);
        Assert.That(run.Output, Does.Contain("Commands:").And.Contain("Examples:"));
    }

    [TestCase("nonsense", "--help")]
    [TestCase("detect -m m --case c a.png", "exclude each other")]
    [TestCase("detect -m m", "No picture is named")]
    [TestCase("detect -m m --files-from - -", "not both")]
    [TestCase("detect -m m a.png --max-pixels 0", "from 1 to 715827863")]
    [TestCase("detect -m m a.png --out ", "--out is empty")]
    [TestCase("detect -m m a.png --bits 7", "from 8 to 16 or auto, not '7'")]
    [TestCase("detect -m m a.png --bits some", "or auto, not 'some'")]
    [TestCase("detect -m m a.png --page 0", "from 1 to")]
    [TestCase("verify case --max-pixels 5", "add --image")]
    [TestCase("detect -m m a.png --class ", "--class is empty")]
    [TestCase("detect -m m a.png --format xml", "none of table, json, csv")]
    [TestCase("detect -m m a.png --score best", "none of default, maximum, top-percent-mean, global-logit")]
    [TestCase("detect -m m a.png --out o --save overlay,sound", "'sound' is none of overlay, map, mask, raw")]
    [TestCase("detect -m m a.png --save overlay", "add --out DIR")]
    [TestCase("detect -m m a.png --save mask --out o", "add --threshold X")]
    [TestCase("detect -m m a.png --threshold many", "--threshold is a number, not 'many'")]
    [TestCase("detect -m m a.png --threshold NaN", "not 'NaN'")]
    [TestCase("detect -m m a.png --threads 257", "from 0 to 256")]
    [TestCase("detect -m m a.png --threads -1", "from 0 to 256")]
    [TestCase("verify", "Nothing to verify")]
    [TestCase("verify -m m --image p", "--expected is missing")]
    [TestCase("verify case --image p", "without a case")]
    [TestCase("verify case --tolerance -1", "at least 0")]
    [TestCase("bench -m m --runs 0", "from 1 to")]
    [TestCase("bench -m m --profile some", "some")]
    [TestCase("bench --filter Tile", "add --kernels")]
    [TestCase("bench --kernels --filter ", "--filter is empty")]
    [TestCase("bench --kernels -m m", "--model is for detections")]
    [TestCase("bench --kernels --case c", "--case is for detections")]
    [TestCase("bench --kernels --image p", "--image is for detections")]
    [TestCase("bench --kernels --class a", "--class is for detections")]
    [TestCase("bench --kernels --runs 5", "--runs is for detections")]
    [TestCase("bench --kernels --warmup 5", "--warmup is for detections")]
    [TestCase("bench --kernels --batch 5", "--batch is for detections")]
    [TestCase("bench --kernels --cache off", "--cache is for detections")]
    [TestCase("bench --kernels --threads 1", "--threads is for detections")]
    [TestCase("bench --kernels --precision int8", "--precision is for detections")]
    [TestCase("bench --kernels --profile", "--profile is for detections")]
    [TestCase("bench --kernels --page 2", "--page is for detections")]
    [TestCase("embed -m m -o out", "--class")]
    [TestCase("embed --class a -o out", "--model")]
    [TestCase("embed -m m --class a -o nowhere/out", "there is no folder")]
    [TestCase("convert", "command")]
    [TestCase("convert lizad --dinov3 a --mobileclip b -o c", "--head")]
    [TestCase("convert lizad --dinov3 a --mobileclip b --head c -o d --drop-text", "name some with --class")]
    [TestCase("convert lizad --dinov3 a --mobileclip b --head c -o d --class ", "--class is empty")]
    [TestCase("convert edgezsad --head a -o b --image-size many", "--image-size is a whole number")]
    [TestCase("convert visualad --head a -o b", "No backbone")]
    [TestCase("convert visualad --clip a --dinov2 b --head c -o d", "exclude each other")]
    [TestCase("convert visualad --clip a --head c -o d --ln-post mine", "none of backbone, checkpoint")]
    [TestCase("seed case", "--out")]
    [TestCase("devices --ptx ", "--ptx is empty")]
    [TestCase("devices --ptx softmax --json", "exclude each other")]
    public void Wrong_usage_is_one_line_and_two(string line, string said)
    {
        ToolRun run = ToolRun.Of(line.Split(' '));
        Assert.That((run.Code, run.Output), Is.EqualTo((ExitCode.BadInput, "")));
        Assert.That(run.ErrorLines, Has.Length.EqualTo(1));
        Assert.That(run.Error, Does.StartWith("error: ").And.Contain(said).And.Contain("--help"));
    }

    [TestCase("inspect nowhere.safetensors", "nowhere.safetensors")]
    [TestCase("verify nowhere", "nowhere is no reference case")]
    [TestCase("bench -m nowhere.safetensors", "nowhere.safetensors")]
    [TestCase("bench --case nowhere", "nowhere is no reference case")]
    [TestCase("bench --kernels --filter nowhere", "no kernel has this in its name or shape; the kernels are Activate ")]
    [TestCase("detect nowhere.png", "nowhere.png: there is no such file")]
    [TestCase("detect -m nowhere.safetensors nowhere.png", "nowhere.png: there is no such file")]
    [TestCase("detect -m nowhere.safetensors nowhere/**/*.png", "no picture matches")]
    public void A_missing_file_is_one_line_and_two(string line, string said)
    {
        ToolRun run = ToolRun.Of(line.Split(' '));
        Assert.That((run.Code, run.Output), Is.EqualTo((ExitCode.BadInput, "")));
        Assert.That(run.ErrorLines, Has.Length.EqualTo(1));
        Assert.That(run.Error, Does.StartWith("error: ").And.Contain(said));
    }

    [Test]
    public void Text_from_files_cannot_steer_the_terminal() =>
        Assert.That(Terminal.Printable("a\u001b[31mb\nc"), Is.EqualTo("a\uFFFD[31mb c"));
}
