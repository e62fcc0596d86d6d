using System.Text;
using TinyZsad.Tests.Weights;
using TinyZsad.Weights;

namespace TinyZsad.Fuzz;

/// <summary>Weights: safetensors, PyTorch's archives and the pickles in them, indexes of shards.</summary>
internal static class WeightTargets
{
    private const string Json = "{ } [ ] , : \" \\ null true -1 0 1e9 9223372036854775807 \\u0000 \\ud800 .. / C: ../ \u00ff";

    private static readonly string[] JsonTokens = [.. Json.Split(' '), " ", "\0", new string('[', 100), "{\"a\":"];

    /// <summary>Lists in lists, deeper than is read.</summary>
    private static readonly byte[] Deep =
        [0x80, 2, .. Enumerable.Repeat((byte)']', 100), .. Enumerable.Repeat((byte)'a', 99), (byte)'.'];

    /// <summary>A list of ten times a list of ten times a list ...: small here, large as a table of names.</summary>
    private static readonly byte[] Shared = MakeShared();

    private static readonly Lazy<string> ShardFolder = new(() =>
    {
        string folder = Scratch.Folder("shards");
        SafetensorsWriter.Write(Path.Combine(folder, "one.safetensors"),
            [TensorDeclaration.FromValues<float>("a", [2], new float[] { 1, 2 })]);
        SafetensorsWriter.Write(Path.Combine(folder, "two.safetensors"),
            [TensorDeclaration.FromValues<double>("b", [1], new double[] { 3 })]);
        return folder;
    });

    /// <summary>Opening, the metadata, and every byte of every tensor.</summary>
    public static FuzzTarget Safetensors { get; } = new("safetensors", ReadSafetensors, () =>
    [
        TestFiles.Written([]),
        TestFiles.Written([TensorDeclaration.FromValues<byte>("odd", [3], new byte[3]),
            TensorDeclaration.FromValues<float>("unaligned", [2, 2], new float[4])],
            [new("format", "tinyzsad"), new("\u00e9\"", "\n")]),
        TestFiles.Written(Enumerable.Range(0, 12).Select(i =>
            TensorDeclaration.FromValues<Half>($"block.{i}", [i, 2], new Half[2 * i]))),
        TestFiles.Written([TensorDeclaration.FromValues<long>("scalar", [], new long[1])]),
        TestFiles.Raw("""{"a":{"dtype":"F64","shape":[0,9223372036854775807],"data_offsets":[0,0]}}   """, 0),
        TestFiles.Raw("\n{\"a\":{\"dtype\":\"F4\",\"shape\":[3,2],\"data_offsets\":[0,3]}}\t", 3),
    ])
    {
        Repair = Repairs.Safetensors,
        Tokens = [.. JsonTokens, "F32", "F16", "BF16", "BOOL", "F8_E4M3", "F6_E2M3", "C64", "\n",
            "\"dtype\"", "\"shape\"", "\"data_offsets\"", "\"__metadata__\":{},",
            "\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"],
        MaxBytesEach = 256,
    };

    /// <summary>The archive, damaged as a whole.</summary>
    public static FuzzTarget Torch { get; } = new("torch", b => ReadCheckpoint(b), () =>
    [
        TorchFile.Of(SamplePickles.StateDict).ToBytes(), Zip64(), Scripted(SamplePickles.Script),
        TorchFile.Of(SamplePickles.Framed).ToBytes(),
        TorchFile.Of(Pickle.Begin().Op('}').End(), floats: 0).ToBytes(),
    ])
    {
        Repair = Repairs.Zip,
        Tokens =
        [
            "PK\u0003\u0004", "PK\u0001\u0002", "PK\u0005\u0006", "PK\u0006\u0006", "PK\u0006\u0007", "a/data.pkl", "a/data/0", "a/",
            "a/byteorder", "little", "a/constants.pkl", "../", "/etc/passwd", "C:\\", "\0", "\u0001\0\u0018\0", "\u00ff\u00ff\u00ff\u00ff",
            "\u0008\0",
        ],
        MaxBytes = 256 << 20, // as a pickle
        MaxBytesEach = 1024,
    };

