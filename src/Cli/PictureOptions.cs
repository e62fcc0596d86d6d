using System.Buffers;
using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Numerics;
using TinyZsad.Imaging;

namespace TinyZsad.Cli;

/// <summary>Handles the options that tell how pictures are read.</summary>
internal sealed class PictureOptions
{
    /// <summary>The names of the limits in the library's messages, and the options that set them.</summary>
    private static readonly (string Property, string Option)[] Limits =
    [
        ($"{nameof(ImageLimits)}.{nameof(ImageLimits.MaxPixels)}", "--max-pixels"),
        ($"{nameof(ImageLimits)}.{nameof(ImageLimits.MaxEncodedBytes)}", "--max-bytes"),
    ];

    private const int LeastBits = 8, AllBits = 16;

    private readonly Option<bool> exifOrientation = Arguments.Flag("--exif-orientation",
        "Rotate JPEG, PNG and TIFF pictures by the orientation in their Exif data, XMP or tags (default: use them as stored).");

    private readonly Option<int> bits = new("--bits")
    {
        Description = $"How many of their bits 16-bit samples use: {LeastBits} to {AllBits}, or auto for the fewest that hold a "
            + $"picture's largest sample.",
        HelpName = "N|auto",
        DefaultValueFactory = _ => AllBits,
        CustomParser = result =>
        {
            string text = result.Tokens[0].Value;
            if (text == "auto") return ImageLoadOptions.AutoSignificantBits;
            if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int n) || n is < LeastBits or > AllBits)
                result.AddError($"--bits is a whole number from {LeastBits} to {AllBits} or auto, not '{text}'.");
            return n;
        },
    };

    private readonly Option<int> page = Arguments.Whole("--page", "The page of TIFF pictures.", 1, 1, int.MaxValue);

    private readonly Option<int> maxPixels = Arguments.Whole("--max-pixels",
        "The most pixels of a picture. A picture takes about 3 bytes a pixel.", ImageLimits.Default.MaxPixels, 1, Array.MaxLength / 3);

    private readonly Option<int> maxBytes = Arguments.Whole("--max-bytes",
        "The most bytes of a picture's file.", ImageLimits.Default.MaxEncodedBytes, 1, Array.MaxLength);

    /// <summary>Adds the options to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="picture">The option that names the picture, without which the others mean nothing; null if there is always one.</param>
    public PictureOptions(Command command, Option? picture = null)
    {
        Option[] options = [exifOrientation, bits, page, maxPixels, maxBytes];
        foreach (Option option in options) command.Add(option);
        if (picture is null) return;
        command.Validators.Add(result =>
        {
            if (result.GetResult(picture) is null && Array.Find(options, o => result.GetResult(o) is { Implicit: false }) is { } given)
                result.AddError($"{given.Name} says how a picture is read: add {picture.Name} {picture.HelpName}.");
        });
    }

    /// <summary>Gets the extensions of the pictures that are read.</summary>
    public static IEnumerable<string> Extensions => new ImageLoadOptions().WithTiff().Formats.SelectMany(f => f.Extensions);

    /// <summary>Gets how pictures are read.</summary>
    public ImageLoadOptions Of(ParseResult parsed) => new ImageLoadOptions
    {
        Pool = ArrayPool<byte>.Shared,
        ApplyExifOrientation = parsed.GetValue(exifOrientation),
        SignificantBits = parsed.GetValue(bits),
        Limits = new ImageLimits { MaxPixels = parsed.GetValue(maxPixels), MaxEncodedBytes = parsed.GetValue(maxBytes) },
    }.WithTiff(parsed.GetValue(page));

    /// <summary>Returns whether the user asked for a page.</summary>
    public bool IsPageGiven(ParseResult parsed) => parsed.GetResult(page) is { Implicit: false };

    /// <summary>Returns warnings about a picture, of which less is examined than its user may expect.</summary>
    /// <returns>What several such pictures do, in words, and the warning about this one.</returns>
    /// <param name="path">The path of the picture.</param>
    /// <param name="image">The picture.</param>
    /// <param name="options">How it was read.</param>
    /// <param name="isPageGiven">Whether the user asked for a page.</param>
    public static IEnumerable<(string Kind, string Warning)> Warnings(string path, Image image, ImageLoadOptions options, bool isPageGiven)
    {
        if (image.HasFurtherPages && !isPageGiven)
            yield return ("have further pages", $"{path} has further pages; the first is examined, and --page N examines another.");
        if (options.SignificantBits == ImageLoadOptions.AutoSignificantBits || image.LargestSample is not { } largest) yield break;
        int needed = Math.Max(BitOperations.Log2((uint)largest) + 1, LeastBits);
        if (options.SignificantBits == AllBits && largest < (1 << AllBits) / 16)
        {
            yield return ("use less than a sixteenth of the range of 16-bit samples; see --bits",
                $"{path}: its largest 16-bit sample is {largest}, so that at most {(largest >> 8) + 1} of 256 levels are left; "
                + $"if its samples have {needed} bits, add --bits {needed} (or --bits auto).");
        }
        if (needed > options.SignificantBits)
        {
            yield return ($"have samples of more bits than --bits {options.SignificantBits} states",
                $"{path}: its largest sample is {largest}, which takes {needed} bits; with --bits {options.SignificantBits} it is cut "
                + "to white.");
        }
    }

    /// <summary>Names the tool's options in a message of the library, instead of the properties that they set.</summary>
    public static string Translate(string message) =>
        Limits.Aggregate(message, (text, limit) => text.Replace(limit.Property, limit.Option, StringComparison.Ordinal));
}
