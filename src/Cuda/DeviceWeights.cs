using System.Runtime.InteropServices;
using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Cuda;

/// <summary>
/// Holds the weights of all plans of a device in its memory, each once: parameters with the same memory are uploaded once for each form
/// that kernels need. A weight is freed when the last plan that uses it is. All members are thread safe.
/// </summary>
internal sealed unsafe class DeviceWeights(Driver driver) : IDisposable
{
    /// <summary>The size of the pinned memory through which weights are uploaded, in portions.</summary>
    private const int StagingBytes = 4 << 20;

    private readonly Lock gate = new();
    private readonly Dictionary<string, Entry> entries = new(StringComparer.Ordinal);
    private nint staging;
    private nint stream;

    private sealed class Entry(ulong address, long bytes)
    {
        public ulong Address => address;
        public long Bytes => bytes;
        public int Users { get; set; }
    }

    /// <summary>Represents the weights that one plan uses. Disposing it gives them up.</summary>
    internal sealed class Lease(DeviceWeights weights) : IDisposable
    {
        private readonly HashSet<string> keys = new(StringComparer.Ordinal);

        /// <summary>Gets the size of the weights in device memory.</summary>
        public long Bytes { get; private set; }

        /// <summary>
        /// Gets matrices, one below the other, as halves <c>[out][in]</c> with rows of a multiple of 8: the operand of a matrix product.
        /// </summary>
        /// <exception cref="DeviceException">A weight is beyond the range of halves.</exception>
        public DeviceMatrix Matrix(params IReadOnlyList<(Parameter Weight, WeightLayout Layout)> parts)
        {
            int k = Inputs(parts[0]), stride = RoundUp(k, 8), n = parts.Sum(Outputs);
            ulong address = Get($"matrix {Key(parts.Select(p => p.Weight))} {parts[0].Layout}", (long)n * stride * sizeof(Half), write =>
            {
                Half[] row = new Half[stride];
                foreach ((Parameter weight, WeightLayout layout) in parts)
                {
                    int outputs = Outputs((weight, layout));
                    for (int o = 0; o < outputs; o++)
                    {
                        for (int i = 0; i < k; i++)
                        {
                            long at = layout == WeightLayout.OutIn ? (long)o * k + i : (long)i * outputs + o;
                            row[i] = ToHalf(weight, at);
                        }

                        write(MemoryMarshal.AsBytes<Half>(row));
                    }
                }
            });
            return new DeviceMatrix(address, n, k, stride, Half: true);
        }

        /// <summary>Gets the weights of a 3 x 3 convolution, [3, 3, in, out], as the operand of a matrix product, [out][9 * in].</summary>
        /// <exception cref="DeviceException">A weight is beyond the range of halves.</exception>
        public DeviceMatrix Convolution(Parameter weight)
        {
            int inputs = weight.Shape[2], n = weight.Shape[3], k = 9 * inputs, stride = RoundUp(k, 8);
            ulong address = Get($"convolution {Key([weight])}", (long)n * stride * sizeof(Half), write =>
            {
                Half[] row = new Half[stride];
                for (int o = 0; o < n; o++)
                {
                    for (int i = 0; i < k; i++) row[i] = ToHalf(weight, (long)i * n + o);
                    write(MemoryMarshal.AsBytes<Half>(row));
                }
            });
            return new DeviceMatrix(address, n, k, stride, Half: true);
        }

        /// <summary>Gets vectors, one behind the other, as floats. Zeros stand for a vector that is null.</summary>
        public ulong Vector(params IReadOnlyList<(Parameter? Vector, int Length)> parts)
        {
            string key = string.Join(' ', parts.Select(p => p.Vector is null ? $"zeros({p.Length})" : Key([p.Vector])));
            return Get($"vector {key}", parts.Sum(p => (long)p.Length) * sizeof(float), write =>
            {
                foreach ((Parameter? vector, int length) in parts)
                {
                    float[] values = new float[length];
                    if (vector is not null)
                        for (int i = 0; i < length; i++) values[i] = vector.Type.Read(vector.Pointer, i);
                    write(MemoryMarshal.AsBytes<float>(values));
                }
            });
        }

        /// <summary>Gets a parameter as floats.</summary>
        public ulong Vector(Parameter vector) => Vector((vector, checked((int)vector.Count)));

        /// <summary>Gets a table with rows of the given length: halves if it is stored so, otherwise floats.</summary>
        public DeviceMatrix Table(Parameter table, int columns)
        {
            bool half = table.Type == FloatType.F16;
            ulong address = Get($"table {Key([table])}", table.Count * (half ? sizeof(Half) : sizeof(float)), write =>
            {
                const int Portion = 1 << 16;
                float[] values = new float[half ? 0 : Portion];
                for (long at = 0; at < table.Count; at += Portion)
                {
                    int count = (int)Math.Min(Portion, table.Count - at);
                    if (half)
                    {
                        write(new ReadOnlySpan<byte>((Half*)table.Pointer + at, count * sizeof(Half)));
                        continue;
                    }

                    for (int i = 0; i < count; i++) values[i] = table.Type.Read(table.Pointer, (nint)(at + i));
                    write(MemoryMarshal.AsBytes(values.AsSpan(0, count)));
                }
            });
            return new DeviceMatrix(address, checked((int)(table.Count / columns)), columns, columns, Half: half);
        }

