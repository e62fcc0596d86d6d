namespace TinyZsad.Ptx;

/// <summary>Specifies where a variable lies.</summary>
internal enum Space
{
    /// <summary>Any of the others but parameters, told by the address.</summary>
    Generic,

    /// <summary>The memory of the device.</summary>
    Global,

    /// <summary>The device's memory that kernels only read.</summary>
    Const,

    /// <summary>The memory of a block.</summary>
    Shared,

    /// <summary>The memory of a thread.</summary>
    Local,

    /// <summary>The arguments of the kernel.</summary>
    Param,
}

/// <summary>Represents a register. Its lanes lie side by side in the register file of a warp.</summary>
/// <param name="Name">The name.</param>
/// <param name="Type">The type.</param>
/// <param name="Index">The number in the kernel.</param>
/// <param name="Offset">The offset of its lanes in the register file, in bytes.</param>
internal sealed record Register(string Name, PtxType Type, int Index, int Offset);

/// <summary>Represents a variable or a parameter.</summary>
internal sealed class Variable(string name, Space space, PtxType type, int align, long size, bool isArray)
{
    /// <summary>Gets the name.</summary>
    public string Name { get; } = name;

    /// <summary>Gets where the variable lies.</summary>
    public Space Space { get; } = space;

    /// <summary>Gets the type of an element.</summary>
    public PtxType Type { get; } = type;

    /// <summary>Gets the alignment.</summary>
    public int Align { get; } = align;

    /// <summary>Gets the size in bytes; 0 for an array of <c>.extern .shared</c>, which has all dynamic shared memory.</summary>
    public long Size { get; } = size;

    /// <summary>Gets whether the variable is an array.</summary>
    public bool IsArray { get; } = isArray;

    /// <summary>Gets or sets whether the variable is <c>.extern .shared</c>.</summary>
    public bool IsDynamic { get; set; }

    /// <summary>Gets or sets the values of the first bytes; null if there are none.</summary>
    public byte[]? Initial { get; set; }

    /// <summary>Gets or sets the offset or the address in the space.</summary>
    public ulong Address { get; set; }
}

/// <summary>Represents the names of a group of statements in braces.</summary>
internal sealed class Scope(Scope? outer)
{
    private readonly Dictionary<string, Register> registers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Variable> variables = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> labels = new(StringComparer.Ordinal);

    /// <summary>Adds a register; false if there is one of that name.</summary>
    public bool Add(Register register) => registers.TryAdd(register.Name, register);

    /// <summary>Adds a variable; false if there is one of that name.</summary>
    public bool Add(Variable variable) => variables.TryAdd(variable.Name, variable);

    /// <summary>Adds a label; false if there is one of that name.</summary>
    public bool Add(string label, int instruction) => labels.TryAdd(label, instruction);

    /// <summary>Gets a register, or null.</summary>
    public Register? Register(string name) => registers.GetValueOrDefault(name) ?? outer?.Register(name);

    /// <summary>Gets a variable, or null.</summary>
    public Variable? Variable(string name) => variables.GetValueOrDefault(name) ?? outer?.Variable(name);

    /// <summary>Gets the instruction of a label, or -1.</summary>
    public int Label(string name) => labels.TryGetValue(name, out int at) ? at : outer?.Label(name) ?? -1;
}

/// <summary>Represents a file of PTX that is read and decoded.</summary>
internal sealed class PtxModule
{
    internal PtxModule(string name, string text)
    {
        Name = name;
        Lines = text.ReplaceLineEndings("\n").Split('\n');
    }

    /// <summary>Gets the name of the file.</summary>
    public string Name { get; }

    /// <summary>Gets the lines of the file.</summary>
    public string[] Lines { get; }

    /// <summary>Gets the kernels by name.</summary>
    public Dictionary<string, PtxKernel> Kernels { get; } = new(StringComparer.Ordinal);

    /// <summary>Gets the variables in the global and the constant space.</summary>
    public List<Variable> Globals { get; } = [];

    /// <summary>Reads a file.</summary>
    /// <param name="name">The name of the file, for messages.</param>
    /// <param name="text">The text.</param>
    /// <exception cref="PtxException">The text is wrong, or uses what is not supported.</exception>
    public static PtxModule Parse(string name, string text) => new PtxParser(name, text).Run();

    /// <summary>Gets the text of a line without the blanks around it.</summary>
    public string Line(int line) => line >= 1 && line <= Lines.Length ? Lines[line - 1].Trim() : "";
}

/// <summary>Represents an entry of a module.</summary>
internal sealed class PtxKernel(PtxModule module, string name)
{
    /// <summary>Gets the file.</summary>
    public PtxModule Module { get; } = module;

    /// <summary>Gets the name.</summary>
    public string Name { get; } = name;

    /// <summary>Gets the parameters in order.</summary>
    public List<Variable> Parameters { get; } = [];

    /// <summary>Gets or sets the size of the parameters.</summary>
    public int ParameterBytes { get; set; }

    /// <summary>Gets or sets the block that is required; null if any is right.</summary>
    public int[]? RequiredBlock { get; set; }

    /// <summary>Gets or sets the most threads of a block; null if it is not stated.</summary>
    public int[]? MostThreads { get; set; }

    /// <summary>Gets or sets the size of static shared memory.</summary>
    public int SharedBytes { get; set; }

    /// <summary>Gets or sets where the dynamic shared memory begins: behind the static.</summary>
    public int DynamicStart { get; set; }

    /// <summary>Gets or sets the size of a thread's memory.</summary>
    public int LocalBytes { get; set; }

    /// <summary>Gets the registers.</summary>
    public List<Register> Registers { get; } = [];

    /// <summary>Gets the labels with the instruction that follows.</summary>
    public List<(string Name, int Instruction, int Line)> Labels { get; } = [];

    /// <summary>Gets the size of the register file of a warp, in bytes.</summary>
    public int FileBytes { get; set; }

    /// <summary>Gets the constants in the register file: offset, bits and size of a lane.</summary>
    public List<(int Offset, ulong Bits, int Size)> Constants { get; } = [];

    /// <summary>Gets the special registers in the register file.</summary>
    public List<(int Offset, string Name)> Specials { get; } = [];

    /// <summary>Gets the addresses of global variables in the register file, known when the module is loaded.</summary>
    public List<(int Offset, Variable Variable)> Symbols { get; } = [];

    /// <summary>Gets or sets the instructions.</summary>
    public Instruction[] Code { get; set; } = [];

    /// <summary>Gets or sets the most 32-bit registers that are live at one instruction.</summary>
    public int LiveRegisters { get; set; }

    /// <summary>Gets or sets the most predicates that are live at one instruction.</summary>
    public int LivePredicates { get; set; }

    /// <summary>Reserves a part of the register file.</summary>
    public int Reserve(int bytes)
    {
        int at = FileBytes;
        FileBytes += (bytes + 63) / 64 * 64;
        return at;
    }
}
