"""EdgeZSAD: the training's own network (../edgezsad/model.py), with the weights of a TinyViT's and a readout's checkpoints."""
import numpy as np
import torch
from PIL import Image

from checkpoints import edgezsad as names
from checkpoints.half import stored
from edgezsad.model import EdgeZsad
from edgezsad.variant import Variant
from edgezsad.verification import STORED, taps


def run(found, image, options, exact, flush_to_zero, dtype):
    """Taps of a picture, of two checkpoints."""
    tensors, metadata = names.convert(found["tinyvit"], found["head"], options.image_size, options.topk)
    model = EdgeZsad(variant_of(metadata))
    with torch.no_grad():
        for name, tensor in model.tensors().items():
            given = tensors[name]
            tensor.copy_(given if exact else stored(name, given, flush_to_zero)[0])
    found = taps(model.to(dtype), np.asarray(Image.open(image).convert("RGB")))
    return {name: torch.from_numpy(found[name]) for name in (*STORED, "map.original")}


def variant_of(metadata):
    """The sizes that a model's metadata tells."""
    def numbers(key, kind=int):
        return tuple(kind(part) for part in metadata[key].split(","))
    lists = {key: numbers(key) for key in ("dims", "depths", "heads", "windows")}
    whole = {key: int(metadata[key]) for key in ("image_size", "topk", "mlp_ratio", "expand_ratio", "local_stage",
                                                 "global_stage")}
    eps = {key: float(metadata[key]) for key in ("layer_norm_eps", "batch_norm_eps")}
    return Variant(metadata["variant"], **lists, **whole, **eps, mean=numbers("mean", float), std=numbers("std", float))
