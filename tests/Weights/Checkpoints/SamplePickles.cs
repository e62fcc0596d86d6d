namespace TinyZsad.Tests.Weights;

/// <summary>Good pickles with all that is read of one, to be damaged.</summary>
internal static class SamplePickles
{
    public static readonly byte[] StateDict = Pickle.Begin().Op('}')
        .Item("model", p => p.Global("collections", "OrderedDict").Op(')').Op('R')
            .Item("w", q => q.Tensor("0", 6, [2, 3], [3, 1])).Item("t", q => q.Tensor("0", 6, [3, 2], [1, 3])).Op('}').Op('b'))
        .Item("layers", p => p.Op(']').Op('q', 1).Op('(').Number(6).Op('K', 12).Op('M', 1, 1).Op('J', 1, 0, 0, 0).Op('e'))
        .Item("again", p => p.Op('h', 1)).Item("name", p => p.Text("x"))
        .End();

    /// <summary>A state dict and what stands beside one, with the opcodes that protocols 3 to 5 add.</summary>
    public static readonly byte[] Framed = new Pickle().Op(0x80, 5).Op(0x95, 20, 0, 0, 0, 0, 0, 0, 0).Op('}').Op(0x94).Op('(')
        .Op(0x8c, 1, (byte)'w').Op(0x94)
        .Op([0x8c, 12, .. "torch._utils"u8]).Op(0x94).Op([0x8c, 18, .. "_rebuild_tensor_v2"u8]).Op(0x93).Op(0x94)
        .Op('(').Storage("0", 6).Op('K', 0).Op('K', 6).Op(0x85).Op('K', 0).Op(0x85).Op(0x89).Op('N').Op('t').Op('R').Op(0x94)
        .Op(0x8c, 1, (byte)'c').Tensor("1", 3, [3], [1], type: "ComplexFloatStorage")
        .Op(0x8c, 1, (byte)'a').Op([0x8c, 8, .. "argparse"u8]).Op([0x8c, 9, .. "Namespace"u8]).Op(0x93).Op(')').Op(0x81).Op(0x94)
        .Op('}').Op('N').Op('K', 1).Op('s').Op('b')
        .Op(0x8c, 1, (byte)'s').Op(0x8f).Op(0x94).Op('(').Op('K', 1).Op(0x90).Op('(').Op('K', 3).Op(0x91).Op(0x86)
        .Op(0x8c, 1, (byte)'b').Op('C', 2, 1, 2).Op('B', 1, 0, 0, 0, 3).Op([0x8e, 1, .. new byte[7], 4]).Op(0x87)
        .Op(0x8c, 1, (byte)'l').Op(0x96, 1, 0, 0, 0, 0, 0, 0, 0, 5).Op(0x8b, 1, 0, 0, 0, 6).Op([0x8a, 9, .. new byte[8], 1]).Op(0x87)
        .Op(0x8c, 1, (byte)'x').Op([0x8c, 1, (byte)'m']).Op([0x8c, 1, (byte)'C']).Op(0x93).Op(')').Op('}').Op(0x92)
        .Op([0x8d, 1, .. new byte[7], (byte)'t']).Op([(byte)'I', .. "01\n"u8])
        .Op('u').End();

    public static readonly byte[] Script = Pickle.Begin().Global("__torch__", "M").Op(')').Op(0x81).Op('}')
        .Item("w", p => p.Tensor("0", 6, [6], [1])).Item("training", p => p.Op(0x89)).Op('b').End();
}
