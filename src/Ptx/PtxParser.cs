using System.Buffers.Binary;

namespace TinyZsad.Ptx;

/// <summary>Reads a file of PTX. Whatever it does not know is an error.</summary>
internal sealed class PtxParser(string name, string text)
{
    private readonly PtxModule module = new(name, text);
    private readonly List<Token> tokens = Lexer.Split(name, text);
    private readonly Scope top = new(null);
    private readonly List<Variable> topShared = [];
    private int at;

    private Token Next => tokens[at];

    /// <summary>Reads and decodes the file.</summary>
    public PtxModule Run()
    {
        while (Next.Kind != TokenKind.End)
        {
            string word = Word("a directive");
            switch (word)
            {
                case ".version":
                    Integer();
                    Word("a version");
                    break;
                case ".target":
                    do Word("a target");
                    while (Accept(","));
                    break;
                case ".address_size":
                    if (Integer() != 64) throw Error("only .address_size 64 is supported.");
                    break;
                case ".visible" or ".weak" or ".extern" when Peek(".entry"):
                    break;
                case ".entry":
                    Entry();
                    break;
                case ".visible" when IsSpace(Next.Text):
                    break;
                case ".extern":
                    if (Word("'.shared'") != ".shared") throw Error("only '.extern .shared' is supported.");
                    Declare(Space.Shared, top, null, isExtern: true);
                    break;
                case ".global":
                    Declare(Space.Global, top, null, isExtern: false);
                    break;
                case ".const":
                    Declare(Space.Const, top, null, isExtern: false);
                    break;
                case ".shared":
                    Declare(Space.Shared, top, null, isExtern: false);
                    break;
                case ".file" or ".section" or ".loc":
                    SkipLine();
                    break;
                default:
                    throw ErrorBefore($"'{word}' is not supported here.");
            }
        }

        return module;
    }

    private static bool IsSpace(string word) => word is ".global" or ".const" or ".shared" or ".extern";

    private void Entry()
    {
        string kernelName = Word("the kernel's name");
        PtxKernel kernel = new(module, kernelName);
        Scope scope = new(top);
        if (Accept("(") && !Accept(")"))
        {
            do Parameter(kernel, scope);
            while (Accept(","));
            Expect(")");
        }

        while (Next.Text != "{")
        {
            string word = Word("a directive of the kernel or '{'");
            switch (word)
            {
                case ".reqntid":
                    kernel.RequiredBlock = Extent();
                    break;
                case ".maxntid":
                    kernel.MostThreads = Extent();
                    break;
                case ".minnctapersm" or ".maxnreg":
                    Integer();
                    break;
                default:
                    throw ErrorBefore($"'{word}' is no directive of a kernel that is supported.");
            }
        }

        List<Statement> statements = [];
        foreach (Variable shared in topShared.Where(v => !v.IsDynamic)) Place(kernel, shared);
        Expect("{");
        Body(kernel, scope, statements);
        kernel.DynamicStart = (kernel.SharedBytes + 15) / 16 * 16;
        foreach (Variable dynamic in topShared.Where(v => v.IsDynamic))
        {
            kernel.DynamicStart = (kernel.DynamicStart + dynamic.Align - 1) / dynamic.Align * dynamic.Align;
            dynamic.Address = (ulong)kernel.DynamicStart;
        }

        kernel.Code = Decoder.Decode(kernel, statements);
        ControlFlow.Analyze(kernel);
        if (!module.Kernels.TryAdd(kernelName, kernel)) throw Error($"there are two kernels '{kernelName}'.");
    }

    private void Parameter(PtxKernel kernel, Scope scope)
    {
        if (Word("'.param'") != ".param") throw ErrorBefore("a parameter begins with '.param'.");
        int align = 0;
        PtxType type = PtxType.None;
        while (Next.Text.StartsWith('.'))
        {
            string word = Word("a type");
            switch (word)
            {
                case ".align":
                    align = (int)Integer();
                    break;
                case ".ptr":
                    if (Next.Text is ".global" or ".shared" or ".const" or ".local") at++;
                    if (Accept(".align")) Integer();
                    break;
                default:
                    type = TypeOf(word);
                    break;
            }
        }

        string parameter = Word("the parameter's name");
        long size = type.Size();
        bool isArray = Accept("[");
        if (isArray)
        {
            size *= Integer();
            Expect("]");
        }

        if (align == 0) align = type.Size();
        kernel.ParameterBytes = (kernel.ParameterBytes + align - 1) / align * align;
        Variable variable = new(parameter, Space.Param, type, align, size, isArray) { Address = (ulong)kernel.ParameterBytes };
        kernel.ParameterBytes += (int)size;
        kernel.Parameters.Add(variable);
        if (!scope.Add(variable)) throw Error($"there are two parameters '{parameter}'.");
    }

