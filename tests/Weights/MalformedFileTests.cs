using System.Buffers.Binary;
using System.Text;
using NUnit.Framework;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Weights;

/// <summary>Every rule of the format, broken by hand: one error that says where, what was found and what is right.</summary>
[TestFixture]
public sealed class MalformedFileTests
{
    private const string A = "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}";

    private const string Dtypes = "a type's name, such as F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, BOOL";

    [TestCaseSource(nameof(Cases))]
    public void IsRefused(byte[] bytes, string[] says)
    {
        ModelFormatException error =
            Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(bytes, "bad.safetensors").Dispose())!;
        Assert.That(error.Message, Does.StartWith("bad.safetensors: ").And.EndsWith("."));
        foreach (string part in says)
            Assert.That(error.Message, Does.Contain(part));
        Assert.That(error.Message.Any(char.IsControl), Is.False, "a message must not drive the terminal");
        Assert.That(error.Message, Has.Length.LessThan(500));
    }

    [Test]
    public void TheFileThatTheCasesBreakIsGood()
    {
        using SafetensorsFile file = SafetensorsFile.Open(TestFiles.Raw("{" + A + "}", 8), "good");
        Assert.That(file.Tensors[0].ToString(), Is.EqualTo("a: F32 [2]"));
    }

    public static TestCaseData[] Cases() =>
    [
        // The prefix.
        Case("empty file", [], "is empty"),
        Case("one byte", [1], "holds 1 bytes"),
        Case("seven bytes", new byte[7], "holds 7 bytes"),
        Case("header of length zero", new byte[8], "it is empty", "'{'"),
        Case("header longer than the file", Prefixed(100, "{}"), "header of 100 bytes", "only 2 bytes follow"),
        Case("header one byte too long", Prefixed(3, "{}"), "header of 3 bytes", "only 2 bytes follow"),
        Case("header above 100 MB", Prefixed(100_000_001, "{}"), "100000001", "at most 100000000"),
        Case("header of 2^31 bytes", Prefixed(1UL << 31, "{}"), "2147483648", "at most 100000000"),
        Case("header of 2^63 bytes", Prefixed(1UL << 63, "{}"), "9223372036854775808", "at most"),
        Case("header of 2^64 - 1 bytes", Prefixed(ulong.MaxValue, "{}"), "18446744073709551615", "at most"),
        Case("another format", [.. "\u0001\u0002binary"u8, 0xff], "may be no safetensors file"),

        // The JSON.
        Case("leading form feed", Header("\f{}"), "begins with byte 0x0C", "'{'"),
        Case("leading space of Unicode", Header("\u00a0{}"), "begins with byte 0xC2", "'{'"),
        Case("an array behind white space", Header("\n\t[]"), "begins with byte 0x5B", "'{'"),
        Case("white space alone", Header(" \r\n"), "it is empty", "'{'"),
        Case("byte order mark", Header("\ufeff{}"), "begins with byte 0xEF", "'{'"),
        Case("an array", Header("[]"), "begins with byte 0x5B", "'{'"),
        Case("zeroes", Header("\0\0"), "begins with byte 0x00"),
        Case("half an object", Header("{"), "not valid JSON at byte 9"),
        Case("cut within a name", Header("{\"a"), "not valid JSON"),
        Case("cut within a tensor", Header("{\"a\":{\"dtype\":\"F32\""), "not valid JSON"),
        Case("trailing comma", Header("{" + A + ",}", 8), "not valid JSON"),
        Case("missing comma", Header("{" + A + A + "}", 8), "not valid JSON"),
        Case("comment", Header("{/* none */}"), "not valid JSON"),
        Case("single quotes", Header("{'a':1}"), "not valid JSON"),
        Case("control character in a name", Header("{\"a\nb\":1}"), "not valid JSON"),
        Case("bare NaN", Header("{\"a\":NaN}"), "not valid JSON"),
        Case("leading zero", Tensor("F32", "[02]"), "not valid JSON"),
        Case("trailing text", Header("{}x"), "byte 0x78 follows", "at byte 10", "only white space"),
        Case("trailing form feed", Header("{" + A + "}  \f", 8), "byte 0x0C follows", "only white space"),
        Case("trailing zero", Header("{} \0"), "byte 0x00 follows", "at byte 11"),
        Case("a second object", Header("{}{}"), "byte 0x7B follows"),
        Case("bad UTF-8", TestFiles.Raw([.. "{\""u8, 0xFF, .. "\":1}"u8], 0), "not valid UTF-8"),
        Case("overlong UTF-8", TestFiles.Raw([.. "{\""u8, 0xC0, 0xAF, .. "\":1}"u8], 0), "not valid UTF-8"),
        Case("UTF-8 surrogate", TestFiles.Raw([.. "{\""u8, 0xED, 0xA0, 0x80, .. "\":1}"u8], 0), "not valid UTF-8"),
        Case("half a surrogate pair as name", Header("""{"\ud83d":{}}"""), "half a surrogate pair"),
        Case("half a surrogate pair as key", Header("""{"a":{"\ude00":1}}"""), "tensor 'a'", "half a surrogate pair"),
        Case("half a surrogate pair as dtype", Tensor("\\ud83d", "[2]"), "tensor 'a'", "half a surrogate pair"),
        Case("deep arrays", Header("{\"a\":" + new string('[', 100_000)), "tensor 'a' is an array"),
        Case("deep objects", Header(string.Concat(Enumerable.Repeat("{\"a\":", 100_000))), "unknown key 'a'"),
        Case("deep shape", Tensor("F32", new string('[', 100_000)), "an array in its shape"),
        Case("deep metadata", Header("{\"__metadata__\":{\"k\":" + new string('[', 100_000)), "'k' is an array"),

        // __metadata__.
        Case("metadata null", Header("""{"__metadata__":null}"""), "__metadata__ is null", "an object of strings"),
        Case("metadata text", Header("""{"__metadata__":"pt"}"""), "is the string 'pt'", "an object of strings"),
        Case("metadata array", Header("""{"__metadata__":[]}"""), "is an array", "an object of strings"),
        Case("metadata number", Header("""{"__metadata__":{"k":1.5}}"""), "'k' is the number 1.5", "must be a string"),
        Case("metadata true", Header("""{"__metadata__":{"k":true}}"""), "'k' is true", "must be a string"),
        Case("metadata false", Header("""{"__metadata__":{"k":false}}"""), "'k' is false", "must be a string"),
        Case("metadata null value", Header("""{"__metadata__":{"k":null}}"""), "'k' is null", "must be a string"),
        Case("metadata object value", Header("""{"__metadata__":{"k":{}}}"""), "'k' is an object", "must be a string"),
        Case("metadata key twice", Header("""{"__metadata__":{"k":"1","k":"1"}}"""), "'k' is given twice"),
        Case("metadata key twice, escaped", Header("""{"__metadata__":{"k":"1","\u006b":"2"}}"""), "'k' is given twice"),
        Case("metadata twice", Header("""{"__metadata__":{},"__metadata__":{}}"""), "__metadata__ stands", "twice"),

        // An entry's keys.
        Case("tensor null", Header("""{"a":null}"""), "tensor 'a' is null", "dtype, shape and data_offsets"),
        Case("tensor number", Header("""{"a":-1e5}"""), "tensor 'a' is the number -1e5"),
        Case("tensor twice", Header("{" + A + "," + A + "}", 8), "tensor 'a' is given twice"),
        Case("tensor twice, escaped", Header("{" + A + "," + A.Replace("\"a\"", "\"\\u0061\"") + "}", 8), "given twice"),
        Case("empty entry", Header("""{"a":{}}"""), "tensor 'a' has no dtype", Dtypes),
        Case("no dtype", Entry(""" "shape":[2],"data_offsets":[0,8] """), "tensor 'a' has no dtype", Dtypes),
        Case("no shape", Entry(""" "dtype":"F32","data_offsets":[0,8] """), "tensor 'a' has no shape", "array of non-neg"),
        Case("no data_offsets", Entry(""" "dtype":"F32","shape":[2] """), "'a' has no data_offsets", "[begin, end]"),
        Case("unknown key", Entry(""" "dtype":"F32","shape":[2],"data_offsets":[0,8],"x":0 """), "unknown key 'x'"),
        Case("key of other case", Entry(""" "DType":"F32","shape":[2],"data_offsets":[0,8] """), "unknown key 'DType'"),
        Case("dtype twice", Entry(""" "dtype":"F32","dtype":"F32" """), "tensor 'a' has dtype twice"),
        Case("shape twice", Entry(""" "shape":[2],"sh\u0061pe":[2] """), "tensor 'a' has shape twice"),
        Case("data_offsets twice", Entry(""" "data_offsets":[0,8],"data_offsets":[0,8] """), "has data_offsets twice"),

        // dtype.
        Case("F4 of half bytes", Tensor("F4", "[15]"), "8 bytes by its data_offsets [0, 8]", "60 bits by its shape [15] of F4"),
        Case("F6 of too few bytes", Tensor("F6_E2M3", "[12]"), "but 9 by its shape [12] of F6_E2M3"),
        Case("F8 of too many bytes", Tensor("F8_E4M3", "[7]"), "but 7 by its shape [7] of F8_E4M3"),
        Case("C64 of floats", Tensor("C64", "[2]"), "but 16 by its shape [2] of C64"),
        Case("C64 bytes overflow", Tensor("C64", "[1152921504606846976]"), "C64 bytes cannot be counted", "below 2^63"),
        Case("unknown type that overflows", Tensor("X", "[4294967296,4294967296]"), "X bytes cannot be counted"),
        Case("unknown type of less than a bit", Tensor("X", "[65]"), "8 bytes", "[65] of X", "at least a bit"),
        Case("unknown type past the file", Tensor("X", "[2]", "[0,9]"), "ends at data byte 9, but the file holds 8 bytes"),
        Case("unknown type over another", Header("{" + A + ",\"b\":{\"dtype\":\"X\",\"shape\":[9],\"data_offsets\":[4,12]}}", 12),
            "'b' begins at data byte 4", "not overlap"),
        Case("dtype number", Entry(""" "dtype":32 """), "tensor 'a' has the number 32 as dtype", Dtypes),
        Case("dtype null", Entry(""" "dtype":null """), "tensor 'a' has null as dtype", Dtypes),

        // shape.
        Case("shape number", Tensor("F32", "2"), "the number 2 as shape", "array of non-negative integers"),
        Case("shape object", Tensor("F32", "{}"), "an object as shape"),
        Case("shape of text", Tensor("F32", "[\"2\"]"), "the string '2' in its shape", "non-negative integer"),
        Case("shape nested", Tensor("F32", "[[2]]"), "an array in its shape", "non-negative integer"),
        Case("shape of null", Tensor("F32", "[null]"), "null in its shape"),
        Case("negative dimension", Tensor("F32", "[-2]"), "the number -2 in its shape", "non-negative integer"),
        Case("negative zero", Tensor("F32", "[2,-0]"), "the number -0 in its shape", "non-negative integer"),
        Case("fractional dimension", Tensor("F32", "[2.0]"), "the number 2.0 in its shape", "non-negative integer"),
        Case("dimension with exponent", Tensor("F32", "[2e0]"), "the number 2e0 in its shape", "non-negative integer"),
        Case("dimension of 2^63", Tensor("F32", "[9223372036854775808]"), "9223372036854775808", "below 2^63"),
        Case("dimension of 100 digits", Tensor("F32", "[" + new string('9', 100) + "]"), "99...", "below 2^63"),
        Case("elements overflow", Tensor("U8", "[4294967296,4294967296]"), "[4294967296, 4294967296]", "cannot be counted"),
        Case("elements wrap", Tensor("F32", "[2,9223372036854775807,9223372036854775807]"), "cannot be counted"),
        Case("bytes overflow", Tensor("F64", "[1152921504606846977]"), "F64 bytes cannot be counted", "below 2^63"),
        Case("65 dimensions", Tensor("F32", "[2" + string.Concat(Enumerable.Repeat(",1", 64)) + "]"), "more than 64 dimensions"),

        // data_offsets.
        Case("offsets number", Tensor("F32", "[2]", "8"), "the number 8 as data_offsets", "[begin, end]"),
        Case("no offset", Tensor("F32", "[2]", "[]"), "fewer than two data_offsets"),
        Case("one offset", Tensor("F32", "[2]", "[8]"), "fewer than two data_offsets", "[begin, end]"),
        Case("three offsets", Tensor("F32", "[2]", "[0,8,8]"), "more than two data_offsets", "[begin, end]"),
        Case("negative offset", Tensor("F32", "[2]", "[-8,0]"), "the number -8 in its data_offsets", "non-negative"),
        Case("fractional offset", Tensor("F32", "[2]", "[0,8.0]"), "the number 8.0 in its data_offsets", "integer"),
        Case("text offset", Tensor("F32", "[2]", "[\"0\",8]"), "the string '0' in its data_offsets", "integer"),
        Case("offset of 2^64", Tensor("F32", "[2]", "[0,18446744073709551616]"), "18446744073709551616", "below 2^63"),
        Case("begin behind end", Tensor("F32", "[2]", "[8,0]"), "[8, 0]", "must not lie behind the end"),
        Case("end past the file", Tensor("F32", "[3]", "[0,12]"), "ends at data byte 12", "holds 8 bytes of data"),
        Case("end far past the file", Tensor("U8", "[9223372036854775807]", "[0,9223372036854775807]"), "holds 8 bytes"),
        Case("both past the file", Tensor("F32", "[2]", "[4611686018427387904,4611686018427387912]"), "holds 8 bytes"),
        Case("shape too small", Tensor("F32", "[1]"), "8 bytes by its data_offsets [0, 8]", "4 by its shape [1] of F32"),
        Case("shape too large", Tensor("F32", "[3]"), "8 bytes by its data_offsets", "12 by its shape [3] of F32"),
        Case("scalar of two", Tensor("F32", "[]"), "4 by its shape [] of F32"),
        Case("nothing of two", Tensor("F32", "[2,0]"), "0 by its shape [2, 0] of F32"),
        Case("type too narrow", Tensor("F16", "[2]"), "4 by its shape [2] of F16"),

        // Tiling.
        Case("hole at the start", Tiles(12, (4, 12)), "tensor 't0' begins at data byte 4", "header ends at 0", "no hole"),
        Case("hole within", Tiles(12, (0, 4), (8, 12)), "'t1' begins at data byte 8", "'t0' ends at 4", "no hole"),
        Case("hole, out of order", Tiles(12, (8, 12), (0, 4)), "'t0' begins at data byte 8", "'t1' ends at 4", "no hole"),
        Case("overlap", Tiles(12, (0, 8), (4, 12)), "'t1' begins at data byte 4", "'t0' ends at 8", "not overlap"),
        Case("one over another", Tiles(8, (0, 8), (0, 8)), "'t1' begins at data byte 0", "'t0' ends at 8", "not overlap"),
        Case("one inside another", Tiles(8, (0, 8), (2, 4)), "'t1' begins at data byte 2", "not overlap"),
        Case("empty one inside another", Tiles(8, (0, 8), (4, 4)), "'t1' begins at data byte 4", "not overlap"),
        Case("empty one past the others", Tiles(8, (0, 4), (8, 8)), "'t1' begins at data byte 8", "no hole"),
        Case("trailing byte", Tiles(9, (0, 8)), "1 bytes follow tensor 't0'", "ends at data byte 8", "must belong"),
        Case("data without tensor", Tiles(5), "5 bytes follow the header", "must belong to a tensor"),
        Case("data cut by a byte", Tiles(7, (0, 8)), "ends at data byte 8", "holds 7 bytes of data"),

        // What a message shows of the file.
        Case("long name", Header("{\"" + new string('n', 10_000) + "\":1}"), new string('n', 80) + "...'"),
        Case("escape sequence in a name", Header("""{"\u001b[31m":1}"""), "tensor '\\u001b[31m' is the number 1"),
    ];

    private static TestCaseData Case(string name, byte[] bytes, params string[] says) =>
        new TestCaseData(bytes, says).SetArgDisplayNames(name);

    private static byte[] Header(string json, int dataLength = 0) => TestFiles.Raw(json, dataLength);

    private static byte[] Entry(string keys) => Header("{\"a\":{" + keys + "}}", 8);

    private static byte[] Tensor(string dtype, string shape, string offsets = "[0,8]") =>
        Entry($"\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{offsets}");

    // Bytes t0, t1, ... from each begin to each end.
    private static byte[] Tiles(int dataLength, params (int Begin, int End)[] tiles)
    {
        IEnumerable<string> tensors = tiles.Select((tile, i) =>
            $$"""
            "t{{i}}":{"dtype":"U8","shape":[{{tile.End - tile.Begin}}],"data_offsets":[{{tile.Begin}},{{tile.End}}]}
            """);
        return Header("{" + string.Join(',', tensors) + "}", dataLength);
    }

    private static byte[] Prefixed(ulong length, string rest)
    {
        byte[] prefix = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(prefix, length);
        return [.. prefix, .. Encoding.UTF8.GetBytes(rest)];
    }
}
