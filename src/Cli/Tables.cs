using Spectre.Console;

namespace TinyZsad.Cli;

/// <summary>Creates the tables of the tool in a uniform style.</summary>
internal static class Tables
{
    /// <summary>Creates an empty table.</summary>
    /// <param name="columns">
    /// The headings. A column whose heading starts with '>' contains numbers and is aligned to the right.
    /// </param>
    public static Table Of(params IEnumerable<string> columns)
    {
        Table table = new() { Border = TableBorder.None };
        foreach (string heading in columns)
        {
            bool right = heading.StartsWith('>');
            TableColumn column = new(Cell(heading.TrimStart('>'), new Style(decoration: Decoration.Bold | Decoration.Underline)));
            column.PadLeft(0).PadRight(2);
            table.AddColumn(right ? column.NoWrap().RightAligned() : column);
        }
        return table;
    }

    /// <summary>Creates a table with names on the left and values on the right.</summary>
    public static Table OfPairs(IEnumerable<(string Name, string Value)> pairs)
    {
        Table table = new() { Border = TableBorder.None, ShowHeaders = false };
        table.AddColumn(new TableColumn("").NoWrap().PadLeft(0).PadRight(2)).AddColumn(new TableColumn("").Padding(0, 0));
        foreach ((string name, string value) in pairs)
            table.AddRow(Cell(name, new Style(decoration: Decoration.Dim)), Cell(value));
        return table;
    }

    /// <summary>Adds a row of plain cells.</summary>
    public static void Add(this Table table, params IEnumerable<string> cells) => table.AddRow(cells.Select(c => Cell(c)));

    /// <summary>Creates a cell with plain text. Spectre's markup is not interpreted.</summary>
    public static Text Cell(string text, Style? style = null) => new(Terminal.Printable(text), style);
}
