using System.Runtime.CompilerServices;

namespace TinyZsad.Models;

/// <summary>
/// Keys to ids by open addressing. A <see cref="Dictionary{TKey, TValue}"/> over these types would first have to be compiled,
/// and without optimisation, while the tokenizer starts: some ten milliseconds more.
/// </summary>
internal sealed class IdTable
{
    private const int Bits = 17;

    // Key 0 marks a free place.
    private readonly ulong[] keys = new ulong[1 << Bits];
    private readonly int[] ids = new int[1 << Bits];

    /// <summary>Adds a key; false if it is there already, or 0. Room for about 100,000.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool TryAdd(ulong key, int id)
    {
        int place = Place(key);
        if (key == 0 || this.keys[place] != 0)
            return false;
        this.keys[place] = key;
        ids[place] = id;
        return true;
    }

    /// <summary>The id of a key, or -1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal int Find(ulong key)
    {
        int place = Place(key);
        return this.keys[place] == key ? ids[place] : -1;
    }

    /// <summary>Where the key is, or would be.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Place(ulong key)
    {
        ulong[] keys = this.keys;
        int place = (int)((key * 0x9e3779b97f4a7c15) >> (64 - Bits));
        while (keys[place] != 0 && keys[place] != key)
            place = (place + 1) & (keys.Length - 1);
        return place;
    }
}
