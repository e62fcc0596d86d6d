using System.Diagnostics;
using System.Text;
using NUnit.Framework;
using TinyZsad.Cli;

namespace TinyZsad.Tests.Cli;

/// <summary>Tests that every picture is found and that everything else is told.</summary>
public sealed class PictureSearchTests : InFolder
{
    [TestCase("*.png", "a.png,b.png")]
    [TestCase("**/*.png", "a.png,b.png,x/a.png,x/y/a.png")]
    [TestCase("**", "a.png,b.png,c.BMP,x/a.png,x/y/a.png")]
    [TestCase("*/a.png", "x/a.png")]
    [TestCase("x/**/a.*", "x/a.png,x/y/a.png")]
    [TestCase("?.png", "a.png,b.png")]
    [TestCase("**/y/*", "x/y/a.png")]
    [TestCase("*", "a.png,b.png,c.BMP")]
    [TestCase("x/../a.p*", "a.png")]
    public void Patterns_are_understood_by_the_tool_itself(string pattern, string expected)
    {
        foreach (string path in new[] { "a.png", "b.png", "c.BMP", "x/a.png", "x/y/a.png", ".git/a.png" })
            Picture(path.Split('/'));
        File.WriteAllText(In("a.txt"), "");
        PictureSearch search = Find(Path.Join(Folder, pattern));
        Assert.That(search.Problems, Is.Empty);
        Assert.That(search.Pictures.Select(p => Path.GetRelativePath(Folder, Path.GetFullPath(p.Path)).Replace('\\', '/')),
            Is.EqualTo(expected.Split(',')));
    }

    [Test]
    public void A_file_whose_name_looks_like_a_pattern_is_a_file()
    {
        if (OperatingSystem.IsWindows()) Assert.Ignore("Windows has no such names.");
        Picture("a*.png");
        Picture("ab.png");
        Assert.That(Find(In("a*.png")).Pictures.Select(p => p.Path), Is.EqualTo(new[] { In("a*.png") }));
    }

    /// <summary>The extensions are those that Pillow registers for the formats, and more that Windows and browsers write.</summary>
    [TestCase(".jpg .jpeg .jpe .jfif .jif .jfi .png .apng .bmp .dib .pnm .pbm .pgm .ppm .pam .tif .tiff")]
    public void Every_extension_of_every_format_is_found(string extensions)
    {
        foreach (string extension in extensions.Split(' '))
        {
            Picture("in", "lower" + extension);
            Picture("in", "UPPER" + extension.ToUpperInvariant());
        }
        PictureSearch search = Find(In("in"));
        Assert.That(search.Pictures, Has.Count.EqualTo(34));
        Assert.That(search.Notes().Concat(search.Problems), Is.Empty);
        Assert.That(PictureOptions.Extensions, Is.EquivalentTo(extensions.Split(' ')));
    }

    [Test]
    public void Files_that_are_not_read_are_counted_and_named()
    {
        foreach (string name in new[] { "a.png", ".b.png", "d.txt", "e.gif", "x/f.webp", "x/Thumbs.db", "x/g", "x/h.doc", ".git/i.png" })
            Picture(name.Split('/'));
        PictureSearch search = Find(Folder);
        Assert.That(search.Pictures.Select(p => p.Relative), Is.EqualTo(new[] { "a.png" }));
        Assert.That(search.Notes(), Is.EqualTo(new[]
        {
            $"6 files are no pictures that are read: {In("d.txt")}, {In("e.gif")}, {In("x", "Thumbs.db")}, {In("x", "f.webp")}, "
                + $"{In("x", "g")} and 1 more",
            $"2 hidden names passed over: {In(".b.png")}, {In(".git")}",
        }));

        ToolRun run = ToolRun.Detect("--class", "nut", Folder);
        Assert.That(run.Code, Is.Zero);
        Assert.That(run.ErrorLines, Has.Length.EqualTo(2).And.All.StartsWith("note: "));
        Assert.That(Find(In("*.gif")).Pictures, Has.Count.EqualTo(1), "a pattern with an extension says what it wants");
        Assert.That(Find(In("*.gif")).Notes(), Is.EqualTo(Array.Empty<string>()));
    }

