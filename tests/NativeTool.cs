using System.Buffers.Binary;
using System.Runtime.InteropServices;
using NUnit.Framework;

namespace TinyZsad.Tests;

/// <summary>Represents the tool, compiled ahead of time for a system.</summary>
internal sealed record NativeTool(string File, string Log)
{
    /// <summary>Gets the folder in which the tool for a system is built.</summary>
    public static string Artifacts(string runtime) => Programs.Artifacts($"{runtime}-native");

    /// <summary>Compiles the tool into a folder. The test is ignored on systems where that is not tried.</summary>
    public static NativeTool Publish(string runtime, string folder, (string File, string Package)[] needed, params string[] properties)
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
            Assert.Ignore("It compiles on linux-x64.");
        Programs.Require([("clang", "clang"), .. needed]);
        string log = Programs.Publish("src/Cli", runtime, Artifacts(runtime), folder, ["PublishAot=true", .. properties]);
        return new NativeTool(Path.Combine(folder, "TinyZsad.Cli"), log);
    }

    /// <summary>Asserts that the tool is a single file in ELF for a machine, by ELF's number, and that nothing was warned of.</summary>
    public void IsOneFileWithoutWarnings(int machine)
    {
        Assert.That(Log, Does.Not.Match(@"\bIL\d{4}\b").And.Not.Contain("warning"));
        Assert.That(Directory.GetFileSystemEntries(Path.GetDirectoryName(File)!), Is.EqualTo(new[] { File }));
        byte[] header = new byte[20];
        using (FileStream file = System.IO.File.OpenRead(File)) file.ReadExactly(header);
        Assert.That(header[..4], Is.EqualTo("\u007fELF"u8.ToArray()));
        Assert.That(BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(18)), Is.EqualTo(machine));
    }
}
