using FsCheck;
using FsCheck.Fluent;
using NUnit.Framework;
using TinyZsad.Graph;

namespace TinyZsad.Tests.Graph;

/// <summary>Tests blocks of random sizes and lifetimes: blocks with overlapping lifetimes must not overlap in memory.</summary>
[TestFixture]
public sealed class ArenaTests
{
    [Test]
    public void BlocksAliveTogetherLieApart()
    {
        Gen<Arena.Block> block = from bytes in Gen.Choose(1, 5000)
                           from first in Gen.Choose(0, 30)
                           from length in Gen.Choose(0, 12)
                           select new Arena.Block(bytes, first, first + length);
        Prop.ForAll(block.ListOf().ToArbitrary(), blocks => Check([.. blocks])).QuickCheckThrowOnFailure();
    }

    [Test]
    public void LivesThatFollowEachOtherShareOnePlace()
    {
        Arena.Block[] blocks = [new(640, 0, 1), new(640, 2, 3), new(640, 4, 4)];
        Assert.That(Arena.Place(blocks), Is.EqualTo(640));
        Assert.That(blocks.Select(b => b.Offset), Is.All.Zero);
    }

    [Test]
    public void AGapIsFilled()
    {
        Arena.Block[] blocks = [new(1000, 0, 9), new(640, 0, 1), new(500, 0, 9), new(600, 2, 9)];
        Assert.That(Arena.Place(blocks), Is.EqualTo(1024 + 640 + 512));
    }

    [Test]
    public void NothingTakesNothing() => Assert.That(Arena.Place([]), Is.Zero);

    private static void Check(Arena.Block[] blocks)
    {
        long size = Arena.Place(blocks);
        foreach (Arena.Block a in blocks)
        {
            Assert.That(a.Offset, Is.GreaterThanOrEqualTo(0).And.LessThanOrEqualTo(size - a.Bytes));
            Assert.That(a.Offset % Arena.Alignment, Is.Zero);
            foreach (Arena.Block b in blocks)
            {
                if (a != b && a.First <= b.Last && b.First <= a.Last)
                {
                    Assert.That(a.Offset + a.Bytes <= b.Offset || b.Offset + b.Bytes <= a.Offset,
                        "two that live together overlap");
                }
            }
        }
        Assert.That(size, Is.LessThanOrEqualTo(blocks.Sum(b => (b.Bytes + 63) / 64 * 64)));
        long busiest = Enumerable.Range(0, 50).Max(p => blocks.Where(b => b.First <= p && p <= b.Last).Sum(b => b.Bytes));
        Assert.That(size, Is.GreaterThanOrEqualTo(busiest));
    }
}
