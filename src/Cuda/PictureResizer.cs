using TinyZsad.Cuda.Kernels;
using TinyZsad.Graph;

namespace TinyZsad.Cuda;

/// <summary>
/// Resizes pictures of the host into device memory, in order of one stream. Pixels pass through two slices of pinned memory: the host
/// fills one while the other is copied. All memory is allocated when it is first needed, and is kept.
/// </summary>
internal sealed unsafe class PictureResizer(Driver driver, KernelLibrary kernels)
{
    /// <summary>The bytes of a slice of pinned memory, and so the most bytes of a row.</summary>
    private const int SliceBytes = 4 << 20;

    /// <summary>The most bytes of a picture, and of the rows between the passes.</summary>
    private const long MostBytes = 256L << 20;

    /// <summary>The axes whose tables are kept: those of the last pictures. A picture needs two.</summary>
    private const int MostTables = 8;

    private readonly Slice[] slices = [new(), new()];
    private readonly List<(ResizeAxis Axis, ulong Address)> tables = [];
    private readonly Block source = new(), between = new();
    private int next;

    /// <summary>Gets whether pictures of a size are not too large.</summary>
    public static bool CanResize(ResizeAxis horizontal, ResizeAxis vertical) =>
        3L * horizontal.From <= SliceBytes && 3L * horizontal.From * vertical.From <= MostBytes
        && 3L * horizontal.To * vertical.From <= MostBytes && 3L * horizontal.To * vertical.To <= MostBytes;

    /// <summary>Copies a picture to the device and resizes it there. The picture has been read when the method returns.</summary>
    /// <param name="rgb">The address of the top row in host memory.</param>
    /// <param name="stride">The distance of its rows in bytes.</param>
    /// <param name="horizontal">How rows are resized.</param>
    /// <param name="vertical">How columns are resized; not the identity if the other one is.</param>
    /// <param name="to">Where the result goes, without gaps.</param>
    /// <param name="stream">The stream. It must be the same in all calls.</param>
    public void Resize(nint rgb, int stride, ResizeAxis horizontal, ResizeAxis vertical, ulong to, nint stream)
    {
        int rowBytes = checked(3 * horizontal.From), outBytes = checked(3 * horizontal.To), height = vertical.From;
        // What the pass needs is allocated first, because growing and uploading wait for the stream.
        ResizeTaps across = horizontal.IsIdentity ? default : Taps(horizontal, stream);
        ResizeTaps down = vertical.IsIdentity ? default : Taps(vertical, stream);
        DeviceMatrix picture = new(Grow(source, (long)rowBytes * height, stream), height, rowBytes, rowBytes);
        DeviceMatrix result = new(to, vertical.To, outBytes, outBytes);
        DeviceMatrix wide = horizontal.IsIdentity ? picture
            : vertical.IsIdentity ? result
            : new DeviceMatrix(Grow(between, (long)outBytes * height, stream), height, outBytes, outBytes);
        Upload(rgb, stride, picture, stream);
        if (!horizontal.IsIdentity) Start(ImageKernel.ResizeHorizontal(picture, across, wide, 1), stream);
        if (!vertical.IsIdentity) Start(ImageKernel.ResizeVertical(wide, down, result, 1), stream);
    }

    /// <summary>Frees all memory. The work of the stream has finished.</summary>
    public void Free()
    {
        foreach (Slice slice in slices)
        {
            if (slice.Copied != 0) driver.DestroyEvent(slice.Copied);
            if (slice.Memory != 0) driver.FreeHost(slice.Memory);
            (slice.Copied, slice.Memory, slice.InUse) = (0, 0, false);
        }

        foreach ((_, ulong address) in tables) driver.Free(address);
        tables.Clear();
        Free(source);
        Free(between);
    }

    private void Start(Launch launch, nint stream) => driver.Launch(kernels.Function(launch), launch, stream);

