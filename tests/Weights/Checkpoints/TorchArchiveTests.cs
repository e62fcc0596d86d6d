using System.Text;
using NUnit.Framework;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Weights;

/// <summary>PyTorch's archives, written by hand: what is read, and every way to be refused.</summary>
[TestFixture]
public sealed class TorchArchiveTests
{
    private static readonly long[] Six = [6], One = [1];

    private static byte[] Plain() => Pickle.Begin().Op('}').Item("w", p => p.Tensor("0", 6, Six, One)).End();

    [Test]
    public void Tensors_of_any_layout_are_read_in_row_major_order([Values] bool zip64)
    {
        byte[] pickle = Pickle.Begin().Op('}')
            .Item("plain", p => p.Tensor("0", 6, [2, 3], [3, 1]))
            .Item("transposed", p => p.Tensor("0", 6, [3, 2], [1, 3]))
            .Item("column", p => p.Tensor("0", 6, [2], [3], offset: 1))
            .Item("scalar", p => p.Tensor("0", 6, [], [], offset: 5))
            .Item("empty", p => p.Tensor("0", 6, [0, 4], [4, 1], offset: 6))
            .Item("parameter", p => p.Global("torch._utils", "_rebuild_parameter").Op('(').Tensor("0", 6, [2], [1], 2).Op(0x88)
                .Global("collections", "OrderedDict").Op(')').Op('R').Op('t').Op('R'))
            .End();
        TorchFile file = TorchFile.Of(pickle);
        file.Zip64 = zip64;
        using Checkpoint checkpoint = Checkpoint.Open(file.ToBytes(), "a.pt");
        Assert.That(checkpoint.Format, Is.EqualTo("PyTorch archive"));
        Assert.That(Read(checkpoint, "plain"), Is.EqualTo(new double[] { 0, 1, 2, 3, 4, 5 }));
        Assert.That(Read(checkpoint, "transposed"), Is.EqualTo(new double[] { 0, 3, 1, 4, 2, 5 }));
        Assert.That(Read(checkpoint, "column"), Is.EqualTo(new double[] { 1, 4 }));
        Assert.That(Read(checkpoint, "scalar"), Is.EqualTo(new double[] { 5 }));
        Assert.That(Read(checkpoint, "empty"), Is.Empty);
        Assert.That(Read(checkpoint, "parameter"), Is.EqualTo(new double[] { 2, 3 }));
        Assert.That(checkpoint.TryGet("transposed", out CheckpointTensor? tensor));
        Assert.That(ReadFrom(tensor!, 3, 3), Is.EqualTo(new double[] { 4, 2, 5 }), "from the middle");
        Assert.That(ReadFrom(tensor!.Rows(1, 2), 0, 4), Is.EqualTo(new double[] { 1, 4, 2, 5 }), "some rows");
    }

    [Test]
    public void Nested_values_become_one_table_of_names()
    {
        byte[] pickle = Pickle.Begin().Op('}')
            .Item("model", p => p.Global("collections", "OrderedDict").Op(')').Op('R').Item("w", q => q.Tensor("0", 6, Six, One))
                .Op('}').Op('b'))
            .Item("list", p => p.Op(']').Op('(').Number(6).Number(-12).Op('e'))
            .Item("name", p => p.Text("é"))
            .Item("rate", p => p.Op('G', 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a))
            .Item("none", p => p.Op('N'))
            .Item("yes", p => p.Op(0x88))
            .Item("memo", p => p.Text("kept").Op('q', 3).Op('h', 3).Op(0x86))
            .End();
        using Checkpoint checkpoint = Checkpoint.Open(TorchFile.Of(pickle).ToBytes(), "a.pt");
        Assert.That(checkpoint.Tensors.Select(t => t.Name), Is.EqualTo(new[] { "model.w" }));
        Assert.That(checkpoint.Integers("list"), Is.EqualTo(new long[] { 6, -12 }));
        Assert.That(checkpoint.Integers("name"), Is.Null);
        Assert.That(checkpoint.Values, Is.EquivalentTo(new Dictionary<string, object>
        {
            ["list.0"] = 6L, ["list.1"] = -12L, ["name"] = "é", ["rate"] = 0.1, ["yes"] = true,
            ["memo.0"] = "kept", ["memo.1"] = "kept",
        }));
    }

