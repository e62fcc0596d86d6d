using NUnit.Framework;
using TinyZsad.Cpu;
using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Tests.Graph;

/// <summary>
/// Networks of random operations. Memory that two values wrongly share, a missing barrier or a wrong fusion shows as a
/// difference between the fast plan and the one in which every value is handed out as soon as it is made.
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

        // Every value, as it is when it has just been made.
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

        // The plain definitions, one operation after another.
        using Plan plain = Plans.Reference.Compile(g, new CompileOptions { Demanded = _ => true });
        foreach ((string name, float[] values) in Plans.Run(plain, inputs)) Near(all[name], values, name);
    }

    /// <summary>
    /// A chain of normalised values of one size, so that roundings do not grow: 1e-4 is a thousand of them, and a value in the
    /// wrong place is off by about 1.
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
        // The youngest most of the time, so that chains form; sometimes one from long ago.
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
            // Bounded, so that chains of sums do not run away.
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
