using System.Text;
using TinyZsad.Cli;

// Windows would otherwise use a code page that cannot represent all paths and class names.
if (OperatingSystem.IsWindows()) Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
return await Tool.RunAsync(args, Terminal.OfConsole());