    [Test]
    public void A_scripted_module_is_nothing_but_its_attributes()
    {
        byte[] pickle = Pickle.Begin().Global("__torch__.clip", "Clip").Op(')').Op(0x81).Op('}')
            .Item("visual", p => p.Global("__torch__", "Visual").Op(')').Op(0x81).Op('}').Item("w",
                q => q.Tensor("0", 6, Six, One)).Op('b'))
            .Item("sizes", p => p.Global("torch.jit._pickle", "build_intlist").Op(']').Op('(').Number(3).Op('e').Op(0x85).Op('R'))
            .Op('b').End();
        TorchFile file = TorchFile.Of(pickle);
        using (Checkpoint other = Checkpoint.Open(file.ToBytes(), "a.pt")) // not outside of TorchScript
            Assert.That((other.Tensors.Count, other.Skipped.Single()), Is.EqualTo((0, "all of it, an object of '__torch__.clip.Clip'")));
        file.Entries.Add(("a/constants.pkl", [1]));
        using Checkpoint checkpoint = Checkpoint.Open(file.ToBytes(), "a.pt");
        Assert.That(checkpoint.Format, Is.EqualTo("TorchScript archive"));
        Assert.That(checkpoint.Tensors.Single().Name, Is.EqualTo("visual.w"));
        Assert.That(checkpoint.Integers("sizes"), Is.EqualTo(new long[] { 3 }));
    }

    [TestCase("os", "system")]
    [TestCase("builtins", "eval")]
    [TestCase("torch.storage", "_load_from_bytes")]
    [TestCase("torch", "ComplexFloatStorage")]
    [TestCase("numpy.core.multiarray", "scalar")]
    [TestCase("argparse", "Namespace")]
    [TestCase("torch.jit._pickle", "build_intlist")]
    public void Any_other_global_is_neither_called_nor_kept(string module, string name)
    {
        Action<Pickle>[] objects =
        [
            p => p.Global(module, name).Text("touch x").Op(0x85).Op('R'), // called
            p => p.Text(module).Text(name).Op(0x93).Text("touch x").Op(0x85).Op('R'),
            p => p.Global(module, name).Op(')').Op(0x81), // made
            p => p.Global(module, name).Op(')').Op('}').Op(0x92),
            p => p.Global(module, name).Op(')').Op('R').Op(')').Op('R'), // what a call gives is called
            p => p.Global(module, name).Op(')').Op('R').Op(')').Op(0x81),
            p => p.Global(module, name).Op(')').Op('R').Op('}').Op('b'), // given a state, an item, items
            p => p.Global(module, name).Op(')').Op('R').Op('N').Op('N').Op('s').Op('(').Op('N').Op('N').Op('u'),
            p => p.Global(module, name).Op(')').Op('R').Op('N').Op('a').Op('(').Tensor("0", 6, Six, One).Op('e'),
        ];
        foreach (Action<Pickle> value in objects)
        {
            byte[] pickle = Pickle.Begin().Op('}').Item("a", value).Item("w", p => p.Tensor("0", 6, Six, One)).Item("b", value).End();
            using Checkpoint checkpoint = Checkpoint.Open(TorchFile.Of(pickle).ToBytes(), "a.pt");
            Assert.That(checkpoint.Tensors.Select(t => t.Name), Is.EqualTo(new[] { "w" }));
            Assert.That(checkpoint.Values, Is.Empty);
            Assert.That(checkpoint.Skipped, Is.EqualTo(new[] { "a", "b" }.Select(n => $"'{n}', an object of '{module}.{name}'")));
            Assert.That(Read(checkpoint, "w"), Is.EqualTo(new double[] { 0, 1, 2, 3, 4, 5 }));
        }
    }

