using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Cuda.Kernels;
using TinyZsad.Ptx;

namespace TinyZsad.Tests.Ptx;

/// <summary>
/// Tests that the tests of kernels with tensor cores find mistakes: a text with a line changed is refused by the emulated GPU, or gives a
/// result that is farther off than the tolerance.
/// </summary>
[TestFixture]
internal sealed class BrokenKernelTests
{
    private const bool Refused = true, Wrong = false;

    [TestCase("    cp.async.wait_group 2;\n", "", Refused, TestName = "A product does not wait for its copies")]
    [TestCase("    cp.async.wait_group 2;\n", "    cp.async.wait_group 3;\n", Refused, TestName = "A product waits for too few copies")]
    [TestCase("    cp.async.wait_group 2;\n    bar.sync 0;\n", "    cp.async.wait_group 2;\n", Refused,
        TestName = "A product reads other threads' copies without a barrier")]
    [TestCase("    bar.sync 0;\n    .reg .f32 %v<", "    .reg .f32 %v<", Refused,
        TestName = "A product reads other threads' sums without a barrier")]
    [TestCase("{%b0, %b1}", "{%b1, %b0}", Wrong, TestName = "A product exchanges the halves of a right fragment")]
    [TestCase("{%a0, %a1, %a2, %a3},\n", "{%a0, %a2, %a1, %a3},\n", Wrong, TestName = "A product exchanges parts of a left fragment")]
    [TestCase("%copy_to, %row, 128, %t;", "%copy_to, %row, 128, 0;", Refused, TestName = "A product stores without the chunk")]
    [TestCase("    xor.b32 %t, %chunk, %key;\n", "    mov.b32 %t, %chunk;\n", Wrong, TestName = "A product stores without the exchange")]
    [TestCase("    max.s32 %bytes, %k_left, 0;\n", "    mov.s32 %bytes, 8;\n", Refused,
        TestName = "A product copies behind the last column")]
    [TestCase("    min.u32 %t, %t, %u;\n", "", Refused, TestName = "A product copies behind the last row")]
    [TestCase("    @!%p_row0 bra stored_0;\n", "", Refused, TestName = "A product stores behind the last row")]
    [TestCase("    setp.lt.u32 %p_column3, %t, %n;\n", "    setp.le.u32 %p_column3, %t, %n;\n", Refused,
        TestName = "A product reads a bias behind the last column")]
    public void FindsMistakesInProducts(string line, string changed, bool isRefused)
    {
        MatMulTile tile = MatMulKernel.Tiles.Single(t => (t.Rows, t.Columns) == (64, 64));
        Find("matmul", line, changed, isRefused, ptx =>
            MatMulKernelTests.Check(tile, 70, 71, 390, 1, new MatMulKernelTests.Options { Bias = true, Ptx = ptx }));
    }

