using System.Text;
using TinyZsad.Cli;

// Paths and class names come out whole also where Windows would choose a code page.
if (OperatingSystem.IsWindows()) Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
return await Tool.RunAsync(args, Terminal.OfConsole());