    /// <summary>torch.load of a later PyTorch reads these; here they fail where they are asked for.</summary>
    [Test]
    public void Tensors_that_are_not_read_stand_beside_others()
    {
        byte[] pickle = Pickle.Begin().Op('}')
            .Item("complex", p => p.Tensor("nowhere", 6, [2, 3], [3, 1], type: "ComplexFloatStorage"))
            .Item("float8", p => p.Global("torch._utils", "_rebuild_tensor_v3").Op('(').Storage("0", 24, "UntypedStorage").Number(0)
                .Tuple(4, 6).Tuple(6, 1).Op(0x89).Op('}').Global("torch", "float8_e4m3fn").Op('t').Op('R'))
            .Item("sparse", p => p.Global("torch._utils", "_rebuild_sparse_tensor").Op(')').Op('R'))
            .Item("huge", p => p.Tensor("0", 6, [1L << 40, 1L << 40], [1, 1], type: "QInt8Storage"))
            .Item("expanded", p => p.Tensor("0", 6, [2, 1L << 50], [1, 0]))
            .Item("parameter", p => p.Global("torch._utils", "_rebuild_parameter_with_state").Op('(').Tensor("0", 6, [2], [1], 2).Op(0x88)
                .Op('}').Op('}').Op('t').Op('R'))
            .Item("subclass", p => p.Global("torch._tensor", "_rebuild_from_type_v2").Op('(').Global("torch._utils", "_rebuild_tensor_v2")
                .Global("my", "Tensor").Op('(').Storage("0", 6).Number(1).Tuple(2).Tuple(2).Op(0x89).Op('N').Op('t').Op('}').Op('t')
                .Op('R'))
            .Item("w", p => p.Tensor("0", 6, Six, One))
            .End();
        using Checkpoint checkpoint = Checkpoint.Open(TorchFile.Of(pickle).ToBytes(), "a.pt");
        Assert.That(checkpoint.Tensors.Select(t => t.ToString()), Is.EqualTo(new[]
        {
            "complex: torch.ComplexFloatStorage [2, 3]", "float8: torch.float8_e4m3fn [4, 6]",
            "sparse: torch._utils._rebuild_sparse_tensor []", "huge: torch.QInt8Storage []", "expanded: F32 [2, 1125899906842624]",
            "parameter: F32 [2]", "subclass: F32 [2]", "w: F32 [6]",
        }));
        Assert.That(checkpoint.Tensors.Select(t => t.Problem is not null),
            Is.EqualTo(new[] { true, true, true, true, true, false, false, false }));
        Assert.That(checkpoint.Tensors[0].Problem, Does.Contain("torch.ComplexFloatStorage").And.Contain("F64, F32, F16 and BF16"));
        Assert.That(checkpoint.Tensors[4].Problem, Does.Contain("at most 67108864 elements"));
        Assert.That(Read(checkpoint, "parameter"), Is.EqualTo(new double[] { 2, 3 }));
        Assert.That(Read(checkpoint, "subclass"), Is.EqualTo(new double[] { 1, 3 }));
    }

    [Test]
    public void Expanded_tensors_are_read_up_to_a_number_of_elements_of_the_checkpoint()
    {
        byte[] pickle = Pickle.Begin().Op('}')
            .Item("rows", p => p.Tensor("0", 6, [2, 3], [0, 2])).Item("columns", p => p.Tensor("0", 6, [2, 4], [3, 0], 1))
            .Item("large", p => p.Tensor("0", 6, [(1L << 26) - 8], [0], 5)).Item("more", p => p.Tensor("0", 6, [7], [0])).End();
        using Checkpoint checkpoint = Checkpoint.Open(TorchFile.Of(pickle).ToBytes(), "a.pt");
        Assert.That(Read(checkpoint, "rows"), Is.EqualTo(new double[] { 0, 2, 4, 0, 2, 4 }));
        Assert.That(Read(checkpoint, "columns"), Is.EqualTo(new double[] { 1, 1, 1, 1, 4, 4, 4, 4 }));
        Assert.That(checkpoint.TryGet("large", out CheckpointTensor? large));
        Assert.That((large!.Problem, ReadFrom(large, (1L << 26) - 9, 1)[0]), Is.EqualTo(((string?)null, 5.0)));
        Assert.That(checkpoint.TryGet("more", out CheckpointTensor? more));
        Assert.That(more!.Problem, Does.Contain("repeats the 6 elements"));
    }

