using TinyZsad.Graph;
using TinyZsad.Weights;

namespace TinyZsad.Models;

/// <summary>Represents a class by the mean embeddings of its prompts. The means are not normalized.</summary>
/// <param name="Normal">The mean over the 245 normal prompts, [width].</param>
/// <param name="Abnormal">The mean over the 175 abnormal prompts, [width].</param>
internal sealed record ClassEmbedding(float[] Normal, float[] Abnormal);

/// <summary>Computes the embedding of a class name for LiZAD: prompts, tokens, text tower and mean. All members are thread safe.</summary>
internal sealed class ClassEncoder(WeightCursor root, ModelMetadata metadata, Device device)
{
    /// <summary>
    /// The number of prompts of one run: enough rows for full speed, few enough for little memory. It divides 245 and 175.
    /// </summary>
    private const int PromptsAtOnce = 35;

    private readonly TextTransformer text = new(root.At("text"), metadata);

    /// <summary>Gets the number of values of an embedding.</summary>
    public int Width => text.EmbeddingWidth;

    /// <summary>Gets a value that indicates whether a file holds a text tower or a part of one.</summary>
    public static bool IsIn(WeightCursor root)
    {
        WeightCursor text = root.At("text");
        return text.At("token_embedding").Exists || text.At("transformer").Exists || text.At("ln_final").Exists
            || text.Has("positional_embedding") || text.Has("text_projection");
    }

    /// <summary>Embeds all prompts of a class, which takes 2.5 TFLOP.</summary>
    /// <param name="className">The class.</param>
    /// <param name="progress">
    /// Called on this thread with the share of the prompts that is embedded: 0 at the beginning, then after every run. Null for nothing.
    /// </param>
    /// <param name="cancellationToken">The token that cancels the computation between two operations.</param>
    /// <exception cref="OperationCanceledException">The computation is cancelled.</exception>
    public ClassEmbedding Embed(string className, Action<double>? progress, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        string[] normal = LiZadPrompts.Normal(className), abnormal = LiZadPrompts.Abnormal(className);
        int embedded = 0;
        progress?.Invoke(0);
        using Plan plan = device.Compile(text.Graph(PromptsAtOnce));
        return new ClassEmbedding(MeanOf(normal), MeanOf(abnormal));

        float[] MeanOf(string[] prompts)
        {
            double[] sum = new double[Width];
            foreach (string[] some in prompts.Chunk(PromptsAtOnce))
            {
                float[] embeddings = Encode(plan, [.. some.Select(ClipTokenizer.Shared.Encode)], null, cancellationToken);
                for (int i = 0; i < embeddings.Length; i++) sum[i % Width] += embeddings[i];
                embedded += some.Length;
                progress?.Invoke((double)embedded / (normal.Length + abnormal.Length));
            }
            return [.. sum.Select(s => (float)(s / prompts.Length))];
        }
    }

    /// <summary>
    /// Runs the text tower on tokenized strings and reports its taps: for the first string those of all positions, and for all strings
    /// the embeddings, computed as for a detection.
    /// </summary>
    public void Trace(int[][] prompts, TapReceiver receiver)
    {
        Some(text.Graph(1, everyPosition: true), t => t.Name is not ("text.projected" or "text.embeddings"), prompts[..1]);
        Some(text.Graph(prompts.Length), t => t.Name is "text.projected" or "text.embeddings", prompts);

        void Some(ComputeGraph graph, Func<Tap, bool> demanded, int[][] strings)
        {
            using Plan plan = device.Compile(graph, new CompileOptions { Demanded = demanded });
            Encode(plan, strings, receiver, default);
        }
    }

    /// <summary>Computes the unit embeddings of tokenized prompts, as many as the plan is compiled for.</summary>
    private static float[] Encode(Plan plan, int[][] prompts, TapReceiver? receiver, CancellationToken cancellationToken)
    {
        using Run run = plan.Rent();
        Span<int> tokens = run.Ints("tokens"), pooled = run.Ints("pooled");
        for (int i = 0; i < prompts.Length; i++)
        {
            int context = prompts[i].Length;
            prompts[i].CopyTo(tokens[(i * context)..]);
            pooled[i] = i * context + Array.IndexOf(prompts[i], ClipTokenizer.EndToken);
        }
        run.Execute(receiver, cancellationToken: cancellationToken);
        return run.Output("embeddings").ToArray();
    }
}
