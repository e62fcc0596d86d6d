using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Cli;
using TinyZsad.Imaging;
using TinyZsad.Models;
using TinyZsad.Tests.Imaging;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Cli;

public sealed class DetectTests : InFolder
{
    [Test]
    public void Integers_change_the_score_a_little()
    {
        double Score(string precision) =>
            double.Parse(ToolRun.Detect(ToolRun.Coffee, "--class", "nut", "--precision", precision, "--format",
            "csv").Lines[1].Split(',')[1], CultureInfo.InvariantCulture);
        double exact = Score("float32");
        Assert.That(Score("forced-int8"), Is.EqualTo(exact).Within(0.1).And.Not.EqualTo(exact).Within(1e-5));
    }

    [Test]
    public void The_table_has_a_row_a_picture()
    {
        ToolRun run = ToolRun.Detect("--class", "metal nut", Picture("a.png"), Picture("b.png"));
        Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
        Assert.That(run.Lines, Has.Length.EqualTo(3));
        Assert.That(run.Lines[0].Split(' ', StringSplitOptions.RemoveEmptyEntries),
            Is.EqualTo(new[] { "picture", "score", "size", "time" }));
        Assert.That(run.Lines[1], Does.StartWith(In("a.png")).And.Contain("70 x 70"));
        Assert.That(run.Output, Does.Not.Contain("\u001b"));
    }

    [Test]
    public void Scores_are_the_librarys_for_every_way_of_scoring()
    {
        string model = Seeded(), picture = Picture("a.png");
        List<float> scores = [];
        foreach ((string word, ImageScore score) in new[]
        {
            ("default", ImageScore.Default), ("maximum", ImageScore.Maximum),
            ("top-percent-mean", ImageScore.TopPercentMean), ("global-logit", ImageScore.GlobalLogit),
        })
        {
            ToolRun run = ToolRun.Of("detect", "-m", model, "--class", "nut", "--format", "json", "--score", word, picture);
            using AnomalyDetector detector = AnomalyDetector.Load(model, new DetectorOptions { Score = score });
            AnomalyResult expected = detector.Detect(Image.Load(picture), "nut");
            JsonElement row = JsonDocument.Parse(run.Output).RootElement;
            Assert.That(row.GetProperty("score").GetSingle(), Is.EqualTo(expected.Score));
            Assert.That(row.GetProperty("raw_score").GetSingle(), Is.EqualTo(expected.RawScore));
            scores.Add(expected.Score);
        }
        Assert.That(scores.Distinct().Count(), Is.EqualTo(3), "the default is the mean of the top percent");
    }

    [Test]
    public void Json_is_an_object_a_line()
    {
        ToolRun run = ToolRun.Detect("--class", "nut", "--format", "json", "--threshold", "0.0", Picture("ä \"b\".png"),
            Picture("c.png"));
        JsonElement[] rows = [.. run.Lines.Select(l => JsonDocument.Parse(l).RootElement)];
        Assert.That(rows, Has.Length.EqualTo(2));
        Assert.That(rows[0].GetProperty("path").GetString(), Is.EqualTo(In("ä \"b\".png")));
        Assert.That(rows[0].GetProperty("class").GetString(), Is.EqualTo("nut"));
        Assert.That(rows[0].GetProperty("verdict").GetString(), Is.EqualTo("anomalous"));
        using AnomalyDetector detector = AnomalyDetector.Load(Seeded(), new DetectorOptions { Threads = 1 });
        float score = detector.Detect(Image.Load(In("c.png")), "nut").Score;
        Assert.That(rows.Select(r => r.GetProperty("score").GetSingle()), Is.EqualTo(new[] { score, score }), "copies");
        Assert.That(run.Lines[0], Does.Contain("ä"));
        JsonElement region = rows[1].GetProperty("regions").EnumerateArray().Single();
        Assert.That(region.GetProperty("area").GetInt32(),
            Is.EqualTo(rows[1].GetProperty("width").GetInt32() * rows[1].GetProperty("height").GetInt32()), "all of it reaches 0");
        Assert.That(region.GetProperty("peak").GetSingle(), Is.InRange(region.GetProperty("mean").GetSingle(), 1f));
    }

