using TinyZsad.Graph;
using TinyZsad.Weights;

namespace TinyZsad.Models;

/// <summary>A class in words: the mean embeddings of its normal and of its abnormal prompts, not normalised again.</summary>
/// <param name="Normal">Mean over the 245 normal prompts.</param>
/// <param name="Abnormal">Mean over the 175 abnormal prompts.</param>
internal sealed record ClassEmbedding(float[] Normal, float[] Abnormal);

/// <summary>LiZAD's text side: a class name to its prompts, tokens and mean embeddings.</summary>
internal sealed class ClassEncoder(WeightCursor root, ModelMetadata metadata, Device device)
{
    /// <summary>
    /// Prompts that go through the text tower at once: enough rows for full speed, few enough for a small arena. Divides 245 and
    /// 175.
    /// </summary>
    private const int PromptsAtOnce = 35;

    private readonly TextTransformer text = new(root.At("text"), metadata);

    /// <summary>Values of an embedding.</summary>
    public int Width => text.EmbeddingWidth;

    /// <summary>Whether a file holds a text tower, or some part of one.</summary>
    public static bool IsIn(WeightCursor root)
    {
        WeightCursor text = root.At("text");
        return text.At("token_embedding").Exists || text.At("transformer").Exists || text.At("ln_final").Exists
            || text.Has("positional_embedding") || text.Has("text_projection");
    }

    /// <summary>Embeds all prompts of a class: 2.5 TFLOP.</summary>
    public ClassEmbedding Embed(string className, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using Plan plan = device.Compile(text.Graph(PromptsAtOnce));
        return new ClassEmbedding(MeanOf(LiZadPrompts.Normal(className)), MeanOf(LiZadPrompts.Abnormal(className)));

        float[] MeanOf(string[] prompts)
        {
            double[] sum = new double[Width];
            foreach (string[] some in prompts.Chunk(PromptsAtOnce))
            {
                float[] embeddings = Encode(plan, [.. some.Select(ClipTokenizer.Shared.Encode)], null, cancellationToken);
                for (int i = 0; i < embeddings.Length; i++) sum[i % Width] += embeddings[i];
            }
            return [.. sum.Select(s => (float)(s / prompts.Length))];
        }
    }

    /// <summary>
    /// Runs the text tower on some tokenised strings and hands out its taps: those of single positions for the first string,
    /// computed at all positions; the embeddings of all of them, computed as a detection does.
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

    /// <summary>Unit embeddings of as many tokenised prompts as the plan was made for.</summary>
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
