using System.Collections.Immutable;

namespace TinyZsad.Weights;

// The values of a pickle: these classes, and null, bool, long, double, string, and object?[] for a tuple.

/// <summary>A global that the pickle names. It is neither imported nor called.</summary>
internal sealed record PickleGlobal(string Module, string Name)
{
    public string FullName => $"{Module}.{Name}";
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

/// <summary>A storage: elements of one type, which are the bytes of one entry of the archive.</summary>
internal sealed record TorchStorage(ElementType Type, long Offset, long Count);

/// <summary>A strided view of a storage. All its elements lie in the storage.</summary>
internal sealed record TorchTensor(
    TorchStorage Storage, long Offset, ImmutableArray<long> Shape, ImmutableArray<long> Strides);