    [Test]
    public void Regions_are_those_of_the_library_and_small_ones_are_left_out()
    {
        using AnomalyDetector detector = AnomalyDetector.Load(Seeded(), new DetectorOptions { Threads = 1 });
        string picture = Picture("c.png");
        AnomalyResult result = detector.Detect(Image.Load(picture), "nut");
        float threshold = (result.Map.Maximum + result.Map.Values.ToArray().Average()) / 2;
        IReadOnlyList<AnomalyRegion> regions = result.Regions(threshold);
        Assert.That(regions, Is.Not.Empty);
        string[] arguments = ["--class", "nut", "--format", "json", "--threshold", $"{threshold}"];
        Assert.That(Areas(ToolRun.Detect([.. arguments, picture])), Is.EqualTo(regions.Select(r => r.Area)));
        long most = regions[0].Area;
        Assert.That(Areas(ToolRun.Detect([.. arguments, "--min-area", $"{most}", picture])),
            Is.EqualTo(regions.Where(r => r.Area == most).Select(r => r.Area)));
        Assert.That(Areas(ToolRun.Detect([.. arguments, "--min-area", $"{most + 1}", picture])), Is.Empty);
        Assert.That(ToolRun.Detect("--class", "nut", "--min-area", "3", picture).Code, Is.EqualTo(2));
        Assert.That(ToolRun.Detect("--class", "nut", "--format", "json", picture).Output, Does.Not.Contain("regions"));

        static long[] Areas(ToolRun run) => [.. JsonDocument.Parse(run.Lines.Single()).RootElement.GetProperty("regions")
            .EnumerateArray().Select(r => r.GetProperty("area").GetInt64())];
    }

    [Test]
    public void Csv_is_quoted_where_it_must_be()
    {
        ToolRun run = ToolRun.Detect("--class", "nut, \"small\"", "--format", "csv", "--threshold", "1", "--out", In("out"),
            "--save", "raw,map", Picture("a, b.png"));
        Assert.That(run.Lines, Has.Length.EqualTo(2));
        Assert.That(run.Lines[0], Is.EqualTo("path,score,raw_score,class,width,height,milliseconds,verdict,raw,map"));
        Assert.That(run.Lines[1], Does.StartWith($"\"{In("a, b.png")}\",0."));
        Assert.That(run.Lines[1], Does.Contain(",\"nut, \"\"small\"\"\",70,70,").And.Contain(",normal,"));
        Assert.That(run.Lines[1], Does.EndWith($"\"{In("out", "a, b.npy")}\",\"{In("out", "a, b.map.png")}\""));
    }

    [Test]
    public void Without_a_class_it_says_which_one_it_takes()
    {
        ToolRun run = ToolRun.Detect(Picture("a.png"));
        Assert.That(run.Code, Is.Zero);
        Assert.That(run.ErrorLines, Has.Length.EqualTo(1));
        Assert.That(run.Error, Does.StartWith("note: ").And.Contain("LiZAD").And.Contain("\"object\""));
    }

    [Test]
    public void A_class_that_the_model_does_not_know_is_named()
    {
        string small = In("small.safetensors");
        Assert.That(ToolRun.Of("embed", "-m", Seeded(), "--class", "metal nut", "-o", small, "--drop-text").Code, Is.Zero);
        ToolRun run = ToolRun.Of("detect", "-m", small, "--class", "screw", Picture("a.png"));
        Assert.That((run.Code, run.Output), Is.EqualTo((ExitCode.BadInput, "")));
        Assert.That(run.ErrorLines, Has.Length.EqualTo(1));
        Assert.That(run.Error, Does.Contain("'screw'").And.Contain("'metal nut'").And.Contain(small));
        Assert.That(ToolRun.Of("detect", "-m", small, "--class", "metal nut", In("a.png")).Code, Is.Zero);
    }

    [Test]
    public void A_bad_picture_is_reported_and_the_rest_go_on()
    {
        string bad = In("b.png");
        File.WriteAllText(bad, "no picture");
        ToolRun run = ToolRun.Detect("--class", "nut", "--format", "json", Picture("a.png"), bad, In("missing.png"),
            Picture("c.png"));
        Assert.That(run.Code, Is.EqualTo(ExitCode.BadInput));
        Assert.That(Paths(run), Is.EqualTo(new[] { In("a.png"), In("c.png") }));
        Assert.That(run.ErrorLines, Has.Length.EqualTo(2));
        Assert.That(run.Error, Does.Contain(bad).And.Contain("missing.png"));
    }

