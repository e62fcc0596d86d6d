using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Tests.Cli;

namespace TinyZsad.Tests;

/// <summary>
/// Runs programs for linux-arm64 under QEMU, with Debian's libraries for Arm64. Its emulation takes some 30 times as long as a
/// processor.
/// </summary>
internal static class Arm64
{
    private const string Libraries = "/usr/aarch64-linux-gnu";

    /// <summary>What a program compiled ahead of time needs to run.</summary>
    public static readonly (string File, string Package)[] Needed =
        [("qemu-aarch64-static", "qemu-user-static"), ($"{Libraries}/lib/libc.so.6", "libc6-arm64-cross")];

    /// <summary>What the .NET runtime needs beside that.</summary>
    public static readonly (string File, string Package)[] NeededByTheRuntime =
        [($"{Libraries}/lib/libgcc_s.so.1", "libgcc-s1-arm64-cross"), ($"{Libraries}/lib/libstdc++.so.6", "libstdc++6-arm64-cross")];

    /// <summary>What compiling ahead of time needs to link.</summary>
    public static readonly (string File, string Package)[] NeededToLink =
        [($"{Libraries}/lib/Scrt1.o", "libc6-dev-arm64-cross"), ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")];

    /// <summary>Runs a program to its end.</summary>
    public static Programs.Result Run(string program, string[] arguments, params (string Name, string Value)[] variables) =>
        Programs.Run("qemu-aarch64-static", ["-L", Libraries, program, .. arguments], variables);

    /// <summary>Asserts that the tool's scores of all samples are those of x64 to four digits.</summary>
    public static void ScoresAreThoseOfX64(Func<string[], Programs.Result> tool)
    {
        string[] line = ["detect", "--format", "json", Path.Combine(TestData.RepositoryRoot, "samples")];
        (string Path, double Score)[] expected = Scores(ToolRun.Of(line).Output), actual = Scores(tool(line).Success());
        Assert.That(expected, Has.Length.GreaterThanOrEqualTo(10));
        Assert.That(actual.Select(s => s.Path), Is.EqualTo(expected.Select(s => s.Path)));
        Assert.That(actual.Select(s => s.Score), Is.EqualTo(expected.Select(s => s.Score)).Within(0.5e-4));
    }

    /// <summary>Asserts that the tool computes with all that AdvSimd has.</summary>
    public static void TheWidthIsNamed(Func<string[], Programs.Result> tool)
    {
        JsonElement root = JsonDocument.Parse(tool(["bench", "--json", "--runs", "1", "--warmup", "1"]).Success()).RootElement;
        Assert.That((root.GetProperty("simd_lanes").GetInt32(), root.GetProperty("instruction_set").GetString()),
            Is.EqualTo((4, "AdvSimd")));
        Assert.That(root.GetProperty("instruction_set_limit").GetString(), Is.Null);
    }

    private static (string Path, double Score)[] Scores(string lines) =>
        [.. lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)
            .Select(e => (e.GetProperty("path").GetString()!, e.GetProperty("score").GetDouble()))];
}
