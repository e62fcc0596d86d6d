using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Models;

namespace TinyZsad.Tests.Models;

/// <summary>
/// The tokenizer against the official one (the reference cases) and its readable companion (tokenizer_strings.json).
/// </summary>
public sealed class ClipTokenizerTests
{
    private static readonly string[] Cases = ["text", "tiny"];

    // Needs ftfy's repair of wrongly decoded text, which is left out by design.
    private const string Mojibake = "sch\u00c3\u00b6n besch\u00c3\u00a4digt";

    [TestCaseSource(nameof(Cases))]
    public void Reference_strings_have_the_official_ids(string name)
    {
        using JsonDocument strings = JsonDocument.Parse(File.ReadAllBytes(TestData.Path("lizad", name, "strings.json")));
        int[][] tokens = TokenTable.Read(TestData.Path("lizad", name, "tokens.safetensors"), "strings");
        string[] texts = [.. strings.RootElement.EnumerateArray().Select(s => s.GetProperty("text").GetString()!)];
        int[][] listed = [.. strings.RootElement.EnumerateArray().Select(s => Padded(Ids(s.GetProperty("tokens"))))];
        int[][] ours = [.. texts.Select(ClipTokenizer.Shared.Encode)];

        Assert.That(listed, Is.EqualTo(tokens), "strings.json and tokens.safetensors agree");
        string[] unequal = [.. texts.Where((_, i) => !ours[i].AsSpan().SequenceEqual(tokens[i]))];
        Assert.That(unequal, Is.EqualTo(texts.Where(text => text == Mojibake)));
        Assert.That(texts.Contains(Mojibake), Is.EqualTo(name == "text"));
    }

    [TestCaseSource(nameof(Cases))]
    public void Reference_prompts_have_the_official_ids(string name)
    {
        using JsonDocument prompts = JsonDocument.Parse(File.ReadAllBytes(TestData.Path("lizad", name, "prompts.json")));
        string className = prompts.RootElement.GetProperty("class_name").GetString()!;
        foreach ((string kind, string[] ours) in new[]
            { ("normal", LiZadPrompts.Normal(className)), ("abnormal", LiZadPrompts.Abnormal(className)) })
        {
            Assert.That(ours, Is.EqualTo(prompts.RootElement.GetProperty(kind).EnumerateArray().Select(p => p.GetString())));
            Assert.That(ours.Select(ClipTokenizer.Shared.Encode),
                Is.EqualTo(TokenTable.Read(TestData.Path("lizad", name, "tokens.safetensors"), kind)));
        }
    }

    [Test]
    public void Many_kinds_of_strings_have_the_ids_of_the_reference_tokenizer()
    {
        using JsonDocument fixture = Fixture();
        int count = 0;
        Assert.Multiple(() =>
        {
            foreach (JsonElement row in fixture.RootElement.GetProperty("cases").EnumerateArray())
            {
                string text = string.Concat(Enumerable.Repeat(row[0].GetString(), row[1].GetInt32()));
                int[] expected = Padded(Ids(row[2]));
                int[] ids = new int[ClipTokenizer.ContextLength];
                int pooled = ClipTokenizer.Shared.Encode(text, ids);
                Assert.That(ids, Is.EqualTo(expected), () => $"{row[0].GetRawText()} x {row[1]}");
                Assert.That(pooled, Is.EqualTo(Array.IndexOf(expected, ClipTokenizer.EndToken)));
                count++;
            }
        });
        Assert.That(count, Is.GreaterThan(300));
    }

    [Test]
    public void Composition_of_every_code_point_is_Unicodes()
    {
        using JsonDocument fixture = Fixture();
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (int point = 0; point < 0x110000; point++)
        {
            if (!Rune.TryCreate(point, out Rune rune))
                continue;
            StringBuilder decomposed = new StringBuilder();
            foreach (int part in CanonicalComposition.Decompose(rune.ToString()))
                decomposed.Append(new Rune(part));
            string both = CanonicalComposition.Compose(rune.ToString()) + CanonicalComposition.Compose(decomposed.ToString());
            hash.AppendData(Encoding.UTF8.GetBytes(both));
        }
        string digest = Convert.ToHexStringLower(hash.GetHashAndReset());
        Assert.That(digest, Is.EqualTo(fixture.RootElement.GetProperty("nfc").GetString()));
    }

    [Test]
    public void Entities_are_those_of_html()
    {
        using JsonDocument fixture = Fixture();
        Dictionary<string, string> entities = fixture.RootElement.GetProperty("entities").Deserialize<Dictionary<string, string>>()!;
        Assert.That(entities.Keys.Count(name => !name.EndsWith(';')), Is.EqualTo(106));
        foreach ((string name, string value) in entities)
            Assert.That(HtmlEntities.Unescape($"&{name}", closedOnly: false), Is.EqualTo(value), name);
        foreach (string name in entities.Keys.Where(name => name.EndsWith(';') && !entities.ContainsKey(name[..^1])))
        {
            string open = name[..^1];
            bool startsBare = entities.Keys.Any(bare => !bare.EndsWith(';') && open.StartsWith(bare, StringComparison.Ordinal));
            if (!startsBare)
                Assert.That(HtmlEntities.Unescape($"&{open}", closedOnly: false), Is.EqualTo($"&{open}"));
        }
    }