    /// <summary>What each opcode means, Python's pickletools says.</summary>
    [Test]
    public void Opcodes_of_all_protocols_are_read()
    {
        byte[] pickle = new Pickle().Op(0x80, 5).Op(0x95, 8, 0, 0, 0, 0, 0, 0, 0).Op('}').Op(0x94)
            .Op(0x8c, 1, (byte)'s').Op(0x94).Op(0x8c, 2, 0xc3, 0xa9).Op('s') // short text
            .Text("recalled").Op('h', 1).Op('s').Text("popped").Op('N').Op('N').Op('(').Op('K', 1).Op('1').Op('0').Op('s')
            .Text("long text").Op([0x8d, 3, 0, 0, 0, 0, 0, 0, 0, .. "abc"u8]).Op('s')
            .Text("int").Op([(byte)'I', .. "-12\n"u8]).Op('s').Text("false").Op([(byte)'I', .. "00\n"u8]).Op('s')
            .Text("long").Op([(byte)'L', .. "34L\n"u8]).Op('s').Text("large").Op([(byte)'L', .. "9223372036854775808L\n"u8]).Op('s')
            .Text("long4").Op([0x8b, 9, 0, 0, 0, 0xfe, .. Enumerable.Repeat((byte)0xff, 8)]).Op('s')
            .Text("larger").Op([0x8a, 9, .. new byte[8], 1]).Op('s')
            .Text("bytes").Op(']').Op('(').Op('C', 1, 0xff).Op('B', 1, 0, 0, 0, 0xff).Op(0x8e, 1, 0, 0, 0, 0, 0, 0, 0, 0xff)
            .Op(0x96, 1, 0, 0, 0, 0, 0, 0, 0, 0xff).Op('e').Op('s')
            .Text("sets").Op(0x8f).Op('(').Op('K', 1).Op('K', 2).Op(0x90).Op('(').Op('K', 3).Op(0x91).Op(0x86).Op('s')
            .Text("odd keys").Op('}').Op('N').Op('K', 1).Op('s').Op(0x88).Op('K', 2).Op('s').Op('K', 7).Op('K', 3).Op('s').Op('s')
            .End();
        using Checkpoint checkpoint = Checkpoint.Open(TorchFile.Of(pickle).ToBytes(), "a.pt");
        Assert.That(checkpoint.Values, Is.EquivalentTo(new Dictionary<string, object>
        {
            ["s"] = "é", ["recalled"] = "s", ["long text"] = "abc",
            ["int"] = -12L, ["false"] = false, ["long"] = 34L, ["long4"] = -2L, ["odd keys.7"] = 3L,
        }));
    }

    /// <summary>A history of losses has more values than a table of names holds; the tensors beside it are read all the same.</summary>
    [Test]
    public void Many_values_do_not_hide_a_tensor()
    {
        Pickle pickle = Pickle.Begin().Op('}').Text("losses").Op(']').Op('(');
        for (int i = 0; i < 300_000; i++) pickle.Op('M', (byte)i, (byte)(i >> 8));
        byte[] bytes = pickle.Op('e').Op('s').Item("w", p => p.Tensor("0", 6, Six, One)).End();
        using Checkpoint checkpoint = Checkpoint.Open(TorchFile.Of(bytes).ToBytes(), "a.pt");
        Assert.That((checkpoint.Tensors.Single().Name, checkpoint.Values.Count), Is.EqualTo(("w", 1 << 18)));
    }

    [TestCaseSource(nameof(BadPickles))]
    public void A_bad_pickle_is_refused(byte[] pickle, string says) => Refuses(TorchFile.Of(pickle).ToBytes(), says);