    [Test]
    public void Links_to_folders_are_followed_once()
    {
        Picture("data", "cam1", "a.png");
        Picture("nas", "cam2", "b.png");
        Picture("nas", "cam2", "deep", "c.png");
        Link("../nas/cam2", "data", "cam2");
        Link("cam1", "data", "again");
        Link("..", "data", "cam1", "up");
        Link("self", "data", "self");
        Link("two", "data", "one");
        Link("one", "data", "two");
        Link("..", "nas", "cam2", "back");
        PictureSearch search = Find(In("data"));
        Assert.That(search.Problems, Is.EqualTo(new[] { "one", "self", "two" }.Select(l => $"{In("data", l)}: the link leads nowhere.")));
        Assert.That(search.Pictures.Select(p => p.Relative.Replace('\\', '/')),
            Is.EqualTo(new[] { "cam1/a.png", "cam2/b.png", "cam2/deep/c.png" }), "under its own name, not the link's");
        Assert.That(search.Notes(), Is.EqualTo(Array.Empty<string>()));

        Assert.That(Relative("data/again"), Is.EqualTo(new[] { "a.png", "up/cam2/b.png", "up/cam2/deep/c.png" }), "a link that is named");
        Assert.That(Relative("data/*/b.png"), Is.EqualTo(new[] { "cam2/b.png" }));
        Assert.That(Relative("data/cam2/**/*.png"), Is.EqualTo(new[] { "b.png", "deep/c.png" }));

        string[] Relative(string argument) =>
            [.. Find(In(argument.Split('/'))).Pictures.Select(p => p.Relative.Replace('\\', '/'))];
    }

    [Test]
    public void Linked_pictures_are_pictures()
    {
        Picture("store", "1.png");
        Link("../store/1.png", "set", "a.png");
        Link("../store/1.png", "set", "b.png");
        Link("nowhere.png", "set", "c.png");
        ToolRun run = ToolRun.Detect("--class", "nut", "--format", "csv", In("set"));
        Assert.That(run.Lines.Skip(1).Select(l => l.Split(',')[0]), Is.EqualTo(new[] { In("set", "a.png"), In("set", "b.png") }));
        Assert.That(run.Code, Is.EqualTo(ExitCode.BadInput));
        Assert.That(run.ErrorLines.Single(), Does.Contain(In("set", "c.png")));
    }

    [Test]
    public void A_picture_is_examined_once_whatever_it_is_called()
    {
        Picture("real", "a.png");
        Link("real", "link");
        PictureSearch search = Find(In("link"), In("real"), In("link", "a.png"), In("real", "*.png"), In("real", ".", "a.png"));
        Assert.That(search.Pictures.Select(p => p.Path), Is.EqualTo(new[] { In("link", "a.png") }));
    }

    /// <summary>A link to a camera's folder that is not mounted would be a silent loss.</summary>
    [Test]
    public void A_link_that_leads_nowhere_is_an_error()
    {
        Picture("in", "a.png");
        Link("../nas/cam2", "in", "cam2");
        ToolRun run = ToolRun.Detect("--class", "nut", "--format", "csv", In("in"));
        Assert.That((run.Code, run.Lines.Length), Is.EqualTo((ExitCode.BadInput, 2)));
        Assert.That(run.ErrorLines.Single(), Is.EqualTo($"error: {In("in", "cam2")}: the link leads nowhere."));
    }

    [Test]
    public void A_pipe_in_a_folder_does_not_hold_it_up()
    {
        if (OperatingSystem.IsWindows()) Assert.Ignore("It needs mkfifo.");
        Picture("in", "b.png");
        Shell("mkfifo in/a.png && ln -s a.png in/c.png && : > in/d.png");
        ToolRun run = ToolRun.Detect("--class", "nut", "--format", "csv", In("in"));
        Assert.That((run.Code, run.Lines.Length), Is.EqualTo((ExitCode.BadInput, 2)));
        Assert.That(run.ErrorLines, Is.EqualTo(new[] { "a", "c", "d" }.Select(n =>
            $"error: {In("in", n + ".png")}: this is no file, or it is empty; name it itself if it is to be read.")));
    }

