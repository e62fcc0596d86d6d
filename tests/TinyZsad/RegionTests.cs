using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Evaluation;

namespace TinyZsad.Tests;

/// <summary>The regions of a map, against a flood fill, and what JSON holds of a result.</summary>
[TestFixture]
public sealed class RegionTests
{
    private static AnomalyResult Result(int width, int height, float[] values) =>
        new(0.5f, AnomalyMap.Create(width, height, values), width, height);

    [Test]
    public void RegionsAreThoseOfAFloodFill([Values(1, 2, 3, 4, 5, 6, 7, 8)] int seed, [Values(0.3f, 0.5f, 0.7f, 0.95f)] float threshold)
    {
        Random random = new(seed);
        int width = random.Next(1, 90), height = random.Next(1, 90);
        float[] values = [.. Enumerable.Range(0, width * height).Select(_ => random.NextSingle())];
        IReadOnlyList<AnomalyRegion> regions = Result(width, height, values).Regions(threshold);

        int[] label = ConnectedRegions.Label([.. values.Select(v => v >= threshold)], width, out int count);
        Assert.That(regions, Has.Count.EqualTo(count));
        Assert.That(regions.Select(r => r.Area), Is.Ordered.Descending);
        HashSet<int> seen = [];
        foreach (AnomalyRegion region in regions)
        {
            int name = label[region.PeakY * width + region.PeakX];
            Assert.That(seen.Add(name), "two regions have one label");
            int[] pixels = [.. Enumerable.Range(0, label.Length).Where(i => label[i] == name)];
            Assert.That((region.Area, region.X, region.Y), Is.EqualTo(
                (pixels.Length, pixels.Min(i => i % width), pixels.Min(i => i / width))));
            Assert.That((region.Width, region.Height), Is.EqualTo(
                (pixels.Max(i => i % width) - region.X + 1, pixels.Max(i => i / width) - region.Y + 1)));
            Assert.That(region.Peak, Is.EqualTo(pixels.Max(i => values[i])).And.EqualTo(values[region.PeakY * width + region.PeakX]));
            Assert.That(region.Mean, Is.EqualTo(pixels.Average(i => (double)values[i])).Within(1e-6));
            Assert.That(region.CentroidX, Is.EqualTo(pixels.Average(i => i % width)).Within(1e-4));
            Assert.That(region.CentroidY, Is.EqualTo(pixels.Average(i => i / width)).Within(1e-4));
        }
    }

    [Test]
    public void SmallOnesAreLeftOutAndTheLargestComeFirst()
    {
        float[] values =
        [
            1, 0, 0, 2, 2,
            0, 0, 0, 2, 3,
            0, 4, 0, 0, 0,
            4, 0, 0, 0, float.NaN,
        ];
        AnomalyResult result = Result(5, 4, values);
        Assert.That(result.Regions(1).Select(r => r.Area), Is.EqualTo(new[] { 4, 2, 1 }));
        AnomalyRegion first = result.Regions(1)[0];
        Assert.That((first.X, first.Y, first.Width, first.Height, first.Peak, first.PeakX, first.PeakY, first.Mean),
            Is.EqualTo((3, 0, 2, 2, 3f, 4, 1, 2.25f)));
        Assert.That(result.Regions(1, new RegionOptions { MinimumArea = 2 }).Select(r => r.Area), Is.EqualTo(new[] { 4, 2 }));
        Assert.That(result.Regions(1, new RegionOptions { MaximumCount = 1 }).Select(r => r.Area), Is.EqualTo(new[] { 4 }));
        Assert.That(result.Regions(5), Is.Empty);
        Assert.That(() => result.Regions(float.NaN), Throws.ArgumentException);
        Assert.That(() => new RegionOptions { MinimumArea = 0 }, Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => new RegionOptions { MaximumCount = 0 }, Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [TestCase(300, 200)]
    [TestCase(1, 1)]
    [TestCase(7, 900)]
    public void RegionsAreAtThePicturesSizeWhetherItsMapExistsOrNot(int width, int height)
    {
        Random random = new(3);
        AnomalyMap map = AnomalyMap.Create(20, 20, [.. Enumerable.Range(0, 400).Select(_ => random.NextSingle())]);
        AnomalyResult before = new(0.5f, map, width, height), after = new(0.5f, map, width, height);
        float[] copied = new float[width * height];
        before.CopyPictureMapTo(copied);
        Assert.That(after.PictureMap.Values.ToArray(), Is.EqualTo(copied));
        Assert.That(before.Regions(0.6f), Is.EqualTo(after.Regions(0.6f)));
        float[] again = new float[width * height + 3];
        after.CopyPictureMapTo(again);
        Assert.That(again[..copied.Length], Is.EqualTo(copied));
        Assert.That(() => before.CopyPictureMapTo(new float[width * height - 1]), Throws.ArgumentException);
    }

    [Test]
    public void JsonHoldsTheResultAndItsRegions()
    {
        AnomalyResult result = new(0.75f, AnomalyMap.Create(2, 1, [0.1f, 0.9f]), 2, 1) { RawScore = 1.5f, ClassName = "nut" };
        string json = JsonSerializer.Serialize(new { result, regions = result.Regions(0.5f), map = result.Map });
        using JsonDocument read = JsonDocument.Parse(json);
        JsonElement written = read.RootElement.GetProperty("result");
        Assert.That(written.GetProperty("Score").GetSingle(), Is.EqualTo(0.75f));
        Assert.That(written.GetProperty("RawScore").GetSingle(), Is.EqualTo(1.5f));
        Assert.That(written.GetProperty("ClassName").GetString(), Is.EqualTo("nut"));
        Assert.That(written.TryGetProperty("PictureMap", out _), Is.False, "a map of megabytes is not part of it");
        Assert.That(read.RootElement.GetProperty("regions")[0].GetProperty("Peak").GetSingle(), Is.EqualTo(0.9f));
        Assert.That(read.RootElement.GetProperty("map").GetProperty("values").EnumerateArray().Select(v => v.GetSingle()),
            Is.EqualTo(new[] { 0.1f, 0.9f }));
        DetectionOutcome<string> failed = new("a.png", new IOException("the disk is full"));
        Assert.That(JsonSerializer.Serialize(failed), Does.Contain("the disk is full"));
        Assert.That(result.ToString(), Is.EqualTo("0.7500 (nut), 2 x 1"));
        Assert.That($"{failed}", Is.EqualTo("a.png: the disk is full"));
        Assert.That(failed.GetResult, Throws.InstanceOf<IOException>());
    }

    [Test]
    public void AMapKeepsItsValues()
    {
        float[] values = [1, 2, 3, 4];
        AnomalyMap map = AnomalyMap.Create(2, 2, values);
        values[0] = 9;
        Assert.That(map[0, 0], Is.EqualTo(1), "the values were copied");
        Assert.That(map.Maximum, Is.EqualTo(4));
        float[] copy = new float[5];
        map.CopyTo(copy);
        Assert.That(copy, Is.EqualTo(new[] { 1, 2, 3, 4, 0f }));
        Assert.That(() => map.CopyTo(new float[3]), Throws.ArgumentException);
        Assert.That($"{map}", Is.EqualTo("2 x 2, maximum 4.0000"));
    }
}