    public static TestCaseData[] BadPickles() =>
    [
        Case("nothing", [], "needs 1 more bytes"),
        Case("no value", Pickle.Begin().End(), "0 values on its stack"),
        Case("two values", Pickle.Begin().Op('N').Op('N').End(), "2 values on its stack"),
        Case("no end", Pickle.Begin().Op('}').Raw(), "needs 1 more bytes"),
        Case("bytes behind the end", [.. Plain(), 0], "1 bytes behind its end"),
        Case("protocol 6", [0x80, 6, (byte)'N', (byte)'.'], "protocol 6"),
        Case("frame beyond", new Pickle().Op(0x80, 4).Op(0x95, 9, 0, 0, 0, 0, 0, 0, 0).Op('N').End(), "frame of 9 bytes, of which 2"),
        Case("frame of 2^64", new Pickle().Op(0x80, 4).Op([0x95, .. Enumerable.Repeat((byte)0xff, 8)]).Op('N').End(), "frame of 18446"),
        Case("bytes of 2^64", Pickle.Begin().Op([0x8e, .. Enumerable.Repeat((byte)0xff, 8)]).End(), "18446744073709551615 more bytes"),
        Case("number of 4 GB", Pickle.Begin().Op(0x8b, 255, 255, 255, 255).End(), "4294967295 more bytes"),
        Case("number of letters", Pickle.Begin().Op([(byte)'I', .. "1x\n"u8]).End(), "no whole number"),
        Case("number of nothing", Pickle.Begin().Op([(byte)'L', .. "L\n"u8]).End(), "no whole number"),
        Case("global of a number", Pickle.Begin().Op('N').Text("x").Op(0x93).End(), "names a global by None and a text"),
        Case("global of a long name", Pickle.Begin().Text("x").Text(new string('n', 513)).Op(0x93).End(), "more than 512 characters"),
        Case("items of a dict", Pickle.Begin().Op('}').Op('(').Op('N').Op(0x90).End(), "adds 1 items to a dict"),
        Case("next buffer", Pickle.Begin().Op(0x97).End(), "opcode 0x97"),
        Case("unknown opcode", Pickle.Begin().Op('i').End(), "opcode 0x69"),
        Case("instance by opcode", Pickle.Begin().Op('(').Op('o').End(), "opcode 0x6F"),
        Case("extension registry", Pickle.Begin().Op(0x82, 1).End(), "opcode 0x82"),
        Case("text of 4 GB", Pickle.Begin().Op('X', 255, 255, 255, 255).End(), "4294967295 more bytes"),
        Case("bad UTF-8", Pickle.Begin().Op('X', 1, 0, 0, 0, 0xff).End(), "not valid UTF-8"),
        Case("global without end", Pickle.Begin().Op('c', (byte)'o', (byte)'s').Raw(), "ends within a line"),
        Case("empty stack", Pickle.Begin().Op(0x85).End(), "takes 1 values from a stack of 0"),
        Case("below a mark", Pickle.Begin().Op('N').Op('(').Op(0x85).End(), "takes 1 values from a stack of 0"),
        Case("no mark", Pickle.Begin().Op('t').End(), "there is none"),
        Case("mark left", Pickle.Begin().Op('(').Op('N').End(), "where one is right"),
        Case("memo unknown", Pickle.Begin().Op('h', 7).End(), "recalls value 7"),
        Case("memo far", Pickle.Begin().Op('j', 255, 255, 255, 255).End(), "recalls value 4294967295"),
        Case("item of a list", Pickle.Begin().Op(']').Op('N').Op('N').Op('s').End(), "an item of a list"),
        Case("key without value", Pickle.Begin().Op('}').Op('(').Op('N').Op('u').End(), "without its value"),
        Case("append to a dict", Pickle.Begin().Op('}').Op('N').Op('a').End(), "appends to a dict"),
        Case("call of a text", Pickle.Begin().Text("os.system").Op(')').Op('R').End(), "calls a text"),
        Case("object of a text", Pickle.Begin().Text("os.system").Op(')').Op(0x81).End(), "makes an object of a text"),
        Case("object without arguments", Pickle.Begin().Global("a", "B").Op('N').Op(0x81).End(), "makes an object of 'a.B'"),
        Case("call without arguments", Pickle.Begin().Global("a", "b").Op('N').Op('R').End(), "calls 'a.b'"),
        Case("OrderedDict with arguments", Pickle.Begin().Global("collections", "OrderedDict").Op(']').Op(0x85).Op('R').End(),
            "does not take"),
        Case("state of a text", Pickle.Begin().Text("a").Op('}').Op('b').End(), "sets the state of a text"),
        Case("no storage", Pickle.Begin().Text("0").Op('Q').End(), "no tensor's storage"),
        Case("rebuild without arguments", Pickle.Begin().Global("torch._utils", "_rebuild_tensor_v2").Op(')').Op('R').End(),
            "does not take"),
        Case("two of a name", Pickle.Begin().Op('}').Item("a.b", p => p.Number(1)).Item("a",
            p => p.Op('}').Item("b", q => q.Number(2))).End(),
            "two values under the name 'a.b'"),
        Case("long name", Pickle.Begin().Op('}').Item(new string('a', 2000), p => p.Number(1)).End(),
            "more than 1024 characters"),

        // Tensors.
        Case("storage missing", Tensor("1", 6, [6], [1]), "'a/data/1' is missing"),
        Case("storage outside", Tensor("../../x", 6, [6], [1]), "is missing"),
        Case("storage too short", Tensor("0", 7, [6], [1]), "has 7 elements of F32", "24 bytes"),
        Case("storage too long", Tensor("0", 5, [5], [1]), "has 5 elements of F32"),
        Case("storage of another type", Tensor("0", 6, [6], [1], type: "DoubleStorage"), "6 elements of F64"),
        Case("storage of 2^61 elements", Tensor("0", 1L << 61, [6], [1]), "elements of F32"),
        Case("storage of -1 elements", Tensor("0", -1, [6], [1]), "-1 elements"),
        Case("one element too many", Tensor("0", 6, [7], [1]), "last element is 6"),
        Case("offset", Tensor("0", 6, [6], [1], 1), "last element is 6"),
        Case("negative offset", Tensor("0", 6, [5], [1], -1), "none may be negative"),
        Case("negative stride", Tensor("0", 6, [6], [-1], 5), "none may be negative"),
        Case("negative dimension", Tensor("0", 6, [-6], [1]), "none may be negative"),
        Case("stride beyond", Tensor("0", 6, [2, 2], [5, 1]), "last element is 6"),
        Case("stride that overflows", Tensor("0", 6, [3, 3], [long.MaxValue, long.MaxValue]),
            "last element is 36893488147419103228"),
        Case("shape that overflows", Tensor("0", 6, [1L << 40, 1L << 40], [0, 0]), "pass 2^63"),
        Case("expanded beyond", Tensor("0", 6, [1000, 7], [0, 1]), "last element is 6"),
        Case("shape without strides", Tensor("0", 6, [6], []), "does not take"),
        Case("65 dimensions", Tensor("0", 6, [.. Enumerable.Repeat(1L, 65)], [.. Enumerable.Repeat(1L, 65)]), "does not take"),
    ];

