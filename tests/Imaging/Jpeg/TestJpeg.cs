using System.Buffers.Binary;

namespace TinyZsad.Tests.Imaging;

/// <summary>A JPEG file as a list of its segments, to be changed and put together again.</summary>
internal sealed class TestJpeg
{
    private TestJpeg(List<(byte Marker, byte[] Data)> segments) => Segments = segments;

    /// <summary>Markers and parameters; those of SOS with the coded data behind.</summary>
    public List<(byte Marker, byte[] Data)> Segments { get; }

    public static TestJpeg Read(string name)
    {
        byte[] file = PictureFixture.Read(name);
        List<(byte, byte[])> segments = [];
        for (int at = 2; file[at + 1] != 0xD9;)
        {
            int end = at + 2 + BinaryPrimitives.ReadUInt16BigEndian(file.AsSpan(at + 2));
            while (file[at + 1] == 0xDA && !(file[end] == 0xFF && file[end + 1] is not (0 or >= 0xD0 and <= 0xD7)))
                end++;
            segments.Add((file[at + 1], file[(at + 4)..end]));
            at = end;
        }

        return new TestJpeg(segments);
    }

    /// <summary>Makes a segment.</summary>
    public static byte[] Segment(byte marker, params byte[] data) => [0xFF, marker, .. Word(data.Length + 2), .. data];

    public static byte[] Word(int value) => [(byte)(value >> 8), (byte)value];

    /// <summary>The file with some bytes of the parameters of the first segment of a marker replaced.</summary>
    public byte[] With(byte marker, int at, params byte[] bytes) => Changed(marker, data => bytes.CopyTo(data, at));

    /// <summary>The file with the parameters of the first segment of a marker changed in place.</summary>
    public byte[] Changed(byte marker, Action<byte[]> change) => Replaced(marker, data =>
    {
        change(data);
        return data;
    });

    /// <summary>The file with the parameters of the first segment of a marker replaced.</summary>
    public byte[] Replaced(byte marker, Func<byte[], byte[]> change)
    {
        TestJpeg copy = new TestJpeg([.. Segments]);
        int index = copy.Segments.FindIndex(s => s.Marker == marker);
        copy.Segments[index] = (marker, change((byte[])copy.Segments[index].Data.Clone()));
        return copy.File();
    }

    /// <summary>The file with something before the first segment of a marker.</summary>
    public byte[] Before(byte marker, params byte[] bytes)
    {
        int index = Segments.FindIndex(s => s.Marker == marker);
        return [0xFF, 0xD8, .. Segments[..index].SelectMany(Bytes), .. bytes, .. Segments[index..].SelectMany(Bytes), 0xFF, 0xD9];
    }

    public byte[] Without(byte marker) => new TestJpeg([.. Segments.Where(s => s.Marker != marker)]).File();

    public byte[] File() => [0xFF, 0xD8, .. Segments.SelectMany(Bytes), 0xFF, 0xD9];

    private static byte[] Bytes((byte Marker, byte[] Data) segment)
    {
        // The coded data do not count for the length of SOS.
        int length = segment.Marker == 0xDA ? 4 + 2 * segment.Data[0] : segment.Data.Length;
        return [0xFF, segment.Marker, .. Word(length + 2), .. segment.Data];
    }
}
