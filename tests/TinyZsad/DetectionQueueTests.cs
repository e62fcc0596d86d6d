using NUnit.Framework;

namespace TinyZsad.Tests;

/// <summary>Who may compute, in which order, and with how many threads.</summary>
[TestFixture]
internal sealed class DetectionQueueTests
{
    private readonly List<int> admitted = [];

    private sealed class Call(int number, bool needsAllThreads, List<int> admitted) : DetectionQueue.Ticket(needsAllThreads)
    {
        public override void OnAdmitted() => admitted.Add(number);
    }

    private Call[] Enter(DetectionQueue queue, params bool[] needAllThreads)
    {
        admitted.Clear();
        Call[] calls = [.. needAllThreads.Select((all, i) => new Call(i, all, admitted))];
        foreach (Call call in calls) queue.Enter(call, canBeRefused: true);
        return calls;
    }

    [Test]
    public void CallsThatNeedAllThreadsFollowOneAnother()
    {
        DetectionQueue queue = new(threads: 4, maxConcurrency: 4, maxLength: 10);
        Call[] calls = Enter(queue, true, true, true);
        Assert.That(admitted, Is.EqualTo(new[] { 0 }));
        for (int i = 0; i < 3; i++)
        {
            Assert.That(calls[i].Threads, Is.EqualTo(4));
            queue.Leave(calls[i]);
        }

        Assert.That(admitted, Is.EqualTo(new[] { 0, 1, 2 }));
    }

    [Test]
    public void CallsThatNeedOneThreadShareThem()
    {
        DetectionQueue queue = new(threads: 3, maxConcurrency: 3, maxLength: 10);
        Call[] calls = Enter(queue, false, false, false, false, false);
        Assert.That(admitted, Is.EqualTo(new[] { 0 }), "the first was alone and got all threads");
        Assert.That(calls[0].Threads, Is.EqualTo(3));
        queue.Leave(calls[0]);
        Assert.That(admitted, Is.EqualTo(new[] { 0, 1, 2, 3 }));
        Assert.That(calls[1..4].Select(c => c.Threads), Is.All.EqualTo(1));
        queue.Leave(calls[2]);
        Assert.That(admitted[^1], Is.EqualTo(4));
        Assert.That(calls[4].Threads, Is.EqualTo(1), "others compute beside it");
    }

    [Test]
    public void NobodyOvertakes()
    {
        DetectionQueue queue = new(threads: 2, maxConcurrency: 2, maxLength: 10);
        Call[] calls = Enter(queue, true, false, true, false);
        queue.Leave(calls[0]);
        Assert.That(admitted, Is.EqualTo(new[] { 0, 1 }), "a thread is free, and the next needs two");
        queue.Leave(calls[1]);
        Assert.That(admitted, Is.EqualTo(new[] { 0, 1, 2 }));
        queue.Leave(calls[2]);
        Assert.That(admitted, Is.EqualTo(new[] { 0, 1, 2, 3 }));
    }

    [Test]
    public void NoMoreComputeThanMayBe()
    {
        DetectionQueue queue = new(threads: 4, maxConcurrency: 2, maxLength: 10);
        Call[] calls = Enter(queue, true, false, false, false);
        queue.Leave(calls[0]);
        Assert.That(admitted, Is.EqualTo(new[] { 0, 1, 2 }));
        queue.Leave(calls[1]);
        Assert.That(admitted, Is.EqualTo(new[] { 0, 1, 2, 3 }));
    }

    [Test]
    public void AFullQueueRefusesWithItsLengthAndStaysUsable()
    {
        DetectionQueue queue = new(threads: 2, maxConcurrency: 2, maxLength: 2);
        Call[] calls = Enter(queue, true, true, true);
        DetectorBusyException refused = Assert.Throws<DetectorBusyException>(
            () => queue.Enter(new Call(9, true, admitted), canBeRefused: true))!;
        Assert.That(refused.QueueLength, Is.EqualTo(2));
        Assert.That(refused.Message, Does.Contain("2 detections"));
        queue.Enter(new Call(3, true, admitted), canBeRefused: false);
        foreach (Call call in calls) queue.Leave(call);
        Assert.That(admitted, Is.EqualTo(new[] { 0, 1, 2, 3 }));

        DetectionQueue none = new(threads: 2, maxConcurrency: 2, maxLength: 0);
        Call only = Enter(none, true)[0];
        Assert.That(() => none.Enter(new Call(1, true, admitted), canBeRefused: true), Throws.TypeOf<DetectorBusyException>());
        none.Leave(only);
        Assert.That(() => Enter(none, true), Throws.Nothing);
    }

    [Test]
    public void AWithdrawnCallLetsTheOthersPass()
    {
        DetectionQueue queue = new(threads: 2, maxConcurrency: 2, maxLength: 10);
        Call[] calls = Enter(queue, true, false, true, false);
        queue.Leave(calls[0]);
        Assert.That(admitted, Is.EqualTo(new[] { 0, 1 }));
        Assert.That(queue.TryWithdraw(calls[2]), Is.True);
        Assert.That(admitted, Is.EqualTo(new[] { 0, 1, 3 }));
        Assert.That(queue.TryWithdraw(calls[2]), Is.False, "again");
        Assert.That(queue.TryWithdraw(calls[3]), Is.False, "it computes");
    }
}