    private int[] Extent()
    {
        int[] extent = [(int)Integer(), 1, 1];
        for (int i = 1; i < 3 && Accept(","); i++) extent[i] = (int)Integer();
        return extent;
    }

    private void Body(PtxKernel kernel, Scope scope, List<Statement> statements)
    {
        while (!Accept("}"))
        {
            if (Next.Kind == TokenKind.End) throw Error("the kernel has no '}'.");
            if (Accept("{"))
            {
                Body(kernel, new(scope), statements);
                continue;
            }

            int line = Next.Line;
            NameOperand? guard = null;
            if (Accept("@"))
            {
                bool not = Accept("!");
                guard = new(Word("a predicate"), not);
            }

            string word = Word("an instruction");
            if (guard is null && Accept(":"))
            {
                if (!scope.Add(word, statements.Count)) throw Error($"there are two labels '{word}'.");
                kernel.Labels.Add((word, statements.Count, line));
                continue;
            }

            if (guard is null && word.StartsWith('.'))
            {
                Directive(kernel, scope, word);
                continue;
            }

            string[] parts = word.Split('.');
            List<Operand> operands = [];
            if (!Accept(";"))
            {
                do operands.Add(Operand());
                while (Accept(","));
                Expect(";");
            }

            statements.Add(new(parts[0], parts[1..], [.. operands], guard, line, scope));
        }
    }

    private void Directive(PtxKernel kernel, Scope scope, string word)
    {
        switch (word)
        {
            case ".reg":
                PtxType type = TypeOf(Word("a type"));
                do Registers(kernel, scope, type);
                while (Accept(","));
                Expect(";");
                break;
            case ".shared":
                Declare(Space.Shared, scope, kernel, isExtern: false);
                break;
            case ".local":
                Declare(Space.Local, scope, kernel, isExtern: false);
                break;
            case ".extern" when Peek(".shared"):
                at++;
                Declare(Space.Shared, scope, kernel, isExtern: true);
                break;
            case ".pragma":
                if (Next.Kind != TokenKind.Text) throw Error("'.pragma' takes a text.");
                if (Next.Text != "nounroll") throw Error($"the pragma '{Next.Text}' is not supported.");
                at++;
                Expect(";");
                break;
            case ".loc":
                SkipLine();
                break;
            default:
                throw ErrorBefore($"'{word}' is no directive that is supported here.");
        }
    }

    private void Registers(PtxKernel kernel, Scope scope, PtxType type)
    {
        if (type.Size() == 1) throw Error("there are no registers of 8 bits.");
        string register = Word("a register's name");
        if (Accept("<"))
        {
            long count = Integer();
            Expect(">");
            for (long i = 0; i < count; i++) Add($"{register}{i}");
        }
        else
        {
            Add(register);
        }

        void Add(string full)
        {
            int bytes = type == PtxType.Pred ? 8 : type.Size() == 8 ? 256 : 128;
            Register added = new(full, type, kernel.Registers.Count, kernel.Reserve(bytes));
            kernel.Registers.Add(added);
            if (!scope.Add(added)) throw Error($"there are two registers '{full}'.");
        }
    }

    private void Declare(Space space, Scope scope, PtxKernel? kernel, bool isExtern)
    {
        int align = 0;
        if (Accept(".align")) align = (int)Integer();
        PtxType type = TypeOf(Word("a type"));
        do
        {
            string variable = Word("the variable's name");
            long size = type.Size();
            bool isArray = false;
            bool isOpen = false;
            while (Accept("["))
            {
                isArray = true;
                if (Accept("]"))
                {
                    isOpen = true;
                    size = 0;
                    continue;
                }

                size *= Integer();
                Expect("]");
            }

            byte[]? initial = Accept("=") ? Initial(type) : null;
            if (initial is not null && space is not (Space.Global or Space.Const))
                throw Error("only variables in the global and the constant space can have values.");
            if (isOpen && initial is not null) size = initial.Length;
            if (isOpen && initial is null && !isExtern) throw Error($"the array '{variable}' has no size.");
            if (isExtern && !isOpen) throw Error($"'.extern .shared' declares an array without a size, and '{variable}' is none.");
            if (initial is not null && initial.Length > size) throw Error($"'{variable}' has more values than elements.");
            Variable added = new(variable, space, type, align == 0 ? type.Size() : align, size, isArray)
            {
                IsDynamic = isExtern,
                Initial = initial,
            };
            if (!scope.Add(added)) throw Error($"there are two variables '{variable}'.");
            if (space is Space.Global or Space.Const) module.Globals.Add(added);
            else if (kernel is null) topShared.Add(added);
            else if (isExtern) topShared.Add(added);
            else Place(kernel, added);
        }
        while (Accept(","));
        Expect(";");
    }

