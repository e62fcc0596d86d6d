namespace TinyZsad;

/// <summary>
/// The exception that is thrown when a device cannot compute: there is none or its driver is too old, its memory does not suffice, or
/// it was lost. A detector on the CPU is not affected.
/// </summary>
public sealed class DeviceException : TinyZsadException
{
    /// <summary>Initializes the error.</summary>
    /// <param name="device">The device, such as "cuda:0".</param>
    /// <param name="message">What is wrong, and what would be right.</param>
    /// <param name="code">The error code of the device's driver; null if it reports none.</param>
    /// <param name="inner">The error that caused this one; null if there is none.</param>
    public DeviceException(string device, string message, int? code = null, Exception? inner = null)
        : base($"{device}: {message}", inner) => (Device, Code) = (device, code);

    /// <summary>Gets the device, such as "cuda:0".</summary>
    public string Device { get; }

    /// <summary>Gets the error code of the device's driver; null if it reported none.</summary>
    public int? Code { get; }
}
