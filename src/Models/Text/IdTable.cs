using System.Runtime.CompilerServices;

namespace TinyZsad.Models;

/// <summary>
/// Represents a hash table from keys to ids with open addressing. A <see cref="Dictionary{TKey, TValue}"/> of these types would have to
/// be compiled when the tokenizer starts, which takes about 10 ms more.
/// </summary>
internal sealed class IdTable
{
    private const int Bits = 17;

    // Key 0 marks a free slot.
    private readonly ulong[] keys = new ulong[1 << Bits];
    private readonly int[] ids = new int[1 << Bits];

    /// <summary>Adds a key. Returns false if the key is 0 or exists. The capacity is about 100,000 keys.</summary>
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

    /// <summary>Gets the id of a key; -1 if it does not exist.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal int Find(ulong key)
    {
        int place = Place(key);
        return this.keys[place] == key ? ids[place] : -1;
    }

    /// <summary>Gets the slot of a key, or the free slot for it.</summary>
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
