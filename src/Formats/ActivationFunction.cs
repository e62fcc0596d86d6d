namespace TinyZsad.Formats;

/// <summary>The activation functions of our networks.</summary>
internal enum ActivationKind
{
    /// <summary>y = x.</summary>
    None,

    /// <summary>x/2 (1 + erf(x / sqrt 2)).</summary>
    Gelu,

    /// <summary>x sigmoid(1.702 x).</summary>
    QuickGelu,

    /// <summary>x where it is positive, else <see cref="ActivationFunction.Slope"/> times x.</summary>
    LeakyRelu,

    /// <summary>1 / (1 + exp(-x)).</summary>
    Sigmoid,
}

/// <summary>An activation with its parameter.</summary>
/// <param name="Kind">Which function.</param>
/// <param name="Slope">For <see cref="ActivationKind.LeakyRelu"/>.</param>
internal readonly record struct ActivationFunction(ActivationKind Kind, float Slope = 0)
{
    /// <summary>From the kind alone.</summary>
    public static implicit operator ActivationFunction(ActivationKind kind) => new(kind);
}
