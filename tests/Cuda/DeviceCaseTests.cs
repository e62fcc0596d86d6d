using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Tests.Graph;
using TinyZsad.Verification;

namespace TinyZsad.Tests.Cuda;

/// <summary>
/// Tests the list of operations that <c>bench --kernels --device cuda</c> checks and times on a GPU: the small ones on an emulated GPU,
/// and all of them on the CPU, against the plain definitions.
/// </summary>
[TestFixture]
internal sealed class DeviceCaseTests
{
    public static IEnumerable<DeviceCase> Small => DeviceCase.All.Where(c => !c.Typical);

    [Test]
    public void TheEmulatedGpuComputesSmallOperations()
    {
        (CudaDevice device, _) = EmulatedGpu.Create();
        using (device)
        {
            Assert.Multiple(() =>
            {
                foreach (DeviceCase one in Small)
                {
                    DeviceCaseResult result = one.Run(device, Plans.Reference);
                    Assert.That(result.Passed, result.ToString());
                }
            });
        }
    }

    [Test]
    public void TheCpuComputesThemToo()
    {
        foreach (DeviceCase one in Small)
            Assert.That(one.Run(Plans.Cpu(), Plans.Reference).Error, Is.LessThan(2e-5), one.Name);
    }

    [Test]
    public void NamesAreDifferent() => Assert.That(DeviceCase.All.Select(c => c.Name), Is.Unique);
}
