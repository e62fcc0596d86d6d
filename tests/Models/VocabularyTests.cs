using System.IO.Compression;
using System.Text;
using NUnit.Framework;
using TinyZsad.Models;

namespace TinyZsad.Tests.Models;

/// <summary>A table of merges that is none of CLIP's is refused, and said where.</summary>
public sealed class VocabularyTests
{
    [TestCase("", "at merge 0 of 48894: it ends")]
    [TestCase("version\ni n\nt h\n", "at merge 2 of 48894: it ends")]
    [TestCase("version\nin\n", "no two symbols")]
    [TestCase("version\ni n\nin g\ninger s\n", "at merge 2 of 48894: a line joins a symbol that none before it makes")]
    [TestCase("version\ni n\ni n\n", "makes a symbol that is there already")]
    public void A_wrong_table_is_refused(string table, string says) => Refuses(new MemoryStream(Encoding.UTF8.GetBytes(table)), says);

    [Test]
    public void A_line_without_end_is_refused() => Refuses(new MemoryStream(new byte[1 << 20]), "longer than 65536 bytes");

    [Test]
    public void Damaged_compression_is_refused() =>
        Refuses(new GZipStream(new MemoryStream([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff]), CompressionMode.Decompress),
            "compressed bytes are damaged");

    private static void Refuses(Stream table, string says)
    {
        using (table)
        {
            Assert.That(Assert.Throws<ModelFormatException>(() => _ = new BytePairMerges(table))!.Message,
                Does.StartWith("The vocabulary, ").And.Contain(says));
        }
    }
}