        /// <summary>Gets numbers that a plan computes, such as the weights of a filter.</summary>
        /// <param name="name">What they are and depend on.</param>
        /// <param name="values">The numbers.</param>
        public ulong Floats(string name, ReadOnlyMemory<float> values) =>
            Get($"floats {name}", (long)values.Length * sizeof(float), write => write(MemoryMarshal.AsBytes(values.Span)));

        /// <inheritdoc/>
        public void Dispose()
        {
            weights.Release(keys);
            keys.Clear();
        }

        private ulong Get(string key, long bytes, Action<PortionWriter> fill)
        {
            Entry entry = weights.Get(key, bytes, fill, isNew: !keys.Contains(key));
            if (keys.Add(key)) Bytes += entry.Bytes;
            return entry.Address;
        }

        private static int Inputs((Parameter Weight, WeightLayout Layout) part) => checked((int)(part.Weight.Count / Outputs(part)));

        private static int Outputs((Parameter Weight, WeightLayout Layout) part) =>
            part.Layout == WeightLayout.OutIn ? part.Weight.Shape[0] : checked((int)(part.Weight.Count / part.Weight.Shape[0]));

        private Half ToHalf(Parameter weight, long at)
        {
            float value = weight.Type.Read(weight.Pointer, (nint)at);
            Half half = (Half)value;
            return Half.IsFinite(half) || !float.IsFinite(value) ? half : throw new DeviceException(weights.Name,
                $"{weight.Name} holds {value}, and the device multiplies numbers up to 65504; compute on the CPU.");
        }

        private static string Key(IEnumerable<Parameter> parameters) =>
            string.Join('+', parameters.Select(p => $"{p.Address:x}:{p.Type}:{p.Count}"));
    }

    /// <summary>Takes the next bytes of a weight.</summary>
    internal delegate void PortionWriter(ReadOnlySpan<byte> bytes);

    /// <summary>Gets the name of the device, for messages.</summary>
    public string Name { get; init; } = "cuda";

    /// <summary>Gets the number of bytes of all weights in device memory.</summary>
    public long Bytes
    {
        get
        {
            lock (gate) return entries.Values.Sum(e => e.Bytes);
        }
    }

    /// <summary>Creates the weights of a plan, with none in it yet.</summary>
    public Lease NewLease() => new(this);

    /// <summary>Frees everything.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            foreach (Entry entry in entries.Values) driver.Free(entry.Address);
            entries.Clear();
            if (staging != 0) driver.FreeHost(staging);
            if (stream != 0) driver.DestroyStream(stream);
            (staging, stream) = (0, 0);
        }
    }

    internal static int RoundUp(int x, int multiple) => (x + multiple - 1) / multiple * multiple;

    private Entry Get(string key, long bytes, Action<PortionWriter> fill, bool isNew)
    {
        lock (gate)
        {
            if (!entries.TryGetValue(key, out Entry? entry))
            {
                ulong address = driver.Allocate(bytes);
                try
                {
                    Upload(address, bytes, fill);
                }
                catch
                {
                    driver.Free(address);
                    throw;
                }

                entries.Add(key, entry = new Entry(address, bytes));
            }

            if (isNew) entry.Users++;
            return entry;
        }
    }

    /// <summary>Uploads a weight through pinned memory, which it fills and copies portion by portion.</summary>
    private void Upload(ulong address, long bytes, Action<PortionWriter> fill)
    {
        if (stream == 0) stream = driver.CreateStream();
        if (staging == 0) staging = driver.AllocateHost(StagingBytes);
        long copied = 0;
        int filled = 0;
        fill(part =>
        {
            while (part.Length > 0)
            {
                int count = Math.Min(part.Length, StagingBytes - filled);
                part[..count].CopyTo(new Span<byte>((byte*)staging + filled, count));
                filled += count;
                part = part[count..];
                if (filled == StagingBytes) Flush();
            }
        });
        Flush();
        if (copied != bytes) throw new InvalidOperationException($"{copied} of {bytes} bytes of a weight were written.");

        void Flush()
        {
            if (filled == 0) return;
            driver.CopyToDevice(address + (ulong)copied, staging, filled, stream);
            driver.Synchronize(stream);
            copied += filled;
            filled = 0;
        }
    }

    private void Release(IEnumerable<string> keys)
    {
        lock (gate)
        {
            foreach (string key in keys)
            {
                if (!entries.TryGetValue(key, out Entry? entry) || --entry.Users > 0) continue;
                entries.Remove(key);
                driver.Free(entry.Address);
            }
        }
    }
}
