using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Ptx;

namespace TinyZsad.Tests.Ptx;

/// <summary>Represents a matrix of a test in the memory of the emulated GPU.</summary>
/// <param name="Device">The matrix.</param>
/// <param name="Batch">The number of pictures.</param>
/// <param name="Values">The elements of all pictures, row by row, as the device's format rounds them.</param>
internal sealed record TestMatrix(DeviceMatrix Device, int Batch, float[] Values)
{
    /// <summary>Gets an element.</summary>
    public double this[int picture, int row, int column] =>
        Values[(picture * Device.Rows + row) * Device.Columns + column];
}

/// <summary>
/// Executes launches on the emulated GPU. The gaps between the rows of inputs are never written, so that the emulated GPU reports a read
/// of them. The gaps of results hold a pattern, so that a write shows.
/// </summary>
internal sealed unsafe class KernelBench : IDisposable
{
    private const byte Pattern = 0xA5;

    private readonly EmulatedDriver driver;
    private readonly Dictionary<string, nint> modules = [];
    private readonly List<ulong> allocations = [];
    private readonly nint stream;

    /// <summary>Initializes an emulated GPU.</summary>
    /// <param name="onLaunch">What is called after each launch; null for nothing.</param>
    /// <param name="seed">The seed of the order of warps; null for their numbers' order.</param>
    public KernelBench(Action<LaunchRecord>? onLaunch = null, int? seed = null)
    {
        driver = new EmulatedDriver { OnLaunch = onLaunch, Seed = seed };
        stream = driver.CreateStream();
    }

    /// <summary>Gets the emulated GPU.</summary>
    public EmulatedDriver Driver => driver;

    /// <summary>Gets normally distributed numbers, always the same for a seed.</summary>
    public static float[] Normal(int count, int seed, double deviation = 1, double mean = 0)
    {
        Random random = new(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
        {
            double radius = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())), angle = 2 * Math.PI * random.NextDouble();
            values[i] = (float)(mean + deviation * radius * Math.Cos(angle));
        }

