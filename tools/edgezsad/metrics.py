"""AUROC: the chance that a defective item scores higher than a good one, ties counting half."""
import numpy as np


def auroc(scores, labels):
    """Exact, from ranks; None where one of the classes is empty."""
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels, bool)
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2                              # mean rank of each value, from 1
    return float((ranks[place][labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


class PixelAuroc:
    """AUROC of any number of pixels in fixed memory: logits are counted by their value in binary16, whose order is kept."""

    def __init__(self):
        self.counts = np.zeros((2, 1 << 16), np.int64)

    def add(self, logits, mask):
        clipped = np.clip(np.asarray(logits, np.float32), -65504, 65504).astype(np.float16) + np.float16(0)   # -0 becomes +0
        bits = clipped.reshape(-1).view(np.uint16)
        order = np.where(bits & 0x8000, 0xFFFF - bits, bits | 0x8000)         # sign and magnitude -> an order of unsigned numbers
        defective = np.asarray(mask, bool).reshape(-1)
        self.counts[1] += np.bincount(order[defective], minlength=1 << 16)
        self.counts[0] += np.bincount(order[~defective], minlength=1 << 16)

    def value(self):
        good, bad = self.counts.astype(np.float64)
        if not good.sum() or not bad.sum():
            return None
        return float((bad * (np.cumsum(good) - good / 2)).sum() / (good.sum() * bad.sum()))


def mean(values):
    """Mean of those that are known; None where none is."""
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else None
