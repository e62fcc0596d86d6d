using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace TinyZsad.Weights;

/// <summary>
/// Reads the pickle of a PyTorch archive. It is not a general unpickler: it supports the opcodes that Python writes with protocols 1 to 5
/// and the few globals that rebuild tensors. It imports nothing and calls nothing: every other object is a value without content
/// (<see cref="PickleOpaque"/>), so that the tensors beside it are read.
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
        RebuildParameterWithState = "torch._utils._rebuild_parameter_with_state",
        RebuildFromType = "torch._tensor._rebuild_from_type_v2", RebuildTyped = "torch._utils._rebuild_tensor_v3",
        OrderedDict = "collections.OrderedDict", DefaultDict = "collections.defaultdict";

    /// <summary>How the names of the functions begin that rebuild tensors of other kinds: quantized, sparse and so on.</summary>
    private const string RebuildOther = "_rebuild_";

    /// <summary>The functions of TorchScript archives: typed lists and values with a type tag.</summary>
    private static readonly string[] ScriptFunctions =
    [
        "torch.jit._pickle.build_intlist", "torch.jit._pickle.build_doublelist", "torch.jit._pickle.build_boollist",
        "torch.jit._pickle.build_tensorlist", "torch.jit._pickle.restore_type_tag",
    ];

    private const string ScriptClasses = "__torch__.";

    /// <summary>The maximum number of tensors. A few bytes of a pickle, with stored arguments, can request a tensor.</summary>
    private const int MaxTensors = 1 << 18;

    /// <summary>The maximum length of the module and of the name of a global. A few bytes, with stored texts, can name one.</summary>
    private const int MaxGlobalName = 512;

    /// <summary>The latest protocol of Python's pickles.</summary>
    private const int MaxProtocol = 5;

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
                if (protocol > MaxProtocol) throw Error($"is of protocol {protocol}; protocols up to {MaxProtocol} are read");
                break;
            case 0x95: Frame(); break; // FRAME
            case '(': marks.Add(stack.Count); break; // MARK
            case 'N': stack.Add(null); break; // NONE
            case 0x88: stack.Add(true); break; // NEWTRUE
            case 0x89: stack.Add(false); break; // NEWFALSE
            case 'I': stack.Add(Int(Line())); break; // INT
            case 'L': stack.Add(Int(Line().TrimEnd('L'))); break; // LONG
            case 'J': stack.Add((long)BinaryPrimitives.ReadInt32LittleEndian(Take(4))); break; // BININT
            case 'K': stack.Add((long)Byte()); break; // BININT1
            case 'M': stack.Add((long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2))); break; // BININT2
            case 0x8a: stack.Add(Long((uint)Byte())); break; // LONG1
            case 0x8b: stack.Add(Long(Length4())); break; // LONG4
            case 'G': stack.Add(BinaryPrimitives.ReadDoubleBigEndian(Take(8))); break; // BINFLOAT
            case 'X': stack.Add(Text(Take(Length4()))); break; // BINUNICODE
            case 0x8c: stack.Add(Text(Take((uint)Byte()))); break; // SHORT_BINUNICODE
            case 0x8d: stack.Add(Text(Take(Length8()))); break; // BINUNICODE8
            case 'C': Skip((uint)Byte()); break; // SHORT_BINBYTES
            case 'B': Skip(Length4()); break; // BINBYTES
            case 0x8e: Skip(Length8()); break; // BINBYTES8
            case 0x96: Skip(Length8()); break; // BYTEARRAY8
            case '}': stack.Add(new PickleDict()); break; // EMPTY_DICT
            case ']': stack.Add(new PickleList()); break; // EMPTY_LIST
            case ')': stack.Add(Array.Empty<object?>()); break; // EMPTY_TUPLE
            case 't': stack.Add(PopMarked()); break; // TUPLE
            case 0x85: stack.Add(PopMany(1)); break; // TUPLE1
            case 0x86: stack.Add(PopMany(2)); break; // TUPLE2
            case 0x87: stack.Add(PopMany(3)); break; // TUPLE3
            case 'q': memo[(uint)Byte()] = Top(); break; // BINPUT
            case 'r': memo[Length4()] = Top(); break; // LONG_BINPUT
            case 0x94: memo[(uint)memo.Count] = Top(); break; // MEMOIZE
            case 'h': stack.Add(Remembered((uint)Byte())); break; // BINGET
            case 'j': stack.Add(Remembered(Length4())); break; // LONG_BINGET
            case '0': Pop(); break; // POP
            case '1': PopMarked(); break; // POP_MARK
            case 's': SetItems(PopMany(2)); break; // SETITEM
            case 'u': SetItems(PopMarked()); break; // SETITEMS
            case 'a': Append(PopMany(1)); break; // APPEND
            case 'e': Append(PopMarked()); break; // APPENDS
            case 0x8f: stack.Add(PickleOpaque.Set); break; // EMPTY_SET
            case 0x90: AddItems(PopMarked()); break; // ADDITEMS
            case 0x91: // FROZENSET
                PopMarked();
                stack.Add(PickleOpaque.Set);
                break;
            case 'c': stack.Add(Global(Line(), Line())); break; // GLOBAL
            case 0x93: stack.Add(Global(PopMany(2))); break; // STACK_GLOBAL
            case 'Q': stack.Add(Storage(Pop())); break; // BINPERSID
            case 'R': stack.Add(Reduce(PopMany(2))); break; // REDUCE
            case 0x81: stack.Add(NewObject(PopMany(2))); break; // NEWOBJ
            case 0x92: stack.Add(NewObject(PopMany(3))); break; // NEWOBJ_EX
            case 'b': Build(Pop()); break; // BUILD
            default:
                throw Error($"uses opcode 0x{opcode:X2}, which is none of those that PyTorch writes a checkpoint with");
        }
    }

    private int Byte() => Take(1)[0];

    private uint Length4() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    private ulong Length8() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    /// <summary>Reads the length of a frame. Frames only tell a reader how many bytes to buffer.</summary>
    private void Frame()
    {
        ulong length = Length8();
        if (length > (ulong)(data.Length - at)) throw Error($"has a frame of {length} bytes, of which {data.Length - at} are there");
    }

    /// <summary>Reads bytes, which no tensor needs.</summary>
    private void Skip(ulong count)
    {
        Take(count);
        stack.Add(PickleOpaque.Bytes);
    }

    private ReadOnlySpan<byte> Take(ulong count)
    {
        if (count > (ulong)(data.Length - at))
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
    private object Long(uint count)
    {
        ReadOnlySpan<byte> bytes = Take(count);
        // A number may have more bytes than it needs.
        while (bytes.Length > 8 && bytes[^1] == ((bytes[^2] & 0x80) != 0 ? 0xff : 0)) bytes = bytes[..^1];
        if (bytes.Length > 8) return PickleOpaque.LargeNumber;
        long value = 0;
        for (int i = bytes.Length - 1; i >= 0; i--) value = i == bytes.Length - 1 ? (sbyte)bytes[i] : value << 8 | bytes[i];
        return value;
    }

    /// <summary>Reads a number in decimal digits, or a Boolean: 00 or 01.</summary>
    private readonly object Int(string text) => text switch
    {
        "00" => false,
        "01" => true,
        _ when text.AsSpan().TrimStart('-') is { Length: > 0 } digits && !digits.ContainsAnyExceptInRange('0', '9') =>
            long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number)
                ? number : PickleOpaque.LargeNumber,
        _ => throw Error($"holds {Shown.Quote(text)}, which is no whole number"),
    };

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
        if (Top() is PickleOpaque) return;
        if (Top() is not PickleDict dict) throw Error($"sets an item of {Shape(Top())}, where a dict is right");
        if (pairs.Length % 2 != 0) throw Error("sets a key without its value");
        for (int i = 0; i < pairs.Length; i += 2) dict.Items.Add((pairs[i], pairs[i + 1]));
    }

    private readonly void Append(object?[] values)
    {
        if (Top() is PickleOpaque) return;
        if (Top() is not PickleList list) throw Error($"appends to {Shape(Top())}, where a list is right");
        list.Items.AddRange(values);
    }

    private readonly void AddItems(object?[] values)
    {
        if (Top() is not PickleOpaque) throw Error($"adds {values.Length} items to {Shape(Top())}, where a set is right");
    }

    private readonly PickleGlobal Global(object?[] names) => names is [string module, string name]
        ? Global(module, name)
        : throw Error($"names a global by {Shape(names[0])} and {Shape(names[1])}, where two texts are right");

    private readonly PickleGlobal Global(string module, string name) =>
        module.Length <= MaxGlobalName && name.Length <= MaxGlobalName
            ? new PickleGlobal(module, name)
            : throw Error($"names a global by more than {MaxGlobalName} characters, {Shown.Quote(module)} and {Shown.Quote(name)}");

    private string Line()
    {
        int length = data[at..].IndexOf((byte)'\n');
        if (length < 0) throw Error("ends within a line");
        string line = Text(Take((uint)length));
        at++;
        return line;
    }

    /// <summary>Gets the element type of a storage class.</summary>
    private static ElementType StorageType(PickleGlobal global) => global.FullName switch
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
        _ => ElementType.Other,
    };

    /// <summary>Resolves a persistent id: ('storage', class, key, device, number of elements).</summary>
    private readonly TorchStorage Storage(object? id)
    {
        if (id is not object?[] { Length: 5 } parts || parts[0] is not "storage" || parts[1] is not PickleGlobal global
            || parts[2] is not string key || parts[4] is not long count)
        {
            throw Error("refers to something outside that is no tensor's storage");
        }

        ElementType type = StorageType(global);
        if (type == ElementType.Other) return new TorchStorage(type, global.FullName, 0, count);
        (long offset, long length) = find(key);
        return count >= 0 && count <= long.MaxValue / type.ByteSize() && length == count * type.ByteSize()
            ? new TorchStorage(type, type.ToString(), offset, count)
            : throw Error(
                $"says that storage {Shown.Quote(key)} has {count} elements of {type}, and the archive holds {length} bytes");
    }

    private object? Reduce(object?[] call)
    {
        if (call[0] is PickleOpaque && call[1] is object?[]) return call[0];
        if (call[0] is not PickleGlobal function || call[1] is not object?[] arguments)
            throw Error($"calls {Shape(call[0])}, where a function is right");
        switch (function.FullName)
        {
            case OrderedDict when arguments.Length == 0:
            case DefaultDict: // its arguments are the function that makes a missing value
                return new PickleDict();
            case RebuildTensor:
                return Tensor(arguments);
            case RebuildParameter or RebuildParameterWithState when arguments is [TorchTensor or PickleOpaque, ..]:
                return arguments[0];
            case RebuildFromType when arguments is [PickleGlobal { FullName: RebuildTensor }, _, object?[] inner, ..]:
                return Tensor(inner);
            case OrderedDict or RebuildParameter or RebuildParameterWithState:
                throw Error($"calls {Shown.Quote(function.FullName)} with arguments that it does not take");
            case { } name when script && ScriptFunctions.Contains(name):
                return arguments.Length > 0
                    ? arguments[0]
                    : throw Error($"calls {Shown.Quote(name)} with arguments that it does not take");
            default:
                return function.FullName.Contains(RebuildOther, StringComparison.Ordinal)
                    && function.Module.StartsWith("torch.", StringComparison.Ordinal)
                    ? OtherTensor(function, arguments)
                    : new PickleOpaque(function.FullName);
        }
    }

    /// <summary>Represents a tensor that is not read: quantized, sparse, of a newer type and so on.</summary>
    private TorchTensor OtherTensor(PickleGlobal function, object?[] arguments)
    {
        if (++tensors > MaxTensors) throw Error($"holds more than {MaxTensors} tensors");
        // _rebuild_tensor_v3 is given the type of the elements after the hooks, and bytes as storage.
        string type = function.FullName == RebuildTyped && arguments is [_, _, _, _, _, _, PickleGlobal dtype, ..] ? dtype.FullName
            : arguments is [TorchStorage { Type: ElementType.Other } storage, ..] ? storage.TypeName : function.FullName;
        return OtherTensor(type, arguments is [_, _, object?[] size, ..] ? size : []);
    }

    private static TorchTensor OtherTensor(string type, object?[] size)
    {
        ImmutableArray<long> shape = size.Length <= TensorSize.MaxRank && size.All(n => n is long and >= 0) ? [.. size.Cast<long>()] : [];
        return new TorchTensor(new TorchStorage(ElementType.Other, type, 0, 0), 0,
            TensorSize.TryCount(shape.AsSpan(), out _) ? shape : [], []);
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

        if (++tensors > MaxTensors) throw Error($"holds more than {MaxTensors} tensors");
        if (storage.Type == ElementType.Other) return OtherTensor(storage.TypeName, size);
        ImmutableArray<long> shape = [.. size.Cast<long>()], strides = [.. stride.Cast<long>()];
        if (offset < 0 || shape.Any(n => n < 0) || strides.Any(n => n < 0))
            throw Error($"{What()} at {offset}; none may be negative");
        if (!TensorSize.TryCount(shape.AsSpan(), storage.Type, out long elements, out _))
            throw Error($"{What()}, whose bytes pass 2^63");
        if (elements == 0) return new TorchTensor(storage, 0, shape, strides);
        Int128 last = offset;
        for (int i = 0; i < shape.Length; i++) last += (Int128)(shape[i] - 1) * strides[i];
        if (last >= storage.Count)
            throw Error($"{What()} whose last element is {last} of a storage of {storage.Count}");
        return new TorchTensor(storage, offset, shape, strides);

        string What() => $"holds a tensor of shape {Shown.Shape(shape)} and strides {Shown.Shape(strides)}";
    }

    private readonly object NewObject(object?[] call) => call[0] switch
    {
        PickleOpaque => call[0]!,
        PickleGlobal global when call is [_, object?[] { Length: 0 }] && script
            && global.FullName.StartsWith(ScriptClasses, StringComparison.Ordinal) => new PickleInstance(),
        PickleGlobal global when call[1] is object?[] => new PickleOpaque(global.FullName),
        _ => throw Error($"makes an object of {Shape(call[0])}, where a class is right"),
    };

    /// <summary>
    /// Sets the attributes of a module. Those of an OrderedDict (_metadata of a state dict), of a tensor and of other objects are ignored.
    /// </summary>
    private readonly void Build(object? state)
    {
        switch (Top())
        {
            case PickleInstance instance when state is PickleDict attributes: instance.Attributes = attributes; break;
            case PickleDict or TorchTensor or PickleOpaque: break;
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
        PickleInstance or PickleOpaque => "an object",
        string => "a text",
        _ => "a number",
    };

    private readonly ModelFormatException Error(string what, Exception? inner = null) =>
        file.Error($"its pickle, at byte {start + at}, {what}", start + at, inner: inner);
}
