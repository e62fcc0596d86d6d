namespace TinyZsad.Kernels;

/// <summary>
/// Holds the operands of multi-head attention: y = softmax(q kᵀ · scale) v per head, over a batch of independent sequences. Head
/// h starts at column h * <see cref="HeadStride"/> of q, k and v, and at column h * <see cref="HeadDim"/> of y. Sequence b starts
/// at row b * <see cref="Queries"/> of q and y, and at row b * <see cref="Keys"/> of k and v.
/// </summary>
internal unsafe struct AttentionArgs
{
    /// <summary>The queries, [Batch * Queries, Heads * HeadDim], with row stride <see cref="LdQ"/>.</summary>
    public float* Q;

    /// <summary>The keys, [Batch * Keys, Heads * HeadDim], with row stride <see cref="LdK"/>.</summary>
    public float* K;

    /// <summary>The values, [Batch * Keys, Heads * HeadDim], with row stride <see cref="LdV"/>.</summary>
    public float* V;

    /// <summary>
    /// The result, [Batch * Queries, Heads * HeadDim], with row stride <see cref="LdY"/>; overwritten. It must not overlap q, k
    /// or v.
    /// </summary>
    public float* Y;

    /// <summary>The row strides, in floats.</summary>
    public nint LdQ, LdK, LdV, LdY;

    /// <summary>The number of sequences.</summary>
    public int Batch;

    /// <summary>The number of heads.</summary>
    public int Heads;

    /// <summary>The number of columns of one head.</summary>
    public int HeadDim;

    /// <summary>
    /// The column stride between heads in q, k and v: <see cref="HeadDim"/>, or more if a projection stores each head's q, k and
    /// v together.
    /// </summary>
    public int HeadStride;

    /// <summary>The number of query rows in a sequence.</summary>
    public int Queries;

    /// <summary>The number of key rows in a sequence.</summary>
    public int Keys;

    /// <summary>The factor for every score; 1 / sqrt(HeadDim) in all models.</summary>
    public float Scale;

    /// <summary>
    /// The rotary tables for queries, [Queries - <see cref="RotaryPrefix"/>, HeadDim / 2] each, or null for no rotation.
    /// </summary>
    public float* QueryCos, QuerySin;

    /// <summary>
    /// The rotary tables for keys, [Keys - <see cref="RotaryPrefix"/>, HeadDim / 2] each, or null for no rotation.
    /// </summary>
    public float* KeyCos, KeySin;

    /// <summary>The number of rows at the start of each sequence that are not rotated.</summary>
    public int RotaryPrefix;

    /// <summary>
    /// The row of q, k and v for each token of each sequence, [Batch * Keys], where sequences are windows of a map; null if rows
    /// are in order. With a map, there are as many queries as keys, and no rotation.
    /// </summary>
    public int* InputRows;

    /// <summary>
    /// The row of y for each token, or a negative number if its result is not needed; null if rows are in order.
    /// </summary>
    public int* OutputRows;

    /// <summary>
    /// The position biases of square windows, which are added to the scores: [Heads, (2 w - 1)²]. Entry (dy + w - 1, dx + w - 1)
    /// is for a key dy below and dx to the right of the query. Null for none. With biases, a sequence is a window of w x w
    /// tokens, row by row.
    /// </summary>
    public float* Bias;

    /// <summary>The side w of the windows for <see cref="Bias"/>.</summary>
    public int Window;
}
