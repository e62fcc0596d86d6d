using System.Collections.Immutable;

namespace TinyZsad.Weights;

// The values of a pickle: these classes, and null, bool, long, double, string, and object?[] for a tuple.

/// <summary>A global that the pickle names. It is neither imported nor called.</summary>
internal sealed class PickleGlobal(string module, string name)
{
    public string Module { get; } = module;

    public string FullName { get; } = $"{module}.{name}";
}

/// <summary>A dict or an OrderedDict, in insertion order.</summary>
internal sealed class PickleDict
{
    public List<(object? Key, object? Value)> Items { get; } = [];
}

/// <summary>A list.</summary>
internal sealed class PickleList
{
    public List<object?> Items { get; } = [];
}

/// <summary>The attributes of a TorchScript module.</summary>
internal sealed class PickleInstance
{
    public PickleDict? Attributes { get; set; }
}

/// <summary>
/// Anything else: bytes, sets, numbers of more than 64 bits, and objects of classes that are not known, with all that they hold. It is
/// not built, and what is set in it is dropped.
/// </summary>
/// <param name="ClassName">The class or function that makes it.</param>
internal sealed record PickleOpaque(string ClassName)
{
    public static readonly PickleOpaque Bytes = new("bytes"), Set = new("set"), LargeNumber = new("int");
}

/// <summary>A storage: elements of one type, which are the bytes of one entry of the archive.</summary>
/// <param name="Type"><see cref="ElementType.Other"/> for a type that is not read. Nothing is checked about such a storage.</param>
/// <param name="TypeName">The name of the type.</param>
/// <param name="Offset">The offset of the bytes in the file.</param>
/// <param name="Count">The number of elements.</param>
internal sealed record TorchStorage(ElementType Type, string TypeName, long Offset, long Count);

/// <summary>A strided view of a storage. All its elements lie in the storage.</summary>
/// <param name="Storage">The storage.</param>
/// <param name="Offset">The index of the first element in the storage.</param>
/// <param name="Shape">The dimensions.</param>
/// <param name="Strides">The distance between neighbours in each dimension, in elements.</param>
internal sealed record TorchTensor(
    TorchStorage Storage, long Offset, ImmutableArray<long> Shape, ImmutableArray<long> Strides);
