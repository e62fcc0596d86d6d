using System.Collections;

namespace TinyZsad.Ptx;

/// <summary>
/// Finds where the lanes of a warp that took different ways meet again, which registers may be read before they are written, and how
/// many registers are live.
/// </summary>
internal static class ControlFlow
{
    /// <summary>Analyses a kernel whose instructions are decoded.</summary>
    public static void Analyze(PtxKernel kernel)
    {
        Instruction[] code = kernel.Code;
        int[][] successors = new int[code.Length][];
        List<int>[] predecessors = [.. Enumerable.Range(0, code.Length).Select(_ => new List<int>())];
        for (int i = 0; i < code.Length; i++)
        {
            successors[i] = code[i] switch
            {
                BranchInstruction { Guard: < 0 } branch => [branch.Target],
                BranchInstruction branch => branch.Target == i + 1 ? [i + 1] : [i + 1, branch.Target],
                ExitInstruction { Guard: < 0 } => [],
                _ => [i + 1],
            };
            foreach (int next in successors[i]) predecessors[next].Add(i);
        }

        FindMeetings(code, successors, predecessors);
        FindDoubtful(kernel, successors, predecessors);
        CountLive(kernel, successors);
    }

    /// <summary>
    /// Computes the immediate post-dominator of each instruction by the method of Cooper, Harvey and Kennedy on the reversed graph, whose
    /// entry is an instruction behind the last.
    /// </summary>
    private static void FindMeetings(Instruction[] code, int[][] successors, List<int>[] predecessors)
    {
        int end = code.Length;
        int[] number = new int[end + 1], dominator = new int[end + 1];
        Array.Fill(number, -1);
        Array.Fill(dominator, -1);

        // Post-order of the reversed graph from the end.
        List<int> order = [];
        Stack<(int Node, int Next)> stack = new();
        int[] exits = [.. Enumerable.Range(0, end).Where(i => code[i] is ExitInstruction)];
        bool[] seen = new bool[end + 1];
        seen[end] = true;
        stack.Push((end, 0));
        while (stack.Count > 0)
        {
            (int node, int next) = stack.Pop();
            IReadOnlyList<int> before = node == end ? exits : predecessors[node];
            if (next < before.Count)
            {
                stack.Push((node, next + 1));
                if (!seen[before[next]])
                {
                    seen[before[next]] = true;
                    stack.Push((before[next], 0));
                }
            }
            else
            {
                number[node] = order.Count;
                order.Add(node);
            }
        }

        dominator[end] = end;
        for (bool isChanged = true; isChanged;)
        {
            isChanged = false;
            for (int o = order.Count - 2; o >= 0; o--)
            {
                int node = order[o], meeting = -1;
                foreach (int after in code[node] is ExitInstruction ? [.. successors[node], end] : successors[node])
                {
                    if (dominator[after] < 0) continue;
                    meeting = meeting < 0 ? after : Intersect(after, meeting);
                }

                if (meeting >= 0 && dominator[node] != meeting)
                {
                    dominator[node] = meeting;
                    isChanged = true;
                }
            }
        }

        foreach (BranchInstruction branch in code.OfType<BranchInstruction>())
            branch.Meeting = dominator[branch.Index] < 0 ? end : dominator[branch.Index];

        int Intersect(int a, int b)
        {
            while (a != b)
            {
                while (number[a] < number[b]) a = dominator[a];
                while (number[b] < number[a]) b = dominator[b];
            }

            return a;
        }
    }

    /// <summary>
    /// Finds the reads of registers that are not written on every way there. What a predicate guards may not be written. Whether a lane
    /// has written such a register is kept while the kernel executes.
    /// </summary>
    private static void FindDoubtful(PtxKernel kernel, int[][] successors, List<int>[] predecessors)
    {
        Instruction[] code = kernel.Code;
        BitArray?[] entry = new BitArray?[code.Length];
        Queue<int> work = new();
        entry[0] = new BitArray(kernel.Registers.Count);
        work.Enqueue(0);
        while (work.Count > 0)
        {
            int at = work.Dequeue();
            BitArray after = new(entry[at]!);
            if (code[at].Guard < 0)
                foreach (Register register in code[at].Writes) after[register.Index] = true;
            foreach (int next in successors[at])
            {
                if (entry[next] is not { } known)
                {
                    entry[next] = new BitArray(after);
                    work.Enqueue(next);
                }
                else
                {
                    BitArray both = new BitArray(known).And(after);
                    if (!Same(both, known))
                    {
                        entry[next] = both;
                        work.Enqueue(next);
                    }
                }
            }
        }

        HashSet<Register> tracked = [];
        for (int i = 0; i < code.Length; i++)
        {
            if (entry[i] is not { } written) continue;
            Register[] doubtful = [.. code[i].Reads.Where(r => !written[r.Index])];
            if (doubtful.Length == 0) continue;
            code[i].Doubtful = doubtful;
            tracked.UnionWith(doubtful);
        }

        foreach (Instruction instruction in code)
        {
            Register[] kept = [.. instruction.Writes.Where(tracked.Contains)];
            if (kept.Length > 0) instruction.Tracked = kept;
        }
    }

    /// <summary>Counts the registers that hold a value that is read later, at the instruction where they are the most.</summary>
    private static void CountLive(PtxKernel kernel, int[][] successors)
    {
        Instruction[] code = kernel.Code;
        BitArray[] entry = [.. code.Select(_ => new BitArray(kernel.Registers.Count))];
        for (bool isChanged = true; isChanged;)
        {
            isChanged = false;
            for (int i = code.Length - 1; i >= 0; i--)
            {
                BitArray live = new(kernel.Registers.Count);
                foreach (int next in successors[i]) live.Or(entry[next]);
                if (code[i].Guard < 0)
                    foreach (Register register in code[i].Writes) live[register.Index] = false;
                foreach (Register register in code[i].Reads) live[register.Index] = true;
                if (Same(live, entry[i])) continue;
                entry[i] = live;
                isChanged = true;
            }
        }

        foreach (BitArray live in entry)
        {
            int registers = 0, predicates = 0;
            foreach (Register register in kernel.Registers)
            {
                if (!live[register.Index]) continue;
                if (register.Type == PtxType.Pred) predicates++;
                else registers += register.Type.Size() == 8 ? 2 : 1;
            }

            kernel.LiveRegisters = Math.Max(kernel.LiveRegisters, registers);
            kernel.LivePredicates = Math.Max(kernel.LivePredicates, predicates);
        }
    }

    private static bool Same(BitArray a, BitArray b) => !new BitArray(a).Xor(b).HasAnySet();
}
