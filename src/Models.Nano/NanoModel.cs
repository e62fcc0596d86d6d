namespace TinyZsad.Models.Nano;

/// <summary>
/// The model in the box, as a resource of this assembly: <c>models/edgezsad-nano.safetensors</c> of the repository. It is an
/// ordinary EdgeZSAD file, trained on drawn surfaces only: a try-out and a smoke test, no substitute for the trained systems.
/// </summary>
internal static class NanoModel
{
    /// <summary>What the file is called.</summary>
    public const string Name = "edgezsad-nano.safetensors";

    /// <summary>The file where it lies in the mapped assembly; nothing is copied.</summary>
    public static UnmanagedMemoryStream Open() =>
        (UnmanagedMemoryStream)typeof(NanoModel).Assembly.GetManifestResourceStream(Name)!;
}
