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

    public static readonly byte[] Script = Pickle.Begin().Global("__torch__", "M").Op(')').Op(0x81).Op('}')
        .Item("w", p => p.Tensor("0", 6, [6], [1])).Item("training", p => p.Op(0x89)).Op('b').End();
}
