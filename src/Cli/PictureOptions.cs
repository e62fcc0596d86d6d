using System.Buffers;
using System.CommandLine;
using System.CommandLine.Parsing;
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

    private readonly Option<bool> exifOrientation = Arguments.Flag("--exif-orientation",
        "Rotate JPEG and PNG pictures by their Exif orientation (default: use them as stored).");

    private readonly Option<int> maxPixels = Arguments.Whole("--max-pixels",
        "The most pixels of a picture. A picture takes about 3 bytes a pixel.", ImageLimits.Default.MaxPixels, 1, Array.MaxLength / 3);

    private readonly Option<int> maxBytes = Arguments.Whole("--max-bytes",
        "The most bytes of a picture's file.", ImageLimits.Default.MaxEncodedBytes, 1, Array.MaxLength);

    /// <summary>Adds the options to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="picture">The option that names the picture, without which the others mean nothing; null if there is always one.</param>
    public PictureOptions(Command command, Option? picture = null)
    {
        Option[] options = [exifOrientation, maxPixels, maxBytes];
        foreach (Option option in options) command.Add(option);
        if (picture is null) return;
        command.Validators.Add(result =>
        {
            if (result.GetResult(picture) is null && Array.Find(options, o => result.GetResult(o) is { Implicit: false }) is { } given)
                result.AddError($"{given.Name} says how a picture is read: add {picture.Name} {picture.HelpName}.");
        });
    }

    /// <summary>Gets the extensions of the pictures that are read.</summary>
    public static IEnumerable<string> Extensions => Formats.Formats.SelectMany(f => f.Extensions);

    private static ImageLoadOptions Formats { get; } = new() { Pool = ArrayPool<byte>.Shared };

    /// <summary>Gets how pictures are read.</summary>
    public ImageLoadOptions Of(ParseResult parsed) => Formats with
    {
        ApplyExifOrientation = parsed.GetValue(exifOrientation),
        Limits = new ImageLimits { MaxPixels = parsed.GetValue(maxPixels), MaxEncodedBytes = parsed.GetValue(maxBytes) },
    };

    /// <summary>Names the tool's options in a message of the library, instead of the properties that they set.</summary>
    public static string Translate(string message) =>
        Limits.Aggregate(message, (text, limit) => text.Replace(limit.Property, limit.Option, StringComparison.Ordinal));
}