        return values;
    }

    /// <summary>Copies numbers to a matrix whose gaps are not written.</summary>
    /// <param name="values">The elements of all pictures, row by row.</param>
    /// <param name="rows">The rows of a picture.</param>
    /// <param name="columns">The columns.</param>
    /// <param name="half">Whether the elements are halves.</param>
    /// <param name="gap">The elements between two rows.</param>
    /// <param name="batch">The number of pictures.</param>
    public TestMatrix Input(float[] values, int rows, int columns, bool half = false, int gap = 0, int batch = 1)
    {
        Assert.That(values, Has.Length.EqualTo(batch * rows * columns));
        DeviceMatrix matrix = Allocate(rows, columns, half, gap, batch);
        float[] rounded = half ? Array.ConvertAll(values, v => (float)(Half)v) : values;
        EachRow(matrix, batch, (index, address) =>
        {
            if (half)
            {
                Half[] row = Array.ConvertAll(values[(index * columns)..((index + 1) * columns)], v => (Half)v);
                fixed (Half* from = row) driver.CopyToDevice(address, (nint)from, columns * 2L, stream);
            }
            else
            {
                fixed (float* from = &values[index * columns]) driver.CopyToDevice(address, (nint)from, columns * 4L, stream);
            }
        });
        return new TestMatrix(matrix, batch, rounded);
    }

    /// <summary>Allocates a matrix for a result. Its elements are not written, its gaps hold a pattern.</summary>
    public TestMatrix Output(int rows, int columns, bool half = false, int gap = 0, int batch = 1)
    {
        DeviceMatrix matrix = Allocate(rows, columns, half, gap, batch);
        int bytes = gap * (half ? 2 : 4);
        if (gap > 0)
        {
            byte[] pattern = new byte[bytes];
            Array.Fill(pattern, Pattern);
            EachRow(matrix, batch, (_, address) =>
            {
                fixed (byte* from = pattern) driver.CopyToDevice(address + (ulong)(columns * (half ? 2 : 4)), (nint)from, bytes, stream);
            });
        }

        return new TestMatrix(matrix, batch, []);
    }

    /// <summary>Copies any elements to the device.</summary>
    public ulong Upload<T>(T[] values) where T : unmanaged
    {
        ulong address = Allocate((long)values.Length * sizeof(T));
        fixed (T* from = values) driver.CopyToDevice(address, (nint)from, (long)values.Length * sizeof(T), stream);
        return address;
    }

    /// <summary>Copies elements from the device.</summary>
    public T[] Download<T>(ulong address, int count) where T : unmanaged
    {
        T[] values = new T[count];
        fixed (T* to = values) driver.CopyToHost((nint)to, address, (long)count * sizeof(T), stream);
        driver.Synchronize(stream);
        return values;
    }

    /// <summary>Allocates memory that is not written.</summary>
    public ulong Allocate(long bytes)
    {
        ulong address = driver.Allocate(bytes);
        allocations.Add(address);
        return address;
    }

    /// <summary>Loads another text in the place of a file of <c>cuda/</c>.</summary>
    public void Load(string module, string ptx) => modules.Add(module, driver.LoadModule(module, ptx));

    /// <summary>Executes a launch.</summary>
    public void Run(Launch launch)
    {
        if (!modules.TryGetValue(launch.Module, out nint module))
            modules.Add(launch.Module, module = driver.LoadModule(launch.Module, KernelSource.Ptx(launch.Module)));
        driver.Launch(driver.GetFunction(module, launch.Kernel), launch, stream);
        driver.Synchronize(stream);
    }

    /// <summary>
    /// Executes a launch and gets the sectors of 32 bytes that its requests touch, and the fewest that hold as many bytes.
    /// </summary>
    public (long Sectors, long Ideal) Traffic(Launch launch)
    {
        KernelStatistics? statistics = null;
        driver.OnLaunch = record => statistics = record.Statistics;
        Run(launch);
        driver.OnLaunch = null;
        return (statistics!.Sectors, statistics.IdealSectors);
    }

    /// <summary>Gets the elements of all pictures, and checks that the gaps are unchanged.</summary>
    public float[] Read(TestMatrix result)
    {
        DeviceMatrix m = result.Device;
        float[] values = new float[result.Batch * m.Rows * m.Columns];
        EachRow(m, result.Batch, (index, address) =>
        {
            if (m.Half) Array.ConvertAll(Download<Half>(address, m.Columns), h => (float)h).CopyTo(values, index * m.Columns);
            else Download<float>(address, m.Columns).CopyTo(values, index * m.Columns);
            int size = m.Half ? 2 : 4;
            if (result.Values.Length == 0 && m.Stride > m.Columns)
            {
                Assert.That(Download<byte>(address + (ulong)(m.Columns * size), (m.Stride - m.Columns) * size),
                    Has.All.EqualTo(Pattern), $"The gap behind row {index} was written.");
            }
        });
        return values;
    }

    /// <summary>Compares a result with its exact values.</summary>
    /// <param name="result">The result.</param>
    /// <param name="exact">Gets the exact value of an element of a picture.</param>
    /// <param name="tolerance">Gets the largest error of an element in floats; the rounding to halves is added.</param>
    /// <param name="what">What is compared.</param>
    public void Compare(TestMatrix result, Func<int, int, int, double> exact, Func<int, int, int, double> tolerance, string what)
    {
        float[] values = Read(result);
        DeviceMatrix m = result.Device;
        for (int i = 0; i < values.Length; i++)
        {
            int picture = i / (m.Rows * m.Columns), row = i / m.Columns % m.Rows, column = i % m.Columns;
            double expected = exact(picture, row, column), most = tolerance(picture, row, column);
            // Half an ulp: 2^-11 of the value, or 2^-25 if it is subnormal. Of a float's rounding, which the tolerance holds, 2^-24.
            if (m.Half) most += Math.ScaleB(Math.Abs(expected) + most, -11) + Math.ScaleB(1, -25);
            if (double.IsNaN(expected) ? !float.IsNaN(values[i]) : !(Math.Abs(values[i] - expected) <= most))
            {
                Assert.Fail($"{what}: [{picture}, {row}, {column}] is {values[i]:R}, exactly {expected:R}, off by " +
                    $"{Math.Abs(values[i] - expected):E2}, at most {most:E2}.");
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (ulong address in allocations) driver.Free(address);
        foreach (nint module in modules.Values) driver.UnloadModule(module);
        driver.DestroyStream(stream);
        driver.Dispose();
    }

    private DeviceMatrix Allocate(int rows, int columns, bool half, int gap, int batch)
    {
        int stride = columns + gap;
        ulong address = Allocate((long)batch * rows * stride * (half ? 2 : 4));
        return new DeviceMatrix(address, rows, columns, stride, rows * stride, half);
    }

    private static void EachRow(DeviceMatrix matrix, int batch, Action<int, ulong> body)
    {
        long size = matrix.Half ? 2 : 4;
        for (int i = 0; i < batch * matrix.Rows; i++)
        {
            long offset = (long)(i / matrix.Rows) * matrix.BatchStride + (long)(i % matrix.Rows) * matrix.Stride;
            body(i, matrix.Address + (ulong)(offset * size));
        }
    }
}
