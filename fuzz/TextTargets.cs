using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;
using TinyZsad.Evaluation;
using TinyZsad.Imaging;
using TinyZsad.Models;
using TinyZsad.Tests;
using TinyZsad.Verification;
using TinyZsad.Weights;

namespace TinyZsad.Fuzz;

/// <summary>Texts: manifests of reference cases, descriptions of test sets, CLIP's vocabulary, and what its tokenizer is given.</summary>
internal static class TextTargets
{
    private static readonly string[] JsonTokens =
    [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "null", "true", "-1", "0", "1e9", "1e999", "2147483648", "9223372036854775808", "0.5",
        "\"\\u0000\"", "\"\\ud800\"", "\"../..\"", "\"/\"", "[[[[[[[[", "{\"a\":", "\"\"", new string('[', 100),
    ];

    private static readonly Lazy<byte[]> Table = new(() =>
    {
        using Stream resource = ClipTokenizer.OpenTable();
        using MemoryStream text = new();
        resource.CopyTo(text);
        // As far as it is read: a line of version, and the merges.
        ReadOnlySpan<byte> rest = text.ToArray();
        int length = 0;
        for (int line = 0; line <= BytePairMerges.MergeCount; line++) length += 1 + rest[length..].IndexOf((byte)'\n');
        return rest[..length].ToArray();
    });

    private static readonly Lazy<string> CaseFolder = new(() =>
    {
        string folder = Scratch.Folder("case");
        float[] six = [1, 2, 3, 4, 5, 6];
        File.WriteAllBytes(Path.Combine(folder, "picture.ppm"), [.. "P6 2 1 255\n"u8, 1, 2, 3, 4, 5, 6]);
        SafetensorsWriter.Write(Path.Combine(folder, "expected.safetensors"),
            [TensorDeclaration.FromValues<float>("x", [6], six), TensorDeclaration.FromValues<float>("y", [2], six.AsMemory(0, 2))]);
        SafetensorsWriter.Write(Path.Combine(folder, "tensors.safetensors"),
            [TensorDeclaration.FromValues<float>("s.x", [2, 3], six), TensorDeclaration.FromValues<float>("s.y", [2, 3], six)]);
        SafetensorsWriter.Write(Path.Combine(folder, "arrays.safetensors"),
        [
            TensorDeclaration.FromValues<float>("image.r.scores", [6], six),
            TensorDeclaration.FromValues<int>("image.r.labels", [6], new int[] { 0, 1, 0, 1, 1, 0 }),
            TensorDeclaration.FromValues<float>("pixel.r.maps", [1, 2, 3], six),
            TensorDeclaration.FromValues<int>("pixel.r.masks", [1, 2, 3], new int[] { 0, 0, 1, 1, 0, 1 }),
        ]);
        return folder;
    });

    /// <summary>
    /// Manifests of every kind of case, in a folder with what they refer to; verified, but for those that run a whole network.
    /// </summary>
    public static FuzzTarget Manifest { get; } = new("manifest", Verify, () =>
    [
        Encoding.UTF8.GetBytes("""
            {"case": "c", "model": "visualad", "seed": 7, "class_name": "nut", "image": "picture.ppm", "metadata": {"a": "b"},
             "tolerance": {"*": 1e-5, "x*": 0}, "tensors": [{"name": "w", "shape": [2, 3], "scale": 0.5, "offset": 0}],
             "taps": {"x": {"shape": [2, 3], "stride": 1, "norm": 1.5}, "y": {"shape": [4], "stride": 2, "norm": 1}}}
            """),
        Encoding.UTF8.GetBytes("""
            {"case": "c", "model": "visualad", "seed": 0, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "tensors": [],
             "inputs": [{"image": "picture.ppm", "size": 4, "taps": ["x", "y"], "byte_sum": 1}],
             "tolerance": {"*": 0}, "taps": {"x": {"shape": [6], "stride": 1, "norm": 1}}}
            """),
        Encoding.UTF8.GetBytes("""
            {"case": "c", "model": "visualad", "seed": 0, "dataset": "meta.json", "metadata": {}, "tensors": [], "tolerance": {},
             "images": [{"image": "picture.ppm", "score": 0.5}], "taps": {},
             "metrics": {"a": {"image": {"auroc": 1, "ap": 1, "f1_max": 1}, "pixel": {"auroc": 1, "ap": 1, "f1_max": 1, "pro": 1}}}}
            """),
        Encoding.UTF8.GetBytes("""
            {"image": {"r": {"auroc": 0.5, "ap": 0.5, "f1_max": 0.5}},
             "pixel": {"r": {"auroc": 0.5, "ap": 0.5, "f1_max": 0.5, "pro": 0.5}}}
            """),
        Encoding.UTF8.GetBytes("""
            {"tensors": "tensors.safetensors", "cases": [{"name": "s", "op": "sigmoid", "params": {}, "expected": ["y"],
             "tolerance": 1e-6}, {"name": "s", "op": "topk_mean", "params": {"k": 2}, "expected": ["y"], "tolerance": 1}]}
            """),
    ])
    {
        Tokens =
        [
            .. JsonTokens, "\"case\"", "\"model\"", "\"seed\"", "\"inputs\"", "\"dataset\"", "\"metadata\"", "\"tolerance\"",
            "\"tensors\"", "\"taps\"", "\"shape\"", "\"stride\"", "\"norm\"", "\"size\"", "\"image\"", "\"pixel\"", "\"cases\"",
            "picture.ppm", "expected.safetensors", "meta.json", "sigmoid", "gelu_erf", "\"auroc\"", "\"pro\"", "\"name\"", "\"scale\"",
        ],
        Errors = [typeof(ModelFormatException), typeof(ImageFormatException)],
        MaxLength = 1 << 14,
        MaxBytes = 64 << 20,
        MaxBytesEach = 256,
        MaxMilliseconds = 3000, // cases ask for pictures of up to 4096 pixels each way
    };

