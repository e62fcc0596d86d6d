using TinyZsad.Imaging;
using TinyZsad.Weights;

namespace TinyZsad.Cli;

/// <summary>Represents a file that was saved for a picture, or that could not be saved.</summary>
/// <param name="Kind">What the file holds.</param>
/// <param name="Path">The path of the file.</param>
/// <param name="Problem">Why it could not be saved; null if it was.</param>
internal sealed record SavedFile(Artefact Kind, string Path, string? Problem);

/// <summary>Saves files for pictures in a folder. A file is complete, or it is not there.</summary>
internal sealed class OutputFolder
{
    /// <summary>The bytes that are written to find out whether the folder takes any.</summary>
    private const int ProbeBytes = 4096;

    private readonly OutputNames names;
    private readonly IReadOnlyList<Artefact> kinds;

    /// <summary>Creates the folder if it does not exist, and checks that files can be written to it.</summary>
    /// <param name="names">The names of the files.</param>
    /// <param name="kinds">What to save for each picture.</param>
    /// <exception cref="UsageException">The folder is a file, or nothing can be written to it.</exception>
    public OutputFolder(OutputNames names, IReadOnlyList<Artefact> kinds)
    {
        this.names = names;
        this.kinds = kinds;
        string folder = names.Folder;
        if (File.Exists(folder)) throw new UsageException($"--out {folder}: this is a file; name a folder.");
        try
        {
            Directory.CreateDirectory(folder);
            string probe = Path.Combine(folder, $".{Path.GetRandomFileName()}.tmp");
            using FileStream file = new(probe, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
            file.Write(new byte[ProbeBytes]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--out {folder}: no file can be written there: {e.Message}");
        }
    }

    /// <summary>Assigns the names of the files of the next picture.</summary>
    public Func<Artefact, string> Next(Picture picture) => names.Next(picture);

    /// <summary>Saves the files of a picture. One that cannot be saved does not stop the others.</summary>
    /// <param name="name">The names of the files.</param>
    /// <param name="image">Its pixels.</param>
    /// <param name="result">The result.</param>
    /// <param name="threshold">The threshold of masks; null without one.</param>
    /// <param name="regions">The regions that overlays outline; null for none.</param>
    /// <param name="cancellationToken">Cancels saving. No partial file is left.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public IReadOnlyList<SavedFile> Save(Func<Artefact, string> name, Image image, AnomalyResult result, float? threshold,
        IReadOnlyList<AnomalyRegion>? regions, CancellationToken cancellationToken)
    {
        return [.. kinds.Select(kind => new SavedFile(kind, name(kind), TrySave(name(kind), file =>
        {
            using CancellableStream stream = new(file, cancellationToken);
            Write(kind, stream, image, result, threshold, regions);
        }, cancellationToken)))];
    }

    private static string? TrySave(string path, Action<Stream> write, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        string full = Path.GetFullPath(path);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            AtomicFile.Write(path, write);
            return null;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // .NET appends the path, which is told already.
            return Tool.Explain(e).Replace($" : '{full}'", "", StringComparison.Ordinal);
        }
    }

    private static void Write(
        Artefact kind, Stream stream, Image image, AnomalyResult result, float? threshold, IReadOnlyList<AnomalyRegion>? regions)
    {
        AnomalyMap map = result.PictureMap;
        (float low, float high) = Range(map.Values);
        switch (kind)
        {
            case Artefact.Overlay:
                OverlayOptions options = new()
                {
                    Low = low, High = high, Score = result.Score, Boxes = [.. (regions ?? []).Select(r => r.Bounds)],
                };
                result.RenderOverlay(image.View, options).SavePng(stream);
                break;
            case Artefact.Map:
                Heatmap.Render(map.Values, map.Width, map.Height, low, high).SavePng(stream);
                break;
            case Artefact.Mask:
                Mask.SavePng(stream, map.Values, map.Width, map.Height, threshold!.Value);
                break;
            default:
                NpyWriter.Save(stream, map.Values, map.Width, map.Height);
                break;
        }
    }

    /// <summary>
    /// Gets the value range of the colors: 0 to 1 for probabilities, so that pictures are comparable; otherwise extended to the
    /// values of the map.
    /// </summary>
    private static (float Low, float High) Range(ReadOnlySpan<float> map)
    {
        float low = 0, high = 1;
        foreach (float x in map)
        {
            if (x < low) low = x;
            if (x > high) high = x;
        }
        return (low, high);
    }
}
