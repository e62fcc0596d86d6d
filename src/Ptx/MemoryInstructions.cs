using System.Runtime.CompilerServices;

namespace TinyZsad.Ptx;

/// <summary>Decodes loads, stores and prefetches.</summary>
internal static class MemoryInstructions
{
    /// <summary>Decodes an instruction; null if it is none of this group.</summary>
    public static Instruction? Decode(Decoder d)
    {
        if (d.Opcode == "prefetch")
        {
            bool isGlobal = d.Has("global");
            d.OneOf("L1", "L2");
            d.Address(0, isGlobal ? Space.Global : Space.Generic);
            return new Prefetch();
        }

        if (d.Opcode is not ("ld" or "st")) return null;
        bool isLoad = d.Opcode == "ld";
        if (d.Any("weak", "volatile").Length == 0 && d.Has("relaxed")) d.OneOf("cta", "gpu", "sys");
        Space space = SpaceOf(d, isLoad ? ["global", "shared", "local", "param", "const"] : ["global", "shared", "local"]);
        if (isLoad) d.Any("ca", "cg", "cs", "lu", "cv");
        else d.Any("wb", "cg", "cs", "wt");
        if (isLoad && d.Has("nc") && space != Space.Global) throw d.Error("'.nc' is for the global space.");
        Hints(d);
        int count = d.Any("v2", "v4") switch
        {
            "v2" => 2,
            "v4" => 4,
            _ => 1,
        };
        PtxType type = d.Type();
        if (type is PtxType.Pred or PtxType.F16 or PtxType.F16x2)
            throw d.Error($".{type.Word()} is not loaded or stored: use .b16 or .b32.");
        int size = type.Size();
        if (count * size > 16) throw d.Error("a thread loads and stores at most 16 bytes at once.");
        int registers = isLoad ? 0 : 1;
        if (count > 1 && d.Width(registers) != count) throw d.Error($"'.v{count}' takes {count} registers in braces.");
        Slot[] values = d.Vector(registers, type, count, isSource: !isLoad, isWide: true);
        AddressSlot address = d.Address(isLoad ? 1 : 0, space);
        return isLoad
            ? space == Space.Param ? new LoadParameter(values, address, type) : new Load(space, values, address, type)
            : new Store(space, values, address, size);
    }

    /// <summary>Takes the space of an instruction; it is generic if there is none.</summary>
    public static Space SpaceOf(Decoder d, ReadOnlySpan<string> spaces) => d.Any(spaces) switch
    {
        "global" => Space.Global,
        "shared" => Space.Shared,
        "local" => Space.Local,
        "param" => Space.Param,
        "const" => Space.Const,
        _ => Space.Generic,
    };

    /// <summary>Takes the hints for caches, which have no effect on values.</summary>
    public static void Hints(Decoder d)
    {
        d.Any("L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last", "L1::no_allocate");
        d.Any("L2::64B", "L2::128B", "L2::256B");
    }

    private sealed unsafe class LoadParameter(Slot[] values, AddressSlot address, PtxType type) : Instruction
    {
        public override void Execute(Warp warp, uint mask)
        {
            int size = type.Size(), bytes = size * values.Length;
            for (uint m = mask; m != 0; m &= m - 1)
            {
                int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
                ulong at = warp.AddressOf(address, lane);
                if (at % (uint)bytes != 0) throw new PtxFault(lane, $"the parameter at offset {at} is not aligned to {bytes} bytes.");
                if (at + (uint)bytes > (ulong)warp.Block.ArgumentBytes)
                {
                    throw new PtxFault(lane,
                        $"the parameters have {warp.Block.ArgumentBytes} bytes, and {at} to {at + (uint)bytes} are read.");
                }

                for (int i = 0; i < values.Length; i++)
                {
                    Lanes.SetRaw(warp.File + values[i].Offset, values[i].Stride, lane,
                        Load.Value(warp.Block.Arguments + at + (uint)(i * size), type));
                }
            }
        }
    }

