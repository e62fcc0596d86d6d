using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using TinyZsad.Benchmarks;
using TinyZsad.KernelCases;

// dotnet run -c Release --project bench -- --filter '*Kernel*'
// dotnet run -c Release --project bench -- smoke
IConfig config = DefaultConfig.Instance.AddColumn(new RateColumn("GFLOP/s", c => c.Flops), new RateColumn("GB/s", c => c.Bytes))
    .WithSummaryStyle(SummaryStyle.Default.WithMaxParameterColumnWidth(80));    // shows the full names of the cases
if (args is ["smoke"]) (args, config) = Smoke.Begin(config);
Summary[] summaries = [.. BenchmarkSwitcher.FromAssembly(typeof(KernelBenchmarks).Assembly).Run(args, config)];
if (Smoke.Runs)
{
    Console.WriteLine($"Ran: {string.Join(", ", summaries.SelectMany(s => s.Reports).Where(r => r.Success)
        .Select(r => $"{r.BenchmarkCase.Descriptor.Type.Name}.{r.BenchmarkCase.Descriptor.WorkloadMethod.Name}").Distinct())}.");
    foreach (string folder in summaries.Select(s => s.ResultsDirectoryPath).Distinct().Where(Directory.Exists))
        Directory.Delete(Path.GetDirectoryName(folder)!, recursive: true);
}

return summaries.Any(s => s.HasCriticalValidationErrors || s.Reports.Any(r => !r.Success)) ? 1 : 0;

/// <summary>Shows the work of a case divided by its time.</summary>
internal sealed class RateColumn(string name, Func<KernelCase, double> work) : IColumn
{
    public string Id => name;
    public string ColumnName => name;
    public bool AlwaysShow => false;
    public ColumnCategory Category => ColumnCategory.Custom;
    public int PriorityInCategory => 0;
    public bool IsNumeric => true;
    public UnitType UnitType => UnitType.Dimensionless;
    public string Legend => $"{name} of the median";
    public bool IsAvailable(Summary summary) => summary.BenchmarksCases.Any(b => b.Descriptor.Type == typeof(KernelBenchmarks));
    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;
    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) => GetValue(summary, benchmarkCase);

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase)
    {
        string? shown = benchmarkCase.Parameters["Case"] as string;
        KernelCase? kernel = KernelCase.All.FirstOrDefault(c => c.Name == shown);
        return kernel is null || summary[benchmarkCase]?.ResultStatistics is not { } s || work(kernel) == 0 ? "-"
            : (work(kernel) / s.Median).ToString("F1", System.Globalization.CultureInfo.InvariantCulture);
    }
}
