using System.Runtime.InteropServices;
using NUnit.Framework;
using TinyZsad.Cuda;

namespace TinyZsad.Tests.Ptx;

/// <summary>
/// The binding of NVIDIA's driver against a library that keeps books instead (<c>tests/Ptx/FakeCuda</c>): what is called, with which
/// values, with which context, and what becomes of errors. That the real driver takes the same is not shown by it.
/// </summary>
[TestFixture, NonParallelizable]
internal sealed class LibCudaTests
{
    /// <summary>The context of another library of the process.</summary>
    private const nint Other = 0xBEEF;

    private const string Source = ".version 7.1\n.target sm_80\n.visible .entry fill (\n)\n.visible .entry add(\n)\n";

    private string folder = "";
    private FakeCuda fake = null!;

    [OneTimeSetUp]
    public void Compile()
    {
        if (!OperatingSystem.IsLinux()) Assert.Ignore("The library is compiled on Linux.");
        folder = Directory.CreateTempSubdirectory("tinyzsad-").FullName;
        fake = FakeCuda.Compile(folder, "libcuda.so.1");
    }

    [OneTimeTearDown]
    public void Delete()
    {
        if (folder.Length > 0) Directory.Delete(folder, recursive: true);
    }

    [SetUp]
    public void Reset() => fake.Reset();

    private Driver Open() => CudaDevices.Open(0, fake.Path);

    [Test]
    public void ItSaysWhatTheGpuIs()
    {
        fake.Set(devices: 2, version: 12040, major: 8, minor: 6, name: "A GPU");
        GpuSurvey survey = CudaDevices.Survey(fake.Path);
        GpuProperties expected = new("A GPU", 8, 6, 28, 8L << 30, 101376, 102400, 12040)
        {
            ClockRate = 1695000, MemoryBandwidth = 224.032e9,
        };
        Assert.Multiple(() =>
        {
            Assert.That(survey.Reason, Is.Null);
            Assert.That(survey.Gpus, Is.EqualTo(new[] { new GpuInfo(0, expected, null), new GpuInfo(1, expected, null) }));
            Assert.That(fake.Living, Is.Zero, "a survey retains nothing");
        });
        using Driver driver = CudaDevices.Open(1, fake.Path);
        Assert.That(driver.Properties, Is.EqualTo(expected));
    }

    [Test]
    public void ANameAsLongAsItsBufferEnds()
    {
        fake.Set(1, 12040, 8, 0, new string('n', 255));
        Assert.That(CudaDevices.Survey(fake.Path).Gpus.Single().Properties.Name, Is.EqualTo(new string('n', 255)));
    }

    [Test]
    public void EveryCallBindsTheContextAndRestoresWhatWasCurrent([Values] bool other)
    {
        using Driver driver = Open();
        if (other) fake.Push(Other);
        int depth = other ? 1 : 0;
        List<string> wrong = [];
        UseAll(driver, after: call =>
        {
            if (fake.Depth != depth || fake.Current != (other ? Other : 0)) wrong.Add(call);
        });
        if (other) fake.Pop();
        Assert.That((string.Join(", ", wrong), fake.Violation), Is.EqualTo(("", "")));
    }

    [Test]
    public void ACallThatFailsRestoresWhatWasCurrent()
    {
        using Driver driver = Open();
        fake.Push(Other);
        fake.Fail("cuMemAlloc_v2", 2);
        Assert.That(() => driver.Allocate(100), Throws.TypeOf<DeviceException>());
        (int depth, nint current) = (fake.Depth, fake.Current);
        fake.Pop();
        Assert.That((depth, current, fake.Violation), Is.EqualTo((1, Other, "")));
    }

