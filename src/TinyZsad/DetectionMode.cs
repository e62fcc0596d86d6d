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
    /// all of them. No thread waits for another, which pays for small models and for many threads. Large models on few threads are
    /// faster in latency mode, as several pictures at once need more cache: measure with <c>tinyzsad bench --batch</c>.
    /// </summary>
    Throughput,
}
