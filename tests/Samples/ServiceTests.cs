using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace TinyZsad.Tests.Samples;

/// <summary>
/// The sample service under load: sixteen requests at a time, a reload meanwhile, clients that go away. It runs for a few seconds, or
/// for as many as <c>TINYZSAD_SERVICE_SECONDS</c> says, and prints what it measures after the first sixth of the time, in which the
/// runtime compiles the service. Figures of time are no assertions, except that a
/// health request must not wait behind detections.
/// </summary>
[TestFixture, NonParallelizable]
public sealed partial class ServiceTests : IDisposable
{
    private const int Clients = 16;

    private static readonly double Seconds = double.Parse(
        Environment.GetEnvironmentVariable("TINYZSAD_SERVICE_SECONDS") ?? "8", CultureInfo.InvariantCulture);

    private Process service = null!;
    private HttpClient client = null!;

    private static string Root => Path.GetFullPath(Path.Combine(TestContext.CurrentContext.TestDirectory, "../../../.."));

    [OneTimeSetUp]
    public void Start()
    {
        string program = Path.Combine(TestContext.CurrentContext.TestDirectory, "../../Service/release/Service.dll");
        ProcessStartInfo start = new("dotnet",
            [program, "--urls", "http://127.0.0.1:0", "--Logging:LogLevel:Microsoft.Hosting.Lifetime=Information",
                "--mode", Environment.GetEnvironmentVariable("TINYZSAD_SERVICE_MODE") ?? "Latency",
                "--threads", Environment.GetEnvironmentVariable("TINYZSAD_SERVICE_THREADS") ?? "0"])
        {
            RedirectStandardOutput = true,
        };
        service = Process.Start(start)!;
        string? address = null;
        while (address is null)
        {
            string line = service.StandardOutput.ReadLine() ?? throw new InvalidOperationException("The service ended.");
            if (Address().Match(line) is { Success: true } match) address = match.Value;
        }

        _ = service.StandardOutput.ReadToEndAsync();
        client = new HttpClient { BaseAddress = new Uri(address), Timeout = TimeSpan.FromMinutes(2) };
    }

    public void Dispose()
    {
        client.Dispose();
        service.Kill();
        service.WaitForExit();
        service.Dispose();
    }

    private static byte[] Picture(string name) => File.ReadAllBytes(Path.Combine(Root, "samples", name));

    private Task<HttpResponseMessage> Detect(byte[] picture, string query = "", CancellationToken cancellationToken = default) =>
        client.PostAsync($"/detect{query}", new ByteArrayContent(picture), cancellationToken);

    [Test]
    public async Task APictureGivesItsScoreAndRegions()
    {
        using HttpResponseMessage response = await Detect(Picture("brick-stain.png"), "?threshold=0.3&minimumArea=20");
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        JsonElement answer = await response.Content.ReadFromJsonAsync<JsonElement>();
        using AnomalyDetector detector = AnomalyDetector.LoadDefault();
        AnomalyResult result = detector.Detect(TinyZsad.Imaging.Image.Load(Picture("brick-stain.png")));
        Assert.That(answer.GetProperty("score").GetSingle(), Is.EqualTo(result.Score));
        JsonElement[] regions = [.. answer.GetProperty("regions").EnumerateArray()];
        Assert.That(regions.Select(r => r.GetProperty("area").GetInt32()),
            Is.EqualTo(result.Regions(0.3f, new RegionOptions { MinimumArea = 20 }).Select(r => r.Area)).And.Not.Empty);
        Assert.That(regions[0].EnumerateObject().Select(p => p.Name), Is.EqualTo(new[]
            { "x", "y", "width", "height", "area", "peak", "peakX", "peakY", "mean", "centroidX", "centroidY" }));
    }

