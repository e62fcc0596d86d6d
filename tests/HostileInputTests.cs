using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using NUnit.Framework;
using TinyZsad.Fuzz;
using Outcome = TinyZsad.Fuzz.Outcome;

namespace TinyZsad.Tests;

/// <summary>
/// Any bytes give a valid object or one typed error within the bounds that a parser states: the fuzzer's own targets, seeds and
/// bounds, for a moment.
/// </summary>
public sealed class HostileInputTests
{
    /// <summary>Few where an input costs milliseconds.</summary>
    private static int CountFor(FuzzTarget target) => target.Name is "model" or "manifest" or "vocabulary" or "dataset" ? 60 : 1000;

    /// <summary>Other work shares the machine: an input that takes long is the fuzzer's to find, one that hangs is seen.</summary>
    private static FuzzTarget Unhurried(object parser) => (FuzzTarget)parser with { MaxMilliseconds = 60_000 };

    [TestCaseSource(typeof(Targets), nameof(Targets.All))]
    public void Every_seed_keeps_the_promise(object parser)
    {
        FuzzTarget target = Unhurried(parser);
        using Examiner examiner = new(target);
        int valid = 0;
        foreach (byte[] seed in target.Seeds())
        {
            Assert.That(seed, Has.Length.LessThanOrEqualTo(target.MaxLength));
            Outcome outcome = examiner.Examine(seed);
            Assert.That(outcome.Broken, Is.Null);
            if (outcome.Valid) valid++;
        }
        Assert.That(valid, Is.GreaterThan(0), "no seed is a good input");
    }

    [TestCaseSource(typeof(Targets), nameof(Targets.All))]
    public void Any_bytes_keep_the_promise(object parser)
    {
        FuzzTarget target = Unhurried(parser);
        using Examiner examiner = new(target);
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(CountFor(target)).WithEndSize(400),
            Prop.ForAll(ArbMap.Default.ArbFor<byte[]>(), bytes => Kept(examiner, bytes)));
    }

    [TestCaseSource(typeof(Targets), nameof(Targets.All))]
    public void Any_damage_to_a_seed_keeps_the_promise(object parser)
    {
        FuzzTarget target = Unhurried(parser);
        using Examiner examiner = new(target);
        byte[][] seeds = [.. target.Seeds()];
        int refused = 0;
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(CountFor(target)), Prop.ForAll(ArbMap.Default.ArbFor<int>(), number =>
        {
            Random random = new(number);
            byte[] input = new Mutator(target, random).Mutate(seeds[random.Next(seeds.Length)], seeds[random.Next(seeds.Length)]);
            if (!examiner.Examine(input).Valid) refused++;
            return Kept(examiner, input);
        }));
        if (target.Errors.Length > 0) Assert.That(refused, Is.GreaterThan(0), "damage that breaks nothing tests nothing");
    }

    [Test]
    public void A_broken_promise_is_seen()
    {
        byte[][] kept = new byte[1][];
        (string Says, Func<ReadOnlyMemory<byte>, string> Parse)[] parsers =
        [
            ("none of its own", _ => throw new InvalidOperationException("a defect")),
            ("none of its own", b => b.Span[b.Length].ToString(CultureInfo.InvariantCulture)),
            ("bytes allocated", _ => $"{(kept[0] = new byte[1 << 22]).Length}"),
            ("ms;", _ =>
            {
                Thread.Sleep(60);
                return "late";
            }),
        ];
        foreach ((string says, Func<ReadOnlyMemory<byte>, string> parse) in parsers)
        {
            double most = says == "ms;" ? 50 : 60_000;
            using Examiner examiner = new(new FuzzTarget("broken", parse, () => []) { MaxMilliseconds = most });
            Assert.That(examiner.Examine([1, 2, 3]).Broken, Does.Contain(says));
        }
        using Examiner good = new(new FuzzTarget("good", b => throw new ModelFormatException("wrong"), () => []));
        Outcome outcome = good.Examine([1]);
        Assert.That((outcome.Broken, outcome.Valid, outcome.Kind), Is.EqualTo(((string?)null, false, "wrong")));
    }

    private static bool Kept(Examiner examiner, byte[] input)
    {
        Outcome outcome = examiner.Examine(input);
        Assert.That(outcome.Broken, Is.Null, () => $"input: {Convert.ToHexString(input.AsSpan(0, Math.Min(input.Length, 4096)))}");
        return true;
    }
}