    private sealed unsafe class Load(Space space, Slot[] values, AddressSlot address, PtxType type) : Instruction
    {
        private readonly int size = type.Size();

        public override void Execute(Warp warp, uint mask)
        {
            int bytes = size * values.Length;
            ulong* addresses = warp.Addresses;
            for (uint m = mask; m != 0; m &= m - 1)
            {
                int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
                ulong at = addresses[lane] = warp.AddressOf(address, lane);
                byte* from = warp.Read(space, at, bytes, lane);
                for (int i = 0; i < values.Length; i++)
                    Lanes.SetRaw(warp.File + values[i].Offset, values[i].Stride, lane, Value(from + i * size, type));
            }

            warp.Count(Index, space, mask, bytes);
        }

        /// <summary>Reads a value and extends it to 64 bits.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Value(byte* from, PtxType type) => type switch
        {
            PtxType.B32 or PtxType.F32 or PtxType.U32 => *(uint*)from,
            PtxType.S32 => unchecked((ulong)*(int*)from),
            PtxType.B8 or PtxType.U8 => *from,
            PtxType.S8 => unchecked((ulong)*(sbyte*)from),
            PtxType.B16 or PtxType.U16 => *(ushort*)from,
            PtxType.S16 => unchecked((ulong)*(short*)from),
            _ => *(ulong*)from,
        };
    }

    private sealed unsafe class Store(Space space, Slot[] values, AddressSlot address, int size) : Instruction
    {
        public override void Execute(Warp warp, uint mask)
        {
            int bytes = size * values.Length;
            ulong* addresses = warp.Addresses;
            bool isRising = true;
            ulong least = 0;
            for (uint m = mask; m != 0; m &= m - 1)
            {
                int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
                ulong at = addresses[lane] = warp.AddressOf(address, lane);
                isRising &= at >= least;
                least = at + (uint)bytes;
            }

            if (!isRising && space != Space.Local) CheckAgreement(warp, mask);
            for (uint m = mask; m != 0; m &= m - 1)
            {
                int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
                byte* to = warp.Write(space, addresses[lane], bytes, lane);
                for (int i = 0; i < values.Length; i++)
                {
                    ulong value = Lanes.Raw(warp.File + values[i].Offset, values[i].Stride, lane);
                    switch (size)
                    {
                        case 4:
                            ((uint*)to)[i] = (uint)value;
                            break;
                        case 2:
                            ((ushort*)to)[i] = (ushort)value;
                            break;
                        case 1:
                            to[i] = (byte)value;
                            break;
                        default:
                            ((ulong*)to)[i] = value;
                            break;
                    }
                }
            }

            warp.Count(Index, space, mask, bytes);
        }

        /// <summary>Checks that lanes that write to the same address write the same value.</summary>
        private void CheckAgreement(Warp warp, uint mask)
        {
            ulong* addresses = warp.Addresses;
            for (uint m = mask; m != 0; m &= m - 1)
            {
                int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
                ulong at = addresses[lane];
                // Each lane has its own local memory.
                if (space == Space.Generic && at >= Windows.Local) continue;
                for (uint n = m & (m - 1); n != 0; n &= n - 1)
                {
                    int other = int.CreateTruncating(uint.TrailingZeroCount(n));
                    if (addresses[other] != at) continue;
                    foreach (Slot value in values)
                    {
                        ulong difference = Lanes.Raw(warp.File + value.Offset, value.Stride, lane) ^
                            Lanes.Raw(warp.File + value.Offset, value.Stride, other);
                        if (difference << (64 - 8 * size) != 0)
                        {
                            throw new PtxFault(lane, $"lanes {lane} and {other} write different values to {warp.Describe(space, at)} " +
                                "in one instruction.");
                        }
                    }
                }
            }
        }
    }

    /// <summary>Represents a prefetch, which has no effect on values, even at an address that is not allocated.</summary>
    private sealed class Prefetch : Instruction
    {
        public override void Execute(Warp warp, uint mask)
        {
        }
    }
}
