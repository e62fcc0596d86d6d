namespace TinyZsad.Imaging;

/// <summary>Bounds the memory that a thread takes for a resize. Photographs stay far below the defaults.</summary>
/// <param name="TableWeights">The most weights that are computed in advance.</param>
/// <param name="BetweenBytes">The most bytes of rows between the passes.</param>
/// <param name="Columns">The most output columns that are computed at once.</param>
/// <param name="PortionTaps">The input positions of which weights are computed at once if there are too many: a multiple of 4.</param>
internal readonly record struct ResampleBudget(int TableWeights, int BetweenBytes, int Columns, int PortionTaps)
{
    public static ResampleBudget Default { get; } = new(1 << 20, 4 << 20, 1 << 14, 1 << 12);
}
