namespace TinyZsad.Conversion;

/// <summary>Provides the options of a conversion. Instances are immutable and thread safe.</summary>
public sealed record ConversionOptions
{
    /// <summary>
    /// Gets a value that indicates whether magnitudes up to 2^-25 are stored as 0, as FP16 rounds them. If <see langword="false"/>, the
    /// default, tensors with such values are stored as float32. The error of 0 is below 3e-8, the same as that of other small values.
    /// </summary>
    public bool FlushToZero { get; init; }
}

/// <summary>
/// Converts published checkpoints to model files, without Python. It reads <c>.safetensors</c> files (also shards with an index) and
/// PyTorch archives (<c>.pt</c>, <c>.pth</c>, TorchScript), renames the tensors, and stores weights as FP16. No content of a checkpoint
/// is executed. The tensors of each system are specified in <c>tests/reference/*/SPEC.md</c>.
/// </summary>
/// <remarks>
/// The model is written to a temporary file in the folder of the output, loaded as a check, and then moved. A failure leaves no partial
/// file and does not change an existing output. The same checkpoints always give the same bytes. All methods are thread safe.
/// </remarks>
public static class CheckpointConverter
{
    /// <summary>Creates a LiZAD model.</summary>
    /// <param name="dinov3">
    /// The path of DINOv3 ViT-S/16: <c>model.safetensors</c> of Hugging Face, or the <c>.pth</c> file of Meta.
    /// </param>
    /// <param name="mobileClip">The path of MobileCLIP2-S0 with the tensor names of open_clip.</param>
    /// <param name="head">The path of the checkpoint of LiZAD.</param>
    /// <param name="output">The path of the model. An existing file is replaced.</param>
    /// <param name="classNames">The classes whose embeddings are stored in the model; null for none.</param>
    /// <param name="textTower">
    /// <see langword="true"/> to store the text tower. Without it, the model supports only the stored classes.
    /// </param>
    /// <param name="options">The options; null for the defaults.</param>
    /// <param name="cancellationToken">The token that cancels the conversion.</param>
    /// <returns>The report of the conversion.</returns>
    /// <exception cref="ArgumentException">
    /// A path is null or empty, there is neither a text tower nor a class, or the output is one of the checkpoints.
    /// </exception>
    /// <exception cref="FileNotFoundException">A checkpoint does not exist.</exception>
    /// <exception cref="ModelFormatException">
    /// A checkpoint is malformed, has another network, or holds a weight that is not finite; or the checkpoints do not match.
    /// </exception>
    /// <exception cref="IOException">The output cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The conversion is cancelled.</exception>
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

    /// <summary>Creates an EdgeZSAD model.</summary>
    /// <param name="tinyVit">
    /// The path of TinyViT with the tensor names of timm, Microsoft or MobileSAM; null if the file of the head holds its backbone.
    /// </param>
    /// <param name="head">
    /// The path of the readout: a checkpoint or model of <c>tools/train_edgezsad.py</c>, or a state dict of the readout only.
    /// </param>
    /// <param name="output">The path of the model. An existing file is replaced.</param>
    /// <param name="imageSize">
    /// The width and height of images in pixels; null for the size in the file of the head, or that of the published TinyViT.
    /// </param>
    /// <param name="topK">
    /// The number of tokens whose mean enters the score; null for the number in the file of the head, or 1 of 64 tokens.
    /// </param>
    /// <param name="options">The options; null for the defaults.</param>
    /// <param name="cancellationToken">The token that cancels the conversion.</param>
    /// <returns>The report of the conversion.</returns>
    /// <exception cref="ArgumentException">
    /// A path is null or empty, a number is out of range, or the output is one of the checkpoints.
    /// </exception>
    /// <exception cref="FileNotFoundException">A checkpoint does not exist.</exception>
    /// <exception cref="ModelFormatException">
    /// A checkpoint is malformed, has another network, or holds a weight that is not finite; or the checkpoints do not match.
    /// </exception>
    /// <exception cref="IOException">The output cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The conversion is cancelled.</exception>
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

    /// <summary>Creates a VisualAD model.</summary>
    /// <param name="backbone">
    /// The path of a CLIP vision transformer with the tensor names of OpenAI, as TorchScript or state dict, or of DINOv2 with the names
    /// of Meta or Hugging Face.
    /// </param>
    /// <param name="dinoV2">Whether the backbone is DINOv2.</param>
    /// <param name="head">The path of the checkpoint of VisualAD.</param>
    /// <param name="output">The path of the model. An existing file is replaced.</param>
    /// <param name="trainedNorm">
    /// <see langword="true"/> to use the trained final norm in the checkpoint of the head; <see langword="false"/> to use that of the
    /// backbone, as for the published results.
    /// </param>
    /// <param name="options">The options; null for the defaults.</param>
    /// <param name="cancellationToken">The token that cancels the conversion.</param>
    /// <returns>The report of the conversion.</returns>
    /// <exception cref="ArgumentException">A path is null or empty, or the output is one of the checkpoints.</exception>
    /// <exception cref="FileNotFoundException">A checkpoint does not exist.</exception>
    /// <exception cref="ModelFormatException">
    /// A checkpoint is malformed, has another network, or holds a weight that is not finite; or the checkpoints do not match.
    /// </exception>
    /// <exception cref="IOException">The output cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The conversion is cancelled.</exception>
    public static ConversionReport VisualAd(string backbone, bool dinoV2, string head, string output, bool trainedNorm = false,
        ConversionOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(output);
        using ModelDraft draft = new();
        VisualAdConversion.Fill(draft, backbone, dinoV2, head, trainedNorm);
        return draft.Write(output, options ?? new(), [], textTower: false, cancellationToken);
    }
}
