using System.Buffers.Binary;
using System.Text;
using TinyZsad.Tests.Imaging;

namespace TinyZsad.Fuzz;

/// <summary>Corrections of damaged inputs, in place, so that they are not all refused for the same reason.</summary>
internal static class Repairs
{
    /// <summary>A PNG's checksums, as far as its chunks go.</summary>
    public static void Png(byte[] file)
    {
        for (int at = 8; at + 12 <= file.Length;)
        {
            long length = BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(at));
            if (at + 12 + length > file.Length) break;
            string type = Encoding.Latin1.GetString(file, at + 4, 4);
            if (type.All(char.IsAscii)) TestPng.Chunk(type, file[(at + 8)..(at + 8 + (int)length)]).CopyTo(file, at);
            at += 12 + (int)length;
        }
    }

    /// <summary>A safetensors header's length: up to the last brace.</summary>
    public static void Safetensors(byte[] file)
    {
        int end = file.AsSpan().LastIndexOf((byte)'}');
        if (end >= 8) BinaryPrimitives.WriteInt64LittleEndian(file, end + 1 - 8);
    }

    /// <summary>A ZIP archive's places: of its directory, and of the entries, in their order.</summary>
    public static void Zip(byte[] file)
    {
        Span<byte> bytes = file;
        int directory = bytes.IndexOf("PK\x01\x02"u8), end = bytes.LastIndexOf("PK\x05\x06"u8);
        if (directory < 0 || end < directory || end + 22 > file.Length) return;
        BinaryPrimitives.WriteInt32LittleEndian(bytes[(end + 16)..], directory);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[(end + 12)..], end - directory);
        int local = 0;
        short count = 0;
        for (int entry = directory; entry + 46 <= end && bytes[entry..].StartsWith("PK\x01\x02"u8); count++)
        {
            int next = bytes[local..directory].IndexOf("PK\x03\x04"u8);
            if (next < 0) break;
            BinaryPrimitives.WriteInt32LittleEndian(bytes[(entry + 42)..], local + next);
            local += next + 4;
            entry += 46 + Number(entry + 28) + Number(entry + 30) + Number(entry + 32);
        }
        BinaryPrimitives.WriteInt16LittleEndian(bytes[(end + 10)..], count);

        int Number(int at) => BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(at));
    }
}
