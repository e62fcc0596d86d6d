namespace TinyZsad;

/// <summary>
/// The exception that is thrown when a detector refuses a call because as many calls wait as its queue holds. Try again later, or
/// answer "503 Service Unavailable" in a web service.
/// </summary>
public sealed class DetectorBusyException : TinyZsadException
{
    /// <summary>Initializes the error.</summary>
    /// <param name="queueLength">The number of calls that may wait.</param>
    public DetectorBusyException(int queueLength) : base(
        $"{queueLength} detections wait already, as many as the detector's queue holds (DetectorOptions.MaxQueueLength).") =>
        QueueLength = queueLength;

    /// <summary>Gets the number of calls that may wait at once.</summary>
    public int QueueLength { get; }
}
