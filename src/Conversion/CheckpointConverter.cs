namespace TinyZsad.Conversion;

/// <summary>How a conversion stores numbers.</summary>
public sealed record ConversionOptions
{
    /// <summary>
    /// Let magnitudes up to 2^-25 become zero, as FP16 has it, rather than keep their tensors in float32. The error is below
    /// 3e-8, as that of rounding other small values is.
    /// </summary>
    public bool FlushToZero { get; init; }
}

/// <summary>
/// Makes models of the authors' checkpoints, without Python: reads <c>.safetensors</c> (also in shards, by their index) and
/// PyTorch's archives (<c>.pt</c>, <c>.pth</c>, TorchScript), renames, and stores weights as FP16. Nothing that a checkpoint
/// holds is executed. Which tensors go where, the systems' specifications say (<c>tests/reference/*/SPEC.md</c>).
/// </summary>
/// <remarks>
/// A written model is whole: it was loaded before it took its place. The same checkpoints always give the same bytes. All methods
/// throw a <see cref="ModelFormatException"/> that names file and tensor where a checkpoint is malformed or is another network's,
/// a <see cref="FileNotFoundException"/> for a missing one, an <see cref="IOException"/> where nothing can be written, and leave
/// no file behind then. Thread safe.
/// </remarks>
public static class CheckpointConverter
{
    /// <summary>Makes a LiZAD model.</summary>
    /// <param name="dinov3">DINOv3 ViT-S/16: Hugging Face's <c>model.safetensors</c>, or Meta's <c>.pth</c>.</param>
    /// <param name="mobileClip">MobileCLIP2-S0 under open_clip's names.</param>
    /// <param name="head">LiZAD's own checkpoint.</param>
    /// <param name="output">The model to write; replaced if it is there.</param>
    /// <param name="classNames">Classes whose embeddings are stored in the model.</param>
    /// <param name="textTower">Whether the text tower stays in the model; without it, only stored classes are known.</param>
    /// <param name="options">How numbers are stored.</param>
    /// <param name="cancellationToken">Stops the work between two tensors.</param>
    /// <exception cref="ArgumentException">
    /// Neither text tower nor classes are wanted, or the output is one of the checkpoints.
    /// </exception>
    public static ConversionReport LiZad(string dinov3, string mobileClip, string head, string output,
        IReadOnlyCollection<string>? classNames = null, bool textTower = true, ConversionOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(output);
        classNames ??= [];
        if (!textTower && classNames.Count == 0)
        {
            throw new ArgumentException(
                "Without its text tower a model knows only stored classes: name some.", nameof(classNames));
        }

        using ModelDraft draft = new();
        LiZadConversion.Fill(draft, dinov3, mobileClip, head);
        return draft.Write(output, options ?? new(), classNames, textTower, cancellationToken);
    }

    /// <summary>Makes an EdgeZSAD model.</summary>
    /// <param name="tinyVit">
    /// TinyViT under timm's, Microsoft's or MobileSAM's names; null where the head's file holds the backbone it was trained with.
    /// </param>
    /// <param name="head">
    /// The readout: a checkpoint or a model of <c>tools/train_edgezsad.py</c>, or a state dict of its tensors alone.
    /// </param>
    /// <param name="output">The model to write; replaced if it is there.</param>
    /// <param name="imageSize">
    /// Pixels each way; null for what the head's file says, or what its TinyViT was published for.
    /// </param>
    /// <param name="topK">Tokens that the score is read from; null for what the head's file says, or one in 64.</param>
    /// <param name="options">How numbers are stored.</param>
    /// <param name="cancellationToken">Stops the work between two tensors.</param>
    /// <exception cref="ArgumentException">A number is out of range, or the output is one of the checkpoints.</exception>
    public static ConversionReport EdgeZsad(string? tinyVit, string head, string output, int? imageSize = null, int? topK = null,
        ConversionOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(output);
        ArgumentOutOfRangeException.ThrowIfLessThan(imageSize ?? 1, 1, nameof(imageSize));
        ArgumentOutOfRangeException.ThrowIfLessThan(topK ?? 1, 1, nameof(topK));
        using ModelDraft draft = new();
        EdgeZsadConversion.Fill(draft, tinyVit, head, imageSize, topK);
        return draft.Write(output, options ?? new(), [], textTower: false, cancellationToken);
    }

    /// <summary>Makes a VisualAD model.</summary>
    /// <param name="backbone">
    /// A CLIP vision transformer under OpenAI's names, in TorchScript or as a state dict; or DINOv2 under Meta's or Hugging
    /// Face's.
    /// </param>
    /// <param name="dinoV2">Whether it is DINOv2.</param>
    /// <param name="head">VisualAD's own checkpoint.</param>
    /// <param name="output">The model to write; replaced if it is there.</param>
    /// <param name="trainedNorm">
    /// Take the final norm that training changed, from the head's checkpoint, rather than the backbone's own, which the published
    /// results were made with.
    /// </param>
    /// <param name="options">How numbers are stored.</param>
    /// <param name="cancellationToken">Stops the work between two tensors.</param>
    /// <exception cref="ArgumentException">The output is one of the checkpoints.</exception>
    public static ConversionReport VisualAd(string backbone, bool dinoV2, string head, string output, bool trainedNorm = false,
        ConversionOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(output);
        using ModelDraft draft = new();
        VisualAdConversion.Fill(draft, backbone, dinoV2, head, trainedNorm);
        return draft.Write(output, options ?? new(), [], textTower: false, cancellationToken);
    }
}
