using System.Buffers.Binary;
using System.Text;

namespace TinyZsad.Tests.Weights;

/// <summary>A pickle, opcode by opcode.</summary>
internal sealed class Pickle
{
    private readonly List<byte> bytes = [];

    /// <summary>A pickle of protocol 2, begun.</summary>
    public static Pickle Begin() => new Pickle().Op(0x80, 2);

    public Pickle Op(params byte[] opcode)
    {
        bytes.AddRange(opcode);
        return this;
    }

    public Pickle Op(char opcode, params byte[] argument) => Op([(byte)opcode, .. argument]);

    public Pickle Global(string module, string name) => Op('c', Encoding.UTF8.GetBytes($"{module}\n{name}\n"));

    public Pickle Text(string text)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(text), length = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, utf8.Length);
        return Op('X', [.. length, .. utf8]);
    }

    /// <summary>As LONG1 of eight bytes, which holds any.</summary>
    public Pickle Number(long number)
    {
        byte[] little = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(little, number);
        return Op([0x8a, 8, .. little]);
    }

    public Pickle Tuple(params long[] numbers)
    {
        Op('(');
        foreach (long n in numbers) Number(n);
        return Op('t');
    }

    /// <summary>A storage: ('storage', its class, key, device, count), fetched from outside.</summary>
    public Pickle Storage(string key, long count, string type = "FloatStorage") =>
        Op('(').Text("storage").Global("torch", type).Text(key).Text("cpu").Number(count).Op('t').Op('Q');

    /// <summary>A tensor as torch.save writes it.</summary>
    public Pickle Tensor(
        string key, long count, long[] shape, long[] strides, long offset = 0, string type = "FloatStorage") =>
        Global("torch._utils", "_rebuild_tensor_v2").Op('(').Storage(key, count, type).Number(offset).Tuple(shape).Tuple(strides)
            .Op(0x89).Global("collections", "OrderedDict").Op(')').Op('R').Op('t').Op('R');

    /// <summary>A dict of one item, which is on the stack's top; its key must have been pushed before it.</summary>
    public Pickle Item(string key, Action<Pickle> value)
    {
        Text(key);
        value(this);
        return Op('s');
    }

    public byte[] End() => [.. bytes, (byte)'.'];

    public byte[] Raw() => [.. bytes];
}

/// <summary>An archive of stored entries, with what may be wrong with it.</summary>
internal sealed class TorchFile
{
    public List<(string Name, byte[] Content)> Entries { get; } = [];

    public ushort Method { get; set; }

    public ushort Flags { get; set; }

    /// <summary>What the directory says instead of an entry's real place, length and stored length.</summary>
    public Func<string, (uint Header, uint Length, uint Stored), (uint Header, uint Length, uint Stored)> Claim { get; set; } =
        (_, real) => real;

    /// <summary>Another name in the local headers.</summary>
    public string? LocalName { get; set; }

    public bool Zip64 { get; set; }

    /// <summary>An archive with a pickle and a storage "0" of some floats.</summary>
    public static TorchFile Of(byte[] pickle, int floats = 6)
    {
        float[] values = [.. Enumerable.Range(0, floats).Select(i => (float)i)];
        TorchFile file = new();
        file.Entries.Add(("a/data.pkl", pickle));
        file.Entries.Add(("a/data/0", System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(values).ToArray()));
        return file;
    }

    public byte[] ToBytes()
    {
        using MemoryStream stream = new();
        using BinaryWriter writer = new(stream);
        List<byte[]> directory = [];
        foreach ((string name, byte[] content) in Entries)
        {
            uint header = (uint)stream.Position;
            byte[] local = Encoding.UTF8.GetBytes(LocalName ?? name), utf8 = Encoding.UTF8.GetBytes(name);
            writer.Write(0x04034b50u);
            Common(writer, (uint)content.Length, (uint)content.Length, local.Length, 0);
            writer.Write(local);
            writer.Write(content);
            (uint at, uint length, uint stored) = Claim(name, (header, (uint)content.Length, (uint)content.Length));
            using MemoryStream entry = new();
            using BinaryWriter central = new(entry);
            central.Write(0x02014b50u);
            central.Write((ushort)45);
            Common(central, Zip64 ? uint.MaxValue : stored, Zip64 ? uint.MaxValue : length, utf8.Length, Zip64 ? 28 : 0);
            central.Write(new byte[10]);
            central.Write(Zip64 ? uint.MaxValue : at);
            central.Write(utf8);
            if (Zip64)
            {
                central.Write((ushort)1);
                central.Write((ushort)24);
                central.Write((ulong)length);
                central.Write((ulong)stored);
                central.Write((ulong)at);
            }
            directory.Add(entry.ToArray());
        }
        long start = stream.Position, size = directory.Sum(d => (long)d.Length);
        foreach (byte[] entry in directory) writer.Write(entry);
        if (Zip64)
        {
            long end64 = stream.Position;
            writer.Write(0x06064b50u);
            writer.Write(44L);
            writer.Write(new byte[4]);
            writer.Write(0L);
            writer.Write((long)directory.Count);
            writer.Write((long)directory.Count);
            writer.Write(size);
            writer.Write(start);
            writer.Write(0x07064b50u);
            writer.Write(0);
            writer.Write(end64);
            writer.Write(1);
        }
        writer.Write(0x06054b50u);
        writer.Write(0);
        writer.Write(Zip64 ? ushort.MaxValue : (ushort)directory.Count);
        writer.Write(Zip64 ? ushort.MaxValue : (ushort)directory.Count);
        writer.Write(Zip64 ? uint.MaxValue : (uint)size);
        writer.Write(Zip64 ? uint.MaxValue : (uint)start);
        writer.Write((ushort)0);
        return stream.ToArray();
    }

    private void Common(BinaryWriter writer, uint stored, uint length, int name, int extra)
    {
        writer.Write((ushort)45);
        writer.Write(Flags);
        writer.Write(Method);
        writer.Write(new byte[8]); // time, date and checksum
        writer.Write(stored);
        writer.Write(length);
        writer.Write((ushort)name);
        writer.Write((ushort)extra);
    }
}
