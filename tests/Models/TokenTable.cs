using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using NUnit.Framework;

namespace TinyZsad.Tests.Models;

/// <summary>Reads the int32 [n, 77] tables of the reference cases: enough of safetensors for that.</summary>
internal static class TokenTable
{
    public static int[][] Read(string path, string name)
    {
        byte[] file = File.ReadAllBytes(path);
        int header = checked((int)BinaryPrimitives.ReadUInt64LittleEndian(file));
        using JsonDocument json = JsonDocument.Parse(file.AsMemory(8, header));
        JsonElement tensor = json.RootElement.GetProperty(name);
        Assert.That(tensor.GetProperty("dtype").GetString(), Is.EqualTo("I32"));
        int rows = tensor.GetProperty("shape")[0].GetInt32(), columns = tensor.GetProperty("shape")[1].GetInt32();
        int begin = 8 + header + tensor.GetProperty("data_offsets")[0].GetInt32();
        int[] values = MemoryMarshal.Cast<byte, int>(file.AsSpan(begin, rows * columns * sizeof(int))).ToArray();
        return values.Chunk(columns).ToArray();
    }
}