    /// <summary>Copies the rows to the device without the gaps between them.</summary>
    private void Upload(nint rgb, int stride, DeviceMatrix picture, nint stream)
    {
        int rowBytes = picture.Columns, rowsAtOnce = SliceBytes / rowBytes;
        for (int first = 0; first < picture.Rows; first += rowsAtOnce)
        {
            int rows = Math.Min(rowsAtOnce, picture.Rows - first);
            Slice slice = Ready();
            byte* from = (byte*)rgb + (long)first * stride, to = (byte*)slice.Memory;
            if (stride == rowBytes)
            {
                Buffer.MemoryCopy(from, to, SliceBytes, (long)rows * rowBytes);
            }
            else
            {
                for (int y = 0; y < rows; y++)
                    Buffer.MemoryCopy(from + (long)y * stride, to + (long)y * rowBytes, rowBytes, rowBytes);
            }

            driver.CopyToDevice(picture.Address + (ulong)first * (ulong)rowBytes, slice.Memory, (long)rows * rowBytes, stream);
            slice.InUse = true;
            driver.Record(slice.Copied, stream);
        }
    }

    /// <summary>Gets the slice whose turn it is, when its last copy has ended.</summary>
    private Slice Ready()
    {
        Slice slice = slices[next];
        next = 1 - next;
        if (slice.Memory == 0) slice.Memory = driver.AllocateHost(SliceBytes);
        if (slice.Copied == 0) slice.Copied = driver.CreateEvent();
        if (slice.InUse) driver.SynchronizeEvent(slice.Copied);
        slice.InUse = false;
        return slice;
    }

    /// <summary>Gets the tables of an axis in device memory.</summary>
    private ResizeTaps Taps(ResizeAxis axis, nint stream)
    {
        int at = tables.FindIndex(t => t.Axis == axis);
        (ResizeAxis, ulong Address) table;
        if (at >= 0)
        {
            table = tables[at];
            tables.RemoveAt(at);
        }
        else
        {
            if (tables.Count == MostTables)
            {
                // Kernels that read the table may still be running.
                driver.Synchronize(stream);
                ulong oldest = tables[0].Address;
                tables.RemoveAt(0);
                driver.Free(oldest);
            }

            table = (axis, CopyTable(axis, stream));
        }

        // The last used is at the end.
        tables.Add(table);
        ulong count = table.Address + (ulong)axis.To * sizeof(int);
        return new ResizeTaps(axis.To, axis.Most, table.Address, count, count + (ulong)axis.To * sizeof(int));
    }

    private ulong CopyTable(ResizeAxis axis, nint stream)
    {
        int[] all = [.. axis.First, .. axis.Count, .. axis.Weights];
        long bytes = (long)all.Length * sizeof(int);
        ulong address = driver.Allocate(bytes);
        try
        {
            fixed (int* from = all)
            {
                driver.CopyToDevice(address, (nint)from, bytes, stream);
                driver.Synchronize(stream);
            }
        }
        catch
        {
            driver.Free(address);
            throw;
        }

        return address;
    }

    /// <summary>Gets device memory of at least some bytes. Its content is lost if it grows.</summary>
    private ulong Grow(Block block, long bytes, nint stream)
    {
        if (block.Bytes >= bytes) return block.Address;
        // Kernels that read the memory may still be running.
        driver.Synchronize(stream);
        Free(block);
        block.Address = driver.Allocate(bytes);
        block.Bytes = bytes;
        return block.Address;
    }

    private void Free(Block block)
    {
        ulong address = block.Address;
        (block.Address, block.Bytes) = (0, 0);
        if (address != 0) driver.Free(address);
    }

    /// <summary>Represents pinned memory and the event behind its last copy.</summary>
    private sealed class Slice
    {
        public nint Memory { get; set; }
        public nint Copied { get; set; }
        public bool InUse { get; set; }
    }

    /// <summary>Represents device memory that grows.</summary>
    private sealed class Block
    {
        public ulong Address { get; set; }
        public long Bytes { get; set; }
    }
}
