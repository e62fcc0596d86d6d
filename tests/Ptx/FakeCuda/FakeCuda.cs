using System.Runtime.InteropServices;

namespace TinyZsad.Tests.Ptx;

/// <summary>Represents the library that <c>libcuda.c</c> beside this file compiles to.</summary>
internal sealed unsafe class FakeCuda
{
    private readonly nint library;

    private FakeCuda(string path) => (Path, library) = (path, NativeLibrary.Load(path));

    /// <summary>Gets the file.</summary>
    public string Path { get; }

    /// <summary>Gets what was executed, a line each.</summary>
    public string[] Journal => Text("fake_journal").Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Gets the first rule that a call did not keep to; empty if all did.</summary>
    public string Violation => Text("fake_violation");

    /// <summary>Gets how many handles exist.</summary>
    public int Living => ((delegate* unmanaged<int>)Entry("fake_living"))();

    /// <summary>Gets how many contexts are on the calling thread's stack.</summary>
    public int Depth => ((delegate* unmanaged<int>)Entry("fake_depth"))();

    /// <summary>Gets the current context of the calling thread; 0 if there is none.</summary>
    public nint Current => ((delegate* unmanaged<nint>)Entry("fake_current"))();

    /// <summary>Compiles a variant of the library. Each has its own books.</summary>
    public static FakeCuda Compile(string folder, string name, params string[] defines)
    {
        Programs.Require(("clang", "clang"));
        string path = System.IO.Path.Combine(folder, name);
        string source = System.IO.Path.Combine(TestData.RepositoryRoot, "tests", "Ptx", "FakeCuda", "libcuda.c");
        Programs.Run("clang", ["-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden",
            .. defines.Select(d => $"-D{d}"), source, "-o", path]).Success();
        return new FakeCuda(path);
    }

    /// <summary>Forgets everything.</summary>
    public void Reset() => ((delegate* unmanaged<void>)Entry("fake_reset"))();

    /// <summary>Sets what the driver says of itself and its GPUs.</summary>
    public void Set(int devices, int version, int major, int minor, string name)
    {
        nint text = Marshal.StringToCoTaskMemUTF8(name);
        ((delegate* unmanaged<int, int, int, int, nint, void>)Entry("fake_set"))(devices, version, major, minor, text);
        Marshal.FreeCoTaskMem(text);
    }

    /// <summary>Lets the next call of an entry point return a code.</summary>
    public void Fail(string call, int code)
    {
        nint text = Marshal.StringToCoTaskMemUTF8(call);
        ((delegate* unmanaged<nint, int, int, void>)Entry("fake_fail"))(text, code, 0);
        Marshal.FreeCoTaskMem(text);
    }

    /// <summary>Makes another context current on the calling thread.</summary>
    public void Push(nint context) => ((delegate* unmanaged<nint, void>)Entry("fake_push"))(context);

    /// <summary>Undoes <see cref="Push"/>.</summary>
    public void Pop() => ((delegate* unmanaged<void>)Entry("fake_pop"))();

    private string Text(string entry) => Marshal.PtrToStringUTF8(((delegate* unmanaged<nint>)Entry(entry))())!;

    private nint Entry(string name) => NativeLibrary.GetExport(library, name);
}
