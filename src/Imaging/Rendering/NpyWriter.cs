using System.Runtime.InteropServices;
using System.Text;

namespace TinyZsad.Imaging;

/// <summary>Writes anomaly maps as NumPy files (.npy, version 1.0): float32, [height, width], rows first.</summary>
public static class NpyWriter
{
    /// <summary>The length of magic, version, length and text together is a multiple of this.</summary>
    private const int Alignment = 64;

    /// <summary>Writes a map to a file, replaced where it exists.</summary>
    /// <inheritdoc cref="Save(Stream, ReadOnlySpan{float}, int, int)"/>
    /// <param name="path">The file.</param>
    /// <param name="map">The values.</param>
    /// <param name="width">Values a row.</param>
    /// <param name="height">Rows.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Save(string path, ReadOnlySpan<float> map, int width, int height)
    {
        ArgumentNullException.ThrowIfNull(path);
        MapArguments.Check(map, width, height);
        using FileStream file = File.Create(path);
        Save(file, map, width, height);
    }

    /// <summary>Writes a map to a stream, which is left open.</summary>
    /// <param name="stream">A writable stream.</param>
    /// <param name="map">The values, width * height of them, rows from the top.</param>
    /// <param name="width">Values a row, at least 1.</param>
    /// <param name="height">Rows, at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">A side is below 1.</exception>
    /// <exception cref="ArgumentException">The number of values is wrong.</exception>
    public static void Save(Stream stream, ReadOnlySpan<float> map, int width, int height)
    {
        ArgumentNullException.ThrowIfNull(stream);
        MapArguments.Check(map, width, height);
        ReadOnlySpan<byte> magic = [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', 1, 0];
        char order = BitConverter.IsLittleEndian ? '<' : '>';
        string header = $"{{'descr': '{order}f4', 'fortran_order': False, 'shape': ({height}, {width}), }}";
        int before = magic.Length + 2;
        int length = (before + header.Length + 1 + Alignment - 1) / Alignment * Alignment - before;
        stream.Write(magic);
        stream.Write([(byte)length, (byte)(length >> 8)]);
        stream.Write(Encoding.ASCII.GetBytes(header.PadRight(length - 1) + "\n"));

        // In parts, as the bytes of a large map are more than one span of them can count.
        for (int i = 0; i < map.Length; i += 1 << 20)
        {
            stream.Write(MemoryMarshal.AsBytes(map.Slice(i, Math.Min(1 << 20, map.Length - i))));
        }
    }
}