    [Test]
    public void ManyThreadsUseItAtOnce()
    {
        Driver driver = Open();
        Exception?[] errors = new Exception?[8];
        Thread[] threads = [.. Enumerable.Range(0, errors.Length).Select(t => new Thread(() =>
        {
            try
            {
                for (int i = 0; i < 100; i++) UseAll(driver, _ => { });
                if (fake.Depth != 0) throw new InvalidOperationException("A context stayed current.");
            }
            catch (Exception e)
            {
                errors[t] = e;
            }
        }))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        driver.Dispose();
        Assert.That(errors, Is.All.Null);
        Assert.That((fake.Living, fake.Violation), Is.EqualTo((0, "")));
    }

    [Test]
    public void NothingIsLeft()
    {
        Driver driver = Open();
        Assert.That(fake.Living, Is.EqualTo(1), "the context");
        UseAll(driver, _ => { });
        driver.Dispose();
        driver.Dispose();
        Assert.That((fake.Living, fake.Violation), Is.EqualTo((0, "")));
        Assert.That(() => driver.Allocate(1), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => driver.Free(1), Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void AllocationsOfNothingAreRefused([Values(0, -1)] long bytes)
    {
        using Driver driver = Open();
        Assert.That(() => driver.Allocate(bytes), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => driver.AllocateHost(bytes), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void CopiesGoWhereTheyShould()
    {
        using Driver driver = Open();
        nint stream = driver.CreateStream(), host = driver.AllocateHost(64);
        ulong device = driver.Allocate(64);
        byte[] sent = [.. Enumerable.Range(1, 64).Select(i => (byte)i)];
        Marshal.Copy(sent, 0, host, 64);
        driver.CopyToDevice(device, host, 64, stream);
        driver.Clear(device + 16, 8, stream);
        driver.CopyToDevice(device, host, 0, stream);
        driver.Clear(device, 0, stream);
        driver.CopyToHost(host, device, 64, stream);
        driver.CopyToHost(host, device, 0, stream);
        driver.Synchronize(stream);
        byte[] received = new byte[64];
        Marshal.Copy(host, received, 0, 64);
        sent.AsSpan(16, 8).Clear();
        Assert.That(received, Is.EqualTo(sent));
        Assert.That(fake.Journal, Is.EqualTo(new[] { "to device 64", "clear 8", "to host 64" }), "nothing is copied for 0 bytes");
    }

    [Test]
    public void ArgumentsArriveAsTheyAre()
    {
        using Driver driver = Open();
        nint stream = driver.CreateStream(), function = driver.GetFunction(driver.LoadModule("test", Source), "add");
        ReadOnlyMemory<byte> arguments = new KernelArguments().Add(7).Add(new DeviceMatrix(0x1122334455667788, 2, 3, 8, 16)).Add(1.5f)
            .ToMemory();
        Launch launch = new("test", "add", new Dim3(3, 4, 5), new Dim3(32, 2, 1), 1024, arguments);
        driver.Launch(function, launch, stream);
        driver.Launch(function, launch with { Arguments = default, SharedBytes = 0 }, stream);
        Assert.That(fake.Journal, Is.EqualTo(new[]
        {
            // Four bytes of padding before the address, and none behind the last argument.
            "launch add 3,4,5 32,2,1 1024 [0700000000000000887766554433221108000000100000000000c03f]",
            "launch add 3,4,5 32,2,1 0 []",
        }));
        Assert.That(Convert.ToHexStringLower(arguments.Span), Is.EqualTo("0700000000000000887766554433221108000000100000000000c03f"));
    }

    [Test]
    public void SharedMemoryBeyond48KibIsPermittedOnce()
    {
        using Driver driver = Open();
        nint stream = driver.CreateStream(), module = driver.LoadModule("test", Source);
        nint add = driver.GetFunction(module, "add");
        foreach (int bytes in (int[])[49152, 65536, 65536, 50000, 98304]) Start(add, "add", bytes);
        Start(driver.GetFunction(module, "fill"), "fill", 65536);
        string[] permits = [.. fake.Journal.Where(l => l.StartsWith("permit", StringComparison.Ordinal))];
        Assert.That(permits, Is.EqualTo(new[] { "permit add 65536", "permit add 98304", "permit fill 65536" }));
        Assert.That(() => Start(add, "add", 101377), Throws.TypeOf<DeviceException>().With.Message.Contains("cuFuncSetAttribute"));

        void Start(nint function, string kernel, int bytes) =>
            driver.Launch(function, new Launch("test", kernel, new Dim3(1), new Dim3(32), bytes, default), stream);
    }

    [Test]
    public void WhatIsRecordedIsExecutedInOrderAndAgain()
    {
        using Driver driver = Open();
        nint stream = driver.CreateStream(), host = driver.AllocateHost(4);
        ulong device = driver.Allocate(4);
        nint function = driver.GetFunction(driver.LoadModule("test", Source), "fill");
        Marshal.WriteInt32(host, 1);
        driver.BeginCapture(stream);
        driver.CopyToDevice(device, host, 4, stream);
        driver.Launch(function, new Launch("test", "fill", new Dim3(1), new Dim3(32), 0, new byte[] { 1, 2 }), stream);
        driver.CopyToHost(host, device, 4, stream);
        Assert.That(fake.Journal, Is.Empty, "nothing is executed while it is recorded");
        nint graph = driver.EndCapture(stream);
        Assert.That(fake.Journal, Is.EqualTo(new[] { "graph of 3" }));
        string[] work = ["to device 4", "launch fill 1,1,1 32,1,1 0 [0102]", "to host 4"];
        driver.LaunchGraph(graph, stream);
        Marshal.WriteInt32(host, 77);
        driver.LaunchGraph(graph, stream);
        driver.Synchronize(stream);
        Assert.That(fake.Journal, Is.EqualTo((string[])["graph of 3", .. work, .. work]));
        Assert.That(Marshal.ReadInt32(host), Is.EqualTo(77), "a graph reads its host memory when it is executed");
        driver.DestroyGraph(graph);
        driver.FreeHost(host);
        driver.Free(device);
        Assert.That(fake.Living, Is.EqualTo(3), "the context, the stream and the module");
    }

    [Test]
    public void AnErrorInstantiatingDestroysTheRecording()
    {
        using Driver driver = Open();
        nint stream = driver.CreateStream();
        driver.BeginCapture(stream);
        fake.Fail("cuGraphInstantiateWithFlags", 2);
        Assert.That(() => driver.EndCapture(stream), Throws.TypeOf<DeviceException>().With.Message.Contains("cuGraphInstantiateWithFlags"));
        Assert.That(fake.Living, Is.EqualTo(2), "the context and the stream");
    }

    [Test]
    public void OtherThreadsAllocateDuringARecording()
    {
        using Driver driver = Open();
        nint stream = driver.CreateStream();
        driver.BeginCapture(stream);
        ulong address = 0;
        Thread thread = new(() => address = driver.Allocate(4));
        thread.Start();
        thread.Join();
        Assert.That(address, Is.Not.Zero);
        driver.DestroyGraph(driver.EndCapture(stream));
        driver.Free(address);
    }

    [Test]
    public void AnAllocationSpoilsARecordingButNotTheStream()
    {
        using Driver driver = Open();
        nint stream = driver.CreateStream();
        driver.BeginCapture(stream);
        Assert.That(() => driver.Allocate(4), Throws.TypeOf<DeviceException>().With.Message.Contains("being recorded"));
        Assert.That(() => driver.EndCapture(stream),
            Throws.TypeOf<DeviceException>().With.Property(nameof(DeviceException.Code)).EqualTo(901));
        driver.Synchronize(stream);
        driver.BeginCapture(stream);
        driver.DestroyGraph(driver.EndCapture(stream));
        Assert.That(fake.Living, Is.EqualTo(2), "the context and the stream");
    }

    [Test]
    public void EventsTellTheTime()
    {
        using Driver driver = Open();
        nint stream = driver.CreateStream(), start = driver.CreateEvent(), end = driver.CreateEvent();
        driver.Record(start, stream);
        driver.Record(end, stream);
        driver.SynchronizeEvent(end);
        Assert.That(driver.Elapsed(start, end), Is.EqualTo(TimeSpan.FromMilliseconds(12.5)));
    }

    [TestCase("cuMemAlloc_v2", 2, "CUDA_ERROR_OUT_OF_MEMORY", "(100 bytes; 123,456,789 of 8,589,934,592 bytes are free)", "smaller batch")]
    [TestCase("cuMemHostAlloc", 2, "CUDA_ERROR_OUT_OF_MEMORY", "8 bytes of pinned host memory")]
    [TestCase("cuMemcpyHtoDAsync_v2", 1, "CUDA_ERROR_INVALID_VALUE", "(8 bytes)", "error in the program")]
    [TestCase("cuMemcpyDtoHAsync_v2", 1, "CUDA_ERROR_INVALID_VALUE", "(8 bytes)")]
    [TestCase("cuMemsetD8Async", 1, "CUDA_ERROR_INVALID_VALUE", "(8 bytes)")]
    [TestCase("cuModuleLoadDataEx", 222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "test.ptx", "update it to CUDA 11.1 or later")]
    [TestCase("cuModuleLoadDataEx", 209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "test.ptx", "compute capability 8.0")]
    [TestCase("cuModuleLoadDataEx", 221, "CUDA_ERROR_JIT_COMPILER_NOT_FOUND", "libnvidia-ptxjitcompiler")]
    [TestCase("cuModuleLoadDataEx", 223, "CUDA_ERROR_JIT_COMPILATION_DISABLED", "CUDA_DISABLE_PTX_JIT")]
    [TestCase("cuModuleUnload", 400, "CUDA_ERROR_INVALID_HANDLE")]
    [TestCase("cuModuleGetFunction", 500, "CUDA_ERROR_NOT_FOUND", "(add)", "no kernel of this name")]
    [TestCase("cuFuncSetAttribute", 1, "CUDA_ERROR_INVALID_VALUE", "test.add")]
    [TestCase("cuLaunchKernel", 701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
        "test.add, grid 2 x 1 x 1, block 32 x 1 x 1, 65536 bytes of shared memory, 4 bytes of arguments", "more registers")]
    [TestCase("cuStreamCreate", 2, "CUDA_ERROR_OUT_OF_MEMORY")]
    [TestCase("cuStreamSynchronize", 719, "CUDA_ERROR_LAUNCH_FAILED", "The CPU still works")]
    [TestCase("cuStreamBeginCapture_v2", 900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED")]
    [TestCase("cuStreamEndCapture", 901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "being recorded")]
    [TestCase("cuStreamEndCapture", 908, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD")]
    [TestCase("cuGraphInstantiateWithFlags", 2, "CUDA_ERROR_OUT_OF_MEMORY")]
    [TestCase("cuGraphDestroy", 400, "CUDA_ERROR_INVALID_HANDLE")]
    [TestCase("cuGraphLaunch", 700, "CUDA_ERROR_ILLEGAL_ADDRESS", "lost to this process")]
    [TestCase("cuGraphExecDestroy", 400, "CUDA_ERROR_INVALID_HANDLE")]
    [TestCase("cuEventCreate", 2, "CUDA_ERROR_OUT_OF_MEMORY")]
    [TestCase("cuEventRecord", 400, "CUDA_ERROR_INVALID_HANDLE")]
    [TestCase("cuEventSynchronize", 716, "CUDA_ERROR_MISALIGNED_ADDRESS", "lost to this process")]
    [TestCase("cuEventElapsedTime", 600, "CUDA_ERROR_NOT_READY", "not finished")]
    [TestCase("cuEventDestroy_v2", 400, "CUDA_ERROR_INVALID_HANDLE")]
    [TestCase("cuStreamDestroy_v2", 400, "CUDA_ERROR_INVALID_HANDLE")]
    [TestCase("cuMemFree_v2", 1, "CUDA_ERROR_INVALID_VALUE")]
    [TestCase("cuMemFreeHost", 1, "CUDA_ERROR_INVALID_VALUE")]
    [TestCase("cuCtxPushCurrent_v2", 201, "CUDA_ERROR_INVALID_CONTEXT")]
    [TestCase("cuCtxPopCurrent_v2", 214, "CUDA_ERROR_ECC_UNCORRECTABLE", "lost to this process")]
    [TestCase("cuMemAlloc_v2", 7777, "CUDA error 7777")]
    public void AnErrorSaysWhatWasCalledAndWhatWouldBeRight(string call, int code, params string[] words)
    {
        using Driver driver = Open();
        fake.Fail(call, code);
        DeviceException e = Assert.Throws<DeviceException>(() => UseAll(driver, _ => { }))!;
        Assert.That((e.Device, e.Code), Is.EqualTo(("cuda:0", code)));
        Assert.That(e.Message, Does.StartWith("cuda:0: " + call).And.Contain($"({code})"));
        foreach (string word in words) Assert.That(e.Message, Does.Contain(word));
    }

    [TestCase(100, "CUDA_ERROR_NO_DEVICE", "There is no NVIDIA GPU")]
    [TestCase(34, "CUDA_ERROR_STUB_LIBRARY", "placeholder")]
    [TestCase(802, "CUDA_ERROR_SYSTEM_NOT_READY", "nvidia-fabricmanager")]
    [TestCase(803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "restart the machine")]
    [TestCase(804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", "compatibility libraries")]
    [TestCase(999, "CUDA_ERROR_UNKNOWN", "nvidia-smi")]
    public void ADriverThatDoesNotStartIsAReason(int code, string name, string advice)
    {
        using Variable _ = new("CUDA_VISIBLE_DEVICES", null);
        fake.Fail("cuInit", code);
        GpuSurvey survey = CudaDevices.Survey(fake.Path);
        Assert.That(survey.Gpus, Is.Empty);
        Assert.That(survey.Reason, Does.StartWith("cuInit").And.Contain(name).And.Contain(advice));
        fake.Fail("cuInit", code);
        Assert.That(Open, Throws.TypeOf<DeviceException>().With.Property(nameof(DeviceException.Code)).EqualTo(code));
    }

    [Test]
    public void HiddenGpusAreAReason([Values("", "-1", "7")] string visible)
    {
        using Variable _ = new("CUDA_VISIBLE_DEVICES", visible);
        fake.Set(0, 12040, 8, 0, "");
        Assert.That(CudaDevices.Survey(fake.Path).Reason, Does.Contain($"CUDA_VISIBLE_DEVICES is '{visible}'"));
    }

    [Test]
    public void AnOldDriverIsAReason()
    {
        fake.Set(1, 11000, 8, 0, "A GPU");
        Assert.That(CudaDevices.Survey(fake.Path).Reason, Does.Contain("supports CUDA 11.0").And.Contain("11.1 or later"));
        Assert.That(Open, Throws.TypeOf<DeviceException>());
        fake.Set(1, 11010, 8, 0, "A GPU");
        Assert.That(CudaDevices.Survey(fake.Path).Reason, Is.Null);
    }

    [Test]
    public void AnOldGpuIsAReason()
    {
        fake.Set(1, 12040, 7, 5, "Tesla T4");
        GpuSurvey survey = CudaDevices.Survey(fake.Path);
        Assert.That(survey.Reason, Is.EqualTo("cuda:0: Tesla T4 has compute capability 7.5. The kernels need 8.0 or later (Ampere, Ada, "
            + "Hopper, Orin)."));
        Assert.That(survey.Gpus.Single().Properties.Major, Is.EqualTo(7));
        Assert.That(Open, Throws.TypeOf<DeviceException>().With.Message.Contains("7.5"));
    }

    [Test]
    public void AGpuThatDoesNotAnswerLeavesTheOthers()
    {
        fake.Set(2, 12040, 8, 0, "A GPU");
        fake.Fail("cuDeviceGetName", 101);
        GpuSurvey survey = CudaDevices.Survey(fake.Path);
        Assert.That((survey.IsAvailable, survey.Gpus.Count, survey.Gpus[1].Problem), Is.EqualTo((true, 2, (string?)null)));
        Assert.That(survey.Gpus[0].Problem, Does.StartWith("cuda:0: cuDeviceGetName failed with CUDA_ERROR_INVALID_DEVICE"));
    }

    [Test]
    public void AMissingGpuIsNamed([Values(-1, 1)] int index) =>
        Assert.That(() => CudaDevices.Open(index, fake.Path),
            Throws.TypeOf<DeviceException>()
                .With.Message.EqualTo($"cuda:{index}: There is no GPU of this number. The numbers are 0 to 0."));

    [Test]
    public void AMissingLibraryIsAReason()
    {
        string nowhere = Path.Combine(folder, "nowhere.so");
        Assert.That(CudaDevices.Survey(nowhere).Reason, Does.Contain("nowhere.so' is missing or cannot be loaded"));
        string text = Path.Combine(folder, "text.so");
        File.WriteAllText(text, "This is no library.");
        Assert.That(CudaDevices.Survey(text).Reason, Does.Contain("text.so' is missing or cannot be loaded"));
    }

    [Test]
    public void MissingEntryPointsAreAReason()
    {
        FakeCuda old = FakeCuda.Compile(folder, "libcuda-without-graphs.so", "WITHOUT_FLAGS", "WITHOUT_GRAPHS");
        Assert.That(CudaDevices.Survey(old.Path).Reason, Does.Contain("lacks cuGraphInstantiate_v2: update"));
    }

    [Test]
    public void GraphsWorkWithDriversBefore11_4()
    {
        FakeCuda old = FakeCuda.Compile(folder, "libcuda-without-flags.so", "WITHOUT_FLAGS");
        old.Reset();
        using (Driver driver = CudaDevices.Open(0, old.Path)) UseAll(driver, _ => { });
        Assert.That(old.Journal, Does.Contain("old form"));
        Assert.That((old.Living, old.Violation), Is.EqualTo((0, "")));
        using (Driver driver = Open()) UseAll(driver, _ => { });
        Assert.That(fake.Journal, Does.Not.Contain("old form"));
    }

    [Test]
    public void TheCompilersLogIsInTheMessage()
    {
        using Driver driver = Open();
        DeviceException e = Assert.Throws<DeviceException>(() => driver.LoadModule("layernorm", Source + "SYNTAX"))!;
        Assert.That(e.Code, Is.EqualTo(218));
        Assert.That(e.Message, Does.Contain("layernorm.ptx").And.Contain("line 7; fatal : Parsing error near 'SYNTAX'"));
        e = Assert.Throws<DeviceException>(() => driver.LoadModule("flood", Source + "FLOOD"))!;
        Assert.That(e.Message, Does.Contain(new string('y', 8192)).And.Not.Contain(new string('y', 8193)));
    }

    [Test]
    public void AfterAStoppedKernelTheGpuIsLost([Values(214, 700, 716, 719)] int code)
    {
        Driver driver = Open();
        nint stream = driver.CreateStream(), host = driver.AllocateHost(8), mark = driver.CreateEvent();
        nint module = driver.LoadModule("test", Source);
        ulong device = driver.Allocate(8);
        fake.Fail("cuStreamSynchronize", code);
        Assert.That(() => driver.Synchronize(stream), Lost("cuStreamSynchronize"));
        Assert.That(() => driver.Synchronize(stream), Lost("The GPU was lost"));
        Assert.That(() => driver.Allocate(8), Lost("The GPU was lost"));
        Assert.That(() => driver.LoadModule("test", Source), Lost("The GPU was lost"));
        // What is freed is gone already: an exception from Dispose would hide the one that says why.
        driver.Free(device);
        driver.FreeHost(host);
        driver.DestroyEvent(mark);
        driver.UnloadModule(module);
        driver.DestroyStream(stream);
        driver.Dispose();
        Assert.That((fake.Depth, fake.Violation), Is.EqualTo((0, "")));

        NUnit.Framework.Constraints.IResolveConstraint Lost(string words) => Throws.TypeOf<DeviceException>()
            .With.Property(nameof(DeviceException.Code)).EqualTo(code)
            .And.Message.Contains(words).And.Message.Contains("The CPU still works");
    }

    [Test]
    public void ThisMachineSaysWhatItHas()
    {
        GpuSurvey survey = CudaDevices.Survey();
        Assert.That(CudaDevices.IsAvailable, Is.EqualTo(survey.Reason is null));
        Assert.That(CudaDevices.List(), Has.Count.EqualTo(survey.Gpus.Count(g => g.Problem is null)));
        if (survey.Reason is null) return;
        Assert.That(survey.Reason, Is.Not.Empty);
        Assert.That(CudaDevices.List(), Is.Empty);
        TestContext.Out.WriteLine(survey.Reason);
    }

    /// <summary>Calls every member of a driver that does something, and frees all.</summary>
    private static void UseAll(Driver driver, Action<string> after)
    {
        nint stream = Do("CreateStream", driver.CreateStream), start = Do("CreateEvent", driver.CreateEvent);
        nint end = Do("CreateEvent", driver.CreateEvent), host = Do("AllocateHost", () => driver.AllocateHost(8));
        ulong device = Do("Allocate", () => driver.Allocate(100));
        nint module = Do("LoadModule", () => driver.LoadModule("test", Source));
        nint function = Do("GetFunction", () => driver.GetFunction(module, "add"));
        Call("Record", () => driver.Record(start, stream));
        Call("CopyToDevice", () => driver.CopyToDevice(device, host, 8, stream));
        Call("Clear", () => driver.Clear(device, 8, stream));
        Call("CopyToHost", () => driver.CopyToHost(host, device, 8, stream));
        Launch launch = new("test", "add", new Dim3(2), new Dim3(32), 65536, new byte[4]);
        Call("Launch", () => driver.Launch(function, launch, stream));
        Call("Record", () => driver.Record(end, stream));
        Call("BeginCapture", () => driver.BeginCapture(stream));
        Call("Launch", () => driver.Launch(function, launch, stream));
        nint graph = Do("EndCapture", () => driver.EndCapture(stream));
        Call("LaunchGraph", () => driver.LaunchGraph(graph, stream));
        Call("SynchronizeEvent", () => driver.SynchronizeEvent(end));
        Do("Elapsed", () => driver.Elapsed(start, end));
        Call("Synchronize", () => driver.Synchronize(stream));
        Call("DestroyGraph", () => driver.DestroyGraph(graph));
        Call("UnloadModule", () => driver.UnloadModule(module));
        Call("Free", () => driver.Free(device));
        Call("FreeHost", () => driver.FreeHost(host));
        Call("DestroyEvent", () => driver.DestroyEvent(start));
        Call("DestroyEvent", () => driver.DestroyEvent(end));
        Call("DestroyStream", () => driver.DestroyStream(stream));

        T Do<T>(string name, Func<T> call)
        {
            T result = call();
            after(name);
            return result;
        }

        void Call(string name, Action call)
        {
            call();
            after(name);
        }
    }

    /// <summary>Sets a variable of the process until it is disposed.</summary>
    private sealed class Variable : IDisposable
    {
        private readonly string name;
        private readonly string? before;

        public Variable(string name, string? value)
        {
            (this.name, before) = (name, Environment.GetEnvironmentVariable(name));
            Environment.SetEnvironmentVariable(name, value);
        }

        public void Dispose() => Environment.SetEnvironmentVariable(name, before);
    }
}