    /// <summary>Places a variable behind those that the kernel has.</summary>
    private static void Place(PtxKernel kernel, Variable variable)
    {
        if (variable.Space == Space.Shared)
        {
            kernel.SharedBytes = (kernel.SharedBytes + variable.Align - 1) / variable.Align * variable.Align;
            variable.Address = (ulong)kernel.SharedBytes;
            kernel.SharedBytes += (int)variable.Size;
        }
        else
        {
            kernel.LocalBytes = (kernel.LocalBytes + variable.Align - 1) / variable.Align * variable.Align;
            variable.Address = (ulong)kernel.LocalBytes;
            kernel.LocalBytes += (int)variable.Size;
        }
    }

    private byte[] Initial(PtxType type)
    {
        List<byte> bytes = [];
        Span<byte> buffer = stackalloc byte[8];
        if (Accept("{"))
        {
            do Add(buffer);
            while (Accept(","));
            Expect("}");
        }
        else
        {
            Add(buffer);
        }

        return [.. bytes];

        void Add(Span<byte> eight)
        {
            if (Operand() is not NumberOperand number) throw Error("a value is a number.");
            BinaryPrimitives.WriteUInt64LittleEndian(eight, number.Bits);
            bytes.AddRange(eight[..type.Size()]);
        }
    }

    private Operand Operand()
    {
        if (Accept("["))
        {
            Operand address;
            if (Next.Kind == TokenKind.Word)
            {
                string register = Word("a register");
                address = new AddressOperand(register, Accept("+") ? Signed() : Next.Text == "-" ? Signed() : 0);
            }
            else
            {
                address = new AddressOperand(null, Signed());
            }

            Expect("]");
            return address;
        }

        if (Accept("{"))
        {
            List<Operand> items = [];
            do items.Add(Operand());
            while (Accept(","));
            Expect("}");
            return new VectorOperand([.. items]);
        }

        if (Accept("!")) return new NameOperand(Word("a predicate"), true);
        if (Next.Kind == TokenKind.Word)
        {
            NameOperand first = new(Word("an operand"));
            return Accept("|") ? new PairOperand(first, new(Word("a second destination"))) : first;
        }

        if (Next.Kind is TokenKind.Float or TokenKind.Double) return new NumberOperand(Next.Kind, tokens[at++].Bits);
        return new NumberOperand(TokenKind.Integer, unchecked((ulong)Signed()));
    }

    private long Signed()
    {
        bool minus = Accept("-");
        long value = unchecked((long)Unsigned());
        return minus ? unchecked(-value) : value;
    }

    private ulong Unsigned() => Next.Kind == TokenKind.Integer
        ? tokens[at++].Bits
        : throw Error($"a number is expected, and '{Next.Text}' is found.");

    private long Integer() => checked((long)Unsigned());

    private PtxType TypeOf(string word)
    {
        PtxType type = word.StartsWith('.') ? PtxTypes.Parse(word[1..]) : PtxType.None;
        return type != PtxType.None ? type : throw ErrorBefore($"'{word}' is no type that is supported.");
    }

    private string Word(string what) => Next.Kind == TokenKind.Word
        ? tokens[at++].Text
        : throw Error($"{what} is expected, and '{Next.Text}' is found.");

    private bool Peek(string text) => Next.Text == text && Next.Kind is (TokenKind.Word or TokenKind.Sign);

    private bool Accept(string sign)
    {
        if (!Peek(sign)) return false;
        at++;
        return true;
    }

    private void Expect(string sign)
    {
        if (!Accept(sign)) throw Error($"'{sign}' is expected, and '{Next.Text}' is found.");
    }

    private void SkipLine()
    {
        int line = tokens[at - 1].Line;
        while (Next.Kind != TokenKind.End && Next.Line == line) at++;
    }

    private PtxException Error(string message) => new($"{name}({Next.Line}): {module.Line(Next.Line)}: {message}");

    private PtxException ErrorBefore(string message) =>
        new($"{name}({tokens[at - 1].Line}): {module.Line(tokens[at - 1].Line)}: {message}");
}
