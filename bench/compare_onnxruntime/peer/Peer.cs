using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace TinyZsad.Peer;

/// <summary>
/// ONNX Runtime as a user who knows it sets it: all graph optimisations, the arena, threads that spin, and inputs and outputs bound
/// to memory that is allocated once, so that no run copies or allocates them.
/// </summary>
internal sealed class Peer : IDisposable
{
    private readonly Settings settings;
    private readonly InferenceSession[] sessions;
    private readonly RunOptions runOptions = new();
    private readonly byte[] picture;
    private readonly long[] shape;
    private readonly OrtValue input;
    private readonly List<OrtIoBinding> bindings = [];
    private readonly List<OrtValue> outputs = [];
    private readonly List<float[]> firstOutputs = [];
    private long[][] outputShapes = [];

    /// <summary>Reads the graph and the picture.</summary>
    public Peer(Settings settings)
    {
        this.settings = settings;
        using SessionOptions options = new()
        {
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL,
            ExecutionMode = settings.Inter > 1 ? ExecutionMode.ORT_PARALLEL : ExecutionMode.ORT_SEQUENTIAL,
            IntraOpNumThreads = settings.Threads,
            InterOpNumThreads = settings.Inter,
            EnableCpuMemArena = true,
            EnableMemoryPattern = settings.Inter == 1,    // which ORT_PARALLEL does not have
        };
        options.AddSessionConfigEntry("session.intra_op.allow_spinning", "1");
        options.AddSessionConfigEntry("session.inter_op.allow_spinning", "1");
        sessions = new InferenceSession[settings.Sessions];
        for (int i = 0; i < sessions.Length; i++) sessions[i] = new InferenceSession(settings.Graph, options);

        picture = File.ReadAllBytes(settings.Picture);
        shape = [.. sessions[0].InputMetadata[sessions[0].InputNames[0]].Dimensions.Select(d => (long)d)];
        if (shape.Aggregate(1L, (a, b) => a * b) != picture.Length)
        {
            throw new ArgumentException(
                $"{settings.Picture} has {picture.Length} bytes; the graph takes {string.Join(" x ", shape)}.");
        }

        input = OrtValue.CreateTensorValueFromMemory(picture, shape);
    }

    /// <summary>Runs every session once, and learns the shapes of the outputs.</summary>
    public void First()
    {
        foreach (InferenceSession session in sessions)
        {
            using IDisposableReadOnlyCollection<OrtValue> results =
                session.Run(runOptions, session.InputNames, [input], session.OutputNames);
            outputShapes = [.. results.Select(r => r.GetTensorTypeAndShape().Shape)];
        }
    }

    /// <summary>Binds the picture and memory for the outputs, for each caller.</summary>
    public void Bind()
    {
        for (int caller = 0; caller < settings.Callers; caller++)
        {
            InferenceSession session = sessions[caller % sessions.Length];
            OrtIoBinding binding = session.CreateIoBinding();
            bindings.Add(binding);
            binding.BindInput(session.InputNames[0], input);
            for (int i = 0; i < outputShapes.Length; i++)
            {
                float[] values = new float[outputShapes[i].Aggregate(1L, (a, b) => a * b)];
                OrtValue output = OrtValue.CreateTensorValueFromMemory(values, outputShapes[i]);
                outputs.Add(output);
                binding.BindOutput(session.OutputNames[i], output);
                if (caller == 0) firstOutputs.Add(values);
            }
        }
    }

    /// <summary>Computes the pictures of a batch, each by the caller that is free. To start threads takes no time beside them.</summary>
    public void Batch()
    {
        int left = settings.Batch;
        if (bindings.Count == 1)
        {
            Serve(0);
            return;
        }

        Thread[] callers = [.. Enumerable.Range(0, bindings.Count).Select(caller => new Thread(() => Serve(caller)))];
        foreach (Thread caller in callers) caller.Start();
        foreach (Thread caller in callers) caller.Join();

        void Serve(int caller)
        {
            InferenceSession session = sessions[caller % sessions.Length];
            while (Interlocked.Decrement(ref left) >= 0) session.RunWithBinding(runOptions, bindings[caller]);
        }
    }

    /// <summary>Writes the outputs of the first caller's last run, one after the other, as floats.</summary>
    public void WriteOutputs(string path)
    {
        using FileStream file = File.Create(path);
        foreach (float[] values in firstOutputs) file.Write(MemoryMarshal.AsBytes<float>(values));
    }

    public void Dispose()
    {
        foreach (OrtIoBinding binding in bindings) binding.Dispose();
        foreach (OrtValue output in outputs) output.Dispose();
        input.Dispose();
        runOptions.Dispose();
        foreach (InferenceSession session in sessions) session.Dispose();
    }
}
