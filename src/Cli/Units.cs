namespace TinyZsad.Cli;

/// <summary>Formats numbers for the tables of the tool.</summary>
internal static class Units
{
    public static string Bytes(long bytes) => bytes switch
    {
        < 1 << 10 => $"{bytes} B",
        < 1 << 20 => $"{bytes / 1024.0:0.0} KiB",
        < 1 << 30 => $"{bytes / (1024.0 * 1024):0.0} MiB",
        _ => $"{bytes / (1024.0 * 1024 * 1024):0.00} GiB",
    };

    public static string Count(long n) => n.ToString("N0");

    public static string Milliseconds(TimeSpan time) => $"{time.TotalMilliseconds:0.00} ms";

    public static string Error(double error) => double.IsNaN(error) ? "NaN" : error == 0 ? "0" : error.ToString("0.00e+0");

    public static string Shape<T>(IEnumerable<T> shape) => $"[{string.Join(", ", shape)}]";

    public static string Plural(int n, string one) => n == 1 ? $"1 {one}" : $"{n} {one}s";
}
