using System.Buffers.Binary;
using System.Text;
using NUnit.Framework;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Weights;

/// <summary>
/// Good files, damaged at random from a fixed seed: each still opens, with every view inside it, or gives one
/// <see cref="ModelFormatException"/>.
/// </summary>
[TestFixture]
public sealed class MutationTests
{
    private static readonly string[] Words =
    [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud800", "null", "-1", "0", "1e9", "9223372036854775807", "F32", "U8",
        "\"dtype\"", "\"shape\"", "\"data_offsets\"", "\"__metadata__\":{},", "\u00e9", " ", "\n", "\0",
    ];

    private static readonly byte[][] Good =
    [
        TestFiles.Written([]),
        TestFiles.Written([TensorDeclaration.FromValues<byte>("odd", [3], new byte[3]),
            TensorDeclaration.FromValues<float>("unaligned", [2, 2], new float[4])],
            [new("format", "tinyzsad"), new("é\"", "\n")]),
        TestFiles.Written(Enumerable.Range(0, 12).Select(i =>
            TensorDeclaration.FromValues<Half>($"block.{i}", [i, 2], new Half[2 * i]))),
    ];

    [TestCase("flip", 1, 2000)]
    [TestCase("truncate", 2, 500)]
    [TestCase("splice", 3, 2000)]
    [TestCase("edit", 4, 4000)]
    [TestCase("length", 5, 500)]
    public void OpensInRangeOrIsRefused(string kind, int seed, int count)
    {
        Random random = new Random(seed);
        int opened = 0, refused = 0;
        for (int i = 0; i < count; i++)
        {
            byte[] bytes = Mutate(kind, Good[random.Next(Good.Length)], random);
            try
            {
                using SafetensorsFile file = SafetensorsFile.Open(bytes, "mutated");
                CheckViews(file, bytes);
                opened++;
            }
            catch (ModelFormatException e)
            {
                Assert.That((e.File, e.Message), Is.EqualTo(("mutated", $"mutated: {e.Reason}")));
                refused++;
            }
        }
        Assert.That(refused, Is.GreaterThan(count / 10), "mutations that never break anything test nothing");
        // The header says how long the file is.
        Assert.That(opened, kind is "truncate" or "length" ? Is.Zero : Is.GreaterThan(0));
        TestContext.Out.WriteLine($"{opened} opened, {refused} refused");
    }

    private static unsafe void CheckViews(SafetensorsFile file, byte[] bytes)
    {
        fixed (byte* start = bytes)
        {
            long covered = 0;
            foreach (TensorEntry tensor in file.Tensors)
            {
                long begin = tensor.Address - (nint)start;
                Assert.That(begin, Is.GreaterThanOrEqualTo(8));
                Assert.That(begin + tensor.ByteLength, Is.LessThanOrEqualTo(bytes.Length));
                Assert.That(tensor.AsBytes().Length, Is.EqualTo(tensor.ByteLength));
                covered += tensor.ByteLength;
            }
            Assert.That(8 + BinaryPrimitives.ReadInt64LittleEndian(bytes) + covered, Is.EqualTo(bytes.Length));
        }
    }

    private static byte[] Mutate(string kind, byte[] original, Random random)
    {
        byte[] bytes = [.. original];
        switch (kind)
        {
            case "flip":
                for (int n = random.Next(1, 4); n > 0; n--)
                    bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                return bytes;
            case "truncate":
                return bytes[..random.Next(bytes.Length)];
            case "splice":
                byte[] other = Good[random.Next(Good.Length)];
                return [.. bytes[..random.Next(bytes.Length)], .. other[random.Next(other.Length)..]];
            case "edit": // with the header's length set right, so that the JSON is reached
                int length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
                List<byte> header = [.. bytes[8..(8 + length)]];
                for (int n = random.Next(1, 3); n > 0; n--)
                {
                    int at = random.Next(header.Count);
                    header.RemoveRange(at, Math.Min(random.Next(4), header.Count - at));
                    header.InsertRange(at, Encoding.UTF8.GetBytes(Words[random.Next(Words.Length)]));
                }
                return [.. TestFiles.Raw([.. header], 0), .. bytes[(8 + length)..]];
            default: // another header length
                BinaryPrimitives.WriteInt64LittleEndian(bytes, random.NextInt64(-4, 2L << random.Next(1, 40)));
                return bytes;
        }
    }
}
