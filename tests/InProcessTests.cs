using System.Reflection;
using NUnit.Framework.Api;
using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;

namespace TinyZsad.Tests;

/// <summary>
/// The command <c>TinyZsad.Tests tests CLASS ...</c>: runs test classes in this process, without a test host, as on a processor that is
/// emulated.
/// </summary>
internal static class InProcessTests
{
    /// <summary>Prints each failed test and the count. Returns 0 if tests ran and none failed; otherwise 1.</summary>
    public static int Run(IEnumerable<string> classes, TextWriter output)
    {
        NUnitTestAssemblyRunner runner = new(new DefaultTestAssemblyBuilder());
        runner.Load(Assembly.GetExecutingAssembly(), new Dictionary<string, object>());
        string names = string.Concat(classes.Select(c => $"<class re=\"1\">\\.{c}$</class>"));
        ITestResult result = runner.Run(TestListener.NULL, TestFilter.FromXml($"<filter><or>{names}</or></filter>"));
        WriteFailures(result, output);
        output.WriteLine($"{result.PassCount} passed, {result.FailCount} failed");
        return result.FailCount == 0 && result.PassCount > 0 ? 0 : 1;
    }

    private static void WriteFailures(ITestResult result, TextWriter output)
    {
        foreach (ITestResult child in result.Children) WriteFailures(child, output);
        if (!result.HasChildren && result.ResultState.Status == TestStatus.Failed)
            output.WriteLine($"FAILED {result.FullName}\n{result.Message}\n{result.StackTrace}");
    }
}
