namespace TinyZsad;

/// <summary>
/// Decides which calls of a detector may compute. Calls are admitted strictly in order of arrival, each as soon as the threads that it
/// needs are free. Thread safe.
/// </summary>
/// <param name="threads">The threads to share.</param>
/// <param name="maxConcurrency">The most calls that compute at once.</param>
/// <param name="maxLength">The most calls that wait before further ones are refused.</param>
internal sealed class DetectionQueue(int threads, int maxConcurrency, int maxLength)
{
    private readonly Lock gate = new();
    private readonly LinkedList<Ticket> waiting = new();
    private int taken;
    private int running;

    /// <summary>A call's place in the queue.</summary>
    /// <param name="needsAllThreads">
    /// True to compute on all threads. False to compute on one, or on all of them if no other call computes or waits.
    /// </param>
    internal abstract class Ticket(bool needsAllThreads)
    {
        public bool NeedsAllThreads => needsAllThreads;

        /// <summary>Gets or sets the threads that the call may use; 0 while it waits.</summary>
        public int Threads { get; set; }

        /// <summary>Gets or sets the node in the list of waiting calls; null unless it waits.</summary>
        public LinkedListNode<Ticket>? Node { get; set; }

        /// <summary>Called once, outside all locks, when the call may compute. It must not block.</summary>
        public abstract void OnAdmitted();
    }

    /// <summary>Adds a call to the end of the queue.</summary>
    /// <param name="ticket">The call.</param>
    /// <param name="canBeRefused">Whether the call is refused if the queue is full.</param>
    /// <exception cref="DetectorBusyException">The queue is full.</exception>
    public void Enter(Ticket ticket, bool canBeRefused)
    {
        List<Ticket> admitted;
        lock (gate)
        {
            ticket.Node = waiting.AddLast(ticket);
            admitted = Admit();
            if (canBeRefused && ticket.Node is not null && waiting.Count > maxLength)
            {
                waiting.Remove(ticket.Node);
                ticket.Node = null;
                throw new DetectorBusyException(maxLength);
            }
        }

        foreach (Ticket next in admitted) next.OnAdmitted();
    }

    /// <summary>Ends a call that was admitted.</summary>
    public void Leave(Ticket ticket)
    {
        List<Ticket> admitted;
        lock (gate)
        {
            taken -= ticket.Threads;
            running--;
            admitted = Admit();
        }

        foreach (Ticket next in admitted) next.OnAdmitted();
    }

    /// <summary>Takes a call out of the queue if it still waits.</summary>
    /// <returns>False if it was admitted before.</returns>
    public bool TryWithdraw(Ticket ticket)
    {
        List<Ticket> admitted;
        lock (gate)
        {
            if (ticket.Node is null) return false;
            waiting.Remove(ticket.Node);
            ticket.Node = null;
            // A call that needs one thread may have waited behind it.
            admitted = Admit();
        }

        foreach (Ticket next in admitted) next.OnAdmitted();
        return true;
    }

    private List<Ticket> Admit()
    {
        List<Ticket> admitted = [];
        while (waiting.First is { Value: Ticket first } && running < maxConcurrency)
        {
            bool alone = running == 0 && waiting.Count == 1;
            int needed = first.NeedsAllThreads || alone ? threads : 1;
            if (taken + needed > threads) break;
            waiting.RemoveFirst();
            first.Node = null;
            first.Threads = needed;
            taken += needed;
            running++;
            admitted.Add(first);
        }

        return admitted;
    }
}
