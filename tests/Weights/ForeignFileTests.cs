using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using NUnit.Framework;
using TinyZsad.Tests.Cli;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Weights;

/// <summary>
/// Files that people give in place of a model or a checkpoint: each is told what it is and what to do, whoever opens it. file(1) names
/// the same formats for these bytes.
/// </summary>
public sealed class ForeignFileTests : InFolder
{
    private const string Lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:"
        + "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 88232\n";

    private const string Restricted = "Access to model facebook/dinov3-vits16-pretrain-lvd1689m is restricted. You must have access to it "
        + "and be authenticated to access it. Please log in.";

    /// <summary>What is told alike about a model and a checkpoint.</summary>
    public static TestCaseData[] Foreign() =>
    [
        Case("empty", [], "the file is empty"),
        Case("Git LFS pointer", Lfs, "Git LFS pointer", "git lfs pull"),
        Case("restricted", Restricted, "'Access to model facebook/dinov3", "accept the licence", "access token"),
        Case("no login", "Invalid username or password.", "'Invalid username or password.'", "access token"),
        Case("not found", "Entry not found", "text in place of the file, 'Entry not found'", "check the address"),
        Case("two letters", "no", "text in place of the file, 'no'"),
        Case("text that is cut within a character", new string('é', 400), "text in place of the file", "..."),
        Case("error in JSON", """{"error":"Repository not found"}""", "Repository not found", "check the address"),
        Case("denial in JSON", """ {"error": "Access to this resource is gated"}""", "resource is gated", "accept the licence"),
        Case("HTML", "\n<!DOCTYPE html>\n<html><body>Not found</body></html>", "an HTML page", "/resolve/"),
        Case("HTML without a type", "<HTML>", "an HTML page"),
        Case("XML", "\ufeff<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "XML in place", "AccessDenied"),
        Case("storage's XML", "<Error><Code>NoSuchKey</Code></Error>", "XML in place", "NoSuchKey"),
        Case("gzip", Compressed(s => new GZipStream(s, CompressionLevel.Fastest)), "a gzip archive", "unpack it"),
        Case("xz", [0xfd, .. "7zXZ"u8, 0, 0, 4, 0xe6, 0xd6, 0xb4, 0x46], "an xz archive", "unpack it"),
        Case("zstd", [0x28, 0xb5, 0x2f, 0xfd, 4, 0x58, 0x19, 0, 0], "a zstd archive", "unpack it"),
        Case("bzip2", [.. "BZh91AY&SY"u8, 0x19, 0x31], "a bzip2 archive", "unpack it"),
        Case("LZ4", [4, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7], "an LZ4 archive", "unpack it"),
        Case("7z", [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c, 0, 4, 1], "a 7z archive", "unpack it"),
        Case("RAR", [.. "Rar!"u8, 0x1a, 7, 1, 0, 0], "a RAR archive", "unpack it"),
        Case("tar", Tar("weights.pth"), "a tar archive", "unpack it"),
        Case("tar whose name looks like a header's length", Tar("a"), "a tar archive", "unpack it"),
        Case("ONNX", [8, 7, 0x12, 7, .. "pytorch"u8, 0x1a, 5, .. "2.0.1"u8, 0x3a, 0xff, 1], "an ONNX model"),
        Case("GGUF", [.. "GGUF"u8, 3, 0, 0, 0, 0x23, 1, 0, 0], "a GGUF model"),
        Case("HDF5", [0x89, .. "HDF\r\n"u8, 0x1a, 10, 0, 0, 0, 0], "an HDF5 file"),
        Case("TFLite", [0x1c, 0, 0, 0, .. "TFL3"u8, 0x14, 0, 0x20, 0], "a TensorFlow Lite model"),
        Case("NumPy array", [0x93, .. "NUMPY"u8, 1, 0, 0x76, 0], "a NumPy array"),
        Case("NumPy archive", Zip("a.npy", "b.npy"), "a NumPy archive"),
        Case("PNG", File.ReadAllBytes(ToolRun.Coffee), "a PNG picture"),
        Case("JPEG", [0xff, 0xd8, 0xff, 0xe0, 0, 0x10, .. "JFIF"u8, 0], "a JPEG picture"),
        Case("BMP below 1525 bytes", [.. "BM"u8, 0x7a, 0, 0, 0, 0, 0, 0, 0, 0x7a, .. new byte[200]], "a BMP picture"),
        Case("WebP", [.. "RIFF"u8, 0x24, 0, 0, 0, .. "WEBPVP8 "u8], "WebP picture"),
        Case("legacy checkpoint", [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, (byte)'.'],
            "legacy format", "torch.save(torch.load(FILE), NEW)"),
        Case("oldest checkpoint", Tar("storages"), "oldest format", "torch.save(torch.load(FILE), NEW)"),
    ];

    [TestCaseSource(nameof(Foreign))]
    public async Task Is_told_whoever_opens_it(byte[] bytes, string[] says)
    {
        string path = In("file.safetensors");
        await File.WriteAllBytesAsync(path, bytes);
        Says(path, () => SafetensorsFile.Open(path));
        Says(path, () => SafetensorsFile.Read(path));
        Says("name", () => SafetensorsFile.Open(bytes, "name"));
        Says("name", () => SafetensorsFile.Read(new MemoryStream(bytes), "name"));
        ModelFormatException later = (await Assert.ThrowsAsync<ModelFormatException>(
            () => SafetensorsFile.ReadAsync(new MemoryStream(bytes), "name")))!;
        Says("name", () => throw later);
        Says(path, () => Checkpoint.Open(path));
        Says("name", () => Checkpoint.Open(bytes, "name"));
        string index = In("model.safetensors.index.json");
        await File.WriteAllTextAsync(index, """{"weight_map": {"a": "file.safetensors"}}""");
        Says(path, () => Checkpoint.Open(index));

        void Says(string file, Func<IDisposable> open)
        {
            ModelFormatException error = Assert.Throws<ModelFormatException>(() => open().Dispose())!;
            Assert.That(error.Message, Does.StartWith($"{file}: ").And.EndsWith("."));
            foreach (string part in says) Assert.That(error.Reason, Does.Contain(part));
            Assert.That(error.Message.Any(char.IsControl), Is.False, "a message must not drive the terminal");
        }
    }

    [Test]
    public void A_checkpoint_in_place_of_a_model_is_to_be_converted()
    {
        byte[] archive = TorchFile.Of(SamplePickles.StateDict).ToBytes();
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(archive, "head.pth").Dispose())!;
        Assert.That(error.Reason, Does.Contain("PyTorch").And.Contain("'tinyzsad convert'"));
        Checkpoint.Open(archive, "head.pth").Dispose();

        byte[] index = Encoding.UTF8.GetBytes("""{"metadata": {"total_size": 8}, "weight_map": {}}""");
        error = Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(index, "index.json").Dispose())!;
        Assert.That(error.Reason, Does.Contain("index of shards").And.Contain("'tinyzsad convert'"));
    }

    /// <summary>A header's length may be the first bytes of anything; what follows decides.</summary>
    [Test]
    public void A_good_file_stays_one([Values(0x0280, 0x4d42, 0x8b1f, 0x0708, 0x2020, 0x4b50, 0x5a42)] int length)
    {
        byte[] bytes = TestFiles.Raw("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}".PadRight(length), 8);
        using SafetensorsFile file = SafetensorsFile.Open(bytes, "a");
        using Checkpoint checkpoint = Checkpoint.Open(bytes, "a");
        Assert.That((file.Tensors.Count, checkpoint.Tensors.Count), Is.EqualTo((1, 1)));
        ModelFormatException cut = Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(bytes.AsMemory(0, 40), "a").Dispose())!;
        Assert.That(cut.Reason, Does.Contain("cut short"), "it is no other file, but a part of a good one");
    }

    private static TestCaseData Case(string name, string text, params string[] says) => Case(name, Encoding.UTF8.GetBytes(text), says);

    private static TestCaseData Case(string name, byte[] bytes, params string[] says) =>
        new TestCaseData(bytes, says).SetArgDisplayNames(name);

    private static byte[] Compressed(Func<Stream, Stream> compress)
    {
        using MemoryStream stream = new();
        using (Stream compressor = compress(stream)) compressor.Write(new byte[1000]);
        return stream.ToArray();
    }

    private static byte[] Tar(string name)
    {
        using MemoryStream stream = new();
        using (TarWriter writer = new(stream, TarEntryFormat.Ustar, leaveOpen: true))
            writer.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(new byte[600]) });
        return stream.ToArray();
    }

    private static byte[] Zip(params string[] names)
    {
        using MemoryStream stream = new();
        using (ZipArchive archive = new(stream, ZipArchiveMode.Create))
            foreach (string name in names) archive.CreateEntry(name, CompressionLevel.NoCompression);
        return stream.ToArray();
    }
}
