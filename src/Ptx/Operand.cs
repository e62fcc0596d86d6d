namespace TinyZsad.Ptx;

/// <summary>Represents an operand as it is written.</summary>
internal abstract record Operand;

/// <summary>Represents a register, a special register, a variable, a parameter or a label.</summary>
/// <param name="Name">The name.</param>
/// <param name="Not">Whether a <c>!</c> precedes it.</param>
internal sealed record NameOperand(string Name, bool Not = false) : Operand;

/// <summary>Represents a number.</summary>
/// <param name="Kind">Whether it is an integer, a float or a double.</param>
/// <param name="Bits">Its bits. An integer has 64.</param>
internal sealed record NumberOperand(TokenKind Kind, ulong Bits) : Operand;

/// <summary>Represents an address in brackets.</summary>
/// <param name="Name">The register, the variable or the parameter; null if the address is a number.</param>
/// <param name="Offset">The number that is added.</param>
internal sealed record AddressOperand(string? Name, long Offset) : Operand;

/// <summary>Represents several operands in braces.</summary>
/// <param name="Items">The operands.</param>
internal sealed record VectorOperand(Operand[] Items) : Operand;

/// <summary>Represents two destinations, <c>d|p</c>.</summary>
/// <param name="First">The first; <c>_</c> is a destination that is not wanted.</param>
/// <param name="Second">The second.</param>
internal sealed record PairOperand(NameOperand First, NameOperand Second) : Operand;

/// <summary>Represents an instruction as it is written.</summary>
/// <param name="Opcode">The instruction without its modifiers.</param>
/// <param name="Modifiers">The modifiers, without points.</param>
/// <param name="Operands">The operands.</param>
/// <param name="Guard">The predicate, or null.</param>
/// <param name="Line">The line, from 1.</param>
/// <param name="Scope">The names that it can use.</param>
internal sealed record Statement(string Opcode, string[] Modifiers, Operand[] Operands, NameOperand? Guard, int Line, Scope Scope);
