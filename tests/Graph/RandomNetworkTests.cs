using NUnit.Framework;
using TinyZsad.Cpu;
using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Tests.Graph;

/// <summary>
/// Tests networks of random operations. Memory wrongly shared by two values, a missing barrier or a wrong fusion appears as a
/// difference between the fast plan and the plan in which every value is tapped as soon as it is computed.
/// </summary>
[TestFixture]
public sealed class RandomNetworkTests
{
    private const int Rows = 24, Columns = 16;

    [Test]
    public void FusedInPlaceAndOnAnyNumberOfThreadsTheResultIsTheSame([Range(1, 60)] int seed)
    {
        ComputeGraph g = Make(seed);
        Dictionary<string, Array> inputs = new() { ["x"] = Numbers.Random(seed, Rows * Columns),
            ["rows"] = Enumerable.Range(0, Rows).Select(i => i * seed % Rows).ToArray() };

        // Every value right after it is computed.
        CpuPlan whole = Plans.Compile(g, _ => true, threads: 1);
        Assert.That(Plans.Kinds(whole).Count(k => k is not "Tap"), Is.EqualTo(g.Operations.Count),
            "nothing is fused where all is tapped");
        Dictionary<string, float[]> all = Plans.Run(whole, inputs);
        foreach (string name in g.Outputs.Keys)
            Assert.That(all[$"out.{name}"], Is.EqualTo(all[name]), "an output still holds at the end what was made");

        Dictionary<string, float[]> alone = Plans.Run(Plans.Compile(g, threads: 1), inputs);
        foreach ((string name, float[] values) in alone) Near(values, all[name], name);
        foreach ((string name, float[] values) in Plans.Run(Plans.Compile(g, surviving: true), inputs))
            Near(values, all[name], name);
        foreach (int threads in new[] { 2, 3, 5, 8 })
        {
            foreach ((string name, float[] values) in Plans.Run(Plans.Compile(g, threads: threads), inputs))
                Assert.That(values, Is.EqualTo(alone[name]), $"{name} on {threads} threads");
        }

        // The reference implementations, one operation after another.
        using Plan plain = Plans.Reference.Compile(g, new CompileOptions { Demanded = _ => true });
        foreach ((string name, float[] values) in Plans.Run(plain, inputs)) Near(all[name], values, name);
    }

    /// <summary>
    /// Compares values. All values of a chain are normalized to one magnitude, so that rounding errors do not grow: 1e-4 is a
    /// thousand roundings, while a value in the wrong place is off by about 1.
    /// </summary>
    private static void Near(float[] actual, float[] expected, string name)
    {
        double largest = Math.Max(1, expected.Max(v => Math.Abs(v)));
        for (int i = 0; i < actual.Length; i++)
            Assert.That(actual[i], Is.EqualTo(expected[i]).Within(1e-4 * largest), $"{name}[{i}]");
    }

    private static ComputeGraph Make(int seed)
    {
        Random random = new(seed);
        ComputeGraph g = new();
        Value rows = g.Input("rows", Rows, 1, ValueKind.Int);
        List<Value> values = [g.Input("x", Rows, Columns)];
        RotaryTable table = new(Numbers.Weight("cos", seed, Rows - 1, 2), Numbers.Weight("sin", seed + 1, Rows - 1, 2), 1);
        Parameter vector = Numbers.Weight("vector", seed, Columns), prefix = Numbers.Weight("prefix", seed, 2, Columns);
        ActivationFunction[] activations = [ActivationKind.Gelu, ActivationKind.QuickGelu, ActivationKind.Sigmoid,
            new(ActivationKind.LeakyRelu, 0.1f)];
        // Usually one of the most recent values, so that chains form; sometimes any of them.
        Value Any() => values[Math.Max(0, values.Count - 1 - (random.Next(3) == 0 ? random.Next(values.Count) : random.Next(2)))];
        Value Linear(Value x) =>
            g.Linear(x, Numbers.Weight("w", random.Next(), Columns, Columns), random.Next(2) == 0 ? vector : null);

        for (int i = 0; i < 25; i++)
        {
            Value x = Any();
            Value y = random.Next(15) switch
            {
                0 => Linear(x),
                1 => g.Activate(Linear(x), activations[random.Next(4)]),
                2 => g.Add(Any(), Linear(x)),
                3 => g.Add(g.Scale(g.Activate(Linear(x), activations[random.Next(4)]), vector), Any()),
                4 => g.Activate(g.Add(Linear(x), Any()), activations[random.Next(4)]),
                5 => g.LayerNorm(x, vector, vector, 1),
                6 => g.Activate(x, activations[random.Next(4)]),
                7 => g.Subtract(x, Any()),
                8 => g.Mean(x, Any(), Any()),
                9 => g.AddRows(x, prefix),
                10 =>
                    g.Attention(g.Rotary(Linear(x), 4, table), random.Next(2) == 0 ? g.Rotary(x, 4, table) : x, Linear(Any()), 4),
                11 => g.Attention(Linear(x), x, Any(), 2, 3),
                12 => g.GatherRows(x, rows),
                13 => g.Concatenate(g.Rows(x, 3, 10), g.Rows(g.PrependRows(Any(), prefix), 1, Rows - 10)),
                _ => g.Scale(x, vector),
            };
            // Normalized, so that chains of sums do not grow without bound.
            values.Add(i % 4 == 3 ? g.LayerNorm(y, vector, vector, 1) : y);
        }
        g.Tap("last", values[^1]);
        g.Output("last", values[^1]);
        g.Tap("early", values[8]);
        g.Output("early", values[8]);
        foreach (Operation operation in g.Operations) g.Tap($"value {operation.Output.Id}", operation.Output);
        return g;
    }
}