    [Test]
    public void Deep_nesting_neither_overflows_the_stack_nor_takes_long()
    {
        Pickle lists = Pickle.Begin().Op('}').Text("a");
        for (int i = 0; i < 100_000; i++) lists.Op(']');
        for (int i = 1; i < 100_000; i++) lists.Op('a');
        Refuses(TorchFile.Of(lists.Op('s').End()).ToBytes(), "more than 64 deep");

        Pickle self = Pickle.Begin().Op('}').Op('q', 0).Text("a").Op('h', 0).Op('s');
        Refuses(TorchFile.Of(self.End()).ToBytes(), "more than 64 deep");

        // Each list holds the one before ten times: ten thousand million values, in a few hundred bytes.
        Pickle laughs = Pickle.Begin().Op(']').Op('(').Text("ha").Op('q', 0);
        for (byte i = 1; i <= 10; i++)
        {
            laughs.Op(']').Op('(');
            for (int k = 0; k < 10; k++) laughs.Op('h', (byte)(i - 1));
            laughs.Op('e').Op('q', i);
        }
        Refuses(TorchFile.Of(laughs.Op('e').End()).ToBytes(), "more than 262144 values");
    }

    [Test]
    public void A_pickle_of_gigabytes_is_refused_before_it_is_read()
    {
        TorchFile file = TorchFile.Of(new byte[(1 << 24) + 1]);
        Refuses(file.ToBytes(), "at most 16777216 are read");
    }