    [Test]
    public void A_jpeg_is_turned_upright_if_asked_for()
    {
        byte[] jpeg = File.ReadAllBytes(TestData.Path("imaging", "jpeg-420.jpg"));
        byte[] exif = [.. "Exif\0\0MM\0*"u8, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0];
        File.WriteAllBytes(In("a.jpg"), [0xFF, 0xD8, 0xFF, 0xE1, 0, (byte)(exif.Length + 2), .. exif, .. jpeg.AsSpan(2)]);
        Assert.That(ToolRun.Detect("--class", "nut", In("a.jpg")).Lines[1], Does.Contain("35 x 27"));
        Assert.That(ToolRun.Detect("--class", "nut", "--exif-orientation", In("a.jpg")).Lines[1], Does.Contain("27 x 35"));
    }

    [Test]
    public void Folders_are_searched_for_pictures_in_order()
    {
        Picture("in", "b.PNG");
        Picture("in", "sub", "c.png");
        Picture("in", "a.png");
        Picture("in", ".hidden.png");
        File.WriteAllText(In("in", "notes.txt"), "");
        ToolRun run = ToolRun.Detect("--class", "nut", "--format", "json", In("in"), In("in", "a.png"));
        Assert.That(Paths(run), Is.EqualTo(new[] { In("in", "a.png"), In("in", "b.PNG"), In("in", "sub", "c.png") }));
        Directory.CreateDirectory(In("empty"));
        Assert.That(ToolRun.Detect(In("empty")).Error, Does.Contain("holds no picture"));
    }

    [Test]
    public void What_is_saved_is_of_the_pictures_size_and_agrees()
    {
        ToolRun run = ToolRun.Detect("--class", "nut", "--threshold", "0.38", "--out", In("out"), "--save",
            "overlay,map,mask,raw", ToolRun.Coffee);
        Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
        string stem = In("out", "lizad-coffee-300x420");
        Assert.That(run.Output, Does.Contain(stem + ".*"));
        Image overlay = Image.Load(stem + ".overlay.png"), map = Image.Load(stem + ".map.png"),
            mask = Image.Load(stem + ".mask.png");
        Assert.That((overlay.Width > 300, overlay.Height), Is.EqualTo((true, 420)));
        Assert.That((map.Width, map.Height, mask.Width, mask.Height), Is.EqualTo((300, 420, 300, 420)));

        byte[] npy = File.ReadAllBytes(stem + ".npy");
        Assert.That(Encoding.ASCII.GetString(npy, 0, 128), Does.Contain("'<f4'").And.Contain("(420, 300)"));
        ReadOnlySpan<float> values = MemoryMarshal.Cast<byte, float>(npy.AsSpan(npy.Length - 4 * 300 * 420));
        int anomalous = 0;
        for (int i = 0; i < values.Length; i++)
        {
            Assert.That(mask.Pixels[3 * i], Is.EqualTo(values[i] >= 0.38f ? 255 : 0));
            int level = Heatmap.Level(values[i], 0, 1);
            Assert.That(map.Pixels.Slice(3 * i, 3).SequenceEqual(Heatmap.Colours.Slice(3 * level, 3)));
            anomalous += mask.Pixels[3 * i] & 1;
        }
        Assert.That(anomalous, Is.InRange(1, values.Length - 1));
    }

    [Test]
    public void Names_of_saved_files_never_collide()
    {
        string[] pictures = [Picture("x", "a.png"), Picture("y", "a.png"), Picture("z", "A.png"), Picture("a-2.png")];
        ToolRun run = ToolRun.Detect(["--class", "nut", "--format", "json", "--out", In("out"), .. pictures]);
        string[] saved = [.. run.Lines.Select(l => JsonDocument.Parse(l).RootElement.GetProperty("overlay").GetString()!)];
        Assert.That(saved, Is.Unique.IgnoreCase);
        Assert.That(saved, Has.All.Exist);
        Assert.That(saved, Has.Length.EqualTo(4));
    }

    [Test]
    public void Folders_are_kept_apart_as_they_were_found()
    {
        Picture("in", "good", "a.png");
        Picture("in", "bad", "a.png");
        ToolRun.Detect("--class", "nut", "--out", In("out"), In("in"));
        Assert.That(In("out", "good", "a.overlay.png"), Does.Exist);
        Assert.That(In("out", "bad", "a.overlay.png"), Does.Exist);
    }

