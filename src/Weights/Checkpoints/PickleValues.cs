using System.Collections.Immutable;

namespace TinyZsad.Weights;

// What a pickle of tensors may hold. Beside these classes: null, bool, long, double, string, and object?[] for a tuple.

/// <summary>A name that the pickle asks for; never looked up, never called.</summary>
internal sealed record PickleGlobal(string Module, string Name)
{
    public string FullName => $"{Module}.{Name}";
}

/// <summary>A dict or an OrderedDict, in its order.</summary>
internal sealed class PickleDict
{
    public List<(object? Key, object? Value)> Items { get; } = [];
}

/// <summary>A list.</summary>
internal sealed class PickleList
{
    public List<object?> Items { get; } = [];
}

/// <summary>An object of a TorchScript module's class: nothing but its attributes.</summary>
internal sealed class PickleInstance
{
    public PickleDict? Attributes { get; set; }
}

/// <summary>Numbers of one type, the bytes of one entry of the archive.</summary>
internal sealed record TorchStorage(ElementType Type, long Offset, long Count);

/// <summary>A strided view of a storage; every element lies in it.</summary>
internal sealed record TorchTensor(
    TorchStorage Storage, long Offset, ImmutableArray<long> Shape, ImmutableArray<long> Strides);
