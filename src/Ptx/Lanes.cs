using System.Runtime.CompilerServices;

namespace TinyZsad.Ptx;

/// <summary>Reads and writes lanes of registers. Lanes have 8 bytes for types of 64 bits and 4 for all others.</summary>
internal static unsafe class Lanes
{
    /// <summary>Gets the value of a lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Get<T>(byte* register, int lane) where T : unmanaged =>
        sizeof(T) == 8 ? ((T*)register)[lane] : *(T*)(register + 4 * lane);

    /// <summary>Sets the value of a lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set<T>(byte* register, int lane, T value) where T : unmanaged
    {
        if (sizeof(T) >= 4) ((T*)register)[lane] = value;
        else if (sizeof(T) == 2) ((uint*)register)[lane] = Unsafe.BitCast<T, ushort>(value);
        else ((uint*)register)[lane] = Unsafe.BitCast<T, byte>(value);
    }

    /// <summary>Gets a lane of a register of any size as 64 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Raw(byte* register, int stride, int lane) =>
        stride == 8 ? ((ulong*)register)[lane] : ((uint*)register)[lane];

    /// <summary>Sets a lane of a register of any size.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetRaw(byte* register, int stride, int lane, ulong value)
    {
        if (stride == 8) ((ulong*)register)[lane] = value;
        else ((uint*)register)[lane] = (uint)value;
    }

    /// <summary>Gets the lanes in which a predicate holds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Holds(Warp warp, Slot predicate)
    {
        uint value = *(uint*)(warp.File + predicate.Offset);
        return predicate.Not ? ~value : value;
    }

    /// <summary>Sets a predicate in the lanes of a mask.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetHolds(Warp warp, Slot predicate, uint mask, uint value)
    {
        uint* at = (uint*)(warp.File + predicate.Offset);
        *at = (*at & ~mask) | (value & mask);
    }
}

/// <summary>Represents an instruction with one source.</summary>
internal sealed unsafe class Unary<TD, TA>(Slot d, Slot a, Func<TA, TD> compute) : Instruction
    where TD : unmanaged where TA : unmanaged
{
    /// <inheritdoc/>
    public override void Execute(Warp warp, uint mask)
    {
        byte* to = warp.File + d.Offset, from = warp.File + a.Offset;
        for (uint m = mask; m != 0; m &= m - 1)
        {
            int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
            Lanes.Set(to, lane, compute(Lanes.Get<TA>(from, lane)));
        }
    }
}

/// <summary>Represents an instruction with two sources.</summary>
internal sealed unsafe class Binary<TD, TA, TB>(Slot d, Slot a, Slot b, Func<TA, TB, TD> compute) : Instruction
    where TD : unmanaged where TA : unmanaged where TB : unmanaged
{
    /// <inheritdoc/>
    public override void Execute(Warp warp, uint mask)
    {
        byte* to = warp.File + d.Offset, first = warp.File + a.Offset, second = warp.File + b.Offset;
        for (uint m = mask; m != 0; m &= m - 1)
        {
            int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
            Lanes.Set(to, lane, compute(Lanes.Get<TA>(first, lane), Lanes.Get<TB>(second, lane)));
        }
    }
}

/// <summary>Represents an instruction with three sources.</summary>
internal sealed unsafe class Ternary<TD, TA, TB, TC>(Slot d, Slot a, Slot b, Slot c, Func<TA, TB, TC, TD> compute) : Instruction
    where TD : unmanaged where TA : unmanaged where TB : unmanaged where TC : unmanaged
{
    /// <inheritdoc/>
    public override void Execute(Warp warp, uint mask)
    {
        byte* to = warp.File + d.Offset, first = warp.File + a.Offset, second = warp.File + b.Offset, third = warp.File + c.Offset;
        for (uint m = mask; m != 0; m &= m - 1)
        {
            int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
            Lanes.Set(to, lane, compute(Lanes.Get<TA>(first, lane), Lanes.Get<TB>(second, lane), Lanes.Get<TC>(third, lane)));
        }
    }
}

/// <summary>Represents an instruction with one destination and four sources.</summary>
internal sealed unsafe class Quaternary<TD, TA, TB, TC, TE>(Slot d, Slot a, Slot b, Slot c, Slot e, Func<TA, TB, TC, TE, TD> compute)
    : Instruction
    where TD : unmanaged where TA : unmanaged where TB : unmanaged where TC : unmanaged where TE : unmanaged
{
    /// <inheritdoc/>
    public override void Execute(Warp warp, uint mask)
    {
        for (uint m = mask; m != 0; m &= m - 1)
        {
            int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
            Lanes.Set(warp.File + d.Offset, lane, compute(Lanes.Get<TA>(warp.File + a.Offset, lane),
                Lanes.Get<TB>(warp.File + b.Offset, lane), Lanes.Get<TC>(warp.File + c.Offset, lane),
                Lanes.Get<TE>(warp.File + e.Offset, lane)));
        }
    }
}

/// <summary>Represents an instruction whose lanes are all computed at once, by code for vectors.</summary>
/// <param name="compute">Computes 32 lanes: destination and three sources, of which some may be unused.</param>
/// <param name="partial">The same instruction for some lanes only.</param>
/// <param name="d">The destination.</param>
/// <param name="a">The first source.</param>
/// <param name="b">The second source.</param>
/// <param name="c">The third source.</param>
internal sealed unsafe class Wide(delegate*<byte*, byte*, byte*, byte*, void> compute, Instruction partial, Slot d, Slot a, Slot b, Slot c)
    : Instruction
{
    private readonly delegate*<byte*, byte*, byte*, byte*, void> compute = compute;

    /// <inheritdoc/>
    public override void Execute(Warp warp, uint mask)
    {
        byte* file = warp.File;
        if (mask == uint.MaxValue) compute(file + d.Offset, file + a.Offset, file + b.Offset, file + c.Offset);
        else partial.Execute(warp, mask);
    }
}

/// <summary>Represents an instruction on predicates: the masks of the lanes are computed at once.</summary>
internal sealed class PredicateInstruction(Slot d, Slot a, Slot b, Func<uint, uint, uint> compute) : Instruction
{
    /// <inheritdoc/>
    public override void Execute(Warp warp, uint mask) =>
        Lanes.SetHolds(warp, d, mask, compute(Lanes.Holds(warp, a), Lanes.Holds(warp, b)));
}
