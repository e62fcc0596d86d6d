using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using NUnit.Framework;
using TinyZsad.Conversion;
using TinyZsad.Imaging;
using TinyZsad.Tests.Cli;
using TinyZsad.Verification;

namespace TinyZsad.Tests;

/// <summary>What is written to files, pictures and standard output does not depend on the culture of the host.</summary>
public sealed partial class CultureTests : InFolder
{
    /// <summary>German's comma, and the minus of Swedish and of others, which is not ASCII's.</summary>
    private static readonly CultureInfo[] Cultures = [Culture(n => (n.NumberDecimalSeparator, n.NumberGroupSeparator) = (",", ".")),
        Culture(n => n.NegativeSign = "\u2212")];

    private static readonly AnomalyResult Result =
        new(-1234.5f, AnomalyMap.Create(4, 2, [-2.5f, 0, 0.25f, 1310.5f, 1, 2, 3, 4]), 400, 200);

    private static readonly (string Name, Func<CultureTests, byte[]> Write)[] Writers =
    [
        ("overlay", _ => Overlay.Render(Picture(), [-2.5f, 0, 0.5f, 1], 2, 2, new() { Low = -2.5f, High = 0.25f, Score = -0.131f })
            .Pixels.ToArray()),
        ("result's overlay", _ => Result.RenderOverlay(Picture()).Pixels.ToArray()),
        ("heatmap", _ => Png(s => Heatmap.Render([-2.5f, 0, 0.5f, 1], 2, 2, -2.5f, 1).SavePng(s))),
        ("mask", _ => Png(s => Mask.SavePng(s, [-2.5f, 0, 0.5f, 1], 2, 2, -0.5f))),
        ("npy", _ => Png(s => NpyWriter.Save(s, new float[4000], 4000, 1))),
        ("result", _ => Encoding.UTF8.GetBytes($"{Result} {Result.Map}")),
        ("seeded model", t => t.File(path => ReferenceCase.WriteModel(path, ReferenceCase.Open(ToolRun.Tiny)))),
        ("converted model", t => t.File(path => CheckpointConverter.EdgeZsad(null, Nano, path))),
        ("model with classes", t => t.File(path =>
        {
            using AnomalyDetector detector = AnomalyDetector.Load(t.Seeded());
            detector.SaveWithClasses(path, ["metal nut"], textTower: true);
        })),
        ("detect, csv", t => t.Tool("detect", "--case", ToolRun.Tiny, "--format", "csv", "--threshold", "0.25", t.In("a.png"))),
        ("detect, json", t => t.Tool("detect", "--case", ToolRun.Tiny, "--format", "json", "--threshold", "0.25", t.In("a.png"))),
        ("detect, table", t => t.Tool("detect", "--case", ToolRun.Tiny, "--threshold", "0.25", t.In("a.png"))),
        ("detect, files", t => t.Saved()),
        ("inspect", t => t.Tool("inspect", Nano, "--json")),
        ("inspect, table", t => t.Tool("inspect", Nano, "--tensors")),
        ("verify", t => t.Tool("verify", TestData.Path("lizad", "tiny"), "--json")),
        ("verify, table", t => t.Tool("verify", TestData.Path("lizad", "tiny"))),
        ("convert", t => t.Tool("convert", "edgezsad", "--head", Nano, "-o", t.In("o.safetensors"))),
    ];

    private static string Nano => Path.Combine(TestData.RepositoryRoot, "models", "edgezsad-nano.safetensors");

    public static IEnumerable<string> Names => Writers.Select(w => w.Name);

    [TestCaseSource(nameof(Names))]
    public void What_is_written_is_the_same_in_every_culture(string name)
    {
        Picture("a.png");
        Func<CultureTests, byte[]> write = Writers.Single(w => w.Name == name).Write;
        byte[] expected = write(this);
        CultureInfo before = CultureInfo.CurrentCulture;
        foreach (CultureInfo culture in Cultures)
        {
            try
            {
                CultureInfo.CurrentCulture = culture;
                Assert.That(write(this), Is.EqualTo(expected));
            }
            finally
            {
                CultureInfo.CurrentCulture = before;
            }
        }
    }

    /// <summary>The cultures do change text that takes them into account.</summary>
    [Test]
    public void The_cultures_differ() => Assert.That(Cultures.Select(c => (-1.5).ToString(c)), Is.EqualTo(new[] { "-1,5", "\u22121.5" }));

    private static ImageView Picture() => new(new byte[3 * 400 * 200], 400, 200, PixelFormat.Rgb24);

    private static CultureInfo Culture(Action<NumberFormatInfo> change)
    {
        CultureInfo culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        change(culture.NumberFormat);
        return culture;
    }

    private static byte[] Png(Action<Stream> save)
    {
        using MemoryStream stream = new();
        save(stream);
        return stream.ToArray();
    }

    private byte[] File(Action<string> save)
    {
        save(In("file"));
        return System.IO.File.ReadAllBytes(In("file"));
    }

    /// <summary>What the tool prints, without its times and the width that they give to a column.</summary>
    private byte[] Tool(params string[] arguments)
    {
        ToolRun run = ToolRun.Of(arguments);
        Assert.That(run.Code, Is.Zero, run.Error);
        return Encoding.UTF8.GetBytes(Spaces().Replace(Times().Replace(run.Output, ""), " "));
    }

    private byte[] Saved()
    {
        Tool("detect", "--case", ToolRun.Tiny, "--out", In("out"), "--save", "overlay,map,mask,raw", "--threshold", "0.25", In("a.png"));
        return [.. Directory.GetFiles(In("out")).Order(StringComparer.Ordinal).SelectMany(System.IO.File.ReadAllBytes)];
    }

    [GeneratedRegex("""(?<=milliseconds":)[0-9.]+|(?<=,)[0-9]+[.][0-9]{4}(?=,normal|,anomalous)| +[0-9]+[.][0-9]+ ms""")]
    private static partial Regex Times();

    [GeneratedRegex(" +")]
    private static partial Regex Spaces();
}
