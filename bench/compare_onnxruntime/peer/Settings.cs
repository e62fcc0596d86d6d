namespace TinyZsad.Peer;

/// <summary>Represents the arguments.</summary>
internal sealed record Settings(string Graph, string Picture, int Threads, int Inter, int Callers, int Sessions, int Batch,
    int Warmup, int Runs, string? Outputs)
{
    public static Settings Read(string[] args)
    {
        if (args.Length < 2 || args.Length % 2 != 0)
            throw new ArgumentException("A graph, a picture and pairs of an option and its value are needed; see Program.cs.");
        Dictionary<string, string> options = [];
        for (int i = 2; i < args.Length; i += 2) options[args[i]] = args[i + 1];
        Settings settings = new(args[0], args[1], Take("--threads", 1), Take("--inter", 1), Take("--callers", 1), Take("--sessions", 1),
            Take("--batch", 1), Take("--warmup", 1), Take("--runs", 20), options.Remove("--outputs", out string? path) ? path : null);
        if (options.Count > 0) throw new ArgumentException($"{options.Keys.First()} is no option; see Program.cs.");
        if (settings.Sessions != 1 && settings.Sessions != settings.Callers)
            throw new ArgumentException("--sessions is 1 or the number of callers.");
        return settings;

        int Take(string name, int fallback)
        {
            if (!options.Remove(name, out string? text)) return fallback;
            int least = name == "--runs" ? 0 : 1;
            return int.TryParse(text, out int n) && n >= least ? n
                : throw new ArgumentException($"{name} is a whole number of at least {least}, not '{text}'.");
        }
    }
}
