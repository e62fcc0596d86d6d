namespace TinyZsad.Ptx;

/// <summary>Represents the lanes of an operand in the register file of a warp.</summary>
/// <param name="Offset">The offset in bytes. A predicate has 32 bits there, one for each lane.</param>
/// <param name="Stride">The size of a lane in bytes, 4 or 8.</param>
/// <param name="Not">Whether a predicate is negated.</param>
internal readonly record struct Slot(int Offset, int Stride, bool Not = false);

/// <summary>
/// Turns statements into instructions. Every group of instructions takes its modifiers and operands from the decoder, and what is left
/// over is an error.
/// </summary>
internal sealed class Decoder
{
    private readonly PtxKernel kernel;
    private readonly Dictionary<(ulong Bits, int Size), int> constants = [];
    private readonly Dictionary<string, int> specials = new(StringComparer.Ordinal);
    private readonly Dictionary<Variable, int> symbols = [];
    private readonly List<Register> reads = [];
    private readonly List<Register> writes = [];
    private Statement statement = new("", [], [], null, 0, new(null));
    private int next;
    private int sink = -1;
    private bool[] taken = [];

    private Decoder(PtxKernel kernel) => this.kernel = kernel;

    /// <summary>Gets the instruction without its modifiers.</summary>
    public string Opcode => statement.Opcode;

    /// <summary>Gets the number of operands.</summary>
    public int Count => statement.Operands.Length;

    /// <summary>Gets the kernel.</summary>
    public PtxKernel Kernel => kernel;

    /// <summary>Decodes the statements of a kernel.</summary>
    public static Instruction[] Decode(PtxKernel kernel, List<Statement> statements)
    {
        Decoder decoder = new(kernel);
        List<Instruction> code = [];
        foreach (Statement statement in statements) code.Add(decoder.Decode(statement, code.Count));
        // A kernel that runs off its end returns.
        code.Add(new ExitInstruction { Index = code.Count, Line = code.Count == 0 ? 0 : code[^1].Line, Name = "ret" });
        return [.. code];
    }

    private Instruction Decode(Statement of, int index)
    {
        statement = of;
        next = 0;
        taken = new bool[of.Operands.Length];
        reads.Clear();
        writes.Clear();
        Instruction? instruction =
            ControlInstructions.Decode(this) ??
            MoveInstructions.Decode(this) ??
            MemoryInstructions.Decode(this) ??
            IntegerInstructions.Decode(this) ??
            FloatInstructions.Decode(this) ??
            HalfInstructions.Decode(this) ??
            LogicInstructions.Decode(this) ??
            CompareInstructions.Decode(this) ??
            ConvertInstructions.Decode(this) ??
            WarpInstructions.Decode(this) ??
            MatrixInstructions.Decode(this) ??
            AsyncInstructions.Decode(this) ??
            AtomicInstructions.Decode(this) ??
            throw Error($"the instruction '{of.Opcode}' is not supported.");
        if (next < of.Modifiers.Length) throw Error($"the modifier '.{of.Modifiers[next]}' is not supported at this place.");
        int left = Array.IndexOf(taken, false);
        if (left >= 0) throw Error($"operand {left + 1} is one too many.");
        instruction.Line = of.Line;
        instruction.Index = index;
        instruction.Name = string.Join('.', of.Modifiers.Prepend(of.Opcode));
        if (of.Guard is NameOperand guard)
        {
            Register register = of.Scope.Register(guard.Name) ?? throw Error($"there is no register '{guard.Name}'.");
            if (register.Type != PtxType.Pred) throw Error($"'{guard.Name}' is no predicate.");
            instruction.Guard = register.Offset;
            instruction.GuardNot = guard.Not;
            reads.Add(register);
        }

        instruction.Reads = [.. reads.Distinct()];
        instruction.Writes = [.. writes.Distinct()];
        return instruction;
    }

    /// <summary>Makes the error of the statement.</summary>
    public PtxException Error(string message) =>
        new($"{kernel.Module.Name}({statement.Line}), kernel {kernel.Name}: {kernel.Module.Line(statement.Line)}: {message}");

