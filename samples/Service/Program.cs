// A small inspection service:
//   dotnet run -c Release --project samples/Service -- --urls http://127.0.0.1:5080 [--model lizad.safetensors]
//   curl --data-binary @samples/brick-stain.png "http://127.0.0.1:5080/detect?threshold=0.5"
using System.Buffers;
using Microsoft.AspNetCore.RateLimiting;
using TinyZsad;
using TinyZsad.Imaging;

WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
builder.Logging.SetMinimumLevel(LogLevel.Warning);

string? model = builder.Configuration["model"];

// --mode Throughput serves more requests per second; Latency, the default, serves each as early as possible. --threads leaves
// processors to the web server, which makes latencies more even. The file is read into memory, because somebody may write over it while
// the service runs.
DetectorOptions options = new()
{
    Mode = builder.Configuration.GetValue("mode", DetectionMode.Latency),
    Threads = builder.Configuration.GetValue("threads", 0),
    InMemory = true,
    MaxQueueLength = 64,
};
ImageLoadOptions loading = new()
{
    Limits = new ImageLimits { MaxEncodedBytes = 30 << 20, MaxPixels = 50_000_000 },
    Pool = ArrayPool<byte>.Shared,
};

// The container disposes the detector when the service stops, after the last request.
SwappableDetector first = new(await LoadAsync(default));
builder.Services.AddSingleton(_ => first);

// A picture is decoded before it waits for the detector: this bounds the memory of those that wait, in order of arrival.
builder.Services.AddRateLimiter(limiter =>
{
    limiter.RejectionStatusCode = StatusCodes.Status503ServiceUnavailable;
    limiter.AddConcurrencyLimiter("detect", o => (o.PermitLimit, o.QueueLimit) = (32, 256));
});

WebApplication app = builder.Build();
app.UseRateLimiter();
app.MapGet("/health", () => "healthy");
app.MapGet("/model", (SwappableDetector detector) => detector.Model.SystemName);

app.MapPost("/detect", async (HttpRequest request, SwappableDetector detector, float? threshold, int? minimumArea,
    string? className, CancellationToken cancellationToken) =>
{
    try
    {
        using Image image = await Image.LoadAsync(request.Body, loading, cancellationToken);
        AnomalyResult result = await detector.DetectAsync(image, className, cancellationToken);
        RegionOptions regions = new() { MinimumArea = minimumArea ?? 1, MaximumCount = 100 };
        return Results.Ok(new
        {
            result.Score,
            result.ClassName,
            Width = result.PictureWidth,
            Height = result.PictureHeight,
            Regions = result.Regions(threshold ?? 0.5f, regions),
            WaitingMilliseconds = result.Timings.Waiting.TotalMilliseconds,
        });
    }
    catch (DetectorBusyException e)
    {
        return Results.Problem(e.Message, statusCode: StatusCodes.Status503ServiceUnavailable);
    }
    catch (Exception e) when (e is ImageFormatException or UnknownClassException or ArgumentException)
    {
        return Results.Problem(e.Message, statusCode: StatusCodes.Status400BadRequest);
    }
    catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
    {
        // The client has gone away; nobody reads the answer.
        return Results.StatusCode(StatusCodes.Status499ClientClosedRequest);
    }
}).RequireRateLimiting("detect");

app.MapPost("/reload", async (SwappableDetector detector, CancellationToken cancellationToken) =>
{
    // Requests go on with the old model until the new one is warm.
    AnomalyDetector next = await LoadAsync(cancellationToken);
    try
    {
        _ = detector.Swap(next);
    }
    catch
    {
        next.Dispose();
        throw;
    }

    return Results.NoContent();
});

await app.RunAsync();

async Task<AnomalyDetector> LoadAsync(CancellationToken cancellationToken)
{
    AnomalyDetector detector = model is null
        ? AnomalyDetector.LoadDefault(options)
        : await AnomalyDetector.LoadAsync(model, options, cancellationToken);
    try
    {
        await detector.WarmupAsync(cancellationToken: cancellationToken);
        return detector;
    }
    catch
    {
        detector.Dispose();
        throw;
    }
}
