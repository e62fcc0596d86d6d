using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TinyZsad.Imaging;

/// <summary>
/// A Huffman code of JPEG, made for reading. A symbol is a byte: in its high half how many zeros come before a coefficient (AC
/// only), in its low half how many bits of the coefficient follow the code. Immutable.
/// </summary>
/// <remarks>
/// What is read is an entry. Of a coefficient: bits 0 to 7 are the length of the code and the value together, bits 8 to 15 the
/// length of the value, bits 16 on the zeros before it. Of anything else, with <see cref="Special"/>: bits 0 to 7 are the length
/// of the code, bits 8 to 15 the symbol; the length 0 says that there is no such code.
/// </remarks>
internal sealed class HuffmanCode
{
    /// <summary>
    /// At an entry's place of zeros: not just a coefficient. More than there are coefficients, so that one comparison tells this
    /// as well as zeros that lead out of a block.
    /// </summary>
    public const uint Special = 64 << 16;

    /// <summary>Codes up to this length are found by one look.</summary>
    private const int LookupBits = 10;

    private const int MaxLength = 16;

    private readonly uint[] lookup = new uint[1 << LookupBits];

    /// <summary>For each length: the first 16 bits that are beyond its codes.</summary>
    private readonly uint[] limits = new uint[MaxLength + 1];

    /// <summary>For each length: the place of its first symbol, less its first code.</summary>
    private readonly int[] places = new int[MaxLength + 1];

    private readonly byte[] symbols;

    private readonly bool dc;

    private HuffmanCode(byte[] symbols, bool dc)
    {
        this.symbols = symbols;
        this.dc = dc;
    }

    /// <summary>Makes a code from how many codes there are of each length, 1 to 16, and their symbols in order.</summary>
    /// <returns>Null where there are more than there can be, or where a symbol of DC means nothing.</returns>
    public static HuffmanCode? Create(ReadOnlySpan<byte> counts, ReadOnlySpan<byte> symbols, bool dc)
    {
        if (dc && symbols.ContainsAnyExceptInRange((byte)0, (byte)15))
        {
            return null;
        }

        HuffmanCode made = new HuffmanCode(symbols.ToArray(), dc);
        Array.Fill(made.lookup, Special);
        int code = 0, place = 0;
        for (int length = 1; length <= MaxLength; length++)
        {
            made.places[length] = place - code;
            for (int i = 0; i < counts[length - 1]; i++, code++, place++)
            {
                if (length <= LookupBits && code < 1 << length)
                {
                    int first = code << (LookupBits - length);
                    made.lookup.AsSpan(first, 1 << (LookupBits - length)).Fill(made.Entry(symbols[place], length));
                }
            }

            // A code of ones alone is not allowed.
            if (counts[length - 1] > 0 && code >= 1 << length)
            {
                return null;
            }

            made.limits[length] = (uint)code << (MaxLength - length);
            code <<= 1;
        }

        return made;
    }

    /// <summary>For <see cref="Look"/>: a loop keeps it in a register.</summary>
    public ref uint Lookup => ref MemoryMarshal.GetArrayDataReference(this.lookup);

    /// <summary>The entry that some bits start with, if its code is short; else one with length 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Look(ref uint lookup, ulong bits) => Unsafe.Add(ref lookup, (nint)(bits >> (64 - LookupBits)));

    /// <summary>The entry that some bits start with; one with length 0 if there is none.</summary>
    public uint Find(ulong bits)
    {
        uint entry = Look(ref Lookup, bits), first = (uint)(bits >> (64 - MaxLength));
        if ((byte)entry != 0)
        {
            return entry;
        }

        for (int length = LookupBits + 1; length <= MaxLength; length++)
        {
            if (first < limits[length])
            {
                int place = places[length] + (int)(first >> (MaxLength - length));
                return Entry(this.symbols[place], length);
            }
        }

        return Special;
    }

    private uint Entry(byte symbol, int length)
    {
        int zeros = symbol >> 4, size = symbol & 15;
        return size == 0 && !this.dc ? Special | (uint)symbol << 8 | (uint)length : (uint)(zeros << 16 | size << 8 | (length + size));
    }
}
