using TinyZsad.Kernels;
using TinyZsad.Tests;
using TinyZsad.Tests.Kernels;

// The test project's own entry point, for tests that need a process with other settings than their own.
if (args is ["kernels", _, "no-emitted-code"]) AppContext.SetSwitch(Vnni512.Switch, false);
return args switch
{
    ["kernels", ..] => KernelSuite.Run(args.Length > 1 ? args[1] : "", Console.Out),
    ["memory", string model, string picture, string className] => MemoryTests.Run(model, picture, className, Console.Out),
    _ => 0,
};
