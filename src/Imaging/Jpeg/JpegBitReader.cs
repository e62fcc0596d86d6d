using System.Runtime.InteropServices;

namespace TinyZsad.Imaging;

/// <summary>
/// Reads the entropy-coded data of a scan: it removes the zero after each 0xFF and stops at markers. The data goes through a small
/// buffer that always holds a whole MCU, so that an MCU is read without checks. Zeros follow the last bit.
/// </summary>
internal unsafe ref struct JpegBitReader
{
    /// <summary>More bytes than an MCU takes: 10 blocks of 64 codes and values of 16 bits each, and the bytes read ahead.</summary>
    private const int Reserve = 10 * 64 * 4 + 64;

    private const int BufferBytes = 1 << 14;

    private readonly ReadOnlySpan<byte> jpeg;
    private readonly byte* buffer;
    private byte* end;

    /// <summary>The offset of the next byte in the file, or of the marker at the end.</summary>
    private int at;
    private bool ended;

    /// <param name="jpeg">The file.</param>
    /// <param name="start">The offset of the coded data.</param>
    /// <param name="buffer">Memory of <see cref="NeededBytes"/>.</param>
    public JpegBitReader(ReadOnlySpan<byte> jpeg, int start, byte* buffer)
    {
        this.jpeg = jpeg;
        this.buffer = buffer;
        StartAt(start);
    }

    public static int NeededBytes => BufferBytes + Reserve;

    /// <summary>The bits to take.</summary>
    public BitBuffer Bits;

    /// <summary>Prepares for reading an MCU. Returns false if more bits were taken than there are.</summary>
    public bool Prepare() => Bits.Position <= end - Reserve || Fill();

    /// <summary>False if more bits were taken than there are.</summary>
    public readonly bool IsWithinData => Bits.Position <= end;

    /// <summary>Continues after the next marker if it is the expected one. Unread data before it is skipped.</summary>
    /// <param name="expected">The expected marker.</param>
    /// <param name="found">The next marker; null if there is none.</param>
    /// <returns>True if the marker is the expected one.</returns>
    public bool Restart(byte expected, out JpegSegment? found)
    {
        found = JpegSegment.Next(this.jpeg, at);
        if (found?.Marker != expected)
        {
            return false;
        }

        StartAt(found.Value.End);
        return true;
    }

    /// <summary>The offset at which to look for the next marker.</summary>
    public readonly int Offset => at;

    private void StartAt(int offset)
    {
        at = offset;
        ended = false;
        end = this.buffer;
        Bits = new BitBuffer(this.buffer);
        Fill();
    }

    private bool Fill()
    {
        if (ended)
        {
            return IsWithinData;
        }

        // The last MCU had as many bytes as an MCU can take, so nothing beyond the end was read.
        byte* unread = Bits.Next;
        int left = (int)(end - unread);
        Buffer.MemoryCopy(unread, this.buffer, BufferBytes, left);
        Bits.Next = this.buffer;
        end = this.buffer + left;
        Unstuff();
        NativeMemory.Clear(end, Reserve);
        return true;
    }

    /// <summary>Fills the buffer from the file, up to a marker.</summary>
    private void Unstuff()
    {
        Span<byte> space = new Span<byte>(end, (int)(this.buffer + BufferBytes - end));
        while (!space.IsEmpty && !ended)
        {
            ReadOnlySpan<byte> data = this.jpeg.Slice(at, Math.Min(this.jpeg.Length - at, space.Length));
            int plain = data.IndexOf((byte)0xFF);
            plain = plain < 0 ? data.Length : plain;
            data[..plain].CopyTo(space);
            space = space[plain..];
            at += plain;
            if (plain < data.Length)
            {
                // 0xFF 0x00 is one byte of data. More 0xFF between the two are padding.
                int next = this.jpeg[at..].IndexOfAnyExcept((byte)0xFF);
                ended = next < 0 || this.jpeg[at + next] != 0;
                if (!ended)
                {
                    space[0] = 0xFF;
                    space = space[1..];
                    at += next + 1;
                }
            }
            else
            {
                ended = at == this.jpeg.Length;
            }
        }

        end = this.buffer + BufferBytes - space.Length;
    }
}
