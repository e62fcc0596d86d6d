using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TinyZsad.Imaging;

/// <summary>Specifies the meaning of the components.</summary>
internal enum JpegColourSpace
{
    Gray,
    YCbCr,
    Rgb,

    /// <summary>Inverted CMYK, like Adobe stores it: 255 is no ink.</summary>
    Cmyk,

    /// <summary>Inverted CMYK with the first three components as YCbCr.</summary>
    Ycck,

    /// <summary>CMYK as TIFF stores it: 255 is full ink.</summary>
    Inks,
}

/// <summary>Converts rows of components to RGB with the arithmetic of libjpeg and, for CMYK, of Pillow.</summary>
internal static unsafe class JpegColour
{
    /// <summary>The pixels that are converted at once.</summary>
    public static int Step => Vector<byte>.Count;

    /// <summary>The bytes that are written after the last pixel.</summary>
    public const int Beyond = 4;

    /// <summary>Returns the meaning of the components that libjpeg assumes.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="jfif">True if there is a JFIF header.</param>
    /// <param name="adobe">The transform in Adobe's header; null if there is none.</param>
    public static JpegColourSpace Guess(JpegFrame frame, bool jfif, byte? adobe) => frame.Components.Length switch
    {
        1 => JpegColourSpace.Gray,
        3 when jfif => JpegColourSpace.YCbCr,
        3 when adobe is not null => adobe == 0 ? JpegColourSpace.Rgb : JpegColourSpace.YCbCr,
        3 when frame.Components is [{ Id: (byte)'R' }, { Id: (byte)'G' }, { Id: (byte)'B' }] => JpegColourSpace.Rgb,
        3 => JpegColourSpace.YCbCr,
        _ => adobe is null or 0 ? JpegColourSpace.Cmyk : JpegColourSpace.Ycck,
    };

    /// <summary>Converts a row.</summary>
    /// <param name="space">The meaning of the components.</param>
    /// <param name="rows">A row of each component, readable up to a multiple of <see cref="Step"/>.</param>
    /// <param name="width">The pixels.</param>
    /// <param name="rgb">Receives three bytes per pixel up to that multiple, and <see cref="Beyond"/> more bytes.</param>
    public static void ToRgb(JpegColourSpace space, byte** rows, int width, byte* rgb)
    {
        switch (space)
        {
            case JpegColourSpace.Gray:
                Convert<FromGray>(rows[0], rows[0], rows[0], rows[0], width, rgb);
                break;
            case JpegColourSpace.YCbCr:
                Convert<FromYCbCr>(rows[0], rows[1], rows[2], rows[0], width, rgb);
                break;
            case JpegColourSpace.Rgb:
                Convert<FromRgb>(rows[0], rows[1], rows[2], rows[0], width, rgb);
                break;
            case JpegColourSpace.Cmyk:
                Convert<FromCmyk>(rows[0], rows[1], rows[2], rows[3], width, rgb);
                break;
            case JpegColourSpace.Ycck:
                Convert<FromYcck>(rows[0], rows[1], rows[2], rows[3], width, rgb);
                break;
            default:
                Convert<FromInks>(rows[0], rows[1], rows[2], rows[3], width, rgb);
                break;
        }
    }

