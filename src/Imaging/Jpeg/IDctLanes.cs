namespace TinyZsad.Imaging;

/// <summary>
/// Vectors for <see cref="InverseDct"/>: of 1, 2 or 4 blocks that lie side by side, the same eight 16-bit numbers or four 32-bit
/// ones of each. All operations stay within what belongs to a block. Sums and products wrap around.
/// </summary>
internal unsafe interface IDctLanes<T> where T : unmanaged, IDctLanes<T>
{
    /// <summary>How many blocks.</summary>
    static abstract int Blocks { get; }

    /// <summary>A row of 8 coefficients of each block; the next block's are 64 further.</summary>
    static abstract T Load(short* row);

    /// <summary>The same 8 numbers for each block.</summary>
    static abstract T Broadcast(short* row);

    /// <summary>The same pair of 16-bit numbers, or one 32-bit number, everywhere.</summary>
    static abstract T Broadcast(int value);

    static abstract T operator |(T a, T b);

    static abstract T Add16(T a, T b);

    static abstract T Subtract16(T a, T b);

    static abstract T Multiply16(T a, T b);

    static abstract T Add32(T a, T b);

    static abstract T Subtract32(T a, T b);

    static abstract T ShiftLeft16(T a, int bits);

    static abstract T ShiftRight32(T a, int bits);

    /// <summary>Of each pair of 16-bit numbers, the sum of their products with a pair of constants, in 32 bits.</summary>
    static abstract T MultiplyPairs(T pairs, T constants);

    /// <summary>The lower halves of both, number by number in turn.</summary>
    static abstract T ZipLow16(T a, T b);

    static abstract T ZipHigh16(T a, T b);

    static abstract T ZipLow32(T a, T b);

    static abstract T ZipHigh32(T a, T b);

    static abstract T ZipLow64(T a, T b);

    static abstract T ZipHigh64(T a, T b);

    /// <summary>32-bit numbers to 16 bits, those beyond to the nearest.</summary>
    static abstract T Narrow32(T low, T high);

    /// <summary>16-bit numbers to -128 ... 127, those beyond to the nearest, and from there to 0 ... 255.</summary>
    static abstract T ToSamples(T low, T high);

    /// <summary><paramref name="yes"/> for blocks in which <paramref name="test"/> is zero, else <paramref name="no"/>.</summary>
    static abstract T WhereZero(T test, T yes, T no);

    /// <summary>Stores 8 samples of each block, and 8 more of each block in the row below.</summary>
    static abstract void StoreTwoRows(T samples, byte* row, nint stride);
}