    [Test]
    public void A_picture_is_never_overwritten()
    {
        string first = Picture("a.png"), second = Picture("a.overlay.png");
        byte[] before = File.ReadAllBytes(second);
        ToolRun run = ToolRun.Detect("--class", "nut", "--out", Folder, first, second);
        Assert.That(run.Code, Is.Zero);
        Assert.That(File.ReadAllBytes(second), Is.EqualTo(before));
        Assert.That(In("a-2.overlay.png"), Does.Exist);
    }

    [Test]
    public void A_picture_that_is_named_through_a_link_is_never_overwritten()
    {
        Picture("real", "a.png");
        byte[] before = File.ReadAllBytes(Picture("real", "a.overlay.png"));
        Directory.CreateSymbolicLink(In("link"), "real");
        ToolRun run = ToolRun.Detect("--class", "nut", "--out", In("real"), In("link", "a.png"), In("link", "a.overlay.png"));
        Assert.That(run.Code, Is.Zero);
        Assert.That(File.ReadAllBytes(In("real", "a.overlay.png")), Is.EqualTo(before));
        Assert.That(In("real", "a-2.overlay.png"), Does.Exist);
    }

    [Test]
    public void What_was_saved_is_not_examined_the_next_time()
    {
        Picture("a.png");
        for (int i = 0; i < 2; i++)
        {
            Assert.That(Paths(ToolRun.Detect("--class", "nut", "--format", "json", "--out", Folder, Folder)),
                Is.EqualTo(new[] { In("a.png") }));
        }
    }

    [Test]
    public void A_folder_that_takes_no_files_is_refused_before_the_first_picture()
    {
        File.WriteAllText(In("results"), "a file");
        ToolRun run = ToolRun.Detect("--class", "nut", "--format", "csv", "--out", In("results"), Picture("a.png"));
        Assert.That((run.Code, run.Output), Is.EqualTo((ExitCode.BadInput, "")));
        Assert.That(run.ErrorLines.Single(), Is.EqualTo($"error: --out {In("results")}: this is a file; name a folder."));
        Assert.That(File.ReadAllText(In("results")), Is.EqualTo("a file"));

        string beneath = In("results", "deeper");
        Assert.That(ToolRun.Detect("--class", "nut", "--out", beneath, In("a.png")).ErrorLines.Single(),
            Does.StartWith($"error: --out {beneath}: no file can be written there: "));
    }