    private static void Convert<T>(byte* first, byte* second, byte* third, byte* fourth, int width, byte* rgb)
        where T : IConversion
    {
        int half = Vector<short>.Count;
        for (int x = 0; x < width; x += Step)
        {
            Vector.Widen(Vector.Load(first + x), out Vector<ushort> a0, out Vector<ushort> a1);
            Vector.Widen(Vector.Load(second + x), out Vector<ushort> b0, out Vector<ushort> b1);
            Vector.Widen(Vector.Load(third + x), out Vector<ushort> c0, out Vector<ushort> c1);
            Vector.Widen(Vector.Load(fourth + x), out Vector<ushort> d0, out Vector<ushort> d1);
            Store(T.ToRgb(a0, b0, c0, d0), rgb + 3 * x);
            Store(T.ToRgb(a1, b1, c1, d1), rgb + 3 * (x + half));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store((Vector<ushort> R, Vector<ushort> G, Vector<ushort> B) pixels, byte* rgb)
    {
        Vector.Widen(pixels.R | pixels.G << 8, out Vector<uint> low, out Vector<uint> high);
        Vector.Widen(pixels.B, out Vector<uint> lowBlue, out Vector<uint> highBlue);
        Store(low | lowBlue << 16, rgb);
        Store(high | highBlue << 16, rgb + 3 * Vector<uint>.Count);
    }

    /// <summary>Stores pixels of R, G, B and 0 without the zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector<uint> pixels, byte* rgb)
    {
        if (Vector<byte>.Count == Vector128<byte>.Count)
        {
            Store(pixels.AsVector128(), rgb);
        }
        else if (Vector<byte>.Count == Vector256<byte>.Count)
        {
            Store(pixels.AsVector256(), rgb);
        }
        else
        {
            Store(pixels.AsVector512().GetLower(), rgb);
            Store(pixels.AsVector512().GetUpper(), rgb + 24);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector256<uint> pixels, byte* rgb)
    {
        Store(pixels.GetLower(), rgb);
        Store(pixels.GetUpper(), rgb + 12);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector128<uint> pixels, byte* rgb) => Vector128.Shuffle(pixels.AsByte(),
        Vector128.Create((byte)0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 255, 255, 255, 255)).Store(rgb);

    /// <summary>Converts samples of up to four components, 0 to 255, to RGB.</summary>
    private interface IConversion
    {
        static abstract (Vector<ushort> R, Vector<ushort> G, Vector<ushort> B) ToRgb(
            Vector<ushort> first, Vector<ushort> second, Vector<ushort> third, Vector<ushort> fourth);
    }

    private readonly struct FromGray : IConversion
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static (Vector<ushort> R, Vector<ushort> G, Vector<ushort> B) ToRgb(
            Vector<ushort> y, Vector<ushort> second, Vector<ushort> third, Vector<ushort> fourth) => (y, y, y);
    }

    private readonly struct FromRgb : IConversion
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static (Vector<ushort> R, Vector<ushort> G, Vector<ushort> B) ToRgb(
            Vector<ushort> r, Vector<ushort> g, Vector<ushort> b, Vector<ushort> fourth) => (r, g, b);
    }

    /// <summary>
    /// Computes libjpeg's products with factors of 16 fractional bits, such as 1.402 = 91881 / 65536, exactly in 16-bit numbers: the
    /// integral parts are added, and the fractions are multiplied in two halves of 8 bits.
    /// </summary>
    private readonly struct FromYCbCr : IConversion
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static (Vector<ushort> R, Vector<ushort> G, Vector<ushort> B) ToRgb(
            Vector<ushort> luma, Vector<ushort> blueness, Vector<ushort> redness, Vector<ushort> fourth)
        {
            Vector<short> y = Vector.AsVectorInt16(luma), middle = new(128);
            Vector<short> cb = Vector.AsVectorInt16(blueness) - middle, cr = Vector.AsVectorInt16(redness) - middle;

            // 1.402 = 1 + (102 + 233 / 256) / 256
            Vector<short> r = y + cr + ((cr * 102 + (cr * 233 >> 8) + middle) >> 8);

            // -0.34414 = -(88 + 26 / 256) / 256 and -0.71414 = -1 + (73 + 46 / 256) / 256
            Vector<short> g = y - cr + ((cr * 73 - cb * 88 + ((cr * 46 - cb * 26) >> 8) + middle) >> 8);

            // 1.772 = 2 - (58 + 94 / 256) / 256
            Vector<short> b = y + cb + cb + (((cb * -94 >> 8) - cb * 58 + middle) >> 8);
            return (Clamp(r), Clamp(g), Clamp(b));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector<ushort> Clamp(Vector<short> v) =>
            Vector.AsVectorUInt16(Vector.Min(Vector.Max(v, Vector<short>.Zero), new Vector<short>(255)));
    }

    /// <summary>Converts CMYK like Pillow, which assumes that it is inverted.</summary>
    private readonly struct FromCmyk : IConversion
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static (Vector<ushort> R, Vector<ushort> G, Vector<ushort> B) ToRgb(
            Vector<ushort> c, Vector<ushort> m, Vector<ushort> y, Vector<ushort> k) => (Darken(c, k), Darken(m, k), Darken(y, k));

        /// <summary>Returns k - round(k * (1 - ink / 255)).</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector<ushort> Darken(Vector<ushort> ink, Vector<ushort> k)
        {
            Vector<ushort> product = (new Vector<ushort>(255) - ink) * k + new Vector<ushort>(128);
            return k - ((product + (product >> 8)) >> 8);
        }
    }

    private readonly struct FromInks : IConversion
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static (Vector<ushort> R, Vector<ushort> G, Vector<ushort> B) ToRgb(
            Vector<ushort> c, Vector<ushort> m, Vector<ushort> y, Vector<ushort> k)
        {
            Vector<ushort> full = new(255);
            return FromCmyk.ToRgb(full - c, full - m, full - y, full - k);
        }
    }

    /// <summary>Converts YCCK to CMYK as 255 - RGB, like libjpeg.</summary>
    private readonly struct FromYcck : IConversion
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static (Vector<ushort> R, Vector<ushort> G, Vector<ushort> B) ToRgb(
            Vector<ushort> y, Vector<ushort> cb, Vector<ushort> cr, Vector<ushort> k)
        {
            (Vector<ushort> r, Vector<ushort> g, Vector<ushort> b) = FromYCbCr.ToRgb(y, cb, cr, k);
            Vector<ushort> full = new(255);
            return FromCmyk.ToRgb(full - r, full - g, full - b, k);
        }
    }
}