    /// <summary>Begins with the modifiers again, for another group of instructions.</summary>
    public Instruction? Restart()
    {
        next = 0;
        return null;
    }

    /// <summary>Takes a modifier if it is the next.</summary>
    public bool Has(string modifier)
    {
        if (next >= statement.Modifiers.Length || statement.Modifiers[next] != modifier) return false;
        next++;
        return true;
    }

    /// <summary>Takes the next modifier if it is one of some, else "".</summary>
    public string Any(params ReadOnlySpan<string> modifiers)
    {
        foreach (string modifier in modifiers)
        {
            if (Has(modifier)) return modifier;
        }

        return "";
    }

    /// <summary>Takes the next modifier, which must be one of some.</summary>
    public string OneOf(params ReadOnlySpan<string> modifiers)
    {
        string any = Any(modifiers);
        return any.Length != 0 ? any : throw Error($"{Found()}, and {string.Join(", ", modifiers.ToArray().Select(m => "." + m))} " +
            "is supported.");
    }

    /// <summary>Takes a modifier that must be the next.</summary>
    public void Need(string modifier)
    {
        if (!Has(modifier)) throw Error($"{Found()}, and '.{modifier}' is expected.");
    }

    /// <summary>Gets the next modifier as a type without taking it.</summary>
    public PtxType PeekType() => next < statement.Modifiers.Length ? PtxTypes.Parse(statement.Modifiers[next]) : PtxType.None;

    /// <summary>Gets the last modifier as a type.</summary>
    public PtxType LastType() => statement.Modifiers.Length > 0 ? PtxTypes.Parse(statement.Modifiers[^1]) : PtxType.None;

    /// <summary>Takes a type, which must be one of some; any if there are none.</summary>
    public PtxType Type(params ReadOnlySpan<PtxType> types)
    {
        PtxType type = PeekType();
        if (type == PtxType.None || (!types.IsEmpty && !types.Contains(type)))
        {
            throw Error(
                $"{Found()}, and a type{(types.IsEmpty ? "" : " (" + string.Join(", ", types.ToArray().Select(t => "." + t.Word())) +
                ")")} is supported.");
        }

        next++;
        return type;
    }

    private string Found() => next < statement.Modifiers.Length ? $"'.{statement.Modifiers[next]}' is found" : "nothing is found";

    /// <summary>Gets an operand.</summary>
    public Operand Operand(int index)
    {
        if (index >= statement.Operands.Length) throw Error($"operand {index + 1} is missing.");
        taken[index] = true;
        return statement.Operands[index];
    }

    /// <summary>Gets the number of elements of an operand: 1 if it has no braces.</summary>
    public int Width(int index) => index < Count && statement.Operands[index] is VectorOperand vector ? vector.Items.Length : 1;

    /// <summary>Gets a source.</summary>
    public Slot Source(int index, PtxType type) => Source(Operand(index), type);

    /// <summary>Gets a source.</summary>
    /// <param name="operand">The operand.</param>
    /// <param name="type">The type of the instruction.</param>
    /// <param name="isWide">Whether the register may be wider than the type.</param>
    public Slot Source(Operand operand, PtxType type, bool isWide = false)
    {
        switch (operand)
        {
            case NumberOperand number:
                return Constant(Bits(number, type), type.Size());
            case NameOperand name when statement.Scope.Register(name.Name) is Register register:
                if (name.Not && type != PtxType.Pred) throw Error("'!' is for predicates.");
                Check(register, type, isWide);
                reads.Add(register);
                return Slot(register, name.Not);
            case NameOperand name when name.Name.StartsWith('%'):
                return Special(name.Name, type);
            case NameOperand name when statement.Scope.Variable(name.Name) is Variable variable:
                if (type.Size() is not (4 or 8) || type.IsFloat())
                    throw Error($"the address of '{name.Name}' has 32 or 64 bits.");
                return Symbol(variable, 0, type.Size());
            case NameOperand name:
                throw Error($"there is no register or variable '{name.Name}'.");
            default:
                throw Error("a register or a number is expected.");
        }
    }

