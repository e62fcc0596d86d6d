using System.Collections.Immutable;
using System.Runtime.InteropServices;
using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Models;
using TinyZsad.Tests.Graph;
using TinyZsad.Tests.Weights;
using TinyZsad.Verification;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Models;

/// <summary>The weights of a reference case, made once.</summary>
internal sealed class CaseWeights(ReferenceCase reference)
{
    public ReferenceCase Case => reference;

    public ImmutableDictionary<string, Half[]> Values { get; } = reference.Tensors.ToImmutableDictionary(t => t.Name, t =>
    {
        Half[] values = new Half[t.Shape.Aggregate(1L, (n, d) => n * d)];
        for (int i = 0; i < values.Length; i++) values[i] = t[i];
        return values;
    });
}

/// <summary>The model of a reference case as a file in memory, and variations on it.</summary>
internal class CaseModel(CaseWeights weights)
{
    /// <summary>What the file will hold.</summary>
    public Dictionary<string, TensorDeclaration> Tensors { get; } =
        weights.Case.Tensors.ToDictionary(
            t => t.Name, t => TensorDeclaration.FromValues<Half>(t.Name, t.Shape, weights.Values[t.Name]));

    /// <summary>What the file will say about itself.</summary>
    public Dictionary<string, string> Metadata { get; } = new(weights.Case.Metadata);

    public void Store(string name, float[] values) =>
        Tensors[name] = TensorDeclaration.FromValues<float>(name, [values.Length], values);

    public void Rename(string name, string other)
    {
        Tensors[other] = TensorDeclaration.FromValues<Half>(other, Tensors[name].Shape, weights.Values[name]);
        Tensors.Remove(name);
    }

    /// <summary>The same bytes under another shape or type, filled up with zeroes or cut.</summary>
    public void Redeclare(string name, ElementType type, ImmutableArray<long> shape)
    {
        byte[] bytes = new byte[shape.Aggregate(1L, (n, d) => n * d) * type.ByteSize()];
        ReadOnlySpan<byte> old = MemoryMarshal.AsBytes<Half>(weights.Values[name]);
        old[..Math.Min(old.Length, bytes.Length)].CopyTo(bytes);
        Tensors[name] = new TensorDeclaration(name, type, shape, stream => stream.Write(bytes));
    }

    /// <summary>Every weight in another number format, its value first passed through a function.</summary>
    public CaseModel As(ElementType type, Func<float, float> value)
    {
        foreach (SeededTensor t in weights.Case.Tensors.Where(t => Tensors.ContainsKey(t.Name)))
        {
            float[] values = [.. weights.Values[t.Name].Select(v => value((float)v))];
            Tensors[t.Name] = type == ElementType.F32 ? TensorDeclaration.FromValues<float>(t.Name, t.Shape, values)
                : new TensorDeclaration(t.Name, type, t.Shape,
                    stream => stream.Write(MemoryMarshal.AsBytes<ushort>(
                        values.Select(v => (ushort)(BitConverter.SingleToUInt32Bits(v) >> 16)).ToArray())));
        }
        return this;
    }

    /// <summary>A tensor whose elements are others.</summary>
    public void Replace(string name, Func<Half[], IEnumerable<Half>> values) =>
        Tensors[name] = TensorDeclaration.FromValues<Half>(
            name, Tensors[name].Shape, values([.. weights.Values[name]]).ToArray());

    public void Change(string name, int index, Func<float, float> value) => Replace(name, values =>
    {
        values[index] = (Half)value((float)values[index]);
        return values;
    });

    public SafetensorsFile Open() => SafetensorsFile.Open(TestFiles.Written(Tensors.Values, Metadata), "tiny.safetensors");

    /// <summary>All taps that survive in the plan of a detection.</summary>
    public Dictionary<string, float[]> Taps()
    {
        using AnomalySystem system = AnomalySystem.Load(Open(), Plans.Cpu(1));
        using Plan plan = Plans.Compile(system.DetectionGraph(system.DefaultScore), surviving: true, threads: 1);
        using Run run = plan.Rent();
        Resampler.Resize(
            Image.Load(weights.Case.Image!).View, run.Bytes(AnomalySystem.Pixels), system.ImageSize, system.ImageSize);
        system.Bind(run, system.Prepare(weights.Case.ClassName, default));
        Dictionary<string, float[]> taps = [];
        run.Execute((tap, values) => taps[tap.Name] = values);
        return taps;
    }
}
