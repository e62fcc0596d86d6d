"""TinyViT and a trained readout to the names of `edgezsad.safetensors` (tests/reference/edgezsad/SPEC.md, sections 3 and 4)."""
import json
import math

import torch

from edgezsad.errors import UserError
from edgezsad.variant import VARIANTS, Variant
from edgezsad.weights import timm_name
from .half import to_half
from .state import find, not_found, require

READOUT = ("global.norm.weight", "global.norm.bias", "global.fc.weight", "global.fc.bias", "local.norm.weight", "local.norm.bias",
           "local.fc.weight", "local.fc.bias", "fusion.alpha")
KEYS = tuple(Variant("keys", 64, (32,) * 4, (1,) * 4, (1,) * 4, (4,) * 4, 1).metadata())


def convert(tinyvit, head, image_size=None, topk=None):
    """(name -> tensor, metadata) of a backbone, which may be None where the head's file holds its own, and a head."""
    readout = require(head, "EdgeZSAD's readout", "global.fc.weight", "head.glr.", "glr.")
    tensors = {f"head.glr.{name}": readout.take(name) for name in READOUT}
    own = backbone_of(head)
    if tinyvit is None:
        if own is None:
            raise UserError(f"{head.path}: it holds a readout without its backbone; give the TinyViT that it was trained on")
        state = own
    else:
        state = backbone_of(tinyvit)
        if state is None:
            raise not_found(tinyvit, "TinyViT", "patch_embed.conv1.conv.weight' (timm's name) or 'patch_embed.seq.0.c.weight")
    vision = named(state)
    if tinyvit is not None and own is not None:
        trained = named(own)
        differing = [k for k, t in vision.items() if k not in trained or not torch.equal(to_half(t), to_half(trained[k]))]
        if differing:
            raise UserError(f"{head.path}: it holds the backbone that the readout was trained with, and {tinyvit.path} is "
                            f"another ('{differing[0]}' differs); leave that out")
    tensors.update({f"vision.{name}": tensor for name, tensor in vision.items()})
    metadata = stated(head) or inferred(vision, image_size, topk)
    metadata.update({key: str(n) for key, n in (("image_size", image_size), ("topk", topk)) if n is not None})
    missing = [key for key in KEYS if key not in metadata]
    if missing:
        raise UserError(f"{head.path}: what it says of its model lacks '{missing[0]}'")
    return tensors, {**{key: metadata[key] for key in KEYS},
                     "vision_source": (tinyvit or head).source(), "head_source": head.source()}


def backbone_of(checkpoint):
    return find(checkpoint, "patch_embed.conv1.conv.weight", "vision.", "image_encoder.") \
        or find(checkpoint, "patch_embed.seq.0.c.weight", "vision.", "image_encoder.")


def named(state):
    """A backbone's tensors under timm's names, without classifier, neck and counters."""
    out = {timm_name(name): state.take(name) for name in state.below()
           if not timm_name(name).startswith(("head.", "neck.")) and state.is_float(name)}
    for stage in range(4):
        if f"stages.{stage}.blocks.0.mlp.fc1.weight" not in out and f"stages.{stage}.blocks.0.conv1.conv.weight" not in out:
            raise UserError(f"{state.checkpoint.path}: stage {stage} of its TinyViT is missing")
    return out


def stated(head):
    """What a file of our own training says of its model; None for another file."""
    if head.values.get("__metadata__.model") == "edgezsad":
        return {key[len("__metadata__."):]: value for key, value in head.values.items() if key.startswith("__metadata__.")}
    if not isinstance(head.values.get("about"), str):
        return None
    try:
        return dict(json.loads(head.values["about"])["recipe"]["variant"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{head.path}: its 'about' is not what tools/train_edgezsad.py writes: {error}") from None


def inferred(vision, image_size, topk):
    """Settings of a published TinyViT, or of any other whose picture size is given."""
    dims = (vision["patch_embed.conv2.conv.weight"].shape[0],
            *(vision[f"stages.{s}.downsample.conv1.conv.weight"].shape[0] for s in (1, 2, 3)))
    depths = tuple(len({name.split(".")[3] for name in vision if name.startswith(f"stages.{s}.blocks.")}) for s in range(4))
    biases = [vision[f"stages.{s}.blocks.0.attn.attention_biases"].shape for s in (1, 2, 3)]
    heads, windows = tuple(b[0] for b in biases), tuple(math.isqrt(b[1]) for b in biases)
    for v in VARIANTS.values():
        if (v.dims, v.depths, v.heads[1:], v.windows[1:], v.image_size) == (dims, depths, heads, windows,
                                                                            image_size or v.image_size):
            name, size, heads, windows = v.name, v.image_size, v.heads, v.windows
            break
    else:
        if image_size is None:
            raise UserError(f"a TinyViT of dims {dims} and windows {windows} is none of {', '.join(VARIANTS)}; give --image-size")
        name, size, heads, windows = "custom", image_size, (max(1, dims[0] // 32), *heads), (windows[0], *windows)
    grid = size
    for _ in range(4):
        grid = -(-grid // 2)
    return Variant(name, size, dims, depths, heads, windows, topk or max(1, grid * grid // 64),
                   mlp_ratio=vision["stages.1.blocks.0.mlp.fc1.weight"].shape[0] // dims[1],
                   expand_ratio=vision["stages.0.blocks.0.conv1.conv.weight"].shape[0] // dims[0]).metadata()
