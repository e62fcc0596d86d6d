namespace TinyZsad;

/// <summary>Specifies how single detections share the threads of a detector.</summary>
public enum DetectionMode
{
    /// <summary>
    /// One picture at a time, computed by all threads. Each result comes as early as possible.
    /// </summary>
    Latency,

    /// <summary>
    /// As many pictures at a time as there are threads, each computed by one thread; a picture that is alone is still computed by
    /// all of them. More pictures per second, since no thread waits for another.
    /// </summary>
    Throughput,
}
