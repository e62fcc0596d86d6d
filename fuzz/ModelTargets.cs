using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using TinyZsad.Cpu;
using TinyZsad.Models;
using TinyZsad.Tests;
using TinyZsad.Verification;
using TinyZsad.Weights;

namespace TinyZsad.Fuzz;

/// <summary>What a model file says of itself: its metadata, before the tensors of the system that they name.</summary>
internal static class ModelTargets
{
    private static readonly Lazy<Dictionary<string, Template>> Templates = new(() => new()
    {
        ["visualad"] = new Template("visualad", "tiny-nosca"),
        ["edgezsad"] = new Template("edgezsad", "tiny"),
        ["lizad"] = new Template("lizad", "tiny"),
    });

    private static readonly CpuDevice Device = new(1);

    /// <summary>The system is loaded, and the graph of a detection made.</summary>
    public static FuzzTarget Model { get; } = new("model", Load, () => Templates.Value.Values.Select(t => t.Metadata))
    {
        Tokens =
        [
            "0", "1", "-1", "2147483647", "2147483648", "1e38", "NaN", ",", ", ", "\"", ":", "{}", "null", "true", "false", "visualad",
            "edgezsad", "lizad", "clip", "dinov2", "tinyzsad", "\\u0000", "16", "14", "70", "4096", "65536", "0.5", "1,2,3", "1,2,3,4",
            .. Templates.Value.Values.SelectMany(t => t.Keys).Distinct(),
        ],
        MaxLength = 1 << 13,
        MaxBytes = 256 << 20,
        MaxMilliseconds = 3000,
    };

    private static string Load(ReadOnlyMemory<byte> metadata)
    {
        string text = Encoding.Latin1.GetString(metadata.Span);
        Template template = Templates.Value.FirstOrDefault(t => text.Contains(t.Key), Templates.Value.First()).Value;
        using AnomalySystem system = AnomalySystem.Load(SafetensorsFile.Open(template.With(metadata.Span), "input"), Device);
        system.DetectionGraph(system.DefaultScore);
        return $"{system.Name} {new string('s', (int)Math.Log2(system.ImageSize))}";
    }

    /// <summary>A small model of a system: its metadata, and the rest of its file.</summary>
    private sealed class Template
    {
        private readonly byte[] header; // what follows the metadata
        private readonly byte[] data;

        public Template(string system, string name)
        {
            ReferenceCase reference = ReferenceCase.Open(TestData.Path(system, name));
            // Of LiZAD's, not the text tower but the embedding of a class: the file is small then.
            bool IsText(string tensor) => tensor.StartsWith("text.", StringComparison.Ordinal);
            List<TensorDeclaration> tensors =
                [.. reference.Tensors.Where(t => !IsText(t.Name)).Select(t => t.Declare())];
            if (system == "lizad")
            {
                tensors.AddRange(reference.ExpectedTaps().Where(t => t.Name is "text.normal" or "text.abnormal").Select(t =>
                    TensorDeclaration.FromValues<float>($"{t.Name}.nut", [t.Expected.Length], t.Expected)));
            }

            using MemoryStream stream = new();
            SafetensorsWriter.Write(stream, tensors, reference.Metadata);
            byte[] file = stream.ToArray();
            int length = (int)BinaryPrimitives.ReadInt64LittleEndian(file);
            using JsonDocument json = JsonDocument.Parse(file.AsMemory(8, length));
            JsonElement metadata = json.RootElement.GetProperty("__metadata__");
            Keys = [.. metadata.EnumerateObject().Select(p => p.Name)];
            Metadata = Encoding.UTF8.GetBytes(metadata.GetRawText());
            header = file[(8 + "{\"__metadata__\":".Length + Metadata.Length)..(8 + length)];
            data = file[(8 + length)..];
        }

        /// <summary>As JSON.</summary>
        public byte[] Metadata { get; }

        public string[] Keys { get; }

        /// <summary>The file with other metadata.</summary>
        public byte[] With(ReadOnlySpan<byte> metadata)
        {
            byte[] file = [0, 0, 0, 0, 0, 0, 0, 0, .. "{\"__metadata__\":"u8, .. metadata, .. header, .. data];
            BinaryPrimitives.WriteInt64LittleEndian(file, file.Length - 8 - data.Length);
            return file;
        }
    }
}
