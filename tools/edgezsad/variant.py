"""Sizes of a model, and the metadata its file carries. A network is a `Variant`; the code has no sizes of its own."""
import dataclasses
import json
import pathlib

from .errors import UserError


@dataclasses.dataclass(frozen=True)
class Variant:
    """TinyViT's sizes and those of the EdgeGLR readout on top of it.

    `heads[0]` and `windows[0]` stand in the lists as they do in TinyViT's own configurations, but stage 0 is convolutional
    and has neither. The readout ranks the image by `global_stage` and scores the tokens of `local_stage`.
    """

    name: str
    image_size: int
    dims: tuple
    depths: tuple
    heads: tuple
    windows: tuple
    topk: int
    mlp_ratio: int = 4
    expand_ratio: int = 4
    layer_norm_eps: float = 1e-5
    batch_norm_eps: float = 1e-5
    local_stage: int = 2
    global_stage: int = 3
    mean: tuple = (0.485, 0.456, 0.406)
    std: tuple = (0.229, 0.224, 0.225)

    def __post_init__(self):
        for key in ("image_size", "topk", "mlp_ratio", "expand_ratio"):
            if not isinstance(getattr(self, key), int) or getattr(self, key) < 1:
                raise UserError(f"variant {self.name}: {key} must be a positive whole number, not {getattr(self, key)!r}")
        for key in ("mean", "std"):
            values = getattr(self, key)
            if not isinstance(values, tuple) or len(values) != 3 or not all(isinstance(v, float) for v in values):
                raise UserError(f"variant {self.name}: {key} must be three numbers like 0.5, not {values!r}")
        for key in ("dims", "depths", "heads", "windows"):
            values = getattr(self, key)
            if not isinstance(values, tuple) or len(values) != 4 or not all(isinstance(v, int) and v > 0 for v in values):
                raise UserError(f"variant {self.name}: {key} must be four positive whole numbers, not {values!r}")
        for stage in (1, 2, 3):
            if self.dims[stage] % self.heads[stage]:
                raise UserError(f"variant {self.name}: dims[{stage}] = {self.dims[stage]} is no multiple of "
                                f"heads[{stage}] = {self.heads[stage]}")
        if self.dims[0] % 2:
            raise UserError(f"variant {self.name}: dims[0] = {self.dims[0]} must be even; the stem passes through half of it")
        for key in ("local_stage", "global_stage"):
            if getattr(self, key) not in (0, 1, 2, 3):
                raise UserError(f"variant {self.name}: {key} must be 0 to 3, not {getattr(self, key)}")
        if self.image_size < 32:
            raise UserError(f"variant {self.name}: image_size must be at least 32, not {self.image_size}")
        if not 1 <= self.topk <= self.grid(self.local_stage) ** 2:
            raise UserError(f"variant {self.name}: topk must be 1 to {self.grid(self.local_stage) ** 2}, the tokens of stage "
                            f"{self.local_stage}, not {self.topk}")

    def grid(self, stage):
        """Side of a stage's square map: two strides of 2 in the stem, one more before each later stage, each rounded up."""
        side = self.image_size
        for _ in range(2 + stage):
            side = -(-side // 2)
        return side

    def metadata(self):
        """`__metadata__` of the model file: strings, lists separated by commas."""
        def text(value):
            return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        sizes = ("image_size", "dims", "depths", "heads", "windows", "mlp_ratio", "expand_ratio", "layer_norm_eps",
                 "batch_norm_eps", "local_stage", "global_stage", "topk", "mean", "std")
        return {"format": "tinyzsad", "format_version": "1", "model": "edgezsad",
                "variant": self.name, "resize": "squash-bicubic",
                **{key: text(getattr(self, key)) for key in sizes}}

    @staticmethod
    def from_config(config, name="custom"):
        """A variant from a JSON object with the field names above."""
        fields = {f.name: f for f in dataclasses.fields(Variant)}
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items() if k in fields and k != "name"}
        missing = [k for k, f in fields.items() if f.default is dataclasses.MISSING and k != "name" and k not in values]
        if missing:
            raise UserError(f"variant {name}: {', '.join(missing)} missing")
        return Variant(name=name, **values)


def tiny_vit(name, image_size, dims, heads, windows, topk):
    return Variant(name, image_size, dims, (2, 2, 6, 2), heads, windows, topk)


D21, H21 = (96, 192, 384, 576), (3, 6, 12, 18)

# topk: one token in 64, which is 16 of 1024 at 512 pixels. [choice]
VARIANTS = {v.name: v for v in (
    tiny_vit("tiny_vit_5m_224", 224, (64, 128, 160, 320), (2, 4, 5, 10), (7, 7, 14, 7), 3),
    tiny_vit("tiny_vit_11m_224", 224, (64, 128, 256, 448), (2, 4, 8, 14), (7, 7, 14, 7), 3),
    tiny_vit("tiny_vit_21m_224", 224, D21, H21, (7, 7, 14, 7), 3),
    tiny_vit("tiny_vit_21m_384", 384, D21, H21, (12, 12, 24, 12), 9),
    tiny_vit("tiny_vit_21m_512", 512, D21, H21, (16, 16, 32, 16), 16),
    Variant("edgezsad-nano", 256, (32, 64, 96, 160), (1, 1, 4, 1), (1, 2, 3, 5), (8, 8, 16, 8), 4, mlp_ratio=3, expand_ratio=2),
)}


def find_variant(name):
    """A named variant, or a custom one from a .json file."""
    if name in VARIANTS:
        return VARIANTS[name]
    path = pathlib.Path(name)
    if path.suffix != ".json":
        raise UserError(f"unknown variant '{name}'; give one of {', '.join(VARIANTS)}, or a .json file")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"variant file {path}: {error}") from None
    if not isinstance(config, dict):
        raise UserError(f"variant file {path}: an object with image_size, dims, depths, heads, windows, topk is expected")
    return Variant.from_config(config)
