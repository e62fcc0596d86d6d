"""The named losses of the readout.

Each is a sum over pictures, divided by the counts of the *whole* batch, so that a batch may be worked through in parts: the
parts' losses add up to the batch's.
"""
import torch
import torch.nn.functional as F


def binary(logits, labels):
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def focal(logits, target):
    """Focal loss with exponent 2, mean over tokens: [batch, h, w] -> [batch]."""
    p = torch.sigmoid(logits)
    wrong = torch.where(target > 0.5, 1 - p, p)
    return (wrong * wrong * binary(logits, target)).mean((1, 2))


def balanced(logits, target):
    """Sums over tokens of the binary losses of the good ones and of the defective ones: [batch, h, w] -> [batch], [batch]."""
    losses = binary(logits, target)
    return (losses * (1 - target)).sum((1, 2)), (losses * target).sum((1, 2))


def dice(logits, target):
    """1 - Dice coefficient of the probabilities, smoothed by one token: [batch, h, w] -> [batch]."""
    p = torch.sigmoid(logits)
    return 1 - (2 * (p * target).sum((1, 2)) + 1) / (p.sum((1, 2)) + target.sum((1, 2)) + 1)


def named_losses(outputs, labels, targets, known, counts):
    """Name -> loss.

    outputs: s [batch], g [batch], A [batch, h, w]; labels [batch], 1 for defective; targets [batch, h, w] of tokens;
    known [batch], 0 where a defective picture has no mask; counts: see `count`.
    """
    s, g, a = outputs
    return {
        "image": binary(s, labels).sum() / counts["pictures"],
        "global": binary(g, labels).sum() / counts["pictures"],
        "focal": (focal(a, targets) * known).sum() / counts["known"],
        "balanced": 0.5 * sum((part * known).sum() / counts[key] for part, key in
                              zip(balanced(a, targets), ("good_tokens", "defective_tokens"))),
        "dice": (dice(a, targets) * known * labels).sum() / counts["known_defective"],
    }


def count(labels, known, targets):
    """What the sums are divided by; never 0."""
    return {"good_tokens": max(1.0, float(((1 - targets) * known[:, None, None]).sum())),
            "defective_tokens": max(1.0, float((targets * known[:, None, None]).sum())),
            "pictures": len(labels), "known": max(1.0, float(known.sum())),
            "known_defective": max(1.0, float((known * labels).sum()))}