    [TestCase("    cp.async.wait_group 0;\n", "", Refused, TestName = "Attention does not wait for keys and values")]
    [TestCase("    cp.async.wait_group 1;\n", "", Refused, TestName = "Attention does not wait for queries")]
    [TestCase("    cp.async.wait_group 0;\n    bar.sync 0;\n", "    cp.async.wait_group 0;\n", Refused,
        TestName = "Attention reads other threads' copies without a barrier")]
    [TestCase("    bar.sync 0;\nqueries_turned:", "queries_turned:", Refused,
        TestName = "Attention reads turned queries without a barrier")]
    [TestCase("    bar.sync 0;\nkeys_turned:", "keys_turned:", Refused, TestName = "Attention reads turned keys without a barrier")]
    [TestCase("handed_over:\n    bar.sync 0;\n", "handed_over:\n", Refused, TestName = "Attention merges sums without a barrier")]
    [TestCase("{%p0, %p1, %p2, %p3}", "{%p0, %p2, %p1, %p3}", Wrong, TestName = "Attention exchanges parts of a left fragment")]
    [TestCase(".x4.trans.shared", ".x4.shared", Wrong, TestName = "Attention does not transpose the values")]
    [TestCase("    setp.ge.u32 %p_masked0,", "    setp.gt.u32 %p_masked0,", Wrong, TestName = "Attention has a key too many")]
    [TestCase("    selp.u32 %chunk_bytes, 16, 0, %p_valid;\n", "    mov.u32 %chunk_bytes, 16;\n", Wrong,
        TestName = "Attention does not clear the columns that a head lacks")]
    [TestCase("    mul.rn.f32 %sum0, %sum0, %decay0;\n", "", Wrong, TestName = "Attention does not shrink its sums of powers")]
    [TestCase("    mul.rn.f32 %o0, %o0, %decay0;\n", "", Wrong, TestName = "Attention does not shrink its sums of values")]
    [TestCase("    neg.f32 %turned1, %right0;\n", "    mov.f32 %turned1, %right0;\n", Wrong, TestName = "Attention turns the wrong way")]
    [TestCase("    setp.ge.and.u32 %p_valid, %token, %k_prefix, %p_valid;\n", "", Refused,
        TestName = "Attention reads a table in front of its rows")]
    [TestCase("    setp.lt.u32 %p_valid, %token, %queries;\n", "    setp.le.u32 %p_valid, %token, %queries;\n", Refused,
        TestName = "Attention stores behind the last query")]
    [TestCase("    setp.lt.and.u32 %p_masked0, %t, %d, %p_valid;\n", "    mov.pred %p_masked0, %p_valid;\n", Refused,
        TestName = "Attention stores in the next head")]
    public void FindsMistakesInAttention(string line, string changed, bool isRefused) =>
        Find("attention", line, changed, isRefused, ptx =>
        {
            // Several tiles, and few keys, of which each has weight.
            AttentionKernelTests.Options options = new() { TurnsQueries = true, TurnsKeys = true, Prefix = 1, Ptx = ptx };
            AttentionKernelTests.Check(70, 150, 24, 2, 1, options);
            AttentionKernelTests.Check(5, 10, 24, 2, 1, options);
        });

    [TestCase("    sub.u32 %query_bias0, %t, %token;\n", "    add.u32 %query_bias0, %t, %token;\n", Refused,
        TestName = "Windows add the query's part of a bias")]
    [TestCase("    add.u32 %token, %token, %padding;\n", "", Refused, TestName = "Windows copy no row for the padding")]
    [TestCase("    setp.ne.and.u32 %p_valid, %row, 4294967295, %p_valid;\n", "", Refused, TestName = "Windows store outside of the map")]
    [TestCase("biases_done:\n    bar.sync 0;\n", "biases_done:\n", Refused, TestName = "Windows read their tables without a barrier")]
    [TestCase("    fma.rn.f32 %s0, %s0, %factor, %bias;\n", "    mul.rn.f32 %s0, %s0, %factor;\n", Wrong,
        TestName = "Windows lack a bias")]
    public void FindsMistakesInWindows(string line, string changed, bool isRefused) =>
        Find("window_attention", line, changed, isRefused, ptx => WindowAttentionKernelTests.Check(9, 10, 11, 32, 2, 1, 1, ptx: ptx));

    [Test]
    public void FindsBankConflicts()
    {
        // Without the exchange at both ends, results are right and eight rows lie in the same banks.
        string slow = KernelSource.Ptx("matmul")
            .Replace("    and.b32 %key, %row, 7;\n", "    mov.u32 %key, 0;\n", StringComparison.Ordinal);
        long conflicts = 0;
        MatMulKernelTests.Check(new MatMulTile(64, 64, 32, 32, 2, 64, 4), 64, 64, 64, 1,
            new MatMulKernelTests.Options { Ptx = slow, OnLaunch = r => conflicts = r.Statistics.BankConflicts });
        Assert.That(conflicts, Is.GreaterThan(1000));
    }

    private static void Find(string module, string line, string changed, bool isRefused, Action<string> check)
    {
        string right = KernelSource.Ptx(module), broken = right.Replace(line, changed, StringComparison.Ordinal);
        Assert.That(right.Contains(line, StringComparison.Ordinal), Is.True, "The line is no longer in the text.");
        Assert.That(() => check(right), Throws.Nothing);
        if (isRefused) Assert.That(() => check(broken), Throws.InstanceOf<PtxException>());
        else Assert.That(() => check(broken), Throws.InstanceOf<AssertionException>());
    }
}
