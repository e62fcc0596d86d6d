"""Recipes: variant, source, schedule and losses as data."""
import dataclasses

from .errors import UserError
from .variant import VARIANTS, Variant

TUNE = {"none": (), "late": ("stages.2.", "stages.3."), "all": ("",)}
AUGMENTATIONS = ("flip", "rotate", "colour", "tone")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a model is made; all that decides its weights but the backbone's file and the pictures themselves."""

    name: str
    variant: Variant
    source: str                             # "folder": pictures the user has; "surfaces", "drawn": generated ones
    pretrained: bool                        # whether training starts from a backbone file
    tune: str = "none"                      # which part of the backbone learns: a key of TUNE
    batch_norm: str = "fixed"               # "fixed": statistics as loaded; "trained": those of the batches
    steps: int = 2000
    batch: int = 64
    side_by_side: int = 1                   # parts of a batch, each with BatchNorm's statistics of its own, at the same time
    head_rate: float = 1e-3
    backbone_rate: float = 1e-5
    weight_decay: float = 1e-4
    warm_up: int = 100                      # steps
    cool_down: int = 0                      # steps at the end over which the rates fall; 0: they fall all the way
    clip: float = 0.0                       # largest norm of a step's gradient; 0: any
    average: float = 0.0                    # decay, a step, of the running mean of the weights that is kept instead; 0: none
    crops: tuple = ()                       # (first, end, side, batch): steps that see crops of that side, so many at once
    keep: str = "best"                      # "best": the weights that do best on what is held out; "last": those of the last step
    pairs: int = 0                          # of drawn pictures
    losses: tuple = (("image", 1.0), ("global", 0.5), ("focal", 1.0), ("dice", 1.0))
    augment: tuple = ()
    holdout: tuple = ()                     # categories kept from training, to select by
    holdout_limit: int = 100                # pictures evaluated of each such category and label
    evaluate_every: int = 250
    checkpoint_every: int = 100
    seed: int = 1

    def __post_init__(self):
        for key in ("steps", "batch", "holdout_limit", "evaluate_every", "checkpoint_every"):
            if getattr(self, key) < 1:
                raise UserError(f"{key} must be at least 1, not {getattr(self, key)}")
        if self.side_by_side < 1 or self.batch % (2 * self.side_by_side) and self.side_by_side > 1:
            raise UserError(f"side_by_side must divide half the batch, {self.batch} / 2, not be {self.side_by_side}")
        if self.batch < 2:
            raise UserError("batch must be at least 2: one good and one defective picture")
        if not 0 <= self.warm_up < self.steps:
            raise UserError(f"warm_up must be 0 to {self.steps - 1}, fewer than the steps, not {self.warm_up}")
        if not 0 <= self.cool_down <= self.steps - self.warm_up:
            raise UserError(f"cool_down must be 0 to {self.steps - self.warm_up}, what the warm-up leaves, not {self.cool_down}")
        if self.crops and (len(self.crops) != 4 or self.crops[2] % 32 or not 0 < self.crops[2] < self.variant.image_size):
            raise UserError("crops are (first step, end, side, batch), the side a multiple of 32 below the image size, not "
                            f"{self.crops}")
        if self.seed < 0:
            raise UserError(f"seed must not be negative: {self.seed}")
        for key in ("head_rate", "backbone_rate", "weight_decay", "average"):
            if not 0 <= getattr(self, key) < 1:
                raise UserError(f"{key} must be in [0, 1), not {getattr(self, key)}")
        unknown = sorted(set(self.augment) - set(AUGMENTATIONS))
        if unknown:
            raise UserError(f"unknown augmentation '{unknown[0]}'; there are {', '.join(AUGMENTATIONS)}")

    def crop_at(self, step):
        """The side of the crops that a step sees; 0: it sees whole pictures."""
        return self.crops[2] if self.crops and self.crops[0] <= step < self.crops[1] else 0

    def batch_at(self, step):
        return self.crops[3] if self.crop_at(step) else self.batch

    def as_data(self):
        """The recipe as JSON would give it back."""
        def plain(value):
            return [plain(v) for v in value] if isinstance(value, tuple) else value
        data = {f.name: plain(getattr(self, f.name)) for f in dataclasses.fields(self) if f.name != "variant"}
        return {**data, "variant": self.variant.metadata()}


SMOKE_VARIANT = Variant("custom", 64, (32, 64, 96, 128), (1, 1, 2, 1), (1, 2, 3, 4), (4, 4, 4, 2), 3)

RECIPES = {r.name: r for r in (
    Recipe("edgezsad", VARIANTS["tiny_vit_21m_512"], source="folder", pretrained=True),
    # A model of toy size from nothing, in seconds: every part of the way, and no accuracy to speak of.
    Recipe("smoke", SMOKE_VARIANT, source="surfaces", pretrained=False, tune="all", batch_norm="trained", steps=160, batch=16,
           backbone_rate=1e-3, warm_up=10, holdout=("weave",), holdout_limit=24, evaluate_every=40, checkpoint_every=40),
    # The model in the box: small, from nothing, on drawn pictures alone. Nothing is selected by what is held out.
    Recipe("nano", VARIANTS["edgezsad-nano"], source="drawn", pretrained=False, tune="all", batch_norm="trained", steps=10500,
           batch=16, side_by_side=2, crops=(3500, 9000, 128, 64), head_rate=1.5e-3, backbone_rate=1.5e-3, weight_decay=0.02,
           warm_up=100, cool_down=7300, clip=1.0, average=0.998, keep="last", pairs=16000,
           losses=(("image", 1.0), ("global", 0.25), ("balanced", 1.0), ("focal", 1.0), ("dice", 0.5)),
           augment=("flip", "rotate", "tone"), holdout_limit=24, evaluate_every=500, checkpoint_every=100),
)}
