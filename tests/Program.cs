using System.Globalization;
using System.Runtime.Intrinsics;
using TinyZsad.Cli;
using TinyZsad.Kernels;
using TinyZsad.Tests;
using TinyZsad.Tests.Imaging;
using TinyZsad.Tests.Kernels;

// The test project's own entry point, for tests that need a process with other settings than their own.
if (args is ["kernels", _, "no-emitted-code"]) AppContext.SetSwitch(Vnni512.Switch, false);
return args switch
{
    ["kernels", ..] => KernelSuite.Run(args.Length > 1 ? args[1] : "", Console.Out),
    ["kernels-sample", string every] => KernelSuite.RunSample(int.Parse(every, CultureInfo.InvariantCulture), Console.Out),
    ["tool", .. string[] line] => Tool.RunAsync(line, Terminal.OfConsole()).GetAwaiter().GetResult(),
    ["pixels", string folder] => PixelDump.Write(folder),
    ["jpeg", string folder] => CheckJpeg(folder),
    ["memory", string model, string picture, string className] => MemoryTests.Run(model, picture, className, Console.Out),
    ["soak", string seconds] => SoakTests.Run(double.Parse(seconds, CultureInfo.InvariantCulture), Console.Out),
    _ => 0,
};

static int CheckJpeg(string folder)
{
    Console.WriteLine($"256 bits: {Vector256.IsHardwareAccelerated}");
    return JpegCorpus.Check(folder, turned: false, Console.Out).Different == 0 ? 0 : 1;
}
