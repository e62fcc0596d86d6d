namespace TinyZsad.Formats;

/// <summary>Which points of the input lie under which points of the output.</summary>
internal enum BilinearMode
{
    /// <summary>The corner samples' centres coincide: source = target (in - 1) / (out - 1), or 0 where out is 1.</summary>
    AlignCorners,

    /// <summary>The pictures' outlines coincide: source = (target + 1/2) in / out - 1/2, clamped to the edge samples.</summary>
    HalfPixel,
}
