using NUnit.Framework;
using TinyZsad.Models;

namespace TinyZsad.Tests.Models;

/// <summary>What the reference cases (see <see cref="ClipTokenizerTests"/>) do not say about the prompts.</summary>
public sealed class LiZadPromptsTests
{
    [Test]
    public void There_are_245_and_175_and_all_differ()
    {
        string[] normal = LiZadPrompts.Normal("metal nut"), abnormal = LiZadPrompts.Abnormal("metal nut");
        Assert.That(normal, Has.Length.EqualTo(245));
        Assert.That(abnormal, Has.Length.EqualTo(175));
        Assert.That(normal.Concat(abnormal), Is.Unique);
    }

    [TestCase("metal_nut")]
    [TestCase(" Two  Spaces ")]
    [TestCase("{}")]
    [TestCase("a {0} b")]
    public void The_name_is_inserted_exactly_as_given(string name)
    {
        Assert.That(LiZadPrompts.Normal(name)[0], Is.EqualTo("a bad photo of a " + name + "."));
        Assert.That(LiZadPrompts.Abnormal(name)[^1], Is.EqualTo("this is one " + name + " with damage in the scene."));
    }

    [TestCase(null)]
    [TestCase("")]
    [TestCase(" \t\u00a0")]
    public void A_blank_name_is_refused(string? name)
    {
        Assert.That(() => LiZadPrompts.Normal(name!), Throws.InstanceOf<ArgumentException>());
        Assert.That(() => LiZadPrompts.Abnormal(name!), Throws.InstanceOf<ArgumentException>());
    }
}
