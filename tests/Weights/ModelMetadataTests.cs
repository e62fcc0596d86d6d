using NUnit.Framework;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Weights;

[TestFixture]
internal sealed class ModelMetadataTests
{
    [Test]
    public void ValuesAreReadByTheirKind()
    {
        using SafetensorsFile file = TestFiles.WithMetadata(("text", "a b"), ("kind", "cls"), ("int", "-12"), ("float", "1e-6"),
            ("true", "true"), ("false", "false"), ("ints", "3, 6,9,12"), ("floats", "0.48145466, 0.4578275,-1"), ("one", "5"));
        ModelMetadata metadata = new ModelMetadata(file);
        Assert.Multiple(() =>
        {
            Assert.That(metadata.Text("text"), Is.EqualTo("a b"));
            Assert.That(metadata.Text("kind", "mean", "cls"), Is.EqualTo("cls"));
            Assert.That(metadata.Int("int", -12, 12), Is.EqualTo(-12));
            Assert.That(metadata.Float("float", 0, 1), Is.EqualTo(1e-6f));
            Assert.That(metadata.Float("int", -12, 0), Is.EqualTo(-12));
            Assert.That(metadata.Bool("true"), Is.True);
            Assert.That(metadata.Bool("false"), Is.False);
            Assert.That(metadata.Ints("ints"), Is.EqualTo(new[] { 3, 6, 9, 12 }));
            Assert.That(metadata.Ints("ints", 4, 3, 12), Is.EqualTo(new[] { 3, 6, 9, 12 }));
            Assert.That(metadata.Ints("one", 1), Is.EqualTo(new[] { 5 }));
            Assert.That(metadata.Floats("floats", 3), Is.EqualTo(new[] { 0.48145466f, 0.4578275f, -1 }));
        });
    }

    [Test]
    public void AMissingKeyGivesTheFallback()
    {
        using SafetensorsFile file = TestFiles.WithMetadata(("kind", "cls"), ("n", "1"), ("b", "true"), ("list", "1"));
        ModelMetadata metadata = new ModelMetadata(file);
        Assert.Multiple(() =>
        {
            Assert.That(metadata.TextOr("x", "none"), Is.EqualTo("none"));
            Assert.That(metadata.TextOr("kind", "none"), Is.EqualTo("cls"));
            Assert.That(metadata.TextOr("x", "none", "cls"), Is.EqualTo("none"));
            Assert.That(metadata.TextOr("kind", "none", "cls"), Is.EqualTo("cls"));
            Assert.That(metadata.IntOr("x", 0, 1, 7), Is.EqualTo(7));
            Assert.That(metadata.IntOr("n", 0, 1, 7), Is.EqualTo(1));
            Assert.That(metadata.FloatOr("x", 0, 1, 7), Is.EqualTo(7));
            Assert.That(metadata.FloatOr("n", 0, 1, 7), Is.EqualTo(1));
            Assert.That(metadata.BoolOr("x", true), Is.True);
            Assert.That(metadata.BoolOr("b", false), Is.True);
            Assert.That(metadata.IntsOr("x", [7]), Is.EqualTo(new[] { 7 }));
            Assert.That(metadata.IntsOr("list", [7]), Is.EqualTo(new[] { 1 }));
            Assert.That(metadata.FloatsOr("x", [7]), Is.EqualTo(new[] { 7f }));
            Assert.That(metadata.FloatsOr("list", [7]), Is.EqualTo(new[] { 1f }));
        });
    }

    [TestCaseSource(nameof(WrongValues))]
    public void AWrongValueIsAnErrorThatSaysAll(string value, Action<ModelMetadata> read, string allowed)
    {
        using SafetensorsFile file = TestFiles.WithMetadata(("k", value));
        Assert.That(() => read(new ModelMetadata(file)), Throws.TypeOf<ModelFormatException>()
            .With.Message.EqualTo($"model.safetensors: metadata 'k' is '{value}'; it must be {allowed}."));
    }

    [Test]
    public void AMissingKeyIsAnErrorThatSaysAll()
    {
        using SafetensorsFile file = TestFiles.WithMetadata();
        ModelMetadata metadata = new ModelMetadata(file);
        Assert.Multiple(() =>
        {
            Missing(() => metadata.Text("k"), "text");
            Missing(() => metadata.Text("k", "mean", "cls"), "one of mean, cls");
            Missing(() => metadata.Int("k", 1, 96), "a whole number from 1 to 96");
            Missing(() => metadata.Float("k", 0.5f, 2), "a number from 0.5 to 2");
            Missing(() => metadata.Bool("k"), "one of true, false");
            Missing(() => metadata.Ints("k", 3, 1, 9), "3 comma-separated, each a whole number from 1 to 9");
            Missing(() => metadata.Floats("k", 2, 0, 9), "2 comma-separated, each a number from 0 to 9");
        });

        static void Missing(Action read, string allowed) => Assert.That(read, Throws.TypeOf<ModelFormatException>()
            .With.Message.EqualTo($"model.safetensors: metadata 'k' is missing; it must be {allowed}."));
    }

