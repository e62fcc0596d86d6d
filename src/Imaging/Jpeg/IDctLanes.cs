namespace TinyZsad.Imaging;

/// <summary>
/// Represents a vector for <see cref="InverseDct"/>: eight 16-bit or four 32-bit numbers of each of 1 or 2 blocks side by side. All
/// operations work on each block separately. Sums and products wrap around.
/// </summary>
internal unsafe interface IDctLanes<T> where T : unmanaged, IDctLanes<T>
{
    /// <summary>The number of blocks.</summary>
    static abstract int Blocks { get; }

    /// <summary>Loads a row of 8 coefficients of each block. Blocks are 64 coefficients apart.</summary>
    static abstract T Load(short* row);

    /// <summary>Loads the same 8 numbers for each block.</summary>
    static abstract T Broadcast(short* row);

    /// <summary>Repeats a pair of 16-bit numbers or a 32-bit number.</summary>
    static abstract T Broadcast(int value);

    static abstract T operator |(T a, T b);

    static abstract T Add16(T a, T b);

    static abstract T Subtract16(T a, T b);

    static abstract T Multiply16(T a, T b);

    static abstract T Add32(T a, T b);

    static abstract T Subtract32(T a, T b);

    static abstract T ShiftLeft16(T a, int bits);

    static abstract T ShiftRight32(T a, int bits);

    /// <summary>Returns, for each pair of 16-bit numbers, the 32-bit sum of their products with a pair of constants.</summary>
    static abstract T MultiplyPairs(T pairs, T constants);

    /// <summary>Interleaves the lower halves.</summary>
    static abstract T ZipLow16(T a, T b);

    static abstract T ZipHigh16(T a, T b);

    static abstract T ZipLow32(T a, T b);

    static abstract T ZipHigh32(T a, T b);

    static abstract T ZipLow64(T a, T b);

    static abstract T ZipHigh64(T a, T b);

    /// <summary>Narrows 32-bit numbers to 16 bits with saturation.</summary>
    static abstract T Narrow32(T low, T high);

    /// <summary>Clamps 16-bit numbers to -128..127 and adds 128.</summary>
    static abstract T ToSamples(T low, T high);

    /// <summary><paramref name="yes"/> for blocks in which <paramref name="test"/> is zero, else <paramref name="no"/>.</summary>
    static abstract T WhereZero(T test, T yes, T no);

    /// <summary>Stores 8 samples of each block, and 8 more of each block in the row below.</summary>
    static abstract void StoreTwoRows(T samples, byte* row, nint stride);
}