    [Test]
    public async Task WhatIsNoPictureIsTheClientsFault()
    {
        using HttpResponseMessage response = await Detect([1, 2, 3]);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.BadRequest));
        Assert.That(await response.Content.ReadAsStringAsync(), Does.Contain("Not a picture"));
    }

    [Test]
    public async Task UnderLoadHealthAnswersModelsReloadAndClientsGoAway()
    {
        byte[][] pictures = [Picture("brick.png"), Picture("brick-stain.png"), Picture("gravel-wire.png"), Picture("grass-hole.png")];
        float[] scores = new float[pictures.Length];
        for (int i = 0; i < pictures.Length; i++) scores[i] = await ScoreOf(await Detect(pictures[i]));

        List<double> latencies = [], health = [];
        List<(long Sent, long Done)> order = [];
        int wrong = 0, failed = 0, reloads = 0, gone = 0;
        long warm = Stopwatch.GetTimestamp() + (long)(Seconds / 6 * Stopwatch.Frequency);
        long end = Stopwatch.GetTimestamp() + (long)(Seconds * Stopwatch.Frequency);
        Task[] clients =
        [
            .. Enumerable.Range(0, Clients).Select(i => Task.Run(async () =>
            {
                for (int n = i; Stopwatch.GetTimestamp() < end; n++)
                {
                    long sent = Stopwatch.GetTimestamp();
                    using HttpResponseMessage response = await Detect(pictures[n % pictures.Length]);
                    long done = Stopwatch.GetTimestamp();
                    if (response.StatusCode != HttpStatusCode.OK) Interlocked.Increment(ref failed);
                    else if (await ScoreOf(response) != scores[n % pictures.Length]) Interlocked.Increment(ref wrong);
                    if (sent < warm) continue;
                    lock (latencies)
                    {
                        latencies.Add(Stopwatch.GetElapsedTime(sent, done).TotalMilliseconds);
                        order.Add((sent, done));
                    }
                }
            })),
            Task.Run(async () =>
            {
                while (Stopwatch.GetTimestamp() < end)
                {
                    long sent = Stopwatch.GetTimestamp();
                    using HttpResponseMessage response = await client.GetAsync("/health");
                    response.EnsureSuccessStatusCode();
                    if (sent >= warm) health.Add(Stopwatch.GetElapsedTime(sent).TotalMilliseconds);
                    await Task.Delay(50);
                }
            }),
            Task.Run(async () =>
            {
                while (Stopwatch.GetTimestamp() < end && !Steady)
                {
                    await Task.Delay(1500);
                    using HttpResponseMessage response = await client.PostAsync("/reload", null);
                    response.EnsureSuccessStatusCode();
                    reloads++;
                }
            }),
            Task.Run(async () =>
            {
                while (Stopwatch.GetTimestamp() < end && !Steady)
                {
                    using CancellationTokenSource leave = new(TimeSpan.FromMilliseconds(30));
                    try
                    {
                        using HttpResponseMessage response = await Detect(pictures[0], cancellationToken: leave.Token);
                    }
                    catch (OperationCanceledException)
                    {
                        gone++;
                    }

                    await Task.Delay(100);
                }
            }),
        ];
        await Task.WhenAll(clients);

        latencies.Sort();
        health.Sort();
        double median = latencies[latencies.Count / 2], worst = latencies[^1], healthy = health[health.Count / 2];
        TestContext.Progress.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{latencies.Count} detections in {Seconds} s, "
            + $"{Clients} at a time: median {median:0.0} ms, 99 of 100 {latencies[latencies.Count * 99 / 100]:0.0} ms, "
            + $"worst {worst:0.0} ms = "
            + $"{worst / median:0.00} x; overtaken by more than two: {Overtaken(order)}; health: median {healthy:0.0} ms, "
            + $"worst {health[^1]:0.0} ms; {reloads} reloads, {gone} clients gone"));
        Assert.That((wrong, failed), Is.EqualTo((0, 0)));
        if (!Steady) Assert.That((reloads, gone), Is.GreaterThan((0, 0)));
        Assert.That(healthy, Is.LessThan(median), "a health request waits for no detection");
        Assert.That(service.HasExited, Is.False);
    }

    /// <summary>Constant load, without reloads and clients that go away: for measuring latencies.</summary>
    private static bool Steady => Environment.GetEnvironmentVariable("TINYZSAD_SERVICE_STEADY") == "1";

    private static async Task<float> ScoreOf(HttpResponseMessage response) =>
        (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("score").GetSingle();

    /// <summary>Counts the requests that more than two later ones overtook; one or two pass while a picture is read and decoded.</summary>
    private static int Overtaken(List<(long Sent, long Done)> order)
    {
        (long Sent, long Done)[] bySent = [.. order.OrderBy(o => o.Sent)];
        int overtaken = 0;
        for (int i = 0; i < bySent.Length; i++)
        {
            int later = 0;
            for (int j = i + 1; j < bySent.Length && bySent[j].Sent < bySent[i].Done; j++)
                if (bySent[j].Done < bySent[i].Done) later++;
            if (later > 2) overtaken++;
        }

        return overtaken;
    }

    [GeneratedRegex(@"http://127\.0\.0\.1:\d+")]
    private static partial Regex Address();
}