    /// <summary>Gets a destination.</summary>
    public Slot Destination(int index, PtxType type) => Destination(Operand(index), type);

    /// <summary>Gets a destination.</summary>
    public Slot Destination(Operand operand, PtxType type, bool isWide = false)
    {
        if (operand is not NameOperand name) throw Error("a destination is a register.");
        if (name.Name == "_") return new(sink < 0 ? sink = kernel.Reserve(256) : sink, type.Size() == 8 ? 8 : 4);
        Register register = statement.Scope.Register(name.Name) ?? throw Error($"there is no register '{name.Name}'.");
        Check(register, type, isWide);
        writes.Add(register);
        return Slot(register, false);
    }

    /// <summary>Gets the elements of an operand in braces as sources or destinations.</summary>
    public Slot[] Vector(int index, PtxType type, int count, bool isSource, bool isWide = false)
    {
        Operand operand = Operand(index);
        Operand[] items = operand is VectorOperand vector ? vector.Items : [operand];
        if (items.Length != count) throw Error($"operand {index + 1} has {items.Length} registers, and {count} are right.");
        return [.. items.Select(i => isSource ? Source(i, type, isWide) : Destination(i, type, isWide))];
    }

    /// <summary>Gets a constant.</summary>
    public Slot Constant(ulong bits, int size)
    {
        if (size == 0)
        {
            // A predicate: all lanes.
            size = 4;
            bits = bits != 0 ? uint.MaxValue : 0;
        }

        if (size < 8) bits &= (1UL << (8 * size)) - 1;
        int stride = size == 8 ? 8 : 4;
        if (!constants.TryGetValue((bits, stride), out int at))
        {
            at = kernel.Reserve(32 * stride);
            constants.Add((bits, stride), at);
            kernel.Constants.Add((at, bits, stride));
        }

        return new(at, stride);
    }

    /// <summary>Gets the value of a number that must be an integer.</summary>
    public int Immediate(int index) => Operand(index) is NumberOperand { Kind: TokenKind.Integer } number
        ? unchecked((int)number.Bits)
        : throw Error($"operand {index + 1} must be an integer.");

    /// <summary>Gets an address.</summary>
    /// <param name="index">The operand.</param>
    /// <param name="space">The space of the instruction.</param>
    public AddressSlot Address(int index, Space space)
    {
        if (Operand(index) is not AddressOperand address) throw Error($"operand {index + 1} must be an address in brackets.");
        if (address.Name is null) return new(Constant(0, 8), address.Offset);
        if (statement.Scope.Register(address.Name) is Register register)
        {
            if (register.Type.IsFloat() || register.Type.Size() < 4) throw Error($"'{address.Name}' cannot hold an address.");
            if (register.Type.Size() == 4 && space is (Space.Global or Space.Const or Space.Generic))
                throw Error($"'{address.Name}' has 32 bits, and addresses in this space have 64.");
            reads.Add(register);
            return new(Slot(register, false), address.Offset);
        }

        Variable variable = statement.Scope.Variable(address.Name) ?? throw Error($"there is no register or variable '{address.Name}'.");
        if (variable.Space != space)
            throw Error($"'{address.Name}' is in the {variable.Space} space, and the instruction is for the {space} space.");
        return new(Symbol(variable, 0, 8), address.Offset);
    }

    /// <summary>Gets the space of a variable that is the operand; null if it is none.</summary>
    public Variable? VariableOf(Operand operand) => operand is NameOperand name && statement.Scope.Register(name.Name) is null
        ? statement.Scope.Variable(name.Name)
        : null;

    /// <summary>Gets the type of a register that is the operand; none if it is no register.</summary>
    public PtxType RegisterType(Operand operand) => operand is NameOperand name && statement.Scope.Register(name.Name) is Register register
        ? register.Type
        : PtxType.None;

    /// <summary>Gets the instruction of a label.</summary>
    public int Label(int index)
    {
        if (Operand(index) is not NameOperand name) throw Error("a label is expected.");
        int target = statement.Scope.Label(name.Name);
        return target >= 0 ? target : throw Error($"there is no label '{name.Name}'.");
    }

