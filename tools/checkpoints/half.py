"""Weights as FP16, and where that would lose more than its rounding."""
import dataclasses

import numpy as np
import torch

from edgezsad.errors import UserError

OVERFLOW, FLUSH, SMALLEST_NORMAL = 65520.0, 2.0**-25, 2.0**-14                # what rounds to infinity, and to zero


@dataclasses.dataclass
class Loss:
    """What FP16 would lose of a tensor: values that overflow, that become zero and, in a vector, that lie below FP16's normal
    numbers and are not held exactly."""

    name: str
    overflowing: int
    flushed: int
    coarse: int


def examine(name, tensor):
    """The loss of a tensor, or None. Only finite values are weights."""
    values = tensor.double() if tensor.dtype == torch.float64 else tensor.float()
    size = values.abs()
    if not torch.isfinite(size).all():
        raise UserError(f"what becomes tensor '{name}' holds values that are not finite")
    vector = sum(d > 1 for d in tensor.shape) <= 1
    overflowing, flushed = int((size >= OVERFLOW).sum()), int(((size > 0) & (size <= FLUSH)).sum())
    coarse = int(((size > FLUSH) & (size < SMALLEST_NORMAL) & ((size * 2.0**24) % 1 != 0)).sum()) if vector else 0
    return Loss(name, overflowing, flushed, coarse) if overflowing or flushed or coarse else None


def to_half(tensor):
    """Rounded to the nearest, ties to even, in one step even from float64 (torch takes two)."""
    if tensor.dtype != torch.float64:
        return tensor.half()
    with np.errstate(over="ignore"):
        return torch.from_numpy(tensor.numpy().astype(np.float16))


def stored(name, tensor, flush_to_zero=False):
    """(tensor as a model file holds it, its loss or None)."""
    loss = examine(name, tensor)
    keep = loss is not None and not (flush_to_zero and not loss.overflowing and not loss.coarse)
    return (tensor.float() if keep else to_half(tensor)), loss
