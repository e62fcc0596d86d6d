using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace TinyZsad.Kernels;

/// <summary>
/// Transposes square blocks in registers. It converts a row-major weight matrix to panels while the weights are widened.
/// </summary>
internal static unsafe class Transpose
{
    /// <summary>Stores the transpose of a block of Count rows.</summary>
    /// <param name="rows">Count vectors, used as scratch memory.</param>
    /// <param name="y">
    /// The address of element (0, 0). Row i of the result, which is column i of the block, starts at y + i * ldy.
    /// </param>
    /// <param name="ldy">The row stride of the result, in floats.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TVec>(TVec* rows, float* y, nint ldy) where TVec : unmanaged, IVector<TVec>
    {
        if (TVec.Count == 16) Store16((Vector512<float>*)rows, y, ldy);
        else if (TVec.Count == 8) Store8((Vector256<float>*)rows, y, ldy);
        else if (TVec.Count == 4) Store4((Vector128<float>*)rows, y, ldy);
        else *y = *(float*)rows;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Store16(Vector512<float>* r, float* y, nint ldy)
    {
        TurnFours(r);
        for (int j = 0; j < 4; j++)
        {
            Columns(r, j, out Vector512<float> c0, out Vector512<float> c4, out Vector512<float> c8, out Vector512<float> c12);
            c0.Store(y + j * ldy);
            c4.Store(y + (j + 4) * ldy);
            c8.Store(y + (j + 8) * ldy);
            c12.Store(y + (j + 12) * ldy);
        }
    }

    /// <summary>
    /// Performs the first half of a 16 x 16 transposition: in every group of four rows, it transposes 4 x 4 blocks within the
    /// 128-bit lanes.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void TurnFours(Vector512<float>* r)
    {
        for (int g = 0; g < 16; g += 4)
        {
            Vector512<double> lo01 = Avx512F.UnpackLow(r[g], r[g + 1]).AsDouble(),
                hi01 = Avx512F.UnpackHigh(r[g], r[g + 1]).AsDouble();
            Vector512<double> lo23 = Avx512F.UnpackLow(r[g + 2], r[g + 3]).AsDouble(),
                hi23 = Avx512F.UnpackHigh(r[g + 2], r[g + 3]).AsDouble();
            r[g] = Avx512F.UnpackLow(lo01, lo23).AsSingle();
            r[g + 1] = Avx512F.UnpackHigh(lo01, lo23).AsSingle();
            r[g + 2] = Avx512F.UnpackLow(hi01, hi23).AsSingle();
            r[g + 3] = Avx512F.UnpackHigh(hi01, hi23).AsSingle();
        }
    }

    /// <summary>
    /// Performs the second half: it exchanges 128-bit lanes between the groups, which gives the columns j, j + 4, j + 8 and j +
    /// 12, for j from 0 to 3.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Columns(Vector512<float>* r, int j, out Vector512<float> c0, out Vector512<float> c4,
        out Vector512<float> c8, out Vector512<float> c12)
    {
        Vector512<float> even0 = Avx512F.Shuffle4x128(r[j], r[j + 4], 0x88),
            even1 = Avx512F.Shuffle4x128(r[j + 8], r[j + 12], 0x88);
        Vector512<float> odd0 = Avx512F.Shuffle4x128(r[j], r[j + 4], 0xDD),
            odd1 = Avx512F.Shuffle4x128(r[j + 8], r[j + 12], 0xDD);
        c0 = Avx512F.Shuffle4x128(even0, even1, 0x88);
        c4 = Avx512F.Shuffle4x128(odd0, odd1, 0x88);
        c8 = Avx512F.Shuffle4x128(even0, even1, 0xDD);
        c12 = Avx512F.Shuffle4x128(odd0, odd1, 0xDD);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Store8(Vector256<float>* r, float* y, nint ldy)
    {
        TurnFours(r);
        for (int j = 0; j < 4; j++)
        {
            Columns(r, j, out Vector256<float> c0, out Vector256<float> c4);
            c0.Store(y + j * ldy);
            c4.Store(y + (j + 4) * ldy);
        }
    }

    /// <summary>Performs the first half of an 8 x 8 transposition, as for 16 x 16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void TurnFours(Vector256<float>* r)
    {
        for (int g = 0; g < 8; g += 4)
        {
            Vector256<double> lo01 = Avx.UnpackLow(r[g], r[g + 1]).AsDouble(), hi01 = Avx.UnpackHigh(r[g], r[g + 1]).AsDouble();
            Vector256<double> lo23 = Avx.UnpackLow(r[g + 2], r[g + 3]).AsDouble(),
                hi23 = Avx.UnpackHigh(r[g + 2], r[g + 3]).AsDouble();
            r[g] = Avx.UnpackLow(lo01, lo23).AsSingle();
            r[g + 1] = Avx.UnpackHigh(lo01, lo23).AsSingle();
            r[g + 2] = Avx.UnpackLow(hi01, hi23).AsSingle();
            r[g + 3] = Avx.UnpackHigh(hi01, hi23).AsSingle();
        }
    }

    /// <summary>Performs the second half: it gives the columns j and j + 4, for j from 0 to 3.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Columns(Vector256<float>* r, int j, out Vector256<float> c0, out Vector256<float> c4)
    {
        c0 = Avx.Permute2x128(r[j], r[j + 4], 0x20);
        c4 = Avx.Permute2x128(r[j], r[j + 4], 0x31);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Store4(Vector128<float>* r, float* y, nint ldy)
    {
        if (Sse2.IsSupported)
        {
            Vector128<double> lo01 = Sse.UnpackLow(r[0], r[1]).AsDouble(), hi01 = Sse.UnpackHigh(r[0], r[1]).AsDouble();
            Vector128<double> lo23 = Sse.UnpackLow(r[2], r[3]).AsDouble(), hi23 = Sse.UnpackHigh(r[2], r[3]).AsDouble();
            Sse2.UnpackLow(lo01, lo23).AsSingle().Store(y);
            Sse2.UnpackHigh(lo01, lo23).AsSingle().Store(y + ldy);
            Sse2.UnpackLow(hi01, hi23).AsSingle().Store(y + 2 * ldy);
            Sse2.UnpackHigh(hi01, hi23).AsSingle().Store(y + 3 * ldy);
        }
        else if (AdvSimd.Arm64.IsSupported)
        {
            Vector128<double> lo01 = AdvSimd.Arm64.ZipLow(r[0], r[1]).AsDouble(),
                hi01 = AdvSimd.Arm64.ZipHigh(r[0], r[1]).AsDouble();
            Vector128<double> lo23 = AdvSimd.Arm64.ZipLow(r[2], r[3]).AsDouble(),
                hi23 = AdvSimd.Arm64.ZipHigh(r[2], r[3]).AsDouble();
            AdvSimd.Arm64.ZipLow(lo01, lo23).AsSingle().Store(y);
            AdvSimd.Arm64.ZipHigh(lo01, lo23).AsSingle().Store(y + ldy);
            AdvSimd.Arm64.ZipLow(hi01, hi23).AsSingle().Store(y + 2 * ldy);
            AdvSimd.Arm64.ZipHigh(hi01, hi23).AsSingle().Store(y + 3 * ldy);
        }
        else
        {
            float* x = (float*)r;
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < 4; j++) y[j * ldy + i] = x[4 * i + j];
        }
    }
}
