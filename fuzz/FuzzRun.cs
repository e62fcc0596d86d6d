using System.Diagnostics;
using System.Globalization;

namespace TinyZsad.Fuzz;

/// <summary>One parser for a given time.</summary>
/// <remarks>
/// Without a view of which code an input reaches, an input that ends in a way not seen before is taken for a new way in: it
/// joins those that are damaged further.
/// </remarks>
internal sealed class FuzzRun(FuzzTarget target, TextWriter output)
{
    /// <summary>The most inputs that are kept beside the seeds, and ways to end that are told apart.</summary>
    private const int MaxFound = 4096, MaxKinds = 1 << 16;

    /// <summary>How often memory outside the heap is looked at, in inputs.</summary>
    private const int Batch = 64;

    /// <summary>What the collector, the compiler and the process itself may hold beside what the target states.</summary>
    private const long Slack = 256 << 20;

    private readonly HashSet<string> kinds = [];
    private readonly List<byte[]> found = [];
    private long inputs, valid, largest;
    private double slowest;

    /// <summary>How to try an input again.</summary>
    public static string Repeat(FuzzTarget target, string path) =>
        $"To repeat it: dotnet run -c Release --project fuzz -- {target.Name} --input \"{path}\"";

    /// <summary>Tries inputs until the time is up or a promise is broken.</summary>
    /// <param name="time">How long.</param>
    /// <param name="seed">Of the random numbers.</param>
    /// <param name="corpus">A folder of further good inputs, which receives what is found; null for none.</param>
    /// <returns>Whether all promises were kept.</returns>
    public bool Run(TimeSpan time, int seed, string? corpus)
    {
        byte[][] seeds = [.. target.Seeds(), .. Read(corpus)];
        Random random = new(seed);
        Mutator mutator = new(target, random);
        using Examiner examiner = new(target);
        using Watchdog watchdog = new(target, Path.GetFullPath($"{target.Name}.last"));
        List<byte[]> batch = [];
        foreach (byte[] input in seeds)
            if (!Try(input)) return false;
        long before = PeakMemory.Bytes();
        Stopwatch clock = Stopwatch.StartNew();
        while (clock.Elapsed < time)
        {
            byte[] input = mutator.Mutate(Pick(), Pick());
            if (!Try(input)) return false;
            batch.Add(input);
            if (batch.Count < Batch) continue;
            long grown = PeakMemory.Bytes() - before;
            if (grown > Slack + target.BytesFor(target.MaxLength))
                return Broken($"the process grew by {grown >> 20} MiB within these {Batch} inputs or before", [.. batch]);
            batch.Clear();
        }
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{target.Name,-12} {inputs,10} inputs {inputs / clock.Elapsed.TotalSeconds,8:F0}/s {kinds.Count,5} outcomes "
            + $"{valid,9} valid   slowest {slowest,7:F1} ms   largest {largest / 1048576.0,7:F2} MB   "
            + $"grown {(PeakMemory.Bytes() - before) / 1048576.0,6:F1} MB   {clock.Elapsed.TotalSeconds,5:F0} s"));
        return true;

        byte[] Pick() => found.Count > 0 && random.Next(2) == 0 ? found[random.Next(found.Count)] : seeds[random.Next(seeds.Length)];

        bool Try(byte[] input)
        {
            watchdog.Begin(input);
            Outcome outcome = examiner.Examine(input);
            watchdog.End();
            inputs++;
            if (outcome.Valid) valid++;
            slowest = Math.Max(slowest, outcome.Milliseconds);
            largest = Math.Max(largest, outcome.Bytes);
            if (outcome.Broken is not null) return Broken(outcome.Broken, input);
            if (kinds.Count < MaxKinds && kinds.Add(outcome.Kind) && found.Count < MaxFound)
            {
                found.Add(input);
                if (corpus is not null) Save(Directory.CreateDirectory(corpus).FullName, input);
            }
            return true;
        }
    }

    private bool Broken(string what, params byte[][] guilty)
    {
        string folder = Directory.CreateDirectory(Path.GetFullPath(Path.Combine("findings", target.Name))).FullName;
        foreach (byte[] input in guilty)
            output.WriteLine($"{target.Name}: {what}\n{Repeat(target, Save(folder, input))}");
        return false;
    }

    private static string Save(string folder, byte[] input)
    {
        string hash = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(input))[..16];
        string path = Path.Combine(folder, hash);
        File.WriteAllBytes(path, input);
        return path;
    }

    private IEnumerable<byte[]> Read(string? folder) => Directory.Exists(folder)
        ? Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal).Select(File.ReadAllBytes)
            .Where(b => b.Length <= target.MaxLength)
        : [];
}
