using NUnit.Framework;

namespace TinyZsad.Tests;

/// <summary>
/// Keeps the tests out of the user's cache folder: in this process and those that it starts, the cache folder is a path below a file,
/// where nothing can be written. So tests embed classes themselves unless they name a folder.
/// </summary>
[SetUpFixture]
public sealed class TestSetup
{
    /// <summary>Makes the emulated GPU a device, as the tool does.</summary>
    [OneTimeSetUp]
    public void AddTheEmulatedGpu() => TinyZsad.Cli.EmulatedGpu.Register();

    [OneTimeSetUp]
    public void ReplaceTheUsersFolder() =>
        Environment.SetEnvironmentVariable("XDG_CACHE_HOME", typeof(TestSetup).Assembly.Location);
}
