using System.Runtime.Intrinsics;

namespace TinyZsad.Ptx;

/// <summary>Decodes loads of fragments and matrix products. The layouts of fragments are those of the PTX ISA.</summary>
internal static class MatrixInstructions
{
    /// <summary>Decodes an instruction; null if it is none of this group.</summary>
    public static Instruction? Decode(Decoder d)
    {
        switch (d.Opcode)
        {
            case "ldmatrix":
                d.Need("sync");
                d.Need("aligned");
                d.Need("m8n8");
                int count = d.OneOf("x1", "x2", "x4")[1] - '0';
                bool isTransposed = d.Has("trans");
                d.Any("shared");
                d.Need("b16");
                return new LoadMatrix(d.Vector(0, PtxType.B32, count, isSource: false), d.Address(1, Space.Shared), isTransposed);
            case "mma":
                d.Need("sync");
                d.Need("aligned");
                d.Need("m16n8k16");
                d.Need("row");
                d.Need("col");
                d.Need("f32");
                d.Need("f16");
                d.Need("f16");
                d.Need("f32");
                return new Product(d.Vector(0, PtxType.F32, 4, isSource: false), d.Vector(1, PtxType.B32, 4, isSource: true),
                    d.Vector(2, PtxType.B32, 2, isSource: true), d.Vector(3, PtxType.F32, 4, isSource: true));
            default:
                return null;
        }
    }

    /// <summary>
    /// Represents <c>ldmatrix</c>. Lanes 8 j to 8 j + 7 give the addresses of the rows of matrix j. Register j of a lane receives two
    /// halves of row lane / 4, or of column lane / 4 if transposed.
    /// </summary>
    private sealed unsafe class LoadMatrix(Slot[] registers, AddressSlot address, bool isTransposed) : Instruction
    {
        public override void Execute(Warp warp, uint mask)
        {
            Warp.CheckAligned(mask);
            ushort* halves = stackalloc ushort[8 * 8];
            ulong* addresses = warp.Addresses;
            for (int j = 0; j < registers.Length; j++)
            {
                for (int r = 0; r < 8; r++)
                {
                    int lane = 8 * j + r;
                    ulong at = addresses[lane] = warp.AddressOf(address, lane);
                    byte* row = warp.Read(Space.Shared, at, 16, lane);
                    ((ulong*)halves)[2 * r] = ((ulong*)row)[0];
                    ((ulong*)halves)[2 * r + 1] = ((ulong*)row)[1];
                }

                uint* to = (uint*)(warp.File + registers[j].Offset);
                for (int lane = 0; lane < 32; lane++)
                {
                    int g = lane >> 2, t = 2 * (lane & 3);
                    to[lane] = isTransposed
                        ? halves[8 * t + g] | (uint)halves[8 * (t + 1) + g] << 16
                        : halves[8 * g + t] | (uint)halves[8 * g + t + 1] << 16;
                }
            }

            warp.Count(Index, Space.Shared, registers.Length == 4 ? uint.MaxValue : (1U << (8 * registers.Length)) - 1, 16);
        }
    }

    /// <summary>
    /// Represents <c>mma.m16n8k16</c> of halves with sums in floats. The sums over k are exact in doubles, but for what lies 2^53 below
    /// the largest, and are rounded once. The hardware may round at other places.
    /// </summary>
    private sealed unsafe class Product(Slot[] d, Slot[] a, Slot[] b, Slot[] c) : Instruction
    {
        /// <summary>The value of each half.</summary>
        private static readonly float[] Values =
            [.. Enumerable.Range(0, 1 << 16).Select(i => (float)BitConverter.UInt16BitsToHalf((ushort)i))];

        public override void Execute(Warp warp, uint mask)
        {
            Warp.CheckAligned(mask);
            double* left = stackalloc double[16 * 16], right = stackalloc double[16 * 8], sums = stackalloc double[16 * 8];
            fixed (float* values = Values)
            {
                // a: register i holds row g, or g + 8 if i is odd, and columns 2 t and 2 t + 1, plus 8 if i is 2 or 3.
                for (int i = 0; i < 4; i++)
                {
                    uint* from = (uint*)(warp.File + a[i].Offset);
                    for (int lane = 0; lane < 32; lane++)
                    {
                        int at = 16 * ((lane >> 2) + 8 * (i & 1)) + 2 * (lane & 3) + 8 * (i >> 1);
                        left[at] = values[from[lane] & 0xFFFF];
                        left[at + 1] = values[from[lane] >> 16];
                    }
                }

                // b: register i holds rows 2 t and 2 t + 1, plus 8 if i is 1, of column g.
                for (int i = 0; i < 2; i++)
                {
                    uint* from = (uint*)(warp.File + b[i].Offset);
                    for (int lane = 0; lane < 32; lane++)
                    {
                        int at = 8 * (2 * (lane & 3) + 8 * i) + (lane >> 2);
                        right[at] = values[from[lane] & 0xFFFF];
                        right[at + 8] = values[from[lane] >> 16];
                    }
                }
            }

            // c and d: register i holds row g, or g + 8 if i is 2 or 3, and column 2 t + (i & 1).
            for (int i = 0; i < 4; i++)
            {
                float* from = (float*)(warp.File + c[i].Offset);
                for (int lane = 0; lane < 32; lane++) sums[Place(i, lane)] = from[lane];
            }

            for (int row = 0; row < 16; row++)
            {
                Vector256<double> low = Vector256.Load(sums + 8 * row), high = Vector256.Load(sums + 8 * row + 4);
                for (int k = 0; k < 16; k++)
                {
                    Vector256<double> factor = Vector256.Create(left[16 * row + k]);
                    low = Vector256.FusedMultiplyAdd(factor, Vector256.Load(right + 8 * k), low);
                    high = Vector256.FusedMultiplyAdd(factor, Vector256.Load(right + 8 * k + 4), high);
                }

                low.Store(sums + 8 * row);
                high.Store(sums + 8 * row + 4);
            }

            for (int i = 0; i < 4; i++)
            {
                float* to = (float*)(warp.File + d[i].Offset);
                for (int lane = 0; lane < 32; lane++) to[lane] = (float)sums[Place(i, lane)];
            }
        }

        private static int Place(int register, int lane) => 8 * ((lane >> 2) + 8 * (register >> 1)) + 2 * (lane & 3) + (register & 1);
    }
}