    [TestCase("csv")]
    [TestCase("json")]
    [TestCase("table")]
    public void A_score_is_printed_if_a_file_cannot_be_saved(string format)
    {
        // A folder is in the place of the file.
        Directory.CreateDirectory(In("out", "a.overlay.png"));
        ToolRun run = ToolRun.Detect(
            "--class", "nut", "--format", format, "--out", In("out"), "--save", "overlay,raw", Picture("a.png"), Picture("b.png"));
        Assert.That(run.Code, Is.EqualTo(ExitCode.CheckFailed));
        Assert.That(run.Lines, Has.Length.EqualTo(format == "json" ? 2 : 3));
        Assert.That(run.ErrorLines.Single(), Does.StartWith($"error: {In("a.png")}: {In("out", "a.overlay.png")} is not saved: "));
        Assert.That(Directory.GetFiles(In("out")).Select(Path.GetFileName),
            Is.EquivalentTo(new[] { "a.npy", "b.npy", "b.overlay.png" }));
        if (format == "csv") Assert.That(run.Lines[1], Does.EndWith($",,{In("out", "a.npy")}"));
        if (format == "table") Assert.That(run.Lines[1], Does.EndWith(In("out", "a.npy")).And.Contain("0."));
        if (format != "json") return;
        JsonElement row = JsonDocument.Parse(run.Lines[0]).RootElement;
        Assert.That(row.GetProperty("overlay").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(row.GetProperty("raw").GetString(), Is.EqualTo(In("out", "a.npy")));
        Assert.That(row.GetProperty("not_saved")[0].GetProperty("file").GetString(), Is.EqualTo(In("out", "a.overlay.png")));
        Assert.That(row.GetProperty("not_saved")[0].GetProperty("reason").GetString(), Is.Not.Empty);
        Assert.That(JsonDocument.Parse(run.Lines[1]).RootElement.TryGetProperty("not_saved", out _), Is.False);
    }

    /// <summary>A file's name has at most 255 bytes; what is saved for it has a longer suffix.</summary>
    [Test]
    public void The_longest_name_gets_a_file()
    {
        string name = new('ä', 125), cut = name[..121];
        string[] pictures = [Picture("x", name + "1.png"), Picture("y", name + "2.png")];
        ToolRun run = ToolRun.Detect(["--class", "nut", "--format", "csv", "--out", In("out"), .. pictures]);
        Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
        Assert.That(Directory.GetFiles(In("out")).Select(Path.GetFileName),
            Is.EquivalentTo(new[] { cut + ".overlay.png", cut[..120] + "-2.overlay.png" }));
    }

    [Test]
    public void What_one_picture_causes_does_not_end_the_others()
    {
        Picture("a.png");
        Picture("c.png");
        File.WriteAllBytes(In("b.png"), Zeros(16384, 8192));
        ProcessStartInfo start = new("dotnet", [typeof(Tool).Assembly.Location, "detect", "--case", ToolRun.Tiny, "--class", "nut",
            "--format", "csv", Folder])
        {
            RedirectStandardOutput = true, RedirectStandardError = true, Environment = { ["DOTNET_GCHeapHardLimit"] = "12C00000" },
        };
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string[] lines = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();
        Assert.That(lines.Skip(1).Select(l => l.Split(',')[0]), Is.EqualTo(new[] { In("a.png"), In("c.png") }));
        Assert.That((process.ExitCode, error.Result.Trim()),
            Is.EqualTo((ExitCode.BadInput, $"error: {In("b.png")}: there is not enough memory for it.")));
    }

    /// <summary>A partial file is not left if saving is cancelled within a file.</summary>
    [Test]
    public void Cancelled_within_a_file_it_leaves_none()
    {
        using CancellationTokenSource source = new();
        Assert.That(() => AtomicFile.Write(In("a.npy"), file =>
        {
            using CancellableStream stream = new(file, source.Token);
            stream.Write(new byte[100]);
            source.Cancel();
            stream.Write(new byte[100]);
        }), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(Directory.GetFileSystemEntries(Folder), Is.Empty);

        using AnomalyDetector detector = AnomalyDetector.Load(Seeded(), new DetectorOptions { Threads = 1 });
        Image image = Image.Load(Picture("a.png"));
        OutputFolder folder = new(new OutputNames(In("out")), [Artefact.Overlay, Artefact.Raw]);
        Assert.That(() => folder.Save(kind => In("out", $"{kind}"), image, detector.Detect(image, "nut"), null, null, source.Token),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(Directory.GetFileSystemEntries(In("out")), Is.Empty);
    }

    [Test]
    public void Scores_are_printed_if_nobody_can_be_told_anything()
    {
        using StringWriter output = new();
        using StreamWriter error = new(new ClosedStream()) { AutoFlush = true };
        string[] arguments = ["detect", "--case", ToolRun.Tiny, "--format", "csv", Picture("a.png"), In("missing.png"), Picture("b.png")];
        Assert.That(Tool.RunAsync(arguments, new Terminal(output, error)).GetAwaiter().GetResult(), Is.EqualTo(ExitCode.BadInput));
        Assert.That(output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries), Has.Length.EqualTo(3));
    }

    /// <summary>A limit is named by the option that sets it, and the option sets it.</summary>
    [TestCase("--max-pixels", "4899", "4900")]
    [TestCase("--max-bytes", "99", "100000")]
    public void A_limit_is_one_that_can_be_changed(string option, string less, string enough)
    {
        string picture = Picture("a.png");
        ToolRun run = ToolRun.Detect("--class", "nut", option, less, picture);
        Assert.That((run.Code, run.Output), Is.EqualTo((ExitCode.BadInput, "")));
        Assert.That(run.ErrorLines.Single(), Does.Contain($"{option} allows {less}").And.Contain(picture).And.Not.Contain("ImageLimits"));
        Assert.That(ToolRun.Detect("--class", "nut", option, enough, picture).Code, Is.Zero);
        Assert.That(ToolRun.Of("bench", "--case", ToolRun.Tiny, "--image", picture, option, less).Error, Does.Contain(option));
        Assert.That(ToolRun.Of("bench", "--case", ToolRun.Tiny, option, less).Error, Does.Contain("add --image"));
    }

    /// <summary>A camera's 12 bits in samples of 16.</summary>
    [Test]
    public void Bits_of_deep_pictures_are_those_of_the_library()
    {
        string picture = TestData.Path("imaging", "tiff", "camera-12-in-16.tif");
        using AnomalyDetector detector = AnomalyDetector.Load(Seeded(), new DetectorOptions { Threads = 1 });
        Dictionary<string, float> scores = [];
        foreach (string bits in new[] { "16", "12", "11", "auto" })
        {
            ToolRun run = ToolRun.Detect("--class", "nut", "--format", "json", "--bits", bits, picture);
            scores[bits] = JsonDocument.Parse(run.Output).RootElement.GetProperty("score").GetSingle();
            ImageLoadOptions options = new() { SignificantBits = bits == "auto" ? 0 : int.Parse(bits, CultureInfo.InvariantCulture) };
            Assert.That(scores[bits], Is.EqualTo(detector.Detect(Image.Load(picture, options.WithTiff()), "nut").Score));
            Assert.That(run.Error, bits is "16" or "11" ? Does.StartWith("note: ").And.Contain("12 bits") : Is.Empty);
        }
        Assert.That(scores["auto"], Is.EqualTo(scores["12"]));
        Assert.That(scores.Values.Distinct().Count(), Is.EqualTo(3));

        ToolRun two = ToolRun.Detect("--class", "nut", picture, TestData.Path("imaging", "tiff", "deep-gray.tif"), Copy(picture));
        Assert.That(two.ErrorLines, Has.Length.EqualTo(2), "once, and how many there are");
        Assert.That(two.ErrorLines[1],
            Is.EqualTo("note: 2 pictures use less than a sixteenth of the range of 16-bit samples; see --bits."));
        Assert.That(ToolRun.Detect("--class", "nut", "--bits", "12", TestData.Path("imaging", "tiff", "deep-gray.tif")).Error,
            Does.StartWith("note: ").And.Contain("takes 16 bits; with --bits 12 it is cut to white"));

        string Copy(string path)
        {
            File.Copy(path, In("copy.tif"));
            return In("copy.tif");
        }
    }

    [Test]
    public void A_page_of_a_tiff_is_chosen()
    {
        string picture = TestData.Path("imaging", "tiff", "big-pages.tif");
        for (int page = 1; page <= 4; page++)
        {
            Image expected = Image.Load(picture, new ImageLoadOptions().WithTiff(page));
            ToolRun run = ToolRun.Detect("--class", "nut", "--page", $"{page}", picture);
            Assert.That(run.Lines[1], Does.Contain($"{expected.Width} x {expected.Height}"));
            Assert.That(run.Error, Is.Empty);
        }
        Assert.That(ToolRun.Detect("--class", "nut", picture).Error,
            Is.EqualTo($"note: {picture} has further pages; the first is examined, and --page N examines another.\n"));
        ToolRun none = ToolRun.Detect("--class", "nut", "--page", "5", picture);
        Assert.That((none.Code, none.Error), Is.EqualTo((ExitCode.BadInput, none.ErrorLines.Single() + "\n")));
        Assert.That(none.Error, Does.Contain("no page 5; the file has 4"));
    }

    [Test]
    public void Cancelled_before_the_first_picture_it_says_nothing()
    {
        ToolRun run = ToolRun.Of(["detect", "--case", ToolRun.Tiny, "--class", "nut", Picture("a.png")],
            new CancellationToken(canceled: true));
        Assert.That((run.Code, run.Output, run.Error), Is.EqualTo((ExitCode.Cancelled, "", "")));
    }

    /// <summary>A full disk, or a descriptor that was closed.</summary>
    private sealed class ClosedStream : OutputStream
    {
        public override void Write(ReadOnlySpan<byte> buffer) => throw new IOException("No space left on device");

        public override void Flush() { }
    }

    /// <summary>A gray picture of zeros, which a few kilobytes hold.</summary>
    private static byte[] Zeros(int width, int height) => TestPng.File(
        new TestPng { Width = width, Height = height, Depth = 1, Colour = 0 }.Header(),
        TestPng.Chunk("IDAT", TestPng.Deflate(new byte[(1 + width / 8) * height])), TestPng.Chunk("IEND"));

    private static IEnumerable<string?> Paths(ToolRun run) =>
        run.Lines.Select(l => JsonDocument.Parse(l).RootElement.GetProperty("path").GetString());
}
