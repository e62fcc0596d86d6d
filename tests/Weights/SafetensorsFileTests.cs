using System.Runtime.InteropServices;
using System.Security.Cryptography;
using NUnit.Framework;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Weights;

[TestFixture]
public sealed class SafetensorsFileTests
{
    private static readonly byte[] Sample = TestFiles.Written(
        [
            TensorDeclaration.FromValues<byte>("a", [3], new byte[] { 1, 2, 3 }),
            TensorDeclaration.FromValues<float>("b", [2, 1], new[] { 1.5f, -2 }), // three bytes in: unaligned
            TensorDeclaration.FromValues<Half>("c", [], new[] { (Half)0.5f }),
            TensorDeclaration.FromValues<long>("d", [0, 7], Array.Empty<long>()),
            new TensorDeclaration("e", ElementType.BF16, [1], stream => stream.Write([0x80, 0x3F])),
            TensorDeclaration.FromValues<bool>("f", [2], new[] { true, false }),
        ],
        [new("format", "tinyzsad")]);

    [Test]
    public void ViewsHoldTheFilesValues([Values("path", "memory", "stream")] string form)
    {
        using SafetensorsFile file = Open(form);
        Assert.That(file.Length, Is.EqualTo(Sample.Length));
        Assert.That(file.Metadata, Is.EqualTo(new Dictionary<string, string> { ["format"] = "tinyzsad" }));
        Assert.That(file.Tensors.Select(t => t.ToString()), Is.EqualTo(
            new[] { "a: U8 [3]", "b: F32 [2, 1]", "c: F16 []", "d: I64 [0, 7]", "e: BF16 [1]", "f: BOOL [2]" }));
        Assert.That(file.Tensors.Select(t => t.ElementCount), Is.EqualTo(new long[] { 3, 2, 1, 0, 1, 2 }));
        Assert.That(file.Tensors.Select(t => t.ByteLength), Is.EqualTo(new long[] { 3, 8, 2, 0, 2, 2 }));
        Assert.That(Get(file, "a").AsSpan<byte>().ToArray(), Is.EqualTo(new byte[] { 1, 2, 3 }));
        Assert.That(Get(file, "b").AsSpan<float>().ToArray(), Is.EqualTo(new[] { 1.5f, -2 }));
        Assert.That(Get(file, "c").AsSpan<Half>().ToArray(), Is.EqualTo(new[] { (Half)0.5f }));
        Assert.That(Get(file, "c").AsSpan<ushort>().ToArray(), Is.EqualTo(new ushort[] { 0x3800 }));
        Assert.That(Get(file, "d").AsSpan<long>().Length, Is.Zero);
        Assert.That(Get(file, "e").AsSpan<ushort>().ToArray(), Is.EqualTo(new ushort[] { 0x3F80 }));
        Assert.That(Get(file, "f").AsSpan<byte>().ToArray(), Is.EqualTo(new byte[] { 1, 0 }));
        Assert.That(Marshal.ReadByte(Get(file, "a").Address, 2), Is.EqualTo(3));
        Assert.That(file.TryGet("g", out _), Is.False);
        Assert.That(file.ComputeSha256(), Is.EqualTo(Convert.ToHexStringLower(SHA256.HashData(Sample))));
    }

    [Test]
    public void EveryTypeIsReadAsItsOwn()
    {
        using SafetensorsFile file = SafetensorsFile.Open(TestFiles.Written(
            Enum.GetValues<ElementType>().Where(type => type != ElementType.Other).Select(type => new TensorDeclaration(
                type.ToString(), type, [2], stream => stream.Write(new byte[2 * type.ByteSize()])))), "types");
        string[] readable =
        [
            .. Readable<double>(file), .. Readable<float>(file), .. Readable<Half>(file), .. Readable<ushort>(file),
            .. Readable<long>(file), .. Readable<int>(file), .. Readable<short>(file), .. Readable<sbyte>(file),
            .. Readable<ulong>(file), .. Readable<uint>(file), .. Readable<byte>(file), .. Readable<bool>(file),
            .. Readable<char>(file),
        ];
        Assert.That(readable, Is.EquivalentTo(new[]
        {
            "F64 Double", "F32 Single", "F16 Half", "F16 UInt16", "BF16 UInt16", "U16 UInt16", "I64 Int64", "I32 Int32",
            "I16 Int16", "I8 SByte", "U64 UInt64", "U32 UInt32", "U8 Byte", "BOOL Byte",
        }));
    }

    [Test]
    public void AnotherTypeIsAnErrorThatNamesIt()
    {
        using SafetensorsFile file = SafetensorsFile.Open(Sample, "model");
        Assert.That(() => Get(file, "b").AsSpan<int>().Length, Throws.TypeOf<ModelFormatException>()
            .With.Message.EqualTo("model: tensor 'b': its elements are F32, which cannot be read as Int32.")
            .And.Property(nameof(ModelFormatException.File)).EqualTo("model"));
    }

