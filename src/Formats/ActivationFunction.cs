namespace TinyZsad.Formats;

/// <summary>Specifies an activation function.</summary>
internal enum ActivationKind
{
    /// <summary>y = x.</summary>
    None,

    /// <summary>x/2 (1 + erf(x / sqrt 2)).</summary>
    Gelu,

    /// <summary>x sigmoid(1.702 x).</summary>
    QuickGelu,

    /// <summary>y = x where x is positive; otherwise y = <see cref="ActivationFunction.Slope"/> x.</summary>
    LeakyRelu,

    /// <summary>1 / (1 + exp(-x)).</summary>
    Sigmoid,
}

/// <summary>Represents an activation function with its parameter.</summary>
/// <param name="Kind">The function.</param>
/// <param name="Slope">The slope for negative inputs. Only <see cref="ActivationKind.LeakyRelu"/> uses it.</param>
internal readonly record struct ActivationFunction(ActivationKind Kind, float Slope = 0)
{
    /// <summary>Creates an activation function without a parameter.</summary>
    public static implicit operator ActivationFunction(ActivationKind kind) => new(kind);
}
