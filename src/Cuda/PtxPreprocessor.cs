using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace TinyZsad.Cuda;

/// <summary>
/// Expands the repetitions in the files of <c>cuda/</c>. The result is plain PTX, line by line. <c>cuda/README.md</c> describes the
/// language:
/// <code>
/// #define NAME text          #for i 0 8 … #end          #for T in f h … #end          #if expression … #else … #end
/// #macro name(a, b) … #end   #name(x, y)                #{expression} in any line      #include name
/// </code>
/// </summary>
internal sealed partial class PtxPreprocessor
{
    private const int MostLines = 200_000;

    private readonly List<string> lines = [];
    private readonly List<(string File, int Number)> origins = [];
    private readonly Dictionary<string, (string[] Parameters, int First, int End)> macros = new(StringComparer.Ordinal);
    private readonly StringBuilder output = new();
    private int expansions;
    private int written;

    private PtxPreprocessor(string file, string text, Func<string, string?> include) => Read(file, text, include, []);

    /// <summary>Expands a text.</summary>
    /// <param name="file">The name of the file, for messages.</param>
    /// <param name="text">The text.</param>
    /// <param name="include">Gets the text of an included file by its name, or null if there is none.</param>
    /// <exception cref="FormatException">A directive is wrong. The message begins with the file and the line.</exception>
    public static string Expand(string file, string text, Func<string, string?>? include = null)
    {
        PtxPreprocessor preprocessor = new(file, text, include ?? (static _ => null));
        preprocessor.Run(0, preprocessor.lines.Count, new Dictionary<string, string>(StringComparer.Ordinal), depth: 0);
        return preprocessor.output.ToString();
    }

    /// <summary>Appends the lines of a text, with those of another file in the place of each <c>#include</c>.</summary>
    private void Read(string file, string text, Func<string, string?> include, string[] including)
    {
        string[] texts = text.ReplaceLineEndings("\n").Split('\n');
        for (int i = 0; i < texts.Length; i++)
        {
            string[] words = texts[i].Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            if (words is not ["#include", string name])
            {
                lines.Add(texts[i]);
                origins.Add((file, i + 1));
                continue;
            }

            if (including.Contains(name)) throw new FormatException($"{file}({i + 1}): '{name}' includes itself.");
            string included = include(name) ?? throw new FormatException($"{file}({i + 1}): there is no file '{name}' to include.");
            Read(name, included, include, [.. including, name]);
        }
    }

    /// <summary>Expands the lines from one to another.</summary>
    private void Run(int first, int end, Dictionary<string, string> names, int depth)
    {
        if (depth > 32) throw Error(first, "macros are nested more than 32 deep.");
        for (int at = first; at < end; at++)
        {
            string line = lines[at], trimmed = line.TrimStart();
            if (!trimmed.StartsWith('#') || trimmed.StartsWith("#{", StringComparison.Ordinal))
            {
                if (++written > MostLines) throw Error(at, $"the file expands to more than {MostLines} lines.");
                output.Append(Substitute(at, line, names)).Append('\n');
                continue;
            }

            Match call = Call().Match(trimmed);
            if (call.Success)
            {
                if (!macros.TryGetValue(call.Groups[1].Value, out (string[] Parameters, int First, int End) macro))
                    throw Error(at, $"there is no macro '{call.Groups[1].Value}' before this line.");
                string[] arguments = Arguments(Substitute(at, call.Groups[2].Value, names));
                if (arguments.Length != macro.Parameters.Length)
                {
                    throw Error(at, $"'{call.Groups[1].Value}' has {macro.Parameters.Length} parameters, and {arguments.Length} " +
                        "are given.");
                }

                Dictionary<string, string> inner = new(names, StringComparer.Ordinal);
                for (int i = 0; i < arguments.Length; i++) inner[macro.Parameters[i]] = arguments[i];
                inner["id"] = (++expansions).ToString(CultureInfo.InvariantCulture);
                Run(macro.First, macro.End, inner, depth + 1);
                continue;
            }

            string[] words = trimmed.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            switch (words[0])
            {
                case "#define" when words.Length >= 3:
                    names[words[1]] = Substitute(at, string.Join(' ', words[2..]), names);
                    break;
                case "#macro" when Header().Match(trimmed) is { Success: true } header:
                    (_, int macroEnd) = Extent(at, end);
                    macros[header.Groups[1].Value] = (Arguments(header.Groups[2].Value), at + 1, macroEnd);
                    at = macroEnd;
                    break;
                case "#for" when words.Length >= 4:
                    (_, int forEnd) = Extent(at, end);
                    IEnumerable<string> values;
                    if (words[2] == "in")
                    {
                        values = words[3..].Select(w => Substitute(at, w, names));
                    }
                    else
                    {
                        string[] bounds = Substitute(at, string.Join(' ', words[2..]), names).Split(' ');
                        if (bounds.Length != 2)
                            throw Error(at, "'#for' takes a name, a first number and an end, without spaces in them.");
                        int from = Number(at, bounds[0], names), to = Number(at, bounds[1], names);
                        values = Enumerable.Range(from, Math.Max(0, to - from))
                            .Select(i => i.ToString(CultureInfo.InvariantCulture));
                    }

                    foreach (string value in values)
                    {
                        Dictionary<string, string> inside = new(names, StringComparer.Ordinal) { [words[1]] = value };
                        Run(at + 1, forEnd, inside, depth + 1);
                    }

                    at = forEnd;
                    break;
                case "#if" when words.Length >= 2:
                    (int otherwise, int ifEnd) = Extent(at, end);
                    bool holds = Number(at, string.Join(' ', words[1..]), names) != 0;
                    if (holds) Run(at + 1, otherwise, names, depth);
                    else if (otherwise != ifEnd) Run(otherwise + 1, ifEnd, names, depth);
                    at = ifEnd;
                    break;
                default:
                    throw Error(at, $"'{trimmed}' is no directive; there are #include, #define, #macro, #for, #if, #else, #end " +
                        "and calls.");
            }
        }
    }