    /// <summary>A description of a test set.</summary>
    public static FuzzTarget Dataset { get; } = new("dataset", ReadDataset, () =>
        [File.ReadAllBytes(TestData.Path("visualad", "eval", "meta.json"))])
    {
        Errors = [typeof(InvalidDataException)],
        Tokens = [.. JsonTokens, "\"test\"", "\"img_path\"", "\"mask_path\"", "\"anomaly\""],
        MaxBytesEach = 1024,
    };

    /// <summary>CLIP's table of merges, compressed or not. It ships inside the library; still it is a parser.</summary>
    public static FuzzTarget Vocabulary { get; } = new("vocabulary", ReadVocabulary, () => [Table.Value, Table.Value[..4096], Gzip()])
    {
        Tokens = ["\n", " ", "</w>", "\u001f\u008b\u0008", "t h\n", "\u00c4\u00a0", "#version: 0.2\n"],
        MaxLength = 1 << 20,
        MaxBytes = 8 << 20,
    };

    /// <summary>The name of a class: any text.</summary>
    public static FuzzTarget Tokenizer { get; } = new("tokenizer", Encode, () => new[]
    {
        "a photo of a metal nut", "&amp;lt;&#x41;&#1114112;&bogus;", "\uff21\ufb01\u0301e\u0327\u0301", "<start_of_text>x<end_of_text>",
        "it's 12 \ud83d\ude00 \u4e2d\u6587", new string('\u0301', 400), string.Concat(Enumerable.Repeat("&amp;", 200)),
    }.Select(Encoding.UTF8.GetBytes))
    {
        Tokens =
        [
            "&", "&amp;", "&#", "&#x", ";", "&lt", "<", "'ll", "<end_of_text>", "\u00cc\u0081", "\u00ef\u00bc\u00a1", "\u00ed\u00a0\u0080",
            "\0", "\u00f0\u009f\u0098\u0080", "amp;",
        ],
        MaxBytes = 8 << 20,
        MaxBytesEach = 1024,
        Errors = [],
    };

    private static byte[] Gzip()
    {
        using MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.Fastest)) gzip.Write(Table.Value);
        return packed.ToArray();
    }

    private static string Verify(ReadOnlyMemory<byte> bytes)
    {
        string text = Encoding.Latin1.GetString(bytes.Span), folder = CaseFolder.Value;
        string name = text.Contains("\"cases\"") ? "cases.json" : text.Contains("\"case\"") ? "manifest.json" : "expected.json";
        foreach (string other in new[] { "manifest.json", "cases.json", "expected.json" })
            if (other != name) File.Delete(Path.Combine(folder, other));
        string path = Path.Combine(folder, name);
        Scratch.Write(path, bytes.Span);
        ReferenceCase reference = ReferenceCase.Open(folder);
        GC.KeepAlive((reference.Image, reference.Resized, reference.Strings, reference.Tokens));
        if (reference.Kind is not (ReferenceCaseKind.Network or ReferenceCaseKind.Evaluation))
            return $"{reference.Kind} {Verifier.Run(reference, threads: 1).Count(r => r.Passed)}";
        return $"{reference.Kind} {string.Join(' ', reference.ExpectedTaps().Select(t => t.Shape.Count))} "
            + string.Join(' ', reference.Tensors.Select(t => t.Shape.Length));
    }

    private static string ReadDataset(ReadOnlyMemory<byte> bytes)
    {
        string path = Path.Combine(Scratch.Folder("dataset"), "meta.json");
        Scratch.Write(path, bytes.Span);
        Evaluation.Dataset dataset = Evaluation.Dataset.Load(path);
        return $"{new string('c', dataset.Classes.Count)} {dataset.Images.Any(i => i.Anomalous)}";
    }

    private static string ReadVocabulary(ReadOnlyMemory<byte> bytes)
    {
        using MemoryStream raw = new(bytes.ToArray());
        using Stream text = bytes.Span is [0x1F, 0x8B, ..] ? new GZipStream(raw, CompressionMode.Decompress) : raw;
        BytePairMerges merges = new(text);
        int[] ids = new int[8];
        merges.Encode("holidays"u8, ids, new int[8]);
        return $"{ids.Count(i => i > 511)} long";
    }

    private static string Encode(ReadOnlyMemory<byte> bytes)
    {
        // As UTF-8, and as UTF-16 with half surrogate pairs and all.
        int[] ids = ClipTokenizer.Shared.Encode(Encoding.UTF8.GetString(bytes.Span));
        ClipTokenizer.Shared.Encode(new string(MemoryMarshal.Cast<byte, char>(bytes.Span)), ids);
        if (ids.Any(i => i is < 0 or > ClipTokenizer.EndToken)) throw new InvalidOperationException("an id is out of range");
        return new string('t', ids.Count(i => i > 0));
    }
}
