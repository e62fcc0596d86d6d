using NUnit.Framework;

namespace TinyZsad.Tests.Ptx;

/// <summary>
/// Tests <c>cuda/on-device.sh</c> without a device. <c>on_device_test.sh</c> gives it a tool, a ptxas and a Python that print what
/// the real ones would.
/// </summary>
[TestFixture]
internal sealed class OnDeviceScriptTests
{
    [Test]
    [Platform("Linux")]
    public void The_script_reports_skips_and_fails_as_it_should()
    {
        Programs.Require(("bash", "bash"));
        Programs.Run("bash", Path.Combine(TestData.RepositoryRoot, "tests", "Ptx", "on_device_test.sh")).Success();
    }

    /// <summary>
    /// PyTorch is timed on the networks of the cases: in float32 the maps are the expected ones, and the map of a picture does not
    /// depend on the other pictures of its batch.
    /// </summary>
    [TestCase("lizad")]
    [TestCase("edgezsad")]
    [TestCase("visualad")]
    public void PyTorch_computes_the_same_network(string system) =>
        Python.Succeeds("cuda/compare_pytorch.py", "--device", "cpu", "--dtype", "float32", "--check", $"tests/reference/{system}/tiny");
}
