namespace TinyZsad.Models.Nano;

/// <summary>
/// Provides the model that is embedded in this assembly, <c>models/edgezsad-nano.safetensors</c> of the repository. It is an EdgeZSAD
/// file that was trained on synthetic surfaces only, for first trials and smoke tests. It does not replace the published systems.
/// </summary>
internal static class NanoModel
{
    /// <summary>The name of the file.</summary>
    public const string Name = "edgezsad-nano.safetensors";

    /// <summary>Opens the file in the mapped assembly, without a copy.</summary>
    public static UnmanagedMemoryStream Open() =>
        (UnmanagedMemoryStream)typeof(NanoModel).Assembly.GetManifestResourceStream(Name)!;
}
