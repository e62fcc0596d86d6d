using System.Text;
using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Cli;
using TinyZsad.Tests.Imaging;

namespace TinyZsad.Tests.Cli;

/// <summary>A folder as it comes from the wild, with one picture of every kind of trouble. Every file in it is accounted for.</summary>
public sealed class TroubleTests : InFolder
{
    /// <summary>What is examined, with its size.</summary>
    private static readonly (string Name, string Source, int Width, int Height)[] Good =
    [
        ("a.png", "../images/lizad-coffee-300x420-70.png", 70, 70),
        ("jpeg.jfif", "jpeg-420.jpg", 35, 27), ("jpeg.JPE", "jpeg-420.jpg", 35, 27), ("bitmap.dib", "bmp-24.bmp", 21, 17),
        ("page.tif", "tiff/gray-08.tif", 0, 0), ("deep.TIFF", "tiff/camera-12-in-16.tif", 0, 0),
        ("index.png", "wild/png-index-8.png", 0, 0), ("gimp.bmp", "wild/bmp-24-masks-124.bmp", 7, 5),
        ("lines.pam", "wild/pnm-crlf.pam", 0, 0), ("blocked.png", "png-2-08.png", 0, 0), ("002.mask.png", "png-2-08.png", 0, 0),
        ("turned.png", "wild/orientation-xmp-6.png", 4, 5),
    ];

    /// <summary>What cannot be examined, and a word of the reason.</summary>
    private static readonly (string Name, byte[] Content, string Reason)[] Bad =
    [
        ("pointer.png", [.. "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"u8], "git lfs pull"),
        ("answer.jpg", [.. "<!DOCTYPE html><html></html>"u8], "HTML"),
        ("web.png", [.. "RIFF\u0001\u0002\u0003\u0004WEBPVP8 "u8], "WebP"),
        ("moving.jpg", [.. "GIF89a"u8], "GIF"),
        ("empty.png", [], "empty"),
        ("cut.png", File.ReadAllBytes(TestData.Path("imaging", "png-2-08.png"))[..60], "PNG"),
    ];

    [Test]
    public void Every_file_of_a_folder_is_examined_or_named_with_a_reason()
    {
        if (!OperatingSystem.IsLinux()) Assert.Ignore("It needs a path that is longer than Linux takes, links and python3.");
        foreach ((string name, string source, _, _) in Good) Copy(source, name);
        foreach ((string name, byte[] content, _) in Bad) File.WriteAllBytes(In("in", name), content);
        string longest = new string('n', 251) + ".png";
        Copy("png-2-08.png", longest);
        File.WriteAllBytes(In("in", "tall.png"), TestPng.File(
            new TestPng { Width = 16, Height = 400_000, Depth = 1, Colour = 0 }.Header(),
            TestPng.Chunk("IDAT", TestPng.Deflate(new byte[3 * 400_000])), TestPng.Chunk("IEND")));
        Copy("png-2-08.png", ".hidden.png");
        File.WriteAllText(In("in", "notes.txt"), "");
        Directory.CreateSymbolicLink(In("in", "gone.png"), "nowhere.png");
        Directory.CreateDirectory(In("nas"));
        File.Copy(In("in", "a.png"), In("nas", "linked.png"));
        Directory.CreateSymbolicLink(In("in", "cam2"), "../nas");
        Directory.CreateSymbolicLink(In("in", "loop"), ".");
        File.Copy(In("in", "a.png"), In("in", "a.overlay.png"));
        Directory.CreateDirectory(In("in", "blocked.overlay.png"));
        Shell("cd in && python3 -c 'import os; [(os.mkdir(250 * \"d\"), os.chdir(250 * \"d\")) for i in range(20)]'");
        ToolRun run;
        try
        {
            run = ToolRun.Detect("--class", "nut", "--format", "json", "--exif-orientation", "--out", In("in"), In("in"));
        }
        finally
        {
            Shell("rm -rf in/" + new string('d', 250));
        }

        JsonElement[] rows = [.. run.Lines.Select(l => JsonDocument.Parse(l).RootElement)];
        string[] examined = [.. rows.Select(r => Path.GetRelativePath(In("in"), r.GetProperty("path").GetString()!))];
        Assert.That(examined, Is.EquivalentTo(Good.Select(g => g.Name).Concat([longest, "tall.png", "cam2/linked.png"])));
        foreach ((string name, _, int width, int height) in Good.Where(g => g.Width > 0))
        {
            JsonElement row = rows[Array.IndexOf(examined, name)];
            Assert.That((row.GetProperty("width").GetInt32(), row.GetProperty("height").GetInt32()), Is.EqualTo((width, height)), name);
        }

        string[] errors = [.. run.ErrorLines.Where(l => l.StartsWith("error: ", StringComparison.Ordinal))];
        foreach ((string name, _, string reason) in Bad)
            Assert.That(errors.Single(e => e.Contains(In("in", name))), Does.Contain(reason), name);
        Assert.That(errors.Single(e => e.Contains(In("in", "gone.png"))), Does.Contain("the link leads nowhere"));
        Assert.That(errors.Single(e => e.Contains("ddd")), Does.Contain("the folder cannot be read"));
        Assert.That(errors.Single(e => e.Contains("blocked.overlay.png")), Does.Contain("is not saved"));
        Assert.That(errors, Has.Length.EqualTo(Bad.Length + 3));

        string[] notes = [.. run.ErrorLines.Where(l => l.StartsWith("note: ", StringComparison.Ordinal))];
        Assert.That(notes, Is.EquivalentTo(new[]
        {
            $"note: 1 file is no picture that is read: {In("in", "notes.txt")}",
            $"note: 1 hidden name passed over: {In("in", ".hidden.png")}",
            $"note: 1 file that --out saves for these pictures passed over: {In("in", "a.overlay.png")}",
            $"note: {In("in", "deep.TIFF")}: its largest 16-bit sample is 3663, so that at most 15 of 256 levels are left; if its samples "
                + "have 12 bits, add --bits 12 (or --bits auto).",
        }));
        Assert.That(run.ErrorLines, Has.Length.EqualTo(errors.Length + notes.Length));
        Assert.That(run.Code, Is.EqualTo(ExitCode.BadInput));
        Assert.That(Directory.GetFiles(In("in"), "*.tmp", new EnumerationOptions { AttributesToSkip = 0 }), Is.Empty);
        Assert.That(Directory.GetFiles(In("in"), "*.overlay.png"), Has.Length.EqualTo(examined.Length - 2), "one is in cam2, one blocked");
    }

    private void Copy(string source, string name)
    {
        Directory.CreateDirectory(In("in"));
        File.Copy(TestData.Path("imaging", source), In("in", name));
    }
}
