using System.Collections.Immutable;
using System.Runtime.InteropServices;
using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Models;
using TinyZsad.Tests.Weights;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Models;

/// <summary>LiZAD's smallest case as a file in memory, and variations on it.</summary>
internal sealed class TinyModel
{
    public const string ClassName = "metal nut";

    public static readonly ReferenceCase Case = ReferenceCase.Open(TestData.Path("lizad", "tiny"));

    public static readonly Image Picture = Image.Load(Case.Image!);

    private static readonly ImmutableDictionary<string, Half[]> Values = Case.Tensors.ToImmutableDictionary(t => t.Name, t =>
    {
        Half[] values = new Half[t.Shape.Aggregate(1L, (n, d) => n * d)];
        for (int i = 0; i < values.Length; i++) values[i] = t[i];
        return values;
    });

    /// <summary>What the file will hold.</summary>
    public Dictionary<string, TensorDeclaration> Tensors { get; } = Case.Tensors.ToDictionary(t => t.Name, t => TensorDeclaration.FromValues<Half>(t.Name, t.Shape, Values[t.Name]));

    /// <summary>What the file will say about itself.</summary>
    public Dictionary<string, string> Metadata { get; } = new(Case.Metadata);

    public static TinyModel Whole() => new();

    /// <summary>The model without its text tower, for one class whose embedding it stores: milliseconds instead of a second to prepare.</summary>
    public static TinyModel OfStoredClass(params string[] classes)
    {
        TinyModel model = new();
        foreach (string name in Case.Tensors.Select(t => t.Name).Where(n => n.StartsWith("text.", StringComparison.Ordinal))) model.Tensors.Remove(name);
        IReadOnlyList<ExpectedTap> taps = Case.ExpectedTaps();
        foreach (string className in classes.Length > 0 ? classes : [ClassName])
            foreach (string kind in new[] { "text.normal", "text.abnormal" })
            {
                // Another name, another embedding.
                float[] values = taps.Single(t => t.Name == kind).Expected;
                model.Store($"{kind}.{className}", className == ClassName ? values : [.. values.Select((v, i) => v * (1 + (i + className.Length) % 3))]);
            }
        return model;
    }

    public void Store(string name, float[] values) => Tensors[name] = TensorDeclaration.FromValues<float>(name, [values.Length], values);

    /// <summary>The same bytes under another shape or type, filled up with zeroes or cut.</summary>
    public void Redeclare(string name, ElementType type, ImmutableArray<long> shape)
    {
        byte[] bytes = new byte[shape.Aggregate(1L, (n, d) => n * d) * type.ByteSize()];
        ReadOnlySpan<byte> old = MemoryMarshal.AsBytes<Half>(Values[name]);
        old[..Math.Min(old.Length, bytes.Length)].CopyTo(bytes);
        Tensors[name] = new TensorDeclaration(name, type, shape, stream => stream.Write(bytes));
    }

    /// <summary>Every weight in another number format, its value first passed through a function.</summary>
    public TinyModel As(ElementType type, Func<float, float> value)
    {
        foreach (SeededTensor t in Case.Tensors.Where(t => Tensors.ContainsKey(t.Name)))
        {
            float[] values = [.. Values[t.Name].Select(v => value((float)v))];
            Tensors[t.Name] = type == ElementType.F32 ? TensorDeclaration.FromValues<float>(t.Name, t.Shape, values)
                : new TensorDeclaration(t.Name, type, t.Shape, stream => stream.Write(MemoryMarshal.AsBytes<ushort>(values.Select(v => (ushort)(BitConverter.SingleToUInt32Bits(v) >> 16)).ToArray())));
        }
        return this;
    }

    public void Change(string name, int index, Func<float, float> value)
    {
        Half[] values = [.. Values[name]];
        values[index] = (Half)value((float)values[index]);
        Tensors[name] = TensorDeclaration.FromValues<Half>(name, Tensors[name].Shape, values);
    }

    public SafetensorsFile Open() => SafetensorsFile.Open(TestFiles.Written(Tensors.Values, Metadata), "tiny.safetensors");

    /// <summary>All taps that survive in the plan of a detection.</summary>
    public Dictionary<string, float[]> Taps()
    {
        using AnomalySystem system = AnomalySystem.Load(Open());
        using ThreadTeam team = new(1);
        using CpuRun run = CpuPlan.Compile(system.DetectionGraph(ImageScore.TopPercentMean), surviving: true).Rent(1);
        BicubicResizer.Resize(Picture.View, run.Bytes(AnomalySystem.Pixels), system.ImageSize, system.ImageSize);
        system.Bind(run, system.Prepare(ClassName, team, default));
        Dictionary<string, float[]> taps = [];
        run.Execute(team, (tap, values) => taps[tap.Name] = values);
        return taps;
    }
}
