using System.Text.Json;
using Spectre.Console;

namespace TinyZsad.Cli;

/// <summary>Specifies the output format of detections.</summary>
internal enum DetectionFormat
{
    Table,
    Json,
    Csv,
}

/// <summary>Represents the printed result of one picture.</summary>
/// <param name="Path">The path of the picture.</param>
/// <param name="Result">The result of the detector.</param>
/// <param name="Time">The time from opening the file to the result.</param>
/// <param name="Anomalous">Whether the score reaches the threshold; null without a threshold.</param>
/// <param name="Regions">The regions whose pixels reach the threshold; null without a threshold.</param>
/// <param name="Saved">The files that were written or could not be.</param>
internal sealed record DetectionRow(
    string Path, AnomalyResult Result, TimeSpan Time, bool? Anomalous, IReadOnlyList<AnomalyRegion>? Regions,
    IReadOnlyList<SavedFile> Saved);

/// <summary>Prints detections in one of the formats.</summary>
internal abstract class DetectionWriter
{
    /// <summary>Adds a row. It may be printed now or at the end.</summary>
    public abstract void Write(DetectionRow row);

    /// <summary>Prints the remaining rows.</summary>
    public virtual void End() { }

    private protected static string Verdict(bool anomalous) => anomalous ? "anomalous" : "normal";

    /// <summary>Returns an optional column.</summary>
    private protected static string[] Where(bool there, string column) => there ? [column] : [];

    private protected static string Word(Artefact kind) => kind.ToString().ToLowerInvariant();
}

/// <summary>Prints a table after all pictures have been examined, because each column is as wide as its widest cell.</summary>
internal sealed class TableWriter(Terminal terminal, bool verdict, bool saved) : DetectionWriter
{
    private readonly Table table = Tables.Of(
        ["picture", ">score", .. Where(verdict, "verdict"), ">size", ">time", .. Where(saved, "saved")]);

    public override void Write(DetectionRow row)
    {
        List<Text> cells = [Tables.Cell(row.Path), Tables.Cell($"{row.Result.Score:0.0000}")];
        if (row.Anomalous is { } anomalous)
            cells.Add(Tables.Cell(Verdict(anomalous), new Style(anomalous ? Color.Red : Color.Green)));
        cells.Add(Tables.Cell($"{row.Result.PictureWidth} x {row.Result.PictureHeight}"));
        cells.Add(Tables.Cell(Units.Milliseconds(row.Time)));
        if (saved) cells.Add(Tables.Cell(Saved(row.Saved)));
        table.AddRow(cells);
    }

    private static string Saved(IReadOnlyList<SavedFile> files)
    {
        string[] paths = [.. files.Where(f => f.Problem is null).Select(f => f.Path)];
        return paths.Length == 0 ? "" : paths.Length == 1 ? paths[0]
            : paths.Length == files.Count ? OutputNames.Stem(paths[0]) + ".*" : string.Join(", ", paths);
    }

    public override void End()
    {
        if (table.Rows.Count > 0) terminal.Show(table);
    }
}

/// <summary>Prints JSON, one object per line.</summary>
internal sealed class JsonWriter(TextWriter output) : DetectionWriter
{
    public override void Write(DetectionRow row) => Json.WriteObject(output, indented: false, json =>
    {
        json.WriteString("path", row.Path);
        json.Number("score", row.Result.Score);
        json.Number("raw_score", row.Result.RawScore);
        json.WriteString("class", row.Result.ClassName);
        json.WriteNumber("width", row.Result.PictureWidth);
        json.WriteNumber("height", row.Result.PictureHeight);
        json.Milliseconds("milliseconds", row.Time);
        if (row.Anomalous is { } anomalous) json.WriteString("verdict", Verdict(anomalous));
        if (row.Regions is { } regions) json.Array("regions", regions, region => Write(json, region));
        foreach (SavedFile file in row.Saved)
        {
            if (file.Problem is null) json.WriteString(Word(file.Kind), file.Path);
            else json.WriteNull(Word(file.Kind));
        }
        if (row.Saved.Any(f => f.Problem is not null))
            json.Array("not_saved", row.Saved.Where(f => f.Problem is not null), file => Write(json, file));
    });

    private static void Write(Utf8JsonWriter json, SavedFile file)
    {
        json.WriteStartObject();
        json.WriteString("file", file.Path);
        json.WriteString("reason", file.Problem);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, AnomalyRegion region)
    {
        json.WriteStartObject();
        json.WriteNumber("x", region.X);
        json.WriteNumber("y", region.Y);
        json.WriteNumber("width", region.Width);
        json.WriteNumber("height", region.Height);
        json.WriteNumber("area", region.Area);
        json.WriteNumber("peak", region.Peak);
        json.WriteNumber("peak_x", region.PeakX);
        json.WriteNumber("peak_y", region.PeakY);
        json.WriteNumber("mean", region.Mean);
        json.WriteNumber("centroid_x", region.CentroidX);
        json.WriteNumber("centroid_y", region.CentroidY);
        json.WriteEndObject();
    }
}

/// <summary>Prints CSV (RFC 4180) with a header row.</summary>
internal sealed class CsvWriter : DetectionWriter
{
    private readonly TextWriter output;

    public CsvWriter(TextWriter output, bool verdict, IEnumerable<Artefact> saved)
    {
        this.output = output;
        WriteLine(
        [
            "path", "score", "raw_score", "class", "width", "height", "milliseconds",
            .. Where(verdict, "verdict"), .. saved.Select(Word),
        ]);
    }

    public override void Write(DetectionRow row) => WriteLine(
    [
        row.Path, $"{row.Result.Score}", $"{row.Result.RawScore}", row.Result.ClassName ?? "",
        $"{row.Result.PictureWidth}", $"{row.Result.PictureHeight}", $"{row.Time.TotalMilliseconds:0.0000}",
        .. Where(row.Anomalous is not null, Verdict(row.Anomalous is true)), .. row.Saved.Select(s => s.Problem is null ? s.Path : ""),
    ]);

    private void WriteLine(IEnumerable<string> fields)
    {
        output.WriteLine(string.Join(',', fields.Select(Quote)));
        output.Flush();
    }

    private static string Quote(string field) =>
        field.AsSpan().IndexOfAny(",\"\r\n") < 0 && field == field.Trim() ? field : $"\"{field.Replace("\"", "\"\"")}\"";
}
