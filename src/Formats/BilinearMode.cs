namespace TinyZsad.Formats;

/// <summary>Specifies how bilinear resampling maps output coordinates to input coordinates.</summary>
internal enum BilinearMode
{
    /// <summary>The centers of the corner samples coincide: source = target (in - 1) / (out - 1), or 0 where out is 1.</summary>
    AlignCorners,

    /// <summary>The image borders coincide: source = (target + 1/2) in / out - 1/2, clamped to the edge samples.</summary>
    HalfPixel,
}
