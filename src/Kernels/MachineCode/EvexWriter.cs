namespace TinyZsad.Kernels;

/// <summary>
/// Specifies a general-purpose x86-64 register by number. All listed registers are caller-saved in both calling conventions,
/// System V and Windows.
/// </summary>
internal enum Gpr
{
    Rax = 0, Rcx = 1, Rdx = 2, R8 = 8, R9 = 9, R10 = 10, R11 = 11,
}

/// <summary>
/// Encodes the few x86-64 instructions that the generated kernels use. Instructions on 512-bit vectors use the EVEX encoding
/// (Intel SDM, volume 2, section 2.7). Vector registers are 0 to 5 and 16 to 31, which are caller-saved in both calling
/// conventions.
/// </summary>
internal sealed class EvexWriter
{
    private readonly List<byte> code = [];

    /// <summary>Gets the code written so far.</summary>
    public byte[] Code => [.. code];

    /// <summary>Gets the position of the next instruction.</summary>
    public int Position => code.Count;

    /// <summary>zmm ← 64 bytes at [base + displacement]. The displacement is a multiple of 64.</summary>
    public void Load(int zmm, Gpr @base, int displacement) =>
        Vector(map: 1, prefix: 2, 0x6F, zmm, 0, @base, null, 0, displacement, 64);

    /// <summary>64 bytes at [base + displacement] ← zmm.</summary>
    public void Store(Gpr @base, int displacement, int zmm) =>
        Vector(map: 1, prefix: 2, 0x7F, zmm, 0, @base, null, 0, displacement, 64);

    /// <summary>zmm ← zmm.</summary>
    public void Move(int to, int from) => Vector(map: 1, prefix: 1, 0x6F, to, 0, from);

    /// <summary>Every lane of zmm ← the 32 bits at [base + index * 2^scale], without an index if it is null.</summary>
    public void Broadcast(int zmm, Gpr @base, Gpr? index, int scale) =>
        Vector(map: 2, prefix: 1, 0x58, zmm, 0, @base, index, scale, 0, 4);

    /// <summary>
    /// sums += the products of four unsigned bytes and four signed bytes in each lane (AVX512_VNNI's vpdpbusd).
    /// </summary>
    public void DotProducts(int sums, int unsigned, int signed) => Vector(map: 2, prefix: 1, 0x50, sums, unsigned, signed);

    /// <summary>to ← 8 bytes at [base + displacement]. <paramref name="base"/> is the number of any register below 8.</summary>
    public void LoadPointer(Gpr to, int @base, int displacement)
    {
        Bytes((byte)(0x48 | ((int)to >> 3 << 2)), 0x8B, (byte)(0x40 | (((int)to & 7) << 3) | @base), (byte)displacement);
    }

    /// <summary>to ← from. <paramref name="from"/> is the number of any register below 8.</summary>
    public void MovePointer(Gpr to, int from) =>
        Bytes((byte)(0x48 | ((int)to >> 3)), 0x89, (byte)(0xC0 | (from << 3) | ((int)to & 7)));

    /// <summary>to ← base + index * 2^scale.</summary>
    public void LoadAddress(Gpr to, Gpr @base, Gpr index, int scale) =>
        Bytes((byte)(0x48 | ((int)to >> 3 << 2) | ((int)index >> 3 << 1) | ((int)@base >> 3)), 0x8D,
            (byte)(0x44 | (((int)to & 7) << 3)),
            (byte)((scale << 6) | (((int)index & 7) << 3) | ((int)@base & 7)), 0);

    /// <summary>to += value, a 32-bit immediate.</summary>
    public void Add(Gpr to, int value)
    {
        Bytes((byte)(0x48 | ((int)to >> 3)), 0x81, (byte)(0xC0 | ((int)to & 7)));
        Bytes(BitConverter.GetBytes(value));
    }

    /// <summary>to += from.</summary>
    public void Add(Gpr to, Gpr from) =>
        Bytes((byte)(0x48 | ((int)from >> 3 << 2) | ((int)to >> 3)), 0x01, (byte)(0xC0 | (((int)from & 7) << 3) | ((int)to & 7)));

    /// <summary>Decrements the counter and jumps back to a position if the counter is not zero.</summary>
    public void Loop(Gpr counter, int position)
    {
        Bytes((byte)(0x48 | ((int)counter >> 3)), 0xFF, (byte)(0xC8 | ((int)counter & 7)));
        Bytes(0x0F, 0x85);
        Bytes(BitConverter.GetBytes(position - (code.Count + 4)));
    }

    /// <summary>Clears the upper halves of the vector registers, as callers expect, and returns.</summary>
    public void Return() => Bytes(0xC5, 0xF8, 0x77, 0xC3);

    private void Bytes(params ReadOnlySpan<byte> bytes) => code.AddRange(bytes);

    /// <summary>Writes the four-byte EVEX prefix. The high bits of register numbers are stored inverted.</summary>
    private void Prefix(int map, int prefix, int reg, int second, int x, int b) => Bytes(
        0x62,
        (byte)(((~reg >> 3 & 1) << 7) | ((~x & 1) << 6) | ((~b & 1) << 5) | ((~reg >> 4 & 1) << 4) | map),
        (byte)(((~second & 15) << 3) | 4 | prefix),
        (byte)(0x40 | ((~second >> 4 & 1) << 3)));

    private void Vector(int map, int prefix, byte opcode, int reg, int second, int rm)
    {
        Prefix(map, prefix, reg, second, rm >> 4, rm >> 3);
        Bytes(opcode, (byte)(0xC0 | ((reg & 7) << 3) | (rm & 7)));
    }

    /// <summary>Writes an instruction with a memory operand. The displacement is stored in units of the operand's size.</summary>
    private void Vector(int map, int prefix, byte opcode, int reg, int second, Gpr @base, Gpr? index, int scale, int displacement,
        int unit)
    {
        Prefix(map, prefix, reg, second, index is { } i ? (int)i >> 3 : 0, (int)@base >> 3);
        int low = (int)@base & 7;
        Bytes(opcode, (byte)(0x40 | ((reg & 7) << 3) | (index is null ? low : 4)));
        if (index is { } at) Bytes((byte)((scale << 6) | (((int)at & 7) << 3) | low));
        Bytes((byte)(sbyte)(displacement / unit));
    }
}
