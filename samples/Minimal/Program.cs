// dotnet run --project samples/Minimal -- MODEL PICTURE CLASS OVERLAY.png
using TinyZsad;
using TinyZsad.Imaging;

if (args is not [string model, string picture, string className, string overlay])
{
    Console.Error.WriteLine("usage: Minimal MODEL PICTURE CLASS OVERLAY.png");
    return 2;
}

using AnomalyDetector detector = AnomalyDetector.Load(model);
using Image image = Image.Load(picture);
AnomalyResult result = detector.Detect(image, className);
Console.WriteLine($"{picture}: {result.Score:0.0000}");
result.RenderOverlay(image.View).SavePng(overlay);
return 0;
