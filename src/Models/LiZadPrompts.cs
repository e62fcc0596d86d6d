namespace TinyZsad.Models;

/// <summary>
/// Creates the prompts of LiZAD for a class: each template with each state, in the order of templates, then states. All members are
/// thread safe and return a new array.
/// </summary>
internal static class LiZadPrompts
{
    private static readonly string[] NormalStates =
    [
        "{}", "flawless {}", "perfect {}", "unblemished {}", "{} without flaw", "{} without defect", "{} without damage",
    ];

    private static readonly string[] AbnormalStates =
    [
        "damaged {}", "broken {}", "{} with flaw", "{} with defect", "{} with damage",
    ];

    private static readonly string[] Templates =
    [
        "a bad photo of a {}.", "a low resolution photo of the {}.", "a bad photo of the {}.",
        "a cropped photo of the {}.", "a bright photo of a {}.", "a dark photo of the {}.",
        "a photo of my {}.", "a photo of the cool {}.", "a close-up photo of a {}.",
        "a black and white photo of the {}.", "a bright photo of the {}.", "a cropped photo of a {}.",
        "a jpeg corrupted photo of a {}.", "a blurry photo of the {}.", "a photo of the {}.",
        "a good photo of the {}.", "a photo of one {}.", "a close-up photo of the {}.",
        "a photo of a {}.", "a low resolution photo of a {}.", "a photo of a large {}.",
        "a blurry photo of a {}.", "a jpeg corrupted photo of the {}.", "a good photo of a {}.",
        "a photo of the small {}.", "a photo of the large {}.", "a black and white photo of a {}.",
        "a dark photo of a {}.", "a photo of a cool {}.", "a photo of a small {}.",
        "there is a {} in the scene.", "there is the {} in the scene.", "this is a {} in the scene.",
        "this is the {} in the scene.", "this is one {} in the scene.",
    ];

    /// <summary>Creates the 245 prompts of an object without defect.</summary>
    /// <param name="className">The name of the object, such as "metal nut". It is inserted unchanged.</param>
    /// <exception cref="ArgumentException">The name is empty or white space.</exception>
    public static string[] Normal(string className) => Fill(NormalStates, className);

    /// <summary>Creates the 175 prompts of an object with a defect.</summary>
    /// <param name="className">The name of the object, such as "metal nut". It is inserted unchanged.</param>
    /// <exception cref="ArgumentException">The name is empty or white space.</exception>
    public static string[] Abnormal(string className) => Fill(AbnormalStates, className);

    private static string[] Fill(string[] states, string className)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(className);
        string[] objects = Array.ConvertAll(states, state => state.Replace("{}", className, StringComparison.Ordinal));
        return [.. from template in Templates
                   from thing in objects
                   select template.Replace("{}", thing, StringComparison.Ordinal)];
    }
}
