namespace TinyZsad.Kernels;

/// <summary>
/// The operands of multi-head attention, y = softmax(q kᵀ · scale) v a head, over a batch of sequences that do not
/// see each other. Head h is columns h * <see cref="HeadStride"/> and on of q, k and v, and h * <see cref="HeadDim"/> and on of
/// y; sequence b is rows b * <see cref="Queries"/> and on of q and y, and rows b * <see cref="Keys"/> and on of k and v.
/// </summary>
internal unsafe struct AttentionArgs
{
    /// <summary>[Batch * Queries, Heads * HeadDim], row stride <see cref="LdQ"/>.</summary>
    public float* Q;

    /// <summary>[Batch * Keys, Heads * HeadDim], row stride <see cref="LdK"/>.</summary>
    public float* K;

    /// <summary>[Batch * Keys, Heads * HeadDim], row stride <see cref="LdV"/>.</summary>
    public float* V;

    /// <summary>
    /// [Batch * Queries, Heads * HeadDim], row stride <see cref="LdY"/>; overwritten. May not overlap q, k or v.
    /// </summary>
    public float* Y;

    /// <summary>Row strides, in floats.</summary>
    public nint LdQ, LdK, LdV, LdY;

    /// <summary>Sequences.</summary>
    public int Batch;

    /// <summary>Heads.</summary>
    public int Heads;

    /// <summary>Columns of one head.</summary>
    public int HeadDim;

    /// <summary>
    /// Columns from one head to the next in q, k and v: <see cref="HeadDim"/>, or more where a projection keeps each head's q,
    /// k and v together.
    /// </summary>
    public int HeadStride;

    /// <summary>Query rows of a sequence.</summary>
    public int Queries;

    /// <summary>Key rows of a sequence.</summary>
    public int Keys;

    /// <summary>Multiplies every score; 1 / sqrt(HeadDim) in all our models.</summary>
    public float Scale;

    /// <summary>
    /// Rotary tables for queries, [Queries - <see cref="RotaryPrefix"/>, HeadDim / 2] each, or null for no rotation.
    /// </summary>
    public float* QueryCos, QuerySin;

    /// <summary>Rotary tables for keys, [Keys - <see cref="RotaryPrefix"/>, HeadDim / 2] each, or null for no rotation.</summary>
    public float* KeyCos, KeySin;

    /// <summary>The first rows of each sequence, which are not rotated.</summary>
    public int RotaryPrefix;

    /// <summary>
    /// The row of q, k and v that each token of each sequence is, [Batch * Keys], where sequences are windows of a
    /// map; null for rows in order. Then there are as many queries as keys, and no rotation.
    /// </summary>
    public int* InputRows;

    /// <summary>The row of y that each token is, negative for one whose result nobody wants; null for rows in order.</summary>
    public int* OutputRows;

    /// <summary>
    /// Position biases of square windows, added to the scores: [Heads, (2 w - 1)²], entry (dy + w - 1, dx + w - 1)
    /// for a key dy below and dx right of the query; null for none. A sequence is then a window of w x w tokens, row by row.
    /// </summary>
    public float* Bias;

    /// <summary>w: side of the windows that <see cref="Bias"/> is for.</summary>
    public int Window;
}
