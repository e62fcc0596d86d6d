using TinyZsad.Formats;
using TinyZsad.Kernels;
using static TinyZsad.KernelCases.KernelCase;

namespace TinyZsad.KernelCases;

/// <summary>Lists the cases of kernels that convert between pictures and matrices.</summary>
internal static unsafe class ImageCases
{
    private static readonly double[] Mean = [0.485, 0.456, 0.406], Std = [0.229, 0.224, 0.225];

    public static IEnumerable<KernelCase> All =>
    [
        .. from mode in Enum.GetValues<BilinearMode>() from n in KernelCases.Lengths where n > 0 select Resize(mode, 5, 4, 7, n),
        .. from mode in Enum.GetValues<BilinearMode>()
            from size in ((int, int, int, int)[])
                [(1, 1, 3, 5), (1, 7, 1, 1), (9, 8, 9, 8), (40, 33, 7, 5), (2, 2, 1, 9), (3, 50, 31, 17)]
            select Resize(mode, size.Item1, size.Item2, size.Item3, size.Item4),
        Resize(BilinearMode.AlignCorners, 32, 32, 518, 518), Resize(BilinearMode.HalfPixel, 32, 32, 300, 420),
        .. KernelCases.Lengths.Select(Normalise), Normalise(518 * 518),
        .. from patch in (int[])[1, 2, 3, 4, 14, 16] from over in (int[])[0, 1, patch - 1]
            select Cut(3 * patch + over, 2 * patch + over, patch),
        Cut(518, 518, 16), Cut(518, 518, 14),
        .. KernelCases.Lengths.Where(n => n > 0).SelectMany(n => new[] { Blur(5, n, 1), Blur(n, 3, 0.6) }),
        Blur(1, 1, 4), Blur(2, 3, 4), Blur(9, 70, 4), Blur(7, 33, 0), Blur(20, 20, 0.1), Blur(518, 518, 4),
    ];

    private static KernelCase Resize(BilinearMode mode, int height, int width, int outHeight, int outWidth) =>
        new("Bilinear", $"{mode} {height} x {width} to {outHeight} x {outWidth}", workspace =>
        {
            int xStride = workspace.Stride(width, 1), yStride = workspace.Stride(outWidth, 2);
            int inputs = Extent(height, width, xStride), outputs = Extent(outHeight, outWidth, yStride);
            float* x = workspace.Normal(inputs), mine = workspace.Output(outputs), definition = workspace.Output(outputs);
            float* weight = workspace.Output(outWidth);
            float* scratch = workspace.Output(Bilinear.ScratchLength(outWidth));
            int* column = workspace.Block<int>(outWidth);
            double largest = 0;
            for (int i = 0; i < inputs; i++)
                largest = Math.Max(largest, Math.Abs(x[i]));
            return new(
                () =>
                {
                    Bilinear.FillColumns(width, outWidth, mode, column, weight);
                    foreach ((int begin, int end) in ((int, int)[])[(outHeight / 3, outHeight), (0, outHeight / 3)])
                    {
                        Bilinear.Execute(x, xStride, height, width, column, weight, mine, yStride, outHeight, outWidth, mode,
                            begin, end, scratch);
                    }
                },
                () => Bilinear.Scalar(x, xStride, height, width, definition, yStride, outHeight, outWidth, mode),
                () => Difference.Between(mine, definition, outHeight, outWidth, yStride, (_, _, _) => largest));
        })
        {
            Tolerance = 15 * E,
            Because = "two blends of 7 roundings, see Bilinear, and the definition, in units of the largest |x|",
            Bytes = 4.0 * outHeight * outWidth,
            Typical = outHeight > 100,
        };

    private static KernelCase Normalise(int pixels) => new("NormalizeImage", $"{pixels}", workspace =>
    {
        byte* x = workspace.Block<byte>(3 * pixels);
        for (int i = 0; i < 3 * pixels; i++)
            x[i] = (byte)(i * 89);
        float* table = workspace.Output(NormalizeImage.TableLength);
        float* mine = workspace.Output(3 * pixels), definition = workspace.Output(3 * pixels);
        return new(
            () =>
            {
                NormalizeImage.FillTable(Mean, Std, new(table, NormalizeImage.TableLength));
                NormalizeImage.Execute(x, table, mine, pixels);
            },
            () => NormalizeImage.Scalar(x, Mean, Std, definition, pixels),
            () => Difference.Exact(mine, definition, 3 * pixels));
    })
    { Because = "the exact value rounded once", Bytes = 15.0 * pixels, Typical = pixels > 1000 };

    private static KernelCase Cut(int height, int width, int patch) =>
        new("Patchify", $"{height} x {width} by {patch}", workspace =>
        {
            int gridHeight = height / patch, gridWidth = width / patch, cols = 3 * patch * patch, yStride = workspace.Stride(cols, 1);
            int n = Extent(gridHeight * gridWidth, cols, yStride);
            // Leftover rows at the bottom must not be read: the block ends with the last whole patch row.
            float* x = workspace.Normal(gridHeight * patch * width * 3);
            float* mine = workspace.Output(n), definition = workspace.Output(n);
            return new(
                () =>
                {
                    Patchify.Execute(x, width, patch, mine, yStride, gridHeight / 2, gridHeight);
                    Patchify.Execute(x, width, patch, mine, yStride, 0, gridHeight / 2);
                },
                () => Patchify.Scalar(x, width, patch, definition, yStride, 0, gridHeight),
                () => Difference.Exact(mine, definition, n));
        })
        { Because = "a copy", Bytes = 24.0 * GridPixels(height, width, patch), Typical = height > 500 };

    private static KernelCase Blur(int height, int width, double sigma) =>
        new("GaussianBlur", $"{height} x {width}, sigma {sigma}", workspace =>
        {
            int radius = GaussianTaps.Radius(sigma), xStride = workspace.Stride(width, 1), yStride = workspace.Stride(width, 2);
            int inputs = Extent(height, width, xStride), outputs = Extent(height, width, yStride);
            float* x = workspace.Normal(inputs), mine = workspace.Output(outputs), definition = workspace.Output(outputs);
            float* weight = workspace.Output(radius + 1), scratch = workspace.Output(GaussianBlur.ScratchLength(width, radius));
            double largest = 0;
            for (int i = 0; i < inputs; i++)
                largest = Math.Max(largest, Math.Abs(x[i]));
            return new(
                () =>
                {
                    GaussianTaps.FillWeights(sigma, new(weight, radius + 1));
                    foreach ((int begin, int end) in ((int, int)[])[(height / 3, height), (0, height / 3)])
                        GaussianBlur.Execute(x, xStride, height, width, weight, radius, mine, yStride, begin, end, scratch);
                },
                () => GaussianBlur.Scalar(x, xStride, height, width, sigma, definition, yStride),
                () => Difference.Between(mine, definition, height, width, yStride, (_, _, _) => largest));
        })
        {
            Tolerance = (2 * (GaussianTaps.Radius(sigma) + 4) + 1) * E,
            Because = "radius + 4 roundings along either axis, see GaussianBlur, and the definition, in units of the largest |x|",
            Flops = 2.0 * (3 * GaussianTaps.Radius(sigma) + 1) * height * width,
            Bytes = 8.0 * height * width,
            Typical = height * width > 100_000,
        };

    private static double GridPixels(int height, int width, int patch) =>
        (double)(height / patch * patch) * (width / patch * patch);
}
