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
    public void ANumberThatIsNoneIsTheLargestError()
    {
        float[] expected = [1, -2, 3, 4];
        Assert.That(DeviceCase.ErrorOf([1, -2.5f, 3, 4], expected), Is.EqualTo(0.125));
        Assert.That(DeviceCase.ErrorOf([1, float.NaN, 3.5f, 4], expected), Is.NaN);
        Assert.That(new DeviceCaseResult("", DeviceCase.ErrorOf([1, float.NaN, 3, 4], expected), 1, null, 0, 0).Passed, Is.False);
    }

    [Test]
    public void NamesAreDifferent() => Assert.That(DeviceCase.All.Select(c => c.Name), Is.Unique);
}
