using System.Runtime.InteropServices;

namespace TinyZsad.Imaging;

/// <summary>
/// The coded data of a scan as bits: takes the zero after each 0xFF away, stops at markers. It works through a small buffer of
/// its own, in which more bits than any MCU has can be read without asking; zeros follow the last.
/// </summary>
internal unsafe ref struct JpegBitReader
{
    /// <summary>
    /// More bytes than an MCU takes: 10 blocks of 64 codes and values of 16 bits each, and what the bits look ahead.
    /// </summary>
    private const int Reserve = 10 * 64 * 4 + 64;

    private const int BufferBytes = 1 << 14;

    private readonly ReadOnlySpan<byte> jpeg;
    private readonly byte* buffer;
    private byte* end;

    /// <summary>Where the unread data goes on in the file; once ended, where the marker starts.</summary>
    private int at;
    private bool ended;

    /// <param name="jpeg">The file.</param>
    /// <param name="start">Where the coded data starts.</param>
    /// <param name="buffer">Memory of <see cref="NeededBytes"/>.</param>
    public JpegBitReader(ReadOnlySpan<byte> jpeg, int start, byte* buffer)
    {
        this.jpeg = jpeg;
        this.buffer = buffer;
        StartAt(start);
    }

    public static int NeededBytes => BufferBytes + Reserve;

    /// <summary>The bits, to be taken.</summary>
    public BitBuffer Bits;

    /// <summary>
    /// Sees to it that an MCU can be read. False where more was read than there is: the data ended too early.
    /// </summary>
    public bool Prepare() => Bits.Position <= end - Reserve || Fill();

    /// <summary>False where more was read than there is.</summary>
    public readonly bool IsWithinData => Bits.Position <= end;

    /// <summary>
    /// Goes on behind the next marker, if that is the one expected; data before it that nobody read are passed over.
    /// </summary>
    /// <returns>The marker that was found where it is another one, null where none was.</returns>
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

    /// <summary>Where to look for the next marker.</summary>
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

        // The last MCU was read from at least as many bytes as it can take, so that nothing behind the end was looked at.
        byte* unread = Bits.Next;
        int left = (int)(end - unread);
        Buffer.MemoryCopy(unread, this.buffer, BufferBytes, left);
        Bits.Next = this.buffer;
        end = this.buffer + left;
        Unstuff();
        NativeMemory.Clear(end, Reserve);
        return true;
    }

    /// <summary>Fills the buffer with data from the file, up to a marker.</summary>
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
                // 0xFF and 0 are one byte of data; between them, more 0xFF are padding.
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