    /// <summary>The pickle alone; the archive around it stays whole.</summary>
    public static FuzzTarget Pickles { get; } = new("pickle",
        b => ReadCheckpoint(b.Span.IndexOf("__torch__"u8) >= 0 ? Scripted(b.ToArray()) : TorchFile.Of(b.ToArray()).ToBytes()),
        () => [SamplePickles.StateDict, SamplePickles.Framed, SamplePickles.Script, Deep, Shared])
    {
        Tokens =
        [
            .. "(NJKMGX}])tqrhjsuaecQRb.ILBC01".Select(c => c.ToString()), "\u0080\u0002", "\u0080\u0004", "\u0080\u0005", "\u0081",
            "\u0085", "\u0086", "\u0087", "\u0088", "\u0089", "\u008a\u0008", "\u008b\u0009\0\0\0", "\u008c\u0001a", "\u008f", "\u0090",
            "\u0091", "\u0092", "\u0093", "\u0094", "\u0095\u0001\0\0\0\0\0\0\0", "\u0096\u0001\0\0\0\0\0\0\0x", "I01\n",
            "L1L\n", "C\u0001x",
            "\u008e\u0001\0\0\0\0\0\0\0x", "\u008d\u0001\0\0\0\0\0\0\0x", "ctorch._utils\n_rebuild_qtensor\n", "cm\nC\n",
            "ccollections\ndefaultdict\n", "ctorch._tensor\n_rebuild_from_type_v2\n", "ctorch\nComplexFloatStorage\n",
            "ctorch._utils\n_rebuild_tensor_v2\n", "ccollections\nOrderedDict\n", "ctorch\nFloatStorage\n",
            "ctorch\nHalfStorage\n", "cos\nsystem\n", "X\u0007\0\0\0storage", "X\u0001\0\0\0" + "0", ")R", "}(", "](", "h\u0001", "q\u0001",
            "\u00ff\u00ff\u00ff\u007f", "h\u0001h\u0001e",
        ],
        MaxBytes = 256 << 20, // the table of names: up to 2^18 of 2^25 characters, however small the pickle
        MaxBytesEach = 1024,
    };

    /// <summary>An index in a folder that holds two shards.</summary>
    public static FuzzTarget Shards { get; } = new("shards",
        b => ReadCheckpoint(b, Path.Combine(ShardFolder.Value, "index.json")), () => new[]
        {
            """{"weight_map": {"b": "two.safetensors", "a": "one.safetensors"}}""",
            """{"metadata": {"total_size": 16}, "weight_map": {"a": "one.safetensors"}}""",
            """{"weight_map": {}}""",
            """{"weight_map": {"a": "../one.safetensors", "b": "/two.safetensors", "c": "C:\\one", "d": "\u0000"}}""",
        }.Select(Encoding.UTF8.GetBytes))
    {
        Tokens = [.. JsonTokens, "\"weight_map\"", "one.safetensors", "two.safetensors", "index.json", "../one.safetensors", "\"a\":"],
        MaxBytesEach = 1024,
    };

    private static byte[] MakeShared()
    {
        Pickle pickle = Pickle.Begin().Op(']').Op('q', 0).Op('K', 1).Op('a');
        for (byte level = 1; level < 3; level++)
        {
            pickle.Op(']').Op('q', level).Op('(');
            for (int i = 0; i < 10; i++) pickle.Op('h', (byte)(level - 1));
            pickle.Op('e');
        }
        return pickle.Op(0x87).End();
    }

    private static byte[] Zip64()
    {
        TorchFile file = TorchFile.Of(SamplePickles.StateDict);
        file.Zip64 = true;
        return file.ToBytes();
    }

    private static byte[] Scripted(byte[] pickle)
    {
        TorchFile file = TorchFile.Of(pickle);
        file.Entries.Add(("a/constants.pkl", [0]));
        return file.ToBytes();
    }

    private static string ReadSafetensors(ReadOnlyMemory<byte> bytes)
    {
        using SafetensorsFile file = SafetensorsFile.Open(bytes, "input");
        StringBuilder kind = new();
        foreach (TensorEntry tensor in file.Tensors)
        {
            Sum(tensor.AsBytes());
            kind.Append(tensor.Type).Append(' ', tensor.Shape.Length);
        }
        return $"{kind} and {(file.Metadata.Count > 0 ? "metadata" : "none")}";
    }

    private static string ReadCheckpoint(ReadOnlyMemory<byte> bytes, string name = "input")
    {
        using Checkpoint checkpoint = Checkpoint.Open(bytes, name);
        double[] values = new double[Math.Min(bytes.Length, 256)];
        StringBuilder kind = new(checkpoint.Format);
        foreach (CheckpointTensor tensor in checkpoint.Tensors.Take(64).Where(t => t.IsFloat))
        {
            for (long at = 0; at < Math.Min(tensor.ElementCount, bytes.Length); at += values.Length)
                tensor.Read(at, values.AsSpan(0, (int)Math.Min(values.Length, tensor.ElementCount - at)));
            kind.Append(tensor.Type).Append(' ', tensor.Shape.Length);
        }
        return $"{kind} and {(checkpoint.Values.Count > 0 ? "values" : "none")}";
    }

    /// <summary>Reads every byte, so that one outside the memory ends the process.</summary>
    private static void Sum(ReadOnlySpan<byte> bytes)
    {
        int sum = 0;
        foreach (byte b in bytes) sum += b;
        GC.KeepAlive(sum);
    }
}
