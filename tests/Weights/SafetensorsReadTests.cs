using Microsoft.Win32.SafeHandles;
using NUnit.Framework;
using TinyZsad.Tests.Cli;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Weights;

/// <summary>Files and streams that are read into memory of the file's own.</summary>
public sealed class SafetensorsReadTests : InFolder
{
    private static readonly byte[] Sample = TestFiles.Written(
        [
            TensorDeclaration.FromValues<byte>("a", [3], new byte[] { 1, 2, 3 }),
            TensorDeclaration.FromValues<float>("b", [2, 1], new[] { 1.5f, -2 }),
        ],
        [new("format", "tinyzsad")]);

    [Test]
    public void EqualsTheMappedFile([Values("path", "stream", "async", "bytewise", "unseekable", "lying")] string form)
    {
        string path = In("a.safetensors");
        File.WriteAllBytes(path, Sample);
        using SafetensorsFile mapped = SafetensorsFile.Open(path), read = Read(form, path);
        Assert.That(read.Length, Is.EqualTo(mapped.Length));
        Assert.That(read.Metadata, Is.EqualTo(mapped.Metadata));
        Assert.That(Content(read), Is.EqualTo(Content(mapped)));
        Assert.That(read.ComputeSha256(), Is.EqualTo(mapped.ComputeSha256()));
        Assert.That(read.Name, Is.EqualTo(form == "path" ? path : "s"));
    }

    [TestCaseSource(typeof(TestData), nameof(TestData.Safetensors))]
    public async Task EqualsTheMappedFileOfManyReads(string path)
    {
        using SafetensorsFile mapped = SafetensorsFile.Open(path), read = SafetensorsFile.Read(path);
        using FileStream stream = File.OpenRead(path);
        using SafetensorsFile streamed = await SafetensorsFile.ReadAsync(new Unseekable(stream), path);
        string hash = mapped.ComputeSha256();
        Assert.That(read.ComputeSha256(), Is.EqualTo(hash));
        Assert.That(streamed.ComputeSha256(), Is.EqualTo(hash));
    }

    [Test]
    public void AFileOverwrittenAfterwardsLeavesTheTensors([Values] bool truncated)
    {
        string path = In("a.safetensors");
        File.WriteAllBytes(path, Sample);
        using SafetensorsFile file = SafetensorsFile.Read(path);
        using FileStream stream = File.OpenWrite(path);
        if (truncated) stream.SetLength(0);
        else stream.Write(new byte[Sample.Length]);
        stream.Flush();
        Assert.That(Content(file), Is.EqualTo(new[] { "a: U8 [3] 010203", "b: F32 [2, 1] 0000C03F000000C0" }));
    }

    [Test]
    public void ATruncatedFileIsRefused([Values(0, 7, 8, 60, -1)] int length)
    {
        byte[] bytes = length < 0 ? Sample[..^1] : Sample[..length];
        string path = In("a.safetensors");
        File.WriteAllBytes(path, bytes);
        string reason = Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(bytes, "x").Dispose())!.Reason;
        Refused(() => SafetensorsFile.Read(path).Dispose(), path);
        Refused(() => SafetensorsFile.Read(new Bytewise(bytes), "x").Dispose(), "x");
        Assert.That(async () => await SafetensorsFile.ReadAsync(new MemoryStream(bytes), "x"),
            Throws.TypeOf<ModelFormatException>().With.Message.EqualTo($"x: {reason}"));

