using System.Runtime.InteropServices;
using System.Text;

namespace TinyZsad.Imaging;

/// <summary>Writes anomaly maps as NumPy files (.npy, version 1.0): float32 of shape [height, width] in C order.</summary>
public static class NpyWriter
{
    /// <summary>The length of everything before the values is a multiple of this.</summary>
    private const int Alignment = 64;

    /// <summary>Saves a map as a file.</summary>
    /// <inheritdoc cref="Save(Stream, ReadOnlySpan{float}, int, int)"/>
    /// <param name="path">The file's path. An existing file is replaced.</param>
    /// <param name="map">The values.</param>
    /// <param name="width">The width of the map, in values.</param>
    /// <param name="height">The height of the map, in values.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Save(string path, ReadOnlySpan<float> map, int width, int height)
    {
        ArgumentNullException.ThrowIfNull(path);
        MapArguments.Check(map, width, height);
        using FileStream file = File.Create(path);
        Save(file, map, width, height);
    }

    /// <summary>Writes a map to a stream.</summary>
    /// <param name="stream">A writable stream. It is left open.</param>
    /// <param name="map">The map: width * height values, rows from top to bottom.</param>
    /// <param name="width">The width of the map, in values; at least 1.</param>
    /// <param name="height">The height of the map, in values; at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">The width or the height is less than 1.</exception>
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

        // In parts, because a large map has more bytes than one span holds.
        for (int i = 0; i < map.Length; i += 1 << 20)
        {
            stream.Write(MemoryMarshal.AsBytes(map.Slice(i, Math.Min(1 << 20, map.Length - i))));
        }
    }
}