    public static IEnumerable<TestCaseData> WrongValues()
    {
        const string Int = "a whole number from 1 to 96", Float = "a number from 0.5 to 2";
        string[] ints = ["0", "97", "-1", "", " 5", "5 ", "5.0", "1e1", "0x5", "1,000", "five", "99999999999", "\u0665"];
        foreach (string value in ints)
            yield return Case("Int", value, m => m.Int("k", 1, 96), Int);
        yield return Case("IntOr", "0", m => m.IntOr("k", 1, 96, 5), Int);
        foreach (string value in (string[])["0.49", "2.1", "-1", "", " 1", "1,5", "NaN", "Infinity", "1e999", "one", "1f"])
            yield return Case("Float", value, m => m.Float("k", 0.5f, 2), Float);
        yield return Case("FloatOr", "3", m => m.FloatOr("k", 0.5f, 2, 1), Float);
        foreach (string value in (string[])["True", "1", "", "yes", "true "])
            yield return Case("Bool", value, m => m.Bool("k"), "one of true, false");
        yield return Case("BoolOr", "no", m => m.BoolOr("k", true), "one of true, false");
        yield return Case("Text", "CLS", m => m.Text("k", "mean", "cls"), "one of mean, cls");
        yield return Case("TextOr", "max", m => m.TextOr("k", "cls", "mean", "cls"), "one of mean, cls");
        string[] lists = ["1,2", "1,2,3,4", "", "1,2,", ",1,2", "1,,2", "1 2 3", "[1,2,3]", "0,1,2", "1,2,10", "1,2 ,3"];
        foreach (string value in lists)
            yield return Case("Ints", value, m => m.Ints("k", 3, 1, 9), "3 comma-separated, each a whole number from 1 to 9");
        yield return Case("Ints", "", m => m.Ints("k", null, 1, 9), "comma-separated, each a whole number from 1 to 9");
        yield return Case("IntsOr", "1", m => m.IntsOr("k", [], 2, 1, 9), "2 comma-separated, each a whole number from 1 to 9");
        foreach (string value in (string[])["1", "1,2,3", "1,NaN", "1,Infinity", "1;2", "1,x", "1,9.5"])
            yield return Case("Floats", value, m => m.Floats("k", 2, 0, 9), "2 comma-separated, each a number from 0 to 9");
        yield return Case("FloatsOr", "x", m => m.FloatsOr("k", [], 1, 0, 9), "1 comma-separated, each a number from 0 to 9");

        static TestCaseData Case(string method, string value, Action<ModelMetadata> read, string allowed) =>
            new TestCaseData(value, read, allowed).SetArgDisplayNames(method, value);
    }

    [Test]
    public void InfiniteNumbersPassNoList()
    {
        using SafetensorsFile file = TestFiles.WithMetadata(("k", "1e99"));
        Assert.That(() => new ModelMetadata(file).Floats("k"), Throws.TypeOf<ModelFormatException>());
    }

    [Test]
    public void AModelSaysWhichItIs()
    {
        using SafetensorsFile file = TestFiles.WithMetadata(("format", "tinyzsad"), ("format_version", "1"), ("model", "lizad"));
        Assert.That(new ModelMetadata(file).RequireModel(), Is.EqualTo("lizad"));
    }

    [Test]
    public void OtherFilesAreNotModels()
    {
        const string NoModel = "model.safetensors: this is a safetensors file but not a TinyZsad model (metadata 'format' ";
        Assert.Multiple(() =>
        {
            Refused(NoModel + "is missing, not 'tinyzsad'); convert it first.");
            Refused(NoModel + "is 'pt', not 'tinyzsad'); convert it first.", ("format", "pt"));
            Refused("model.safetensors: metadata 'format_version' is missing; it must be text.", ("format", "tinyzsad"));
            Refused("model.safetensors: metadata 'format_version' is '2'; it must be '1', the version that this release reads.",
                ("format", "tinyzsad"), ("format_version", "2"), ("model", "lizad"));
            Refused("model.safetensors: metadata 'model' is missing; it must be text.",
                ("format", "tinyzsad"), ("format_version", "1"));
        });

        static void Refused(string message, params (string, string)[] metadata)
        {
            using SafetensorsFile file = TestFiles.WithMetadata(metadata);
            Assert.That(() => new ModelMetadata(file).RequireModel(),
                Throws.TypeOf<ModelFormatException>().With.Message.EqualTo(message));
        }
    }
}
