"""A network's tensors under its authors' names, rounded as a model file would hold them, in the precision of the computation."""
import torch

from checkpoints.half import stored
from checkpoints.state import require


class Weights:
    """`weights[name]` is a tensor of the network. What the model file stores apart must be rounded apart (`split`), and what it
    stores together, together (`joined`): whether a tensor stays float32 is decided for the whole of it."""

    def __init__(self, checkpoint, marker, *within, exact=False, flush_to_zero=False, dtype=torch.float64):
        self.state = require(checkpoint, "this system", marker, *within)
        self.exact, self.flush_to_zero, self.dtype, self.known = exact, flush_to_zero, dtype, {}

    def __contains__(self, name):
        return name in self.state

    def __getitem__(self, name):
        whole, = self.parts(name, lambda: [self.state[name]])
        return whole.to(self.dtype)

    def split(self, name, parts):
        """A tensor whose rows are so many tensors of the model file."""
        return torch.cat([part.to(self.dtype) for part in self.parts(name, lambda: self.state[name].chunk(parts))])

    def joined(self, names):
        """Tensors whose rows are one tensor of the model file."""
        whole, = self.parts(names, lambda: [torch.cat([self.state[name] for name in names])])
        return whole.to(self.dtype).chunk(len(names))

    def parts(self, key, find):
        """Tensors as the model file stores them, kept for the next time."""
        if key not in self.known:
            self.known[key] = [t if self.exact else stored(str(key), t, self.flush_to_zero)[0] for t in find()]
        return self.known[key]

    def count(self, name):
        return self.state.count(name)
