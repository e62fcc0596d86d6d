"""AUROC: the chance that a defective item scores higher than a good one, ties counting half. AUPRO: how much of each defective
region is found before too many good pixels are."""
import numpy as np
import torch
import torch.nn.functional as F

PRO_LIMIT, PRO_STEPS = 0.3, 200


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


def regions(mask):
    """int64 [h, w]: 0 where the mask is not, and a number for each region of pixels that touch at a side or a corner."""
    inside = torch.from_numpy(np.ascontiguousarray(mask, bool))
    label = torch.arange(1, inside.numel() + 1, dtype=torch.float64).reshape(inside.shape) * inside
    while True:                                                               # the largest number spreads through each region
        spread = F.max_pool2d(label[None], 3, 1, 1)[0] * inside
        if torch.equal(spread, label):
            break
        label = spread
    return np.unique(label.numpy(), return_inverse=True)[1].reshape(inside.shape) + (0 if (~inside).any() else 1)


def aupro(maps, masks):
    """Area under the mean overlap with the regions against the false positive rate, up to a rate of 0.3, scaled to 0 to 1; at 200
    thresholds from the least value on, as the published evaluations take them. None where there is no region."""
    least, most = min(float(m.min()) for m in maps), max(float(m.max()) for m in maps)
    thresholds = (least + (most - least) / PRO_STEPS * np.arange(PRO_STEPS)).astype(np.float32)
    found, wrong, good = [], np.zeros(PRO_STEPS), 0
    for values, mask in zip(maps, masks):
        below = np.searchsorted(thresholds, np.asarray(values, np.float32).reshape(-1), "left")     # thresholds under each value
        label = regions(mask).reshape(-1)
        table = np.zeros((label.max() + 1, PRO_STEPS + 1))
        np.add.at(table, (label, below), 1)
        above = table[:, ::-1].cumsum(1)[:, ::-1][:, 1:]                      # pixels above each threshold
        wrong += above[0]
        good += table[0].sum()
        found += list(above[1:] / table[1:].sum(1, keepdims=True))
    if not found:
        return None
    rate, overlap = wrong / max(good, 1), np.mean(found, 0)
    kept = rate <= PRO_LIMIT
    rate, overlap = rate[kept][::-1], overlap[kept][::-1]
    if len(rate) < 2 or rate[-1] == rate[0]:
        return None
    return float((np.diff(rate) * (overlap[1:] + overlap[:-1]) / 2).sum() / (rate[-1] - rate[0]))


def mean(values):
    """Mean of those that are known; None where none is."""
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else None
