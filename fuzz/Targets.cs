namespace TinyZsad.Fuzz;

/// <summary>Every parser of the project that reads what others wrote.</summary>
internal static class Targets
{
    public static FuzzTarget[] All { get; } =
    [
        WeightTargets.Torch, WeightTargets.Pickles, WeightTargets.Safetensors, WeightTargets.Shards, ModelTargets.Model,
        TextTargets.Manifest, TextTargets.Dataset, TextTargets.Vocabulary, TextTargets.Tokenizer,
        PictureTargets.Png, PictureTargets.PngMetadata, PictureTargets.Bmp, PictureTargets.Pnm, PictureTargets.Jpeg,
        PictureTargets.Tiff,
    ];
}
