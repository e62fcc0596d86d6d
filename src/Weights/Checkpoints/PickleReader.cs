using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text;

namespace TinyZsad.Weights;

/// <summary>
/// Reads the pickle of a PyTorch archive. It is not a general unpickler: it supports the opcodes that PyTorch writes (protocol 2) and
/// the few globals that rebuild tensors. It imports nothing and calls nothing, and it reports everything else by name as an error.
/// </summary>
/// <param name="file">The archive, for messages.</param>
/// <param name="start">The offset of the pickle in the archive, for messages.</param>
/// <param name="data">The bytes of the pickle.</param>
/// <param name="script">Whether the archive is TorchScript, whose pickle holds objects of the classes of its modules.</param>
/// <param name="find">Gets the offset and length of a storage in the file by its key.</param>
internal ref struct PickleReader(
    FileBytes file, long start, ReadOnlySpan<byte> data, bool script, Func<string, (long Offset, long Length)> find)
{
    private const string RebuildTensor = "torch._utils._rebuild_tensor_v2", RebuildParameter = "torch._utils._rebuild_parameter",
        OrderedDict = "collections.OrderedDict";

    /// <summary>The functions of TorchScript archives: typed lists and values with a type tag.</summary>
    private static readonly string[] ScriptFunctions =
    [
        "torch.jit._pickle.build_intlist", "torch.jit._pickle.build_doublelist", "torch.jit._pickle.build_boollist",
        "torch.jit._pickle.build_tensorlist", "torch.jit._pickle.restore_type_tag",
    ];

    private const string ScriptClasses = "__torch__.";

    /// <summary>The maximum number of tensors. A few bytes of a pickle, with stored arguments, can request a tensor.</summary>
    private const int MaxTensors = 1 << 18;

    private readonly ReadOnlySpan<byte> data = data;
    private readonly List<object?> stack = [];
    private readonly List<int> marks = [];
    private readonly Dictionary<uint, object?> memo = [];
    private int at, tensors;

    /// <summary>Reads the whole pickle.</summary>
    /// <returns>The value that it holds; see PickleValues.cs for the types.</returns>
    /// <exception cref="ModelFormatException">The pickle is malformed or needs an unsupported global.</exception>
    public object? Read()
    {
        while (true)
        {
            int opcode = Byte();
            if (opcode == '.') break;
            Execute(opcode);
        }
        if (stack.Count != 1 || marks.Count > 0)
            throw Error($"ends with {stack.Count} values on its stack, where one is right");
        return at == data.Length ? stack[0] : throw Error($"has {data.Length - at} bytes behind its end");
    }

    private void Execute(int opcode)
    {
        switch (opcode)
        {
            case 0x80: // PROTO
                int protocol = Byte();
                if (protocol != 2) throw Error($"is of protocol {protocol}; PyTorch writes protocol 2");
                break;
            case '(': marks.Add(stack.Count); break; // MARK
            case 'N': stack.Add(null); break; // NONE
            case 0x88: stack.Add(true); break; // NEWTRUE
            case 0x89: stack.Add(false); break; // NEWFALSE
            case 'J': stack.Add((long)BinaryPrimitives.ReadInt32LittleEndian(Take(4))); break; // BININT
            case 'K': stack.Add((long)Byte()); break; // BININT1
            case 'M': stack.Add((long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2))); break; // BININT2
            case 0x8a: stack.Add(Long(Byte())); break; // LONG1
            case 'G': stack.Add(BinaryPrimitives.ReadDoubleBigEndian(Take(8))); break; // BINFLOAT
            case 'X': stack.Add(Text(Take(BinaryPrimitives.ReadUInt32LittleEndian(Take(4))))); break; // BINUNICODE
            case '}': stack.Add(new PickleDict()); break; // EMPTY_DICT
            case ']': stack.Add(new PickleList()); break; // EMPTY_LIST
            case ')': stack.Add(Array.Empty<object?>()); break; // EMPTY_TUPLE
            case 't': stack.Add(PopMarked()); break; // TUPLE
            case 0x85: stack.Add(PopMany(1)); break; // TUPLE1
            case 0x86: stack.Add(PopMany(2)); break; // TUPLE2
            case 0x87: stack.Add(PopMany(3)); break; // TUPLE3
            case 'q': memo[(uint)Byte()] = Top(); break; // BINPUT
            case 'r': memo[BinaryPrimitives.ReadUInt32LittleEndian(Take(4))] = Top(); break; // LONG_BINPUT
            case 'h': stack.Add(Remembered((uint)Byte())); break; // BINGET
            case 'j': stack.Add(Remembered(BinaryPrimitives.ReadUInt32LittleEndian(Take(4)))); break; // LONG_BINGET
            case 's': SetItems(PopMany(2)); break; // SETITEM
            case 'u': SetItems(PopMarked()); break; // SETITEMS
            case 'a': Append(PopMany(1)); break; // APPEND
            case 'e': Append(PopMarked()); break; // APPENDS
            case 'c': stack.Add(Global()); break; // GLOBAL
            case 'Q': stack.Add(Storage(Pop())); break; // BINPERSID
            case 'R': stack.Add(Reduce(PopMany(2))); break; // REDUCE
            case 0x81: stack.Add(NewObject(PopMany(2))); break; // NEWOBJ
            case 'b': Build(Pop()); break; // BUILD
            default:
                throw Error($"uses opcode 0x{opcode:X2}, which is none of those that PyTorch writes a checkpoint with");
        }
    }

    private int Byte() => Take(1)[0];

    private ReadOnlySpan<byte> Take(uint count)
    {
        if (count > data.Length - at)
            throw Error($"needs {count} more bytes, and has {data.Length - at}; it may be cut short");
        at += (int)count;
        return data.Slice(at - (int)count, (int)count);
    }

    private readonly string Text(ReadOnlySpan<byte> utf8)
    {
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(utf8);
        }
        catch (ArgumentException e)
        {
            throw Error("holds a text that is not valid UTF-8", e);
        }
    }

    /// <summary>Reads a little-endian two's complement number of the given number of bytes.</summary>
    private long Long(int count)
    {
        ReadOnlySpan<byte> bytes = Take((uint)count);
        if (count > 8) throw Error($"holds a whole number of {count} bytes; at most 8 are read");
        long value = 0;
        for (int i = count - 1; i >= 0; i--) value = i == count - 1 ? (sbyte)bytes[i] : value << 8 | bytes[i];
        return value;
    }

    private readonly object? Top() => stack.Count > Floor ? stack[^1] : throw Error("takes a value from an empty stack");

    /// <summary>Gets the position of the last mark. Values below it cannot be taken.</summary>
    private readonly int Floor => marks.Count > 0 ? marks[^1] : 0;

    private readonly object? Pop()
    {
        object? top = Top();
        stack.RemoveAt(stack.Count - 1);
        return top;
    }

    private readonly object?[] PopMany(int count)
    {
        if (stack.Count - count < Floor) throw Error($"takes {count} values from a stack of {stack.Count - Floor}");
        object?[] values = CollectionsMarshal.AsSpan(stack)[^count..].ToArray();
        stack.RemoveRange(stack.Count - count, count);
        return values;
    }

    private readonly object?[] PopMarked()
    {
        if (marks.Count == 0) throw Error("takes the values behind a mark, and there is none");
        object?[] values = PopMany(stack.Count - marks[^1]);
        marks.RemoveAt(marks.Count - 1);
        return values;
    }

    private readonly object? Remembered(uint index) =>
        memo.TryGetValue(index, out object? value) ? value : throw Error($"recalls value {index}, which it has not kept");

    private readonly void SetItems(object?[] pairs)
    {
        if (Top() is not PickleDict dict) throw Error($"sets an item of {Shape(Top())}, where a dict is right");
        if (pairs.Length % 2 != 0) throw Error("sets a key without its value");
        for (int i = 0; i < pairs.Length; i += 2) dict.Items.Add((pairs[i], pairs[i + 1]));
    }

    private readonly void Append(object?[] values)
    {
        if (Top() is not PickleList list) throw Error($"appends to {Shape(Top())}, where a list is right");
        list.Items.AddRange(values);
    }

    private PickleGlobal Global()
    {
        PickleGlobal global = new(Line(), Line());
        bool known = global.FullName is RebuildTensor or RebuildParameter or OrderedDict || StorageType(global) is not null
            || (script && (global.FullName.StartsWith(ScriptClasses, StringComparison.Ordinal)
                || ScriptFunctions.Contains(global.FullName)));
        return known
            ? global
            : throw Error($"asks for {Shown.Quote(global.FullName)}, which is none of the few globals that rebuild tensors; "
                + "nothing was executed. Save the tensors alone: torch.save(model.state_dict(), FILE)");
    }

    private string Line()
    {
        int length = data[at..].IndexOf((byte)'\n');
        if (length < 0) throw Error("ends within the name of a global");
        string line = Text(Take((uint)length));
        at++;
        return line;
    }

    /// <summary>Gets the element type of a storage class; null if the global is not one.</summary>
    private static ElementType? StorageType(PickleGlobal global) => global.FullName switch
    {
        "torch.DoubleStorage" => ElementType.F64,
        "torch.FloatStorage" => ElementType.F32,
        "torch.HalfStorage" => ElementType.F16,
        "torch.BFloat16Storage" => ElementType.BF16,
        "torch.LongStorage" => ElementType.I64,
        "torch.IntStorage" => ElementType.I32,
        "torch.ShortStorage" => ElementType.I16,
        "torch.CharStorage" => ElementType.I8,
        "torch.ByteStorage" => ElementType.U8,
        "torch.BoolStorage" => ElementType.BOOL,
        _ => null,
    };

    /// <summary>Resolves a persistent id: ('storage', class, key, device, number of elements).</summary>
    private readonly TorchStorage Storage(object? id)
    {
        if (id is not object?[] { Length: 5 } parts || parts[0] is not "storage" || parts[1] is not PickleGlobal global
            || StorageType(global) is not { } type || parts[2] is not string key || parts[4] is not long count)
        {
            throw Error("refers to something outside that is no tensor's storage");
        }

        (long offset, long length) = find(key);
        return count >= 0 && count <= long.MaxValue / type.ByteSize() && length == count * type.ByteSize()
            ? new TorchStorage(type, offset, count)
            : throw Error(
                $"says that storage {Shown.Quote(key)} has {count} elements of {type}, and the archive holds {length} bytes");
    }

    private object? Reduce(object?[] call)
    {
        if (call[0] is not PickleGlobal function || call[1] is not object?[] arguments)
            throw Error($"calls {Shape(call[0])}, where a function that rebuilds tensors is right");
        return function.FullName switch
        {
            OrderedDict when arguments.Length == 0 => new PickleDict(),
            RebuildTensor => Tensor(arguments),
            RebuildParameter when arguments is [TorchTensor tensor, ..] => tensor,
            { } name when ScriptFunctions.Contains(name) && arguments.Length > 0 => arguments[0],
            _ => throw Error($"calls {Shown.Quote(function.FullName)} with arguments that it does not take"),
        };
    }

    /// <summary>
    /// Rebuilds a tensor. The arguments are storage, offset, size, stride, requires_grad, hooks and, in newer versions, metadata.
    /// </summary>
    private TorchTensor Tensor(object?[] arguments)
    {
        if (arguments is not [TorchStorage storage, long offset, object?[] size, object?[] stride, ..]
            || size.Length != stride.Length || size.Length > TensorSize.MaxRank
            || !size.All(n => n is long) || !stride.All(n => n is long))
        {
            throw Error($"calls {Shown.Quote(RebuildTensor)} with arguments that it does not take");
        }

        ImmutableArray<long> shape = [.. size.Cast<long>()], strides = [.. stride.Cast<long>()];
        if (++tensors > MaxTensors) throw Error($"holds more than {MaxTensors} tensors");
        if (offset < 0 || shape.Any(n => n < 0) || strides.Any(n => n < 0))
            throw Error($"{What()} at {offset}; none may be negative");
        if (!TensorSize.TryCount(shape.AsSpan(), storage.Type, out long elements, out _))
            throw Error($"{What()}, whose bytes pass 2^63");
        if (elements == 0) return new TorchTensor(storage, 0, shape, strides);
        Int128 last = offset;
        for (int i = 0; i < shape.Length; i++) last += (Int128)(shape[i] - 1) * strides[i];
        if (last >= storage.Count)
            throw Error($"{What()} whose last element is {last} of a storage of {storage.Count}");
        return elements <= storage.Count
            ? new TorchTensor(storage, offset, shape, strides)
            : throw Error(
                $"{What()}, {elements} elements of a storage of {storage.Count}; tensors that repeat elements are not read");

        string What() => $"holds a tensor of shape {Shown.Shape(shape)} and strides {Shown.Shape(strides)}";
    }

    private readonly PickleInstance NewObject(object?[] call) =>
        call is [PickleGlobal global, object?[] { Length: 0 }] && script
            && global.FullName.StartsWith(ScriptClasses, StringComparison.Ordinal)
            ? new PickleInstance()
            : throw Error($"makes an object of {Shape(call[0])}, where only TorchScript's modules have objects");

    /// <summary>Sets the attributes of a module. Those of an OrderedDict (_metadata of a state dict) are ignored.</summary>
    private readonly void Build(object? state)
    {
        switch (Top())
        {
            case PickleInstance instance when state is PickleDict attributes: instance.Attributes = attributes; break;
            case PickleDict when state is PickleDict: break;
            default: throw Error($"sets the state of {Shape(Top())} to {Shape(state)}");
        }
    }

    /// <summary>Describes the type of a value for messages.</summary>
    private static string Shape(object? value) => value switch
    {
        null => "None",
        PickleGlobal global => Shown.Quote(global.FullName),
        PickleDict => "a dict",
        PickleList => "a list",
        object?[] => "a tuple",
        TorchTensor => "a tensor",
        PickleInstance => "an object",
        string => "a text",
        _ => "a number",
    };

    private readonly ModelFormatException Error(string what, Exception? inner = null) =>
        file.Error($"its pickle, at byte {start + at}, {what}", start + at, inner: inner);
}