    [Test]
    public void TensorsAreListedByTheirPlaceInTheFile()
    {
        using SafetensorsFile file = SafetensorsFile.Open(TestFiles.Raw(
            """
            { "b" : {"data_offsets":[4,8],"shape":[4],"dtype":"U8"},
                "a":{"dtype":"I32","shape":[],"data_offsets":[0,4]},
                "":{"dtype":"F64","shape":[0],"data_offsets":[4,4]}}
            """ + "   ", 8), "order");
        Assert.That(file.Tensors.Select(t => t.Name), Is.EqualTo(new[] { "a", "", "b" }));
        Assert.That(file.Tensors[2].AsSpan<byte>().ToArray(), Is.EqualTo(new byte[] { 5, 6, 7, 8 }));
    }

    [Test]
    public unsafe void MemoryAndStreamsAreNotCopied()
    {
        fixed (byte* start = Sample)
        {
            using SafetensorsFile file = SafetensorsFile.Open(Sample, "memory");
            Assert.That(file.Tensors[^1].Address, Is.EqualTo((nint)(start + Sample.Length - 2)));

            // A stream is read whole, wherever it stands, and goes with the file.
            UnmanagedMemoryStream stream = new UnmanagedMemoryStream(start, Sample.Length) { Position = 5 };
            using (SafetensorsFile streamed = SafetensorsFile.Open(stream, "stream"))
                Assert.That(streamed.Tensors[^1].Address, Is.EqualTo((nint)(start + Sample.Length - 2)));
            Assert.That(stream.CanRead, Is.False);
        }
    }