    private static Slot Slot(Register register, bool not) => new(register.Offset, register.Type.Size() == 8 ? 8 : 4, not);

    private void Check(Register register, PtxType type, bool isWide)
    {
        if (PtxTypes.Fits(register.Type, type)) return;
        if (isWide && register.Type != PtxType.Pred && type != PtxType.Pred && register.Type.Size() > type.Size() &&
            (!register.Type.IsFloat() || type.IsBits()) && (!type.IsFloat() || register.Type.IsBits()))
        {
            return;
        }

        throw Error($"'{register.Name}' is a register .{register.Type.Word()}, and the instruction's type is .{type.Word()}.");
    }

    private ulong Bits(NumberOperand number, PtxType type)
    {
        switch (type)
        {
            case PtxType.F32 when number.Kind == TokenKind.Float:
                return number.Bits;
            case PtxType.F32 when number.Kind == TokenKind.Double:
                return BitConverter.SingleToUInt32Bits((float)BitConverter.UInt64BitsToDouble(number.Bits));
            case PtxType.F64 when number.Kind == TokenKind.Double:
                return number.Bits;
            case PtxType.F64 when number.Kind == TokenKind.Float:
                return BitConverter.DoubleToUInt64Bits(BitConverter.UInt32BitsToSingle((uint)number.Bits));
            case PtxType.F32 or PtxType.F64:
                throw Error($"an integer is no operand of type .{type.Word()}: write 0f… or 0d….");
            case PtxType.B32 when number.Kind == TokenKind.Float:
                return number.Bits;
            case PtxType.B64 when number.Kind == TokenKind.Double:
                return number.Bits;
            case PtxType.F16 or PtxType.F16x2:
                throw Error($"a number is no operand of type .{type.Word()}: move its bits to a register.");
        }

        if (number.Kind != TokenKind.Integer) throw Error($"a float is no operand of type .{type.Word()}.");
        int bits = 8 * type.Size();
        if (bits is > 0 and < 64 && number.Bits >> bits != 0 && (long)number.Bits >> (bits - 1) != -1)
            throw Error($"the number {unchecked((long)number.Bits)} does not fit {bits} bits.");
        return number.Bits;
    }

    private Slot Special(string name, PtxType type)
    {
        bool isKnown = name is "%laneid" or "%warpid" or "%nwarpid" or "%smid" or "%nsmid" or "%lanemask_eq" or "%lanemask_le" or
            "%lanemask_lt" or "%lanemask_ge" or "%lanemask_gt" or "%dynamic_smem_size" or "%total_smem_size" ||
            (name.Length > 2 && name[..^2] is "%tid" or "%ntid" or "%ctaid" or "%nctaid" && name[^2..] is ".x" or ".y" or ".z");
        if (!isKnown) throw Error($"there is no register '{name}', nor a special register of that name that is supported.");
        if (type is not (PtxType.U32 or PtxType.B32 or PtxType.S32)) throw Error($"'{name}' has 32 bits.");
        if (!specials.TryGetValue(name, out int at))
        {
            at = kernel.Reserve(128);
            specials.Add(name, at);
            kernel.Specials.Add((at, name));
        }

        return new(at, 4);
    }

    private Slot Symbol(Variable variable, long offset, int size)
    {
        if (variable.Space is not (Space.Global or Space.Const)) return Constant(variable.Address + (ulong)offset, size);
        if (size != 8) throw Error($"the address of '{variable.Name}' has 64 bits.");
        if (!symbols.TryGetValue(variable, out int at))
        {
            at = kernel.Reserve(256);
            symbols.Add(variable, at);
            kernel.Symbols.Add((at, variable));
        }

        return new(at, 8);
    }
}

/// <summary>Represents the sum of a register and a number.</summary>
/// <param name="Base">The register.</param>
/// <param name="Offset">The number.</param>
internal readonly record struct AddressSlot(Slot Base, long Offset);
