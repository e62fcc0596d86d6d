using System.Buffers.Binary;
using System.Text;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Weights;

/// <summary>Safetensors files for the tests: by hand and by the writer.</summary>
internal static class TestFiles
{
    /// <summary>A file of a header as it is given, with its true length before it, and some data.</summary>
    public static byte[] Raw(string header, int dataLength) => Raw(Encoding.UTF8.GetBytes(header), dataLength);

    public static byte[] Raw(byte[] header, int dataLength)
    {
        byte[] file = new byte[8 + header.Length + dataLength];
        BinaryPrimitives.WriteInt64LittleEndian(file, header.Length);
        header.CopyTo(file, 8);
        for (int i = 0; i < dataLength; i++)
            file[8 + header.Length + i] = (byte)(i + 1);
        return file;
    }

    public static byte[] Written(IEnumerable<TensorDeclaration> tensors,
        IEnumerable<KeyValuePair<string, string>>? metadata = null)
    {
        using MemoryStream stream = new MemoryStream();
        SafetensorsWriter.Write(stream, tensors, metadata);
        return stream.ToArray();
    }

    /// <summary>A file of no tensor, with this metadata.</summary>
    public static SafetensorsFile WithMetadata(params (string Key, string Value)[] pairs) =>
        SafetensorsFile.Open(Written([], pairs.Select(p => KeyValuePair.Create(p.Key, p.Value))), "model.safetensors");

    /// <summary>A path in the temporary folder that no file has.</summary>
    public static string NewPath() => Path.Combine(Path.GetTempPath(), $"tinyzsad-{Path.GetRandomFileName()}.safetensors");
}
