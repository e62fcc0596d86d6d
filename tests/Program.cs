using TinyZsad.Tests.Kernels;

// The test project's own entry point, for tests that need a process with other settings than their own.
return args is ["kernels", ..] ? KernelSuite.Run(args.Length > 1 ? args[1] : "", Console.Out) : 0;
