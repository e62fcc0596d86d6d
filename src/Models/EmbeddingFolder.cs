using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Weights;

namespace TinyZsad.Models;

/// <summary>
/// Represents a folder that keeps the embeddings of classes for other detectors and processes. What it gives is what the text tower
/// would compute, bit for bit: an entry holds for one model, one class, one build of the library and one kind of processor. All members
/// are thread safe, and any number of processes may share a folder. A folder that cannot be read or written keeps nothing, without an
/// error.
/// </summary>
/// <remarks>
/// An entry is a safetensors file, but it is not parsed. All of it follows from what it holds for and from its values, so it is written
/// again in memory and compared byte for byte. An entry that is damaged, cut off or foreign is not used, and replaced.
/// </remarks>
internal sealed class EmbeddingFolder
{
    /// <summary>The maximum number of entries; each takes about 5 KiB.</summary>
    public const int Capacity = 1024;

    /// <summary>The longest name of a class that is kept, in UTF-16 units. Longer ones are embedded each time.</summary>
    public const int LongestName = 1 << 14;

    private const string Prefix = "class-", Suffix = ".safetensors", NormalTensor = "text.normal", AbnormalTensor = "text.abnormal";

    /// <summary>The builds of the code that makes prompts and tokens, reads weights and makes the graph.</summary>
    private static readonly string Builds = string.Join(' ',
        new[] { typeof(EmbeddingFolder), typeof(SafetensorsFile), typeof(Device), typeof(WeightLayout) }
            .Select(t => t.Module.ModuleVersionId.ToString("N")));

    private readonly string folder;
    private readonly Func<string> modelSha256;
    private readonly string arithmetic;

    /// <summary>Initializes a folder, which need not exist.</summary>
    /// <param name="folder">The path of the folder.</param>
    /// <param name="modelSha256">Computes the SHA-256 of the model file. It is called when a class is looked up or kept.</param>
    /// <param name="arithmetic">The <see cref="Device.Arithmetic"/> of the device that embeds.</param>
    /// <exception cref="ArgumentException">The path is not valid.</exception>
    public EmbeddingFolder(string folder, Func<string> modelSha256, string arithmetic)
    {
        this.folder = Path.GetFullPath(folder);
        this.modelSha256 = modelSha256;
        this.arithmetic = arithmetic;
    }

    /// <summary>
    /// Gets the folder in the user's cache folder; null if the user has none, as a service without a home folder.
    /// </summary>
    public static string? OfUser
    {
        get
        {
            string? caches = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
            // The specification of XDG ignores relative paths.
            if (!Path.IsPathFullyQualified(caches ?? ""))
            {
                string? home = Environment.GetEnvironmentVariable("HOME");
                caches = OperatingSystem.IsWindows() ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
                    : string.IsNullOrEmpty(home) ? null
                    : OperatingSystem.IsMacOS() ? Path.Combine(home, "Library", "Caches")
                    : Path.Combine(home, ".cache");
            }

            return Path.IsPathFullyQualified(caches ?? "") ? Path.Combine(caches!, "tinyzsad") : null;
        }
    }

    /// <summary>Finds the embedding of a class.</summary>
    /// <param name="className">The class.</param>
    /// <param name="width">The number of values of each vector.</param>
    /// <returns>The embedding; null if the folder does not have it.</returns>
    public ClassEmbedding? Find(string className, int width)
    {
        if (!CanKeep(className)) return null;
        try
        {
            string path = PathOf(className);
            byte[] expected = Encode(className, new ClassEmbedding(new float[width], new float[width]));
            // A pipe or a device has another length, and is not opened. A longer file is not read.
            FileInfo file = new(path);
            if (!file.Exists || file.Length != expected.Length) return null;
            byte[] bytes = new byte[expected.Length];
            using (FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1))
                if (stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) < bytes.Length) return null;

