using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TinyZsad.Imaging;

/// <summary>
/// Represents an immutable Huffman code. The high half of a symbol is the number of zeros before a coefficient (AC only), the low half
/// is the number of bits of the coefficient after the code.
/// </summary>
/// <remarks>
/// Reading gives an entry. For a coefficient, bits 0 to 7 are the length of the code and the value, bits 8 to 15 the length of the
/// value, bits 16 to 31 the zeros before it. For other codes, which have <see cref="Special"/>, bits 0 to 7 are the length of the code
/// and bits 8 to 15 the symbol. The length 0 means that there is no such code.
/// </remarks>
internal sealed class HuffmanCode
{
    /// <summary>
    /// Marks an entry that is not of a coefficient. As a number of zeros it exceeds a block, so one comparison detects both.
    /// </summary>
    public const uint Special = 64 << 16;

    /// <summary>The longest codes in the lookup table.</summary>
    private const int LookupBits = 10;

    private const int MaxLength = 16;

    private readonly uint[] lookup = new uint[1 << LookupBits];

    /// <summary>For each length, the first 16 bits after its codes.</summary>
    private readonly uint[] limits = new uint[MaxLength + 1];

    /// <summary>For each length, the index of its first symbol minus its first code.</summary>
    private readonly int[] places = new int[MaxLength + 1];

    private readonly byte[] symbols;

    private readonly bool dc;

    private HuffmanCode(byte[] symbols, bool dc)
    {
        this.symbols = symbols;
        this.dc = dc;
    }

    /// <summary>Creates a code from the number of codes of each length, 1 to 16, and the symbols in order.</summary>
    /// <returns>Null if there are too many codes of a length or a DC symbol is invalid.</returns>
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

    /// <summary>The table for <see cref="Look"/>, which a loop keeps in a register.</summary>
    public ref uint Lookup => ref MemoryMarshal.GetArrayDataReference(this.lookup);

    /// <summary>Returns the entry of the code at the start of the bits; one with length 0 if the code is long.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Look(ref uint lookup, ulong bits) => Unsafe.Add(ref lookup, (nint)(bits >> (64 - LookupBits)));

    /// <summary>Returns the entry of the code at the start of the bits; one with length 0 if there is none.</summary>
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
