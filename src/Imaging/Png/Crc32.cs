using System.Runtime.InteropServices;

namespace TinyZsad.Imaging;

/// <summary>Computes PNG's CRC-32 (reflected polynomial 0xEDB88320), eight bytes at a time.</summary>
internal static class Crc32
{
    /// <summary>Table k advances a byte by k more bytes than table 0, the usual one.</summary>
    private static readonly uint[] Tables = MakeTables();

    /// <summary>Returns the checksum of bytes that follow those of an earlier checksum.</summary>
    public static uint Compute(ReadOnlySpan<byte> data, uint earlier = 0)
    {
        uint[] t = Tables;
        uint crc = ~earlier;
        ReadOnlySpan<ulong> words = BitConverter.IsLittleEndian ? MemoryMarshal.Cast<byte, ulong>(data) : [];
        foreach (ulong word in words)
        {
            ulong x = word ^ crc;
            crc = t[(7 << 8) + (byte)x] ^ t[(6 << 8) + (byte)(x >> 8)] ^ t[(5 << 8) + (byte)(x >> 16)]
                ^ t[(4 << 8) + (byte)(x >> 24)] ^ t[(3 << 8) + (byte)(x >> 32)] ^ t[(2 << 8) + (byte)(x >> 40)]
                ^ t[(1 << 8) + (byte)(x >> 48)] ^ t[(byte)(x >> 56)];
        }

        foreach (byte b in data[(8 * words.Length)..])
        {
            crc = t[(byte)(crc ^ b)] ^ (crc >> 8);
        }

        return ~crc;
    }

    private static uint[] MakeTables()
    {
        uint[] tables = new uint[8 << 8];
        for (uint i = 0; i < 256; i++)
        {
            uint crc = i;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;
            }

            tables[i] = crc;
        }

        for (int i = 256; i < tables.Length; i++)
        {
            uint crc = tables[i - 256];
            tables[i] = tables[(byte)crc] ^ (crc >> 8);
        }

        return tables;
    }
}