            ReadOnlySpan<float> values = MemoryMarshal.Cast<byte, float>(bytes.AsSpan(bytes.Length - 2 * width * sizeof(float)));
            // The writer orders tensors by name.
            ClassEmbedding found = new(values[width..].ToArray(), values[..width].ToArray());
            if (!AreFinite(found) || !bytes.AsSpan().SequenceEqual(Encode(className, found))) return null;
            MarkAsUsed(path);
            return found;
        }
        catch (Exception e) when (IsTrouble(e))
        {
            return null;
        }
    }

    /// <summary>Keeps the embedding of a class.</summary>
    /// <param name="className">The class.</param>
    /// <param name="embedding">What the text tower computed.</param>
    public void Keep(string className, ClassEmbedding embedding)
    {
        if (!CanKeep(className) || !AreFinite(embedding)) return;
        try
        {
            if (OperatingSystem.IsWindows()) Directory.CreateDirectory(folder);
            else Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            byte[] bytes = Encode(className, embedding);
            AtomicFile.Write(PathOf(className), stream => stream.Write(bytes));
            MakeRoom();
        }
        catch (Exception e) when (IsTrouble(e))
        {
            // The class is embedded again next time.
        }
    }

    /// <summary>Gets the path of the entry of a class. Its name is a hash, so that a class may have any name.</summary>
    internal string PathOf(string className)
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', modelSha256(), Builds, arithmetic, className)));
        return Path.Combine(folder, $"{Prefix}{Convert.ToHexStringLower(hash)}{Suffix}");
    }

    /// <summary>Creates the content of an entry.</summary>
    internal byte[] Encode(string className, ClassEmbedding embedding)
    {
        byte[] values =
            [.. MemoryMarshal.AsBytes<float>(embedding.Normal), .. MemoryMarshal.AsBytes<float>(embedding.Abnormal)];
        using MemoryStream stream = new();
        SafetensorsWriter.Write(stream,
            [
                TensorDeclaration.FromValues<float>(NormalTensor, [embedding.Normal.Length], embedding.Normal),
                TensorDeclaration.FromValues<float>(AbnormalTensor, [embedding.Abnormal.Length], embedding.Abnormal),
            ],
            [
                new("format", "tinyzsad-class"), new("format_version", "1"), new("model", modelSha256()), new("builds", Builds),
                new("arithmetic", arithmetic), new("class", className),
                new("sha256", Convert.ToHexStringLower(SHA256.HashData(values))),
            ]);
        return stream.ToArray();
    }

    /// <summary>Determines whether a name is short enough and has no half of a surrogate pair, which the format cannot hold.</summary>
    private static bool CanKeep(string className) =>
        className.Length <= LongestName && SafetensorsWriter.IsWellFormed(className);

    private static bool AreFinite(ClassEmbedding embedding) =>
        embedding.Normal.All(float.IsFinite) && embedding.Abnormal.All(float.IsFinite);

    private static void MarkAsUsed(string path)
    {
        try
        {
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
        }
        catch (Exception e) when (IsTrouble(e))
        {
            // Only the order in which entries are deleted depends on the time.
        }
    }

    /// <summary>Deletes the entries that were used longest ago if there are too many.</summary>
    private void MakeRoom()
    {
        FileInfo[] entries = [.. new DirectoryInfo(folder).EnumerateFiles($"{Prefix}*{Suffix}").Where(f => IsEntry(f.Name))];
        foreach (FileInfo old in entries.OrderBy(f => f.LastWriteTimeUtc).Take(entries.Length - Capacity)) old.Delete();
    }

    /// <summary>Determines whether a file has the name of an entry. Others, which a user may have put there, are left alone.</summary>
    private static bool IsEntry(string name) =>
        name.Length == Prefix.Length + 2 * SHA256.HashSizeInBytes + Suffix.Length
        && name[Prefix.Length..^Suffix.Length].All(char.IsAsciiHexDigitLower);

    /// <summary>Determines whether an exception says that the folder, an entry or the model file cannot be read or written.</summary>
    private static bool IsTrouble(Exception e) =>
        e is IOException or UnauthorizedAccessException or NotSupportedException or ModelFormatException;
}
