using NUnit.Framework;
using TinyZsad.Graph;
using TinyZsad.Models;
using TinyZsad.Tests.Graph;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Models;

/// <summary>What all systems promise the detector.</summary>
[TestFixture]
public sealed class SystemTests
{
    private static readonly Dictionary<string, Func<SafetensorsFile>> Files = new()
    {
        ["LiZAD"] = () => TinyModel.Whole().Open(),
        ["EdgeZSAD"] = () => EdgeModel.Whole().Open(),
        ["VisualAD"] = () => new SeededVisualAd().Open(),
    };

    public static IEnumerable<string> Names => Files.Keys;

    /// <summary>Notes the plans that another device makes.</summary>
    private sealed class RecordingDevice : Device
    {
        public List<Plan> Made { get; } = [];

        public override string Name => "recording";

        public override int Threads => 1;

        public override Plan Compile(ComputeGraph graph, CompileOptions? options = null)
        {
            Made.Add(Plans.Cpu(1).Compile(graph, options));
            return Made[^1];
        }
    }

    [TestCaseSource(nameof(Names))]
    public void HeadsStayInFloatsAtAnyPrecision(string name)
    {
        using AnomalySystem system = AnomalySystem.Load(Files[name](), Plans.Cpu());
        LinearOperation[] head = [.. system.DetectionGraph(system.DefaultScore).Operations.OfType<LinearOperation>()
            .Where(l => l.Weight.Name.StartsWith("head.", StringComparison.Ordinal))];
        Assert.That(head, Is.Not.Empty);
        Assert.That(head.Where(l => !l.Trunk).Select(l => l.Weight.Name), Is.Empty);
    }

    [TestCaseSource(nameof(Names))]
    public void AStandInFillsEveryInputButThePixels(string name)
    {
        using AnomalySystem system = AnomalySystem.Load(Files[name](), Plans.Cpu());
        using Plan plan = Plans.Compile(system.DetectionGraph(system.DefaultScore));
        using Run run = plan.Rent();
        string[] others = [.. plan.Graph.Inputs.Keys.Where(i => i != AnomalySystem.Pixels)];
        foreach (string input in others) run.Floats(input).Fill(float.NaN);
        system.Bind(run, null);
        foreach (string input in others) Assert.That(run.Floats(input).ToArray(), Has.None.NaN, input);
        Assert.That(others, Has.Length.EqualTo(system.TakesClassName ? 2 : 0));
    }

    [TestCaseSource(nameof(Names))]
    public void EveryPlanMadeAtLoadOrForAClassIsDisposedOf(string name)
    {
        using RecordingDevice device = new();
        using AnomalySystem system = AnomalySystem.Load(Files[name](), device);
        if (system.TakesClassName) system.Prepare(TinyModel.ClassName, default);
        Assert.That(device.Made, name == "EdgeZSAD" ? Is.Empty : Is.Not.Empty);
        foreach (Plan plan in device.Made) Assert.That(plan.Rent, Throws.InstanceOf<ObjectDisposedException>());
    }

    [TestCaseSource(nameof(Names))]
    public void AGraphIsMadeOfTheModelsOwnWeights(string name)
    {
        using AnomalySystem system = AnomalySystem.Load(Files[name](), Plans.Cpu());
        RotaryOperation[] Rotations() =>
            [.. system.DetectionGraph(system.DefaultScore).Operations.OfType<RotaryOperation>()];
        RotaryOperation[] first = Rotations(), second = Rotations();
        Assert.That(first, name == "LiZAD" ? Is.Not.Empty : Is.Empty);
        Assert.That(first.Zip(second, (a, b) => ReferenceEquals(a.Table, b.Table)), Is.All.True,
            "tables made for every graph would only be freed with the model");
    }

    [Test]
    public void AnUnknownSystemIsToldTheKnownOnes()
    {
        TinyModel model = TinyModel.Whole();
        model.Metadata["model"] = "other";
        Assert.That(() => AnomalySystem.Load(model.Open(), Plans.Cpu()),
            Throws.TypeOf<ModelFormatException>().With.Message.Contains("'other'").And.Message.Contains("lizad, edgezsad, visualad"));
    }
}