        void Refused(Action read, string file) => Assert.That(() => read(),
            Throws.TypeOf<ModelFormatException>().With.Message.EqualTo($"{file}: {reason}"));
    }

    [Test]
    public void AFileShortenedWhileItIsReadIsRefused()
    {
        string path = In("a.safetensors");
        File.WriteAllBytes(path, Sample);
        using SafeFileHandle handle = File.OpenHandle(path);
        ModelFormatException error =
            Assert.Throws<ModelFormatException>(() => WholeFile.Read(handle, Sample.Length + 5, path).Dispose())!;
        Assert.That(error.Offset, Is.EqualTo(Sample.Length));
        Assert.That(error.Message, Is.EqualTo(
            $"{path}: the file had {Sample.Length + 5} bytes when it was opened and has {Sample.Length} now."));
    }

    /// <summary>A length that no memory can hold is not allocated.</summary>
    [Test]
    public void AnImpossibleLengthIsNotAllocated()
    {
        string path = In("a.safetensors");
        File.WriteAllBytes(path, Sample);
        using SafeFileHandle handle = File.OpenHandle(path);
        Assert.That(Assert.Throws<ModelFormatException>(() => WholeFile.Read(handle, long.MaxValue, path).Dispose())!.Offset,
            Is.EqualTo(Sample.Length));
    }

    [Test]
    public void TheMemoryIsAlignedAndGrows()
    {
        using NativeBuffer buffer = new(0);
        for (int i = 0; i < 100; i++)
        {
            buffer.Room(1000).Fill((byte)i);
            buffer.Advance(1000);
        }
        Assert.That(buffer.Length, Is.EqualTo(100_000));
        unsafe
        {
            Assert.That((long)buffer.Start % 64, Is.Zero);
            for (int i = 0; i < buffer.Length; i++) Assert.That(buffer.Start[i], Is.EqualTo(i / 1000));
        }
    }

    /// <summary>Takes two gigabytes of memory.</summary>
    [Test, Explicit]
    public unsafe void AFileAboveTwoGigabytesIsRead()
    {
        const long Length = (1L << 31) + 5;
        string path = In("a.safetensors");
        byte[] header = TestFiles.Raw($$"""{"a":{"dtype":"U8","shape":[{{Length}}],"data_offsets":[0,{{Length}}]} }""", 0);
        using (FileStream stream = File.Create(path))
        {
            stream.Write(header);
            stream.Position = header.Length + Length - 1;
            stream.WriteByte(77);
        }

        using SafetensorsFile file = SafetensorsFile.Read(path);
        Assert.That(((byte*)file.Tensors[0].Address)[Length - 1], Is.EqualTo(77));
    }

    [Test]
    public void AStreamIsReadFromItsPositionAndStaysOpen()
    {
        using MemoryStream stream = new([1, 2, 3, .. Sample]) { Position = 3 };
        using SafetensorsFile file = SafetensorsFile.Read(stream, "s");
        Assert.That(file.Length, Is.EqualTo(Sample.Length));
        Assert.That(stream.CanRead && stream.Position == stream.Length);
    }

    [Test]
    public void WhatTheStreamThrowsIsThrown()
    {
        Assert.That(() => SafetensorsFile.Read(new AsyncOnly(Sample), "s"), Throws.TypeOf<NotSupportedException>());
        Assert.That(async () => await SafetensorsFile.ReadAsync(new MemoryStream(Sample), "s", new CancellationToken(true)),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(() => SafetensorsFile.Read(In("none")), Throws.TypeOf<FileNotFoundException>());
        Assert.That(() => SafetensorsFile.Read(Folder), Throws.TypeOf<ModelFormatException>().With.Message.Contains("a folder"));
        Assert.That(() => SafetensorsFile.Read(""), Throws.ArgumentException);
        Assert.That(() => SafetensorsFile.Read(null!, "s"), Throws.ArgumentNullException);
    }

    [Test]
    public void AClosedFileGivesNoViews()
    {
        SafetensorsFile file = SafetensorsFile.Read(new MemoryStream(Sample), "s");
        TensorEntry tensor = file.Tensors[0];
        file.Dispose();
        file.Dispose();
        Assert.That(() => tensor.Address, Throws.TypeOf<ObjectDisposedException>());
        Assert.That(file.ComputeSha256, Throws.TypeOf<ObjectDisposedException>());
    }

    private static SafetensorsFile Read(string form, string path) => form switch
    {
        "path" => SafetensorsFile.Read(path),
        "stream" => SafetensorsFile.Read(new MemoryStream(Sample), "s"),
        "async" => SafetensorsFile.ReadAsync(new AsyncOnly(Sample), "s").Result,
        "bytewise" => SafetensorsFile.Read(new Bytewise(Sample), "s"),
        "unseekable" => SafetensorsFile.Read(new Unseekable(new MemoryStream(Sample)), "s"),
        _ => SafetensorsFile.Read(new Lying(Sample), "s"),
    };

    private static string[] Content(SafetensorsFile file) =>
        [.. file.Tensors.Select(t => $"{t} {Convert.ToHexString(t.AsBytes())}")];

    /// <summary>A stream that gives one byte at a time.</summary>
    private sealed class Bytewise(byte[] bytes) : MemoryStream(bytes)
    {
        public override int Read(Span<byte> buffer) => base.Read(buffer[..1]);

        public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, 1);
    }

    /// <summary>A stream that refuses synchronous reads.</summary>
    private sealed class AsyncOnly(byte[] bytes) : MemoryStream(bytes)
    {
        private readonly MemoryStream inner = new(bytes);

        public override int Read(Span<byte> buffer) => throw new NotSupportedException();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await Task.Yield();
            return inner.Read(buffer.Span);
        }
    }

    /// <summary>A stream whose length is none.</summary>
    private sealed class Lying(byte[] bytes) : MemoryStream(bytes)
    {
        public override long Length => long.MaxValue;
    }

    /// <summary>A stream that cannot seek.</summary>
    private sealed class Unseekable(Stream inner) : Stream
    {
        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override void Flush() => throw new NotSupportedException();
        public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