    /// <summary>The path of every folder used to be resolved from the root on.</summary>
    [Test]
    public void Deep_folders_are_searched_in_time()
    {
        string deep = string.Join('/', Enumerable.Repeat("d", 1500));
        Picture([.. deep.Split('/'), "a.png"]);
        Stopwatch watch = Stopwatch.StartNew();
        Assert.That(Find(Folder).Pictures, Has.Count.EqualTo(1));
        Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(20)));
        using CancellationTokenSource cancelled = new();
        cancelled.Cancel();
        Assert.That(() => PictureSearch.Find([Folder], PictureOptions.Extensions, cancellationToken: cancelled.Token),
            Throws.InstanceOf<OperationCanceledException>());
    }

    /// <summary>A path that is longer than the system takes cannot be opened, not even by the administrator who runs the tests.</summary>
    [Test]
    public void A_folder_that_cannot_be_read_is_an_error()
    {
        if (!OperatingSystem.IsLinux()) Assert.Ignore("It needs sh, python3 and Linux's limit.");
        Picture("in", "a.png");
        Picture("in", "z", "b.png");
        Shell("cd in && python3 -c 'import os; [(os.mkdir(250 * \"n\"), os.chdir(250 * \"n\")) for i in range(20)]'");
        try
        {
            ToolRun run = ToolRun.Detect("--class", "nut", "--format", "csv", In("in"));
            Assert.That(run.Code, Is.EqualTo(ExitCode.BadInput));
            Assert.That(run.Lines.Skip(1).Select(l => l.Split(',')[0]), Is.EqualTo(new[] { In("in", "a.png"), In("in", "z", "b.png") }));
            Assert.That(run.ErrorLines.Single(), Does.StartWith("error: " + In("in", "nnn")).And.Contain("the folder cannot be read"));
        }
        finally
        {
            Shell("rm -rf in");
        }
    }

    /// <summary>Only what is saved for a picture of the run is passed over, and only in the folder itself.</summary>
    [TestCase("par", "001,002.mask,003.map,004.overlay")]
    [TestCase("parts", "001,002.mask,003.map,004.overlay")]
    [TestCase("parts/par", "001,002.mask,003.map,004.overlay")]
    [TestCase("link", "001,002.mask,003.map,004.overlay")]
    public void Only_saved_files_are_passed_over(string output, string expected)
    {
        foreach (string name in new[] { "001.png", "002.mask.png", "003.map.png", "004.overlay.png" }) Picture("parts", name);
        Link("parts", "link");
        for (int i = 0; i < 2; i++)
        {
            ToolRun run = ToolRun.Detect(
                "--class", "nut", "--format", "csv", "--threshold", "1", "--out", In(output), "--save", "overlay,mask,map", In("parts"));
            Assert.That(run.Code, Is.Zero);
            Assert.That(run.Lines.Skip(1).Select(l => Path.GetFileNameWithoutExtension(l.Split(',')[0])), Is.EqualTo(expected.Split(',')));
            Assert.That(run.Error, i == 1 && output != "par" ? Does.Contain("12 files that --out saves") : Is.Empty);
        }
    }

    /// <summary>What a shell makes of a pattern: the second run names what the first one saved.</summary>
    [Test]
    public void Named_pictures_that_look_saved_are_examined_and_told()
    {
        string[] named = [Picture("a.png"), Picture("a.overlay.png"), Picture("b.overlay.png")];
        ToolRun run = ToolRun.Detect(["--class", "nut", "--format", "csv", "--out", Folder, .. named]);
        Assert.That((run.Code, Paths(run)), Is.EqualTo((0, named)));
        Assert.That(run.ErrorLines.Single(), Does.Contain("1 picture has the name of a file that --out saves for the others")
            .And.Contain("because it is named: " + In("a.overlay.png")));
        Assert.That(In("a-2.overlay.png"), Does.Exist);
    }

    [Test]
    public void Long_names_are_told_from_what_is_saved_for_them()
    {
        string name = new('x', 243), other = new('ü', 124);
        Picture("alone", name + ".overlay.png");
        for (int i = 0; i < 2; i++)
        {
            ToolRun run = ToolRun.Detect("--class", "nut", "--format", "csv", "--out", In("alone"), In("alone"));
            Assert.That(Paths(run), Is.EqualTo(new[] { In("alone", name + ".overlay.png") }), "its own stem is no other picture's");
        }
        string[] two = [Picture("two", other + ".png"), Picture("two", other[..123] + "a.png")];
        for (int i = 0; i < 2; i++)
        {
            ToolRun run = ToolRun.Detect("--class", "nut", "--format", "csv", "--out", In("two"), In("two"));
            Assert.That(Paths(run), Is.EquivalentTo(two));
            Assert.That(Directory.GetFiles(In("two")), Has.Length.EqualTo(4));
        }
    }

    [Test]
    public void A_list_names_files_and_folders()
    {
        Picture("a b.png");
        Picture("in", "c.png");
        Picture("d*.png");
        Picture("dd.png");
        string[] names = [In("a b.png"), In("in"), In("d*.png")];
        string[] expected = [In("a b.png"), In("in", "c.png"), In("d*.png")];
        foreach (string separator in new[] { "\n", "\r\n", "\n\n", "\0" })
        {
            File.WriteAllText(In("list.txt"), string.Join(separator, names) + separator, new UTF8Encoding(separator == "\r\n"));
            Assert.That(Paths(ToolRun.Detect("--class", "nut", "--format", "csv", "--files-from", In("list.txt"))), Is.EqualTo(expected));
            ToolRun piped = ToolRun.Of(["detect", "--case", ToolRun.Tiny, "--class", "nut", "--format", "csv", "--files-from", "-"],
                File.ReadAllBytes(In("list.txt")));
            Assert.That((piped.Code, Paths(piped)), Is.EqualTo((0, expected)));
        }

        File.WriteAllText(In("list.txt"), $"{In("dd.png")}\n{In("nowhere.png")}\n");
        ToolRun run = ToolRun.Detect("--class", "nut", "--format", "csv", "--files-from", In("list.txt"), In("a b.png"));
        Assert.That((run.Code, Paths(run)), Is.EqualTo((ExitCode.BadInput, new[] { In("a b.png"), In("dd.png") })));
        Assert.That(run.ErrorLines.Single(), Does.Contain("list.txt, line 2: there is no file or folder " + In("nowhere.png")));
        Assert.That(ToolRun.Detect("--files-from", In("missing.txt")).Error, Does.Contain("missing.txt"));
        Assert.That(ToolRun.Detect("--files-from", Folder).Error, Does.Contain("this is a folder"));
        File.WriteAllText(In("list.txt"), "\n\n");
        Assert.That(ToolRun.Detect("--files-from", In("list.txt")).Error, Does.Contain("the list is empty"));
    }

    [Test]
    public void A_picture_comes_from_a_pipe()
    {
        byte[] picture = File.ReadAllBytes(Picture("a.png"));
        string[] arguments = ["detect", "--case", ToolRun.Tiny, "--class", "nut", "--format", "csv", "--out", In("out"), "-"];
        ToolRun run = ToolRun.Of(arguments, picture);
        Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
        string[] expected = ToolRun.Detect("--class", "nut", "--format", "csv", In("a.png")).Lines[1].Split(',');
        Assert.That(run.Lines[1].Split(',')[..2], Is.EqualTo(new[] { "-", expected[1] }));
        Assert.That(In("out", "stdin.overlay.png"), Does.Exist);
        ToolRun damaged = ToolRun.Of(arguments, picture.AsSpan(0, 99));
        Assert.That((damaged.Code, damaged.ErrorLines.Single()[..10]), Is.EqualTo((ExitCode.BadInput, "error: -: ")));
        Assert.That(ToolRun.Of([.. arguments, "--max-pixels", "10"], picture).ErrorLines.Single(), Does.StartWith("error: -: PNG: "));
    }

    private static PictureSearch Find(params string[] arguments) => PictureSearch.Find(arguments, PictureOptions.Extensions);

    private static string[] Paths(ToolRun run) => [.. run.Lines.Skip(1).Select(l => l.Split(',')[0])];

    private void Link(string target, params string[] at)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(In(at))!);
        Directory.CreateSymbolicLink(In(at), target);
    }
}