    /// <summary>Finds the <c>#else</c> (or the end, if there is none) and the <c>#end</c> of a directive.</summary>
    private (int Else, int End) Extent(int at, int end)
    {
        int depth = 0, otherwise = -1;
        for (int i = at; i < end; i++)
        {
            string word = lines[i].TrimStart().Split(' ', 2)[0].TrimEnd();
            if (word is "#for" or "#if" or "#macro") depth++;
            else if (word == "#else" && depth == 1) otherwise = i;
            else if (word == "#end" && --depth == 0) return (otherwise < 0 ? i : otherwise, i);
        }

        throw Error(at, "the directive has no '#end'.");
    }

    /// <summary>Replaces each <c>#{…}</c> by the value of the expression, or by the text of the name in it.</summary>
    private string Substitute(int at, string line, Dictionary<string, string> names) =>
        line.Contains("#{", StringComparison.Ordinal)
            ? Expression().Replace(line, m => names.TryGetValue(m.Groups[1].Value.Trim(), out string? text)
                ? text
                : Number(at, m.Groups[1].Value, names).ToString(CultureInfo.InvariantCulture))
            : line;

    private static string[] Arguments(string list)
    {
        List<string> arguments = [];
        int depth = 0, from = 0;
        for (int i = 0; i <= list.Length; i++)
        {
            if (i == list.Length || (list[i] == ',' && depth == 0))
            {
                arguments.Add(list[from..i].Trim());
                from = i + 1;
            }
            else if (list[i] is '(' or '[' or '{')
            {
                depth++;
            }
            else if (list[i] is ')' or ']' or '}')
            {
                depth--;
            }
        }

        return arguments is [""] ? [] : [.. arguments];
    }

    /// <summary>Computes an integer expression with the operators of C and the names of macros, loops and definitions.</summary>
    private int Number(int at, string text, Dictionary<string, string> names)
    {
        string[] tokens = [.. Token().Matches(text).Select(m => m.Value)];
        if (string.Concat(tokens) != text.Replace(" ", "", StringComparison.Ordinal)) throw Error(at, $"'{text}' is no expression.");
        int next = 0;
        int value = Binary(0);
        return next == tokens.Length ? value : throw Error(at, $"'{text}' is no expression.");

        int Binary(int level)
        {
            if (level == Operators.Length) return Unary();
            int left = Binary(level + 1);
            while (next < tokens.Length && Operators[level].Contains(tokens[next]))
            {
                string sign = tokens[next++];
                int right = Binary(level + 1);
                if (right == 0 && (sign is "/" or "%")) throw Error(at, $"'{text}' divides by 0.");
                left = sign switch
                {
                    "||" => left != 0 || right != 0 ? 1 : 0,
                    "&&" => left != 0 && right != 0 ? 1 : 0,
                    "|" => left | right,
                    "^" => left ^ right,
                    "&" => left & right,
                    "==" => left == right ? 1 : 0,
                    "!=" => left != right ? 1 : 0,
                    "<" => left < right ? 1 : 0,
                    ">" => left > right ? 1 : 0,
                    "<=" => left <= right ? 1 : 0,
                    ">=" => left >= right ? 1 : 0,
                    "<<" => left << right,
                    ">>" => left >> right,
                    "+" => left + right,
                    "-" => left - right,
                    "*" => left * right,
                    "/" => left / right,
                    _ => left % right,
                };
            }

            return left;
        }

        int Unary()
        {
            if (next == tokens.Length) throw Error(at, $"'{text}' is no expression.");
            string token = tokens[next++];
            switch (token)
            {
                case "-":
                    return -Unary();
                case "!":
                    return Unary() == 0 ? 1 : 0;
                case "(":
                    int inner = Binary(0);
                    if (next == tokens.Length || tokens[next++] != ")") throw Error(at, $"'{text}' lacks a ')'.");
                    return inner;
                default:
                    if (int.TryParse(token, NumberStyles.None, CultureInfo.InvariantCulture, out int number)) return number;
                    // A word without a value is compared as text: #if T == h.
                    if (!names.TryGetValue(token, out string? known)) return Code(token);
                    return Word().IsMatch(known) ? Code(known) : Number(at, known, names);
            }
        }
    }

    /// <summary>Gets a number that stands for a word in comparisons.</summary>
    private static int Code(string word) => word.Aggregate(17, (code, c) => unchecked(code * 31 + c));

    private FormatException Error(int at, string what) => new($"{origins[at].File}({origins[at].Number}): {what}");

    private static readonly string[][] Operators =
        [["||"], ["&&"], ["|"], ["^"], ["&"], ["==", "!="], ["<", ">", "<=", ">="], ["<<", ">>"], ["+", "-"], ["*", "/", "%"]];

    [GeneratedRegex(@"^#([A-Za-z_]\w*)\((.*)\)\s*;?\s*(//.*)?$")]
    private static partial Regex Call();

    [GeneratedRegex(@"^#macro\s+([A-Za-z_]\w*)\s*\((.*)\)\s*(//.*)?$")]
    private static partial Regex Header();

    [GeneratedRegex(@"#\{([^{}]*)\}")]
    private static partial Regex Expression();

    [GeneratedRegex(@"\d+|[A-Za-z_]\w*|\|\||&&|==|!=|<=|>=|<<|>>|[-+*/%()&|^<>!]")]
    private static partial Regex Token();

    [GeneratedRegex(@"^[A-Za-z_]\w*$")]
    private static partial Regex Word();
}