    [Test]
    public void Other_archives_are_refused()
    {
        Refuses(Zip(("a.txt", "x")), "not one of PyTorch's");
        Refuses(Zip(("a/data.pkl", "x"), ("b/data/0", "x")), "not one of PyTorch's");
        Refuses(Zip(("a/model.json", "{}")), "before PyTorch 1.2");
        Refuses(Zip(("a/data.pkl", "x"), ("a/byteorder", "big")), "not little-endian");
        Refuses(Zip(("a/data.pkl", "x"), ("a/data.pkl", "x")), "given twice");
        Refuses(Zip(), "not one of PyTorch's");
    }

    [Test]
    public void Hostile_archives_are_refused()
    {
        Refuses(Changed(f => f.Method = 8), "compressed (method 8");
        Refuses(Changed(f => f.Flags = 1), "encrypted");
        Refuses(Changed(f => f.LocalName = "a/other"), "another name in its local header");
        Refuses(Claims((_, r) => r with { Length = uint.MaxValue - 1 }), "compressed");
        Refuses(Claims((_, r) => r with { Stored = 1 << 30, Length = 1 << 30 }), "passes the end of the file");
        Refuses(Claims((_, r) => r with { Header = uint.MaxValue - 1 }), "passes the end of the file");
        Refuses(Claims((_, r) => r with { Length = uint.MaxValue }), "compressed");
        Refuses(Claims((n, r) => n == "a/data/0" ? r with { Header = 0 } : r), "overlaps");
        Refuses(Claims((n, r) => n == "a/data.pkl" ? r with { Stored = r.Stored + 60, Length = r.Length + 60 } : r), "overlaps");
        Refuses(Claims((n, r) => n == "a/data/0" ? r with { Header = r.Header + 1 } : r), "local header");
        byte[] good = TorchFile.Of(Plain()).ToBytes();
        Refuses(good[..^1], "no record of its end");
        Refuses(good[..60], "no record of its end");
        Refuses([.. good, 0], "no record of its end");
        byte[] many = [.. good];
        many.AsSpan(many.Length - 12, 2).Fill(0xff);
        Refuses(many, "cannot hold the 65535 entries");

        byte[] Changed(Action<TorchFile> change)
        {
            TorchFile file = TorchFile.Of(Plain());
            change(file);
            return file.ToBytes();
        }

        byte[] Claims(Func<string, (uint Header, uint Length, uint Stored), (uint, uint, uint)> claim) =>
            Changed(f => f.Claim = claim);
    }

    /// <summary>Nothing is unpacked: an entry's name is a key, whatever path it looks like.</summary>
    [TestCase("..")]
    [TestCase("")]
    [TestCase("C:\\")]
    [TestCase("a\0b")]
    public void Names_that_look_like_paths_lead_nowhere(string root)
    {
        TorchFile file = TorchFile.Of(Plain());
        TorchFile renamed = new();
        renamed.Entries.AddRange(file.Entries.Select(e => (root + e.Name[1..], e.Content)));
        using Checkpoint checkpoint = Checkpoint.Open(renamed.ToBytes(), "a.pt");
        Assert.That(Read(checkpoint, "w")[^1], Is.EqualTo(5));
        Refuses(TorchFile.Of(Tensor("../../../../etc/passwd", 6, [6], [1])).ToBytes(), "is missing");
    }

