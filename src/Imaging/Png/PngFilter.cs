using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace TinyZsad.Imaging;

/// <summary>
/// Undoes PNG's row filters in place. A filtered byte is its difference, modulo 256, from a prediction by its neighbours: a (one pixel
/// to the left), b (above) and c (above a). Neighbours outside the picture are 0.
/// </summary>
internal static class PngFilter
{
    public const byte None = 0, Sub = 1, Up = 2, Average = 3, Paeth = 4;

    /// <summary>Undoes a filter.</summary>
    /// <param name="filter">0 to 4.</param>
    /// <param name="row">The filtered row; receives the unfiltered one.</param>
    /// <param name="above">The unfiltered row above; zeros for the first row of a pass.</param>
    /// <param name="distance">The bytes from a to the byte: 1, 2, 3, 4, 6 or 8.</param>
    public static void Undo(byte filter, Span<byte> row, ReadOnlySpan<byte> above, int distance)
    {
        switch (filter)
        {
            case Sub:
                UndoSub(row, distance);
                break;
            case Up:
                UndoUp(row, above);
                break;
            case Average when distance is 3 or 4:
                UndoAveragePixels(row, above, distance);
                break;
            case Average:
                UndoAverageScalar(row, above, distance);
                break;
            case Paeth when distance is 3 or 4:
                UndoPaethPixels(row, above, distance);
                break;
            case Paeth:
                UndoPaethScalar(row, above, distance);
                break;
        }
    }

    private static void UndoSub(Span<byte> row, int distance)
    {
        int i = 0;
        if (distance is 3 or 4)
        {
            Vector128<byte> a = default;
            for (; i + 4 <= row.Length; i += distance)
            {
                a += LoadPixel(row, i);
                StorePixel(row, i, a, distance);
            }
        }

        for (i = Math.Max(i, distance); i < row.Length; i++)
        {
            row[i] += row[i - distance];
        }
    }

    private static void UndoUp(Span<byte> row, ReadOnlySpan<byte> above)
    {
        above = above[..row.Length];
        int i = 0;
        for (; i + 32 <= row.Length; i += 32)
        {
            (Vector256.Create<byte>(row.Slice(i, 32)) + Vector256.Create(above.Slice(i, 32))).CopyTo(row.Slice(i, 32));
        }

        for (; i < row.Length; i++)
        {
            row[i] += above[i];
        }
    }

    /// <summary>Adds (a + b) / 2, a whole pixel of three or four bytes at a time.</summary>
    private static void UndoAveragePixels(Span<byte> row, ReadOnlySpan<byte> above, int distance)
    {
        Vector128<byte> a = default;
        int i = 0;
        for (; i + 4 <= row.Length; i += distance)
        {
            Vector128<byte> b = LoadPixel(above, i);
            a = LoadPixel(row, i) + Mean(a, b);
            StorePixel(row, i, a, distance);
        }

        UndoAverageScalar(row, above, distance, i);
    }

    private static void UndoAverageScalar(Span<byte> row, ReadOnlySpan<byte> above, int distance, int start = 0)
    {
        for (int i = start; i < row.Length; i++)
        {
            int a = i < distance ? 0 : row[i - distance];
            row[i] += (byte)((a + above[i]) >> 1);
        }
    }

    /// <summary>Adds the Paeth prediction, a whole pixel of three or four bytes at a time.</summary>
    private static void UndoPaethPixels(Span<byte> row, ReadOnlySpan<byte> above, int distance)
    {
        Vector128<short> a = default, c = default;
        int i = 0;
        for (; i + 4 <= row.Length; i += distance)
        {
            Vector128<short> b = Vector128.WidenLower(LoadPixel(above, i)).AsInt16();
            Vector128<short> x = Vector128.WidenLower(LoadPixel(row, i)).AsInt16();
            a = (x + PaethGuess(a, b, c)) & Vector128.Create((short)255);
            c = b;
            StorePixel(row, i, Vector128.Narrow(a.AsUInt16(), a.AsUInt16()), distance);
        }

        UndoPaethScalar(row, above, distance, i);
    }

    private static void UndoPaethScalar(Span<byte> row, ReadOnlySpan<byte> above, int distance, int start = 0)
    {
        for (int i = start; i < row.Length; i++)
        {
            row[i] += i < distance ? above[i] : PaethGuess(row[i - distance], above[i], above[i - distance]);
        }
    }

    /// <summary>Returns (a + b) / 2 of each byte, rounded down.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Mean(Vector128<byte> a, Vector128<byte> b) => (a & b) + Vector128.ShiftRightLogical(a ^ b, 1);

    /// <summary>Returns the one of a, b and c that is nearest to a + b - c; the first one if several are. All are 0 to 255.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<short> PaethGuess(Vector128<short> a, Vector128<short> b, Vector128<short> c)
    {
        Vector128<short> fromA = b - c, fromB = a - c, fromC = Vector128.Abs(fromA + fromB);
        fromA = Vector128.Abs(fromA);
        fromB = Vector128.Abs(fromB);
        Vector128<short> nearest = Vector128.Min(fromC, Vector128.Min(fromA, fromB));
        return Vector128.ConditionalSelect(Vector128.Equals(nearest, fromA), a,
            Vector128.ConditionalSelect(Vector128.Equals(nearest, fromB), b, c));
    }

    private static byte PaethGuess(int a, int b, int c)
    {
        int fromA = Math.Abs(b - c), fromB = Math.Abs(a - c), fromC = Math.Abs(a + b - 2 * c);
        return (byte)(fromA <= fromB && fromA <= fromC ? a : fromB <= fromC ? b : c);
    }

    /// <summary>Loads four bytes. The fourth one of a three-byte pixel is not stored again.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> LoadPixel(ReadOnlySpan<byte> row, int i) =>
        Vector128.CreateScalarUnsafe(MemoryMarshal.Read<uint>(row.Slice(i, 4))).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StorePixel(Span<byte> row, int i, Vector128<byte> pixel, int bytes)
    {
        uint value = pixel.AsUInt32().ToScalar();
        if (bytes == 4)
        {
            MemoryMarshal.Write(row.Slice(i, 4), value);
        }
        else
        {
            MemoryMarshal.Write(row.Slice(i, 2), (ushort)value);
            row[i + 2] = (byte)(value >> 16);
        }
    }
}
