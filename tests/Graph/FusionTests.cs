using NUnit.Framework;
using TinyZsad.Cpu;
using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Tests.Graph;

/// <summary>Tests what is fused into one step, and what must not be fused.</summary>
[TestFixture]
public sealed class FusionTests
{
    private static readonly Parameter Square = Numbers.Weight("square", 1, 16, 16), Bias = Numbers.Weight("bias", 2, 16),
        Factor = Numbers.Weight("factor", 3, 16);

    private static readonly Dictionary<string, Array> X = new() { ["x"] = Numbers.Random(4, 20 * 16) };

    private static (ComputeGraph Graph, Value X) Graph()
    {
        ComputeGraph g = new();
        return (g, g.Input("x", 20, 16));
    }

    private static string[] Kinds(CpuPlan plan) => Plans.Kinds(plan);

    /// <summary>
    /// Checks that the fused plan agrees with the unfused graph, executed by the reference implementation of each operation.
    /// </summary>
    private static void AgreesWithUnfused(ComputeGraph g)
    {
        float[] fused = Plans.Run(Plans.Compile(g), X)["out.y"], unfused = Plans.Run(Plans.Reference.Compile(g), X)["out.y"];
        // There are up to three consecutive layers, each a sum of 16 terms with a few more roundings: sixty in all.
        double largest = unfused.Max(v => Math.Abs(v)), limit = 60.0 / (1 << 24) * Math.Max(1, largest);
        for (int i = 0; i < fused.Length; i++) Assert.That(fused[i], Is.EqualTo(unfused[i]).Within(limit));
    }