    [Test]
    public void AClosedFileGivesNoViews([Values("path", "memory", "stream")] string form)
    {
        SafetensorsFile file = Open(form);
        TensorEntry tensor = Get(file, "b");
        file.Dispose();
        file.Dispose();
        Assert.That(() => tensor.Address, Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => tensor.AsSpan<float>().Length, Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => tensor.AsBytes().Length, Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => tensor.CopyTo(Stream.Null), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(file.ComputeSha256, Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void ATemporaryModelIsDeletedWhenClosed()
    {
        string path = TestFiles.NewPath();
        File.WriteAllBytes(path, Sample);
        SafetensorsFile.Open(path).Dispose();
        Assert.That(File.Exists(path), Is.True);
        using (SafetensorsFile file = SafetensorsFile.Open(path, deleteOnClose: true))
            Assert.That(file.ComputeSha256(), Is.EqualTo(Convert.ToHexStringLower(SHA256.HashData(Sample))));
        Assert.That(File.Exists(path), Is.False);
    }

    [Test]
    public void MissingFilesAreTheRuntimesOwnErrors()
    {
        string path = TestFiles.NewPath();
        Assert.That(() => SafetensorsFile.Open(path), Throws.TypeOf<FileNotFoundException>());
        Assert.That(() => SafetensorsFile.Open(Path.Combine(path, "model")), Throws.TypeOf<DirectoryNotFoundException>());
        Assert.That(() => SafetensorsFile.Open(""), Throws.ArgumentException);
    }

    [Test]
    public void FoldersAndEmptyFilesAreRefused()
    {
        Assert.That(() => SafetensorsFile.Open(Path.GetTempPath()),
            Throws.TypeOf<ModelFormatException>().With.Message.Contains("a folder"));
        string path = TestFiles.NewPath();
        File.WriteAllBytes(path, []);
        Assert.That(() => SafetensorsFile.Open(path, deleteOnClose: true),
            Throws.TypeOf<ModelFormatException>().With.Message.EqualTo(
                $"{path}: the file is empty, as it is if a download or a copy failed; get it again."));
        Assert.That(File.Exists(path), Is.False, "a temporary file goes even if it cannot be opened");
    }

    [Test]
    public void AMalformedFileIsNotKeptOpen()
    {
        string path = TestFiles.NewPath();
        File.WriteAllBytes(path, Sample.AsSpan(0, Sample.Length - 1));
        Assert.That(() => SafetensorsFile.Open(path), Throws.TypeOf<ModelFormatException>().With.Message.StartsWith(path));
        using (File.Open(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None)) { }
        File.Delete(path);
    }

    [TestCaseSource(typeof(TestData), nameof(TestData.Safetensors))]
    public void TheHashIsOfTheWholeFile(string path)
    {
        byte[] bytes = File.ReadAllBytes(path); // more than one read takes
        string expected = Convert.ToHexStringLower(SHA256.HashData(bytes));
        using SafetensorsFile mapped = SafetensorsFile.Open(path);
        using SafetensorsFile inMemory = SafetensorsFile.Open(bytes, path);
        Assert.That(mapped.ComputeSha256(), Is.EqualTo(expected));
        Assert.That(inMemory.ComputeSha256(), Is.EqualTo(expected));
    }

    [Test]
    public void ManyThreadsReadOneFile()
    {
        using SafetensorsFile file = Open("path");
        string hash = Convert.ToHexStringLower(SHA256.HashData(Sample));
        Parallel.For(0, 64, _ =>
        {
            Assert.That(file.ComputeSha256(), Is.EqualTo(hash));
            Assert.That(Get(file, "b").AsSpan<float>()[1], Is.EqualTo(-2));
        });
    }

    [Test]
    public void AFileOfAGigabyteIsNeitherReadNorCopied()
    {
        const long Length = 1L << 30;
        string path = SparseFile(Length);
        long allocatedBefore = GC.GetAllocatedBytesForCurrentThread();
        long residentBefore = ResidentFileBytes();
        using SafetensorsFile file = SafetensorsFile.Open(path, deleteOnClose: true);
        ReadOnlySpan<byte> view = file.Tensors[0].AsSpan<byte>();
        Assert.That(view.Length, Is.EqualTo(Length));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - allocatedBefore, Is.LessThan(100_000));

        // Hashing reads every byte, but not through the mapping.
        file.ComputeSha256();
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - allocatedBefore, Is.LessThan(300_000));
        if (!OperatingSystem.IsLinux())
            return;
        Assert.That(ResidentFileBytes() - residentBefore, Is.LessThan(16 << 20));

        // The measure is a measure: pages that are touched do become resident.
        int sum = 0;
        for (int at = 0; at < 64 << 20; at += 4096)
            sum += view[at];
        Assert.That(sum, Is.Zero);
        Assert.That(ResidentFileBytes() - residentBefore, Is.GreaterThan(48 << 20));
    }

    [Test]
    public void ATensorAboveTheLengthOfASpanHasAnAddress()
    {
        const long Length = int.MaxValue + 1L;
        using SafetensorsFile file = SafetensorsFile.Open(SparseFile(Length), deleteOnClose: true);
        TensorEntry tensor = file.Tensors[0];
        Assert.That(tensor.ByteLength, Is.EqualTo(Length));
        Assert.That(() => tensor.AsSpan<byte>().Length,
            Throws.TypeOf<ModelFormatException>().With.Message.Contains("2147483648"));
        Assert.That(Marshal.ReadByte(tensor.Address + int.MaxValue), Is.Zero);
    }

    private static SafetensorsFile Open(string form)
    {
        if (form == "memory")
            return SafetensorsFile.Open(Sample, form);
        if (form == "stream")
            return SafetensorsFile.Open(Unmanaged(), form);
        string path = TestFiles.NewPath();
        File.WriteAllBytes(path, Sample);
        return SafetensorsFile.Open(path, deleteOnClose: true);
    }

    // As an embedded resource is: memory that does not move. It lives as long as the tests do.
    private static unsafe UnmanagedMemoryStream Unmanaged()
    {
        byte[] pinned = GC.AllocateArray<byte>(Sample.Length, pinned: true);
        Sample.CopyTo(pinned, 0);
        Kept.Add(pinned);
        return new UnmanagedMemoryStream((byte*)Marshal.UnsafeAddrOfPinnedArrayElement(pinned, 0), Sample.Length);
    }

    private static readonly List<byte[]> Kept = [];

    private static TensorEntry Get(SafetensorsFile file, string name) =>
        file.TryGet(name, out TensorEntry? tensor) ? tensor : throw new KeyNotFoundException(name);

    private static IEnumerable<string> Readable<T>(SafetensorsFile file) where T : unmanaged
    {
        foreach (TensorEntry tensor in file.Tensors)
        {
            string? read = null;
            try
            {
                if (tensor.AsSpan<T>().Length == 2)
                    read = $"{tensor.Type} {typeof(T).Name}";
            }
            catch (ModelFormatException)
            {
            }
            if (read is not null)
                yield return read;
        }
    }

    // A file of one tensor of zeroes, which takes no room on the disk.
    private static string SparseFile(long dataLength)
    {
        string path = TestFiles.NewPath();
        byte[] header = TestFiles.Raw(
            $$"""{"zeroes":{"dtype":"U8","shape":[{{dataLength}}],"data_offsets":[0,{{dataLength}}]} }""", 0);
        using FileStream stream = File.Create(path);
        stream.Write(header);
        stream.SetLength(header.Length + dataLength);
        return path;
    }

    // What the process holds of files: RssFile of Linux, in bytes. Zero elsewhere.
    private static long ResidentFileBytes()
    {
        if (!OperatingSystem.IsLinux())
            return 0;
        string line = File.ReadLines("/proc/self/status").First(l => l.StartsWith("RssFile:", StringComparison.Ordinal));
        return 1024 * long.Parse(line.AsSpan("RssFile:".Length).TrimEnd("kB ").Trim());
    }
}