    [FsCheck.NUnit.Property(MaxTest = 2000)]
    public void Any_string_has_an_encoding(string? text)
    {
        int[] ids = new int[ClipTokenizer.ContextLength];
        Array.Fill(ids, -1);
        int pooled = ClipTokenizer.Shared.Encode(text ?? "", ids);
        CheckShape(ids, pooled);
        Assert.That(ClipTokenizer.Shared.Encode(text ?? ""), Is.EqualTo(ids));
    }

    [FsCheck.NUnit.Property(MaxTest = 2000)]
    public void Any_sequence_of_code_units_has_an_encoding(ushort[] units)
    {
        int[] ids = new int[ClipTokenizer.ContextLength];
        CheckShape(ids, ClipTokenizer.Shared.Encode(new string(Array.ConvertAll(units, u => (char)u)), ids));
    }

    [TestCase("\ud83d")]
    [TestCase("\udd29")]
    [TestCase("a\udd29\ud83db")]
    [TestCase("&#x1F529;\ud83d")]
    public void Lone_surrogates_count_as_the_replacement_character(string text)
    {
        string replaced = text.Replace('\ud83d', '\ufffd').Replace('\udd29', '\ufffd');
        Assert.That(ClipTokenizer.Shared.Encode(text), Is.EqualTo(ClipTokenizer.Shared.Encode(replaced)));
        Assert.That(ClipTokenizer.Shared.Encode(text), Is.Not.EqualTo(ClipTokenizer.Shared.Encode("")));
    }

    [TestCase("a")]
    [TestCase(" ")]
    [TestCase("ab ")]
    [TestCase("amp;")]
    [TestCase("\u0323\u0301")]
    [TestCase("Σ.")]
    [TestCase("&#38;")]
    [TestCase("\0")]
    public void Ten_megabytes_take_no_more_than_their_start(string unit)
    {
        string text = "&" + new StringBuilder().Insert(0, unit, 10_000_000 / unit.Length), start = text[..TextCleaning.MaxLength];
        Encode(start);
        (int[] expected, long most) = Encode(start);
        // A quadratic pass over ten million characters would take days.
        (int[] ids, long bytes) = Ends.Eventually(() => Encode(text));
        Assert.That(ids, Is.EqualTo(expected));
        // Another thread has a pool of arrays to fill first, some 100 kB; a copy of the text would be 20 MB.
        Assert.That(bytes, Is.LessThan(most + (1 << 20)));

        static (int[] Ids, long Bytes) Encode(string text)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            int[] ids = ClipTokenizer.Shared.Encode(text);
            return (ids, GC.GetAllocatedBytesForCurrentThread() - before);
        }
    }

    /// <summary>Found by fuzzing: a round for each reference, and 90 MB for a text of 3 kB.</summary>
    [Test]
    public void References_within_references_take_no_more_than_some_rounds()
    {
        string Nested(int depth) => new StringBuilder("a &").Insert(3, "amp;", depth).Append("lt; b").ToString();
        int[] resolved = ClipTokenizer.Shared.Encode("a < b");
        Assert.That(ClipTokenizer.Shared.Encode(Nested(TextCleaning.MaxRounds - 2)), Is.EqualTo(resolved));
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(ClipTokenizer.Shared.Encode(Nested(4000)), Is.Not.EqualTo(resolved));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(8 << 20));
    }

    [Test]
    public void White_space_before_a_text_is_free()
    {
        string text = new string(' ', 1_000_000) + "nut";
        Assert.That(ClipTokenizer.Shared.Encode(text), Is.EqualTo(ClipTokenizer.Shared.Encode("nut")));
    }

    [Test]
    public void Wrong_arguments_are_refused()
    {
        Assert.That(() => ClipTokenizer.Shared.Encode(null!), Throws.ArgumentNullException);
        Assert.That(() => ClipTokenizer.Shared.Encode("nut", new int[76]), Throws.ArgumentException.With.Message.Contains("77"));
        Assert.That(() => ClipTokenizer.Shared.Encode("nut", new int[78]), Throws.ArgumentException.With.Message.Contains("77"));
    }

    private static void CheckShape(int[] ids, int pooled)
    {
        Assert.That(ids[0], Is.EqualTo(ClipTokenizer.StartToken));
        Assert.That(pooled, Is.EqualTo(Array.IndexOf(ids, ClipTokenizer.EndToken)));
        int last = Array.LastIndexOf(ids, ClipTokenizer.EndToken);
        Assert.That(last, Is.GreaterThanOrEqualTo(1));
        Assert.That(ids[1..last], Is.All.InRange(0, ClipTokenizer.EndToken));
        Assert.That(ids[(last + 1)..], Is.All.Zero);
    }

    private static JsonDocument Fixture() =>
        JsonDocument.Parse(File.ReadAllBytes(TestData.Path("..", "Models", "tokenizer_strings.json")));

    private static int[] Ids(JsonElement list) => [.. list.EnumerateArray().Select(id => id.GetInt32())];

    private static int[] Padded(int[] ids) => [.. ids, .. new int[ClipTokenizer.ContextLength - ids.Length]];
}