    [Test]
    public void ActivationScaleAndResidualJoinTheLinear()
    {
        (ComputeGraph g, Value x) = Graph();
        Value n = g.LayerNorm(x, Factor, Bias, 1e-5f);
        g.Output("y", g.Add(n, g.Scale(g.Activate(g.Linear(n, Square, Bias), ActivationKind.Gelu), Factor)));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "LayerNorm", "Linear" }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void TheResidualMayStandOnEitherSide()
    {
        (ComputeGraph g, Value x) = Graph();
        g.Output("y", g.Add(g.Linear(x, Square, Bias), x));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Linear" }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void AnActivationAfterTheResidualComesLast()
    {
        (ComputeGraph g, Value x) = Graph();
        g.Output("y", g.Activate(g.Add(x, g.Scale(g.Linear(x, Square, Bias), Factor)), ActivationKind.Gelu));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Linear" }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void AnActivationAfterAScaleStaysApart()
    {
        (ComputeGraph g, Value x) = Graph();
        g.Output("y", g.Activate(g.Scale(g.Linear(x, Square), Factor), ActivationKind.Gelu));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Linear", "Activation" }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void ASecondActivationStaysApart()
    {
        (ComputeGraph g, Value x) = Graph();
        g.Output("y", g.Activate(g.Activate(g.Linear(x, Square), ActivationKind.Gelu), ActivationKind.Sigmoid));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Linear", "Activation" }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void AScaleAfterTheResidualStaysApart()
    {
        (ComputeGraph g, Value x) = Graph();
        g.Output("y", g.Scale(g.Add(x, g.Linear(x, Square)), Factor));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Linear", "Scale" }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void OneLinearIsTheResidualOfTheOther()
    {
        (ComputeGraph g, Value x) = Graph();
        g.Output("y", g.Add(g.Linear(x, Square), g.Activate(g.Linear(x, Square, Bias), ActivationKind.Sigmoid)));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Linear", "Linear" }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void ADifferenceIsNoResidual()
    {
        (ComputeGraph g, Value x) = Graph();
        g.Output("y", g.Subtract(x, g.Linear(x, Square)));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Linear", "Add" }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void WhatTwoReadIsNotSwallowed()
    {
        (ComputeGraph g, Value x) = Graph();
        Value linear = g.Linear(x, Square);
        g.Output("y", g.Add(g.Activate(linear, ActivationKind.Gelu), g.Activate(linear, ActivationKind.Sigmoid)));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Linear", "Activation", "Activation", "Add" }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void WhatIsAddedToItselfIsNotSwallowed()
    {
        (ComputeGraph g, Value x) = Graph();
        Value linear = g.Linear(x, Square);
        g.Output("y", g.Add(linear, linear));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Linear", "Add" }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void WhatIsReadThroughAWindowIsNotSwallowed()
    {
        (ComputeGraph g, Value x) = Graph();
        Value linear = g.Linear(x, Square);
        g.Output("y", g.Activate(g.Rows(linear, 2, 8), ActivationKind.Gelu));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Linear", "Activation" }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void AnOutputIsNotSwallowed()
    {
        (ComputeGraph g, Value x) = Graph();
        Value linear = g.Linear(x, Square);
        g.Output("linear", linear);
        g.Output("y", g.Activate(linear, ActivationKind.Gelu));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Linear", "Activation" }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void ADemandedTapPreventsFusionAndAnUndemandedDoesNot()
    {
        (ComputeGraph g, Value x) = Graph();
        Value linear = g.Linear(x, Square);
        g.Tap("linear", linear);
        g.Tap("x", x);
        g.Output("y", g.Activate(linear, ActivationKind.Gelu));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Linear" }));
        Assert.That(Kinds(Plans.Compile(g, t => t.Name == "linear")), Is.EqualTo(new[] { "Linear", "Tap", "Activation" }));
        Assert.That(Plans.Compile(g, surviving: true).Taps.Select(t => t.Name), Is.EqualTo(new[] { "x" }),
            "the linear does not survive");
    }

    [Test]
    public void WhatNobodyWantsIsNotComputed()
    {
        (ComputeGraph g, Value x) = Graph();
        Value unwanted = g.Activate(g.Linear(x, Square), ActivationKind.Gelu);
        g.Tap("unwanted", g.L2Normalize(unwanted));
        g.Output("y", g.Scale(x, Factor));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Scale" }));
        Assert.That(Kinds(Plans.Compile(g, _ => true)), Has.Length.EqualTo(4),
            "tapped, it is: linear with activation, norm, tap, scale");
    }

    [Test]
    public void ADeadReaderDoesNotPreventFusion()
    {
        (ComputeGraph g, Value x) = Graph();
        Value linear = g.Linear(x, Square);
        g.L2Normalize(linear);
        g.Output("y", g.Activate(linear, ActivationKind.Gelu));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Linear" }));
    }

    [Test]
    public void RotaryJoinsTheAttention()
    {
        (ComputeGraph g, Value x) = Graph();
        RotaryTable table = new(Numbers.Weight("cos", 5, 18, 4), Numbers.Weight("sin", 6, 18, 4), 2);
        g.Output("y", g.Attention(g.Rotary(x, 2, table), g.Rotary(x, 2, table), x, 2));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Attention" }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void TheResidualGivesItsMemoryToTheSum()
    {
        (ComputeGraph g, Value x) = Graph();
        Value stream = g.Scale(x, Factor);
        Value sum = g.Add(stream, g.Linear(g.LayerNorm(stream, Factor, Bias, 1e-5f), Square));
        g.Output("y", sum);
        CpuPlan plan = Plans.Compile(g);
        Assert.That(plan.Layout.Offset(sum), Is.EqualTo(plan.Layout.Offset(stream)));
        AgreesWithUnfused(g);
    }

    [Test]
    public void AResidualThatIsReadLaterKeepsItsMemory()
    {
        (ComputeGraph g, Value x) = Graph();
        Value stream = g.Scale(x, Factor);
        Value sum = g.Add(stream, g.Linear(stream, Square));
        g.Output("y", g.Subtract(sum, stream));
        CpuPlan plan = Plans.Compile(g);
        Assert.That(plan.Layout.Offset(sum), Is.Not.EqualTo(plan.Layout.Offset(stream)));
        AgreesWithUnfused(g);
    }

    private static readonly Parameter Dense = Numbers.Weight("dense", 5, 3, 3, 16, 16),
        Depthwise = Numbers.Weight("depthwise", 6, 3, 3, 16);

    /// <summary>Adds a convolution of X as a map of 4 x 5.</summary>
    private static Value Convolve(ComputeGraph g, Value x, string kind) =>
        kind == "Conv" ? g.Conv(x, 4, 5, 1, Dense, Bias) : g.DepthwiseConv(x, 4, 5, 1, Depthwise, Bias);

    [Test]
    public void AnActivationJoinsTheConvolution([Values("Conv", "DepthwiseConv")] string kind)
    {
        (ComputeGraph g, Value x) = Graph();
        g.Output("y", g.Activate(Convolve(g, x, kind), ActivationKind.Gelu));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { kind }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void ATappedConvolutionIsNotFused([Values("Conv", "DepthwiseConv")] string kind)
    {
        (ComputeGraph g, Value x) = Graph();
        Value y = Convolve(g, x, kind);
        g.Tap("before", y);
        g.Output("y", g.Activate(y, ActivationKind.Gelu));
        Assert.That(Kinds(Plans.Compile(g, t => t.Name == "before")), Is.EqualTo(new[] { kind, "Tap", "Activation" }));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { kind }));
    }

    [Test]
    public void OfTwoActivationsOneJoinsTheConvolution([Values("Conv", "DepthwiseConv")] string kind)
    {
        (ComputeGraph g, Value x) = Graph();
        g.Output("y", g.Activate(g.Activate(Convolve(g, x, kind), ActivationKind.Gelu), ActivationKind.Sigmoid));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { kind, "Activation" }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void AConvolutionThatTwoReadIsNotSwallowed([Values("Conv", "DepthwiseConv")] string kind)
    {
        (ComputeGraph g, Value x) = Graph();
        Value y = Convolve(g, x, kind);
        g.Output("y", g.Add(g.Activate(y, ActivationKind.Gelu), y));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { kind, "Activation", "Add" }));
        AgreesWithUnfused(g);
    }

    /// <summary>Adds TinyViT's MBConv, with X as a map of 4 x 5.</summary>
    private static (Value Expanded, Value Convolved, Value Projected) MbConv(ComputeGraph g, Value x,
        ActivationKind second = ActivationKind.Gelu)
    {
        Value expanded = g.Activate(g.Linear(x, Square, Bias), ActivationKind.Gelu);
        Value convolved = g.Activate(g.DepthwiseConv(expanded, 4, 5, 1, Depthwise, Bias), second);
        return (expanded, convolved, g.Linear(convolved, Square, Bias));
    }

    [Test]
    public void TheThreeLayersOfABottleneckBecomeOne([Values] bool residual)
    {
        (ComputeGraph g, Value x) = Graph();
        Value y = MbConv(g, x).Projected;
        g.Output("y", residual ? g.Activate(g.Add(x, y), ActivationKind.Gelu) : y);
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Bottleneck" }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void ABottleneckIsItsThreeLayersBitForBit()
    {
        (ComputeGraph g, Value x) = Graph();
        (_, Value convolved, Value projected) = MbConv(g, x);
        g.Tap("convolved", convolved);
        g.Output("y", g.Activate(g.Add(x, projected), ActivationKind.Gelu));
        CpuPlan apart = Plans.Compile(g, t => t.Name == "convolved");
        Assert.That(Kinds(apart), Is.EqualTo(new[] { "Linear", "DepthwiseConv", "Tap", "Linear" }));
        Assert.That(Plans.Run(Plans.Compile(g), X)["out.y"], Is.EqualTo(Plans.Run(apart, X)["out.y"]));
    }

    [Test]
    public void ABottleneckWithTwoActivationsOrAnotherReaderStaysApart()
    {
        (ComputeGraph g, Value x) = Graph();
        g.Output("y", MbConv(g, x, ActivationKind.QuickGelu).Projected);
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Linear", "DepthwiseConv", "Linear" }));

        (g, x) = Graph();
        (Value expanded, _, Value projected) = MbConv(g, x);
        g.Output("y", g.Add(expanded, projected));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Linear", "DepthwiseConv", "Linear" }));
        AgreesWithUnfused(g);
    }

    [Test]
    public void LayersThatAreQuantisedStayOutOfABottleneck()
    {
        Parameter square = Numbers.Weight("square", 1, 64, 64), bias = Numbers.Weight("bias", 2, 64);
        ComputeGraph g = new();
        Value expanded = g.Linear(g.Input("x", 20, 64), square, bias);
        g.Output("y", g.Linear(g.DepthwiseConv(expanded, 4, 5, 1, Numbers.Weight("depthwise", 6, 3, 3, 64), bias), square, bias));
        Assert.That(Kinds(Plans.Compile(g)), Is.EqualTo(new[] { "Bottleneck" }));
        using CpuPlan plan = Plans.Compile(g, precision: Precision.Int8);
        Assert.That(Kinds(plan), Has.None.EqualTo("Bottleneck").And.Some.EqualTo("DepthwiseConv"));
    }
}