    /// <summary>A few bytes of a pickle may ask for one thing again and again: a long name, a tensor of 64 dimensions.</summary>
    [Test]
    public void What_a_pickle_asks_for_many_times_is_bound()
    {
        TorchFile named = TorchFile.Of(Plain());
        named.Entries.Add(($"a/{new string('n', 1023)}", []));
        Refuses(named.ToBytes(), "a name of 1025 bytes; at most 1024");

        Pickle names = Pickle.Begin().Op('}').Text(new string('n', 1000)).Op(']').Op('(');
        for (int i = 0; i < 40_000; i++) names.Op('}');
        Refuses(TorchFile.Of(names.Op('e').Op('s').End()).ToBytes(), "more than 33554432 characters");

        Pickle tensors = Pickle.Begin().Op(']').Op('(').Global("torch._utils", "_rebuild_tensor_v2").Op('q', 1)
            .Op('(').Storage("0", 6).Number(0).Tuple([.. Enumerable.Repeat(1L, 64)]).Tuple(new long[64]).Op('t').Op('q', 2);
        for (int i = 0; i <= 1 << 18; i++) tensors.Op('h', 1).Op('h', 2).Op('R');
        Refuses(TorchFile.Of(tensors.Op('e').End()).ToBytes(), "more than 262144 tensors");
    }

    [Test]
    public void The_forms_before_archives_are_refused_by_name()
    {
        Refuses([0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, (byte)'.'], "legacy format",
            "before 1.6");
        byte[] tar = new byte[1024];
        "ustar"u8.CopyTo(tar.AsSpan(257));
        "storages"u8.CopyTo(tar);
        Refuses(tar, "oldest format", "before 0.1.10");
        Refuses("{\"weight\": 1}"u8.ToArray(), "no object 'weight_map'");
        Refuses("{nonsense"u8.ToArray(), "no valid JSON");
    }

    [Test]
    public void Safetensors_with_headers_that_look_like_something_else_are_safetensors()
    {
        // 640 is 80 02, a pickle's first bytes; 19280 is "PK"; 123 is '{'.
        foreach (int length in new[] { 640, 19280, 123 })
        {
            string header = "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
            using Checkpoint checkpoint = Checkpoint.Open(TestFiles.Raw(header.PadRight(length), 8), "a.safetensors");
            Assert.That((checkpoint.Format, checkpoint.Tensors.Single().ToString()), Is.EqualTo(("safetensors", "w: F32 [2]")));
        }
    }

    [Test]
    public void A_closed_checkpoint_gives_no_numbers()
    {
        Checkpoint checkpoint = Checkpoint.Open(TorchFile.Of(Plain()).ToBytes(), "a.pt");
        checkpoint.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Read(checkpoint, "w"));
    }

    private static byte[] Zip(params (string Name, string Content)[] entries)
    {
        TorchFile file = new();
        file.Entries.AddRange(entries.Select(e => (e.Name, Encoding.ASCII.GetBytes(e.Content))));
        return file.ToBytes();
    }

    private static byte[] Tensor(
        string key, long count, long[] shape, long[] strides, long offset = 0, string type = "FloatStorage") =>
        Pickle.Begin().Op('}').Item("w", p => p.Tensor(key, count, shape, strides, offset, type)).End();

    private static double[] Read(Checkpoint checkpoint, string name)
    {
        Assert.That(checkpoint.TryGet(name, out CheckpointTensor? tensor));
        return ReadFrom(tensor!, 0, (int)tensor!.ElementCount);
    }

    private static double[] ReadFrom(CheckpointTensor tensor, long first, int count)
    {
        double[] values = new double[count];
        tensor.Read(first, values);
        return values;
    }

    private static void Refuses(byte[] bytes, params string[] says)
    {
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => Checkpoint.Open(bytes, "bad.pt").Dispose())!;
        Assert.That(error.Message, Does.StartWith("bad.pt: ").And.EndsWith("."));
        foreach (string part in says) Assert.That(error.Message, Does.Contain(part));
        Assert.That(error.Message.Any(char.IsControl), Is.False, "a message must not drive the terminal");
        Assert.That(error.Message, Has.Length.LessThan(600));
    }

    private static TestCaseData Case(string name, byte[] pickle, params string[] says) =>
        new TestCaseData(pickle, says[0]).SetName($"A_bad_pickle_is_refused({name})");
}
