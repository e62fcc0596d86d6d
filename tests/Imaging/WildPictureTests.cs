using NUnit.Framework;
using TinyZsad.Imaging;

namespace TinyZsad.Tests.Imaging;

/// <summary>
/// Pictures as other programs write them, beyond what the formats allow, against the programs that read them:
/// tests/reference/imaging/wild/make.py.
/// </summary>
public class WildPictureTests
{
    private static readonly ImageLoadOptions Upright = new() { ApplyExifOrientation = true };

    private static string[] Lines { get; } = File.ReadAllLines(TestData.Path("imaging", "wild", "expected.txt"));

    private static IEnumerable<string> Prefixes => Lines.Select(line => line.Split('-')[0]).Distinct();

    [Test]
    public void EveryKindIsThere() => Assert.That(Prefixes, Is.EquivalentTo((string[])["bmp", "orientation", "png", "pnm"]));

    /// <summary>The other program's pixels, or an error where it has one; and the size without decoding.</summary>
    [TestCaseSource(nameof(Prefixes))]
    public void AreReadLikeTheOtherProgramReadsThem(string prefix)
    {
        Assert.Multiple(() =>
        {
            foreach (string[] words in Lines.Select(line => line.Split(' ')).Where(words => words[0].StartsWith(prefix)))
            {
                byte[] file = File.ReadAllBytes(TestData.Path("imaging", "wild", words[0]));
                Exception? error = DamagedPictureTests.Decode(file, limits: null, mostBytes: 1 << 18);
                if (words[2] == "error")
                {
                    Assert.That(error, Is.TypeOf<ImageFormatException>(), words[0]);
                    continue;
                }

                Assert.That(error, Is.Null, words[0]);
                if (error is not null)
                    continue;
                Image image = Image.Load(file, Upright);
                Assert.That($"{image.Width} {image.Height} {PictureFixture.HashOf(image.Pixels)}",
                    Is.EqualTo(string.Join(' ', words[2..])), words[0]);
                ImageInfo info = Image.Identify(file, Upright);
                Assert.That((info.Width, info.Height), Is.EqualTo((image.Width, image.Height)), words[0]);
            }
        });
    }
}
