"""A network's tensors within a checkpoint, by its authors' names."""
from edgezsad.errors import UserError
from edgezsad.weights import Unreadable

# Where a state dict may stand; the average of a training's weights (EMA) only where there are no plain ones.
WRAPPERS = ("", "model_state_dict.", "state_dict.", "state_dict.model.", "state_dict.net.", "model.", "net.", "model_ema.",
            "state_dict_ema.")


class State:
    """The tensors below a prefix, and which of them were taken.

    tools/train_edgezsad.py keeps under "best" those tensors of "model" that it trains, as they did best; they are preferred.
    """

    def __init__(self, checkpoint, prefix, better=None):
        self.checkpoint, self.prefix, self.better, self.taken = checkpoint, prefix, better, set()

    def full_name(self, name):
        better = None if self.better is None else self.better + name
        return better if better in self.checkpoint.tensors else self.prefix + name

    def __contains__(self, name):
        return self.full_name(name) in self.checkpoint.tensors

    def is_float(self, name):
        return self.checkpoint.tensors[self.full_name(name)].is_floating_point()

    def shape(self, name):
        return tuple(self[name].shape)

    def __getitem__(self, name):
        """A tensor, not marked as taken."""
        found = self.checkpoint.tensors.get(self.full_name(name))
        if found is None:
            raise UserError(f"{self.checkpoint.path}: tensor '{self.full_name(name)}' is missing")
        if isinstance(found, Unreadable):
            raise UserError(f"{self.checkpoint.path}: tensor '{self.full_name(name)}' {found.problem}")
        if not found.is_floating_point():
            raise UserError(f"{self.checkpoint.path}: tensor '{self.full_name(name)}' is of whole numbers, where weights are "
                            "floats")
        return found

    def take(self, name):
        self.taken.add(name)
        return self[name]

    def count(self, name):
        """How many blocks there are under a name."""
        n = 0
        while any(key.startswith(f"{self.prefix}{name}.{n}.") for key in self.checkpoint.tensors):
            n += 1
        return n

    def below(self, name=""):
        """Names under the prefix that begin so."""
        return [key[len(self.prefix):] for key in self.checkpoint.tensors if key.startswith(self.prefix + name)]

    def refuse_others(self, network, within="", superfluous=lambda name: False):
        """A tensor that was neither taken nor is known to be superfluous means another network."""
        for name in self.below(within):
            if name not in self.taken and not superfluous(name) and self.is_float(name):
                raise UserError(f"{self.checkpoint.path}: tensor '{self.prefix}{name}' does not belong to {network}")


def find(checkpoint, marker, *within):
    """The state that holds a tensor, at the top or in one of the places where state dicts are kept; None if none does."""
    for wrapper in WRAPPERS:
        for inner in ("", *within):
            if f"{wrapper}{inner}{marker}" in checkpoint.tensors:
                return State(checkpoint, f"{wrapper}{inner}", f"best.{inner}" if wrapper == "model." else None)
    return None


def require(checkpoint, network, marker, *within):
    state = find(checkpoint, marker, *within)
    if state is None:
        raise not_found(checkpoint, network, marker)
    return state


def not_found(checkpoint, network, marker):
    return UserError(f"{checkpoint.path}: this is no checkpoint of {network}: it has no tensor '{marker}'")
