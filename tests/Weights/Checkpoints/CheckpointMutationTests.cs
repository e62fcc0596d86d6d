using NUnit.Framework;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Weights;

/// <summary>
/// Good archives, damaged at random from a fixed seed: each still opens, with every tensor readable, or gives one
/// <see cref="ModelFormatException"/>.
/// </summary>
[TestFixture]
public sealed class CheckpointMutationTests
{
    private static readonly byte[] Opcodes =
        [.. "(NJKMGX}])tqrhjsuaecQRb.ILBC01"u8, .. Enumerable.Range(0x80, 0x18).Select(i => (byte)i)];

    [TestCase("flip", 1, 4000)]
    [TestCase("truncate", 2, 500)]
    [TestCase("splice", 3, 2000)]
    [TestCase("pickle", 4, 20000)]
    [TestCase("directory", 5, 4000)]
    public void Opens_with_every_tensor_or_is_refused(string kind, int seed, int count)
    {
        Random random = new(seed);
        int opened = 0, refused = 0;
        for (int i = 0; i < count; i++)
        {
            byte[] bytes = Mutate(kind, random);
            try
            {
                using Checkpoint checkpoint = Checkpoint.Open(bytes, "mutated");
                foreach (CheckpointTensor tensor in checkpoint.Tensors.Where(t => t.IsFloat))
                    tensor.Read(0, new double[Math.Min(tensor.ElementCount, bytes.Length)]);
                opened++;
            }
            catch (ModelFormatException e)
            {
                Assert.That((e.File, e.Message), Is.EqualTo(("mutated", $"mutated: {e.Reason}")));
                refused++;
            }
        }
        Assert.That(refused, Is.GreaterThan(count / 10), "mutations that never break anything test nothing");
        // The directory at an archive's end says where everything before it lies.
        Assert.That(opened, kind is "truncate" or "splice" ? Is.Zero : Is.GreaterThan(0));
        TestContext.Out.WriteLine($"{opened} opened, {refused} refused");
    }

    private static byte[] Good(Random random, bool script, byte[]? pickle = null)
    {
        TorchFile file = TorchFile.Of(pickle ?? (script ? SamplePickles.Script : SamplePickles.StateDict));
        file.Zip64 = random.Next(2) == 0;
        if (script) file.Entries.Add(("a/constants.pkl", [0]));
        return file.ToBytes();
    }

    private static byte[] Mutate(string kind, Random random)
    {
        bool script = random.Next(2) == 0;
        byte[] bytes = Good(random, script);
        switch (kind)
        {
            case "flip":
                for (int n = random.Next(1, 4); n > 0; n--) bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                return bytes;
            case "truncate":
                return bytes[..random.Next(bytes.Length)];
            case "splice":
                byte[] other = Good(random, !script);
                return [.. bytes[..random.Next(bytes.Length)], .. other[random.Next(other.Length)..]];
            case "pickle": // the archive around it stays whole
                List<byte> pickle =
                    [.. script ? SamplePickles.Script : random.Next(2) == 0 ? SamplePickles.Framed : SamplePickles.StateDict];
                for (int n = random.Next(1, 4); n > 0; n--)
                {
                    int at = random.Next(pickle.Count);
                    if (random.Next(2) == 0) pickle[at] = (byte)random.Next(256);
                    else if (random.Next(2) == 0) pickle.RemoveAt(at);
                    else pickle.Insert(at, Opcodes[random.Next(Opcodes.Length)]);
                }
                return Good(random, script, [.. pickle]);
            default: // the records behind the entries
                int first = bytes.AsSpan().IndexOf("PK\x01\x02"u8);
                for (int n = random.Next(1, 3); n > 0; n--) bytes[random.Next(first, bytes.Length)] = (byte)random.Next(256);
                return bytes;
        }
    }
}
