"""What PyTorch computes, for others to be equal to: checks the network against stored values, stores those of a trained one."""
import copy
import importlib.util
import json
import pathlib

import numpy as np
import torch
from PIL import Image

from .data import resize
from .errors import UserError
from .model import EdgeZsad, upsample
from .variant import Variant
from .weights import load_model, read_safetensors, write_safetensors

TOLERANCE = 1e-5
SCALARS = ("global.logit", "local.topk", "score.logit", "score")
STORED = ("input", "patch_embed", "stages.0", "stages.1", "stages.2", "stages.3", "global.pool", "global.norm", "global.logit",
          "local.norm", "local.logits", "local.topk", "score.logit", "score", "map.final")


@torch.no_grad()
def taps(model, rgb):
    """Every intermediate value for one picture (uint8 [h, w, 3]), name -> array without batch dimension."""
    found, v = {}, model.variant

    def tap(name, value):
        found[name] = value[0].reshape(1) if name in SCALARS else value[0]

    small = torch.from_numpy(resize(rgb, v.image_size))
    *_, logits = model.eval()(small[None], tap)
    found["map.final"] = torch.sigmoid(upsample(logits, v.image_size, v.image_size))[0]
    found["map.original"] = torch.sigmoid(upsample(logits, *rgb.shape[:2]))[0]
    found["resized"] = small
    return {name: value.contiguous().numpy().astype(np.float64) for name, value in found.items()}


def error(name, got, want):
    """Largest absolute error over the largest absolute expected value; for scalars, which may come out near zero, absolute."""
    largest = float(np.abs(got - want).max())
    return largest if name in SCALARS else largest / (float(np.abs(want).max()) or 1.0)


def self_check(folder, dtype=torch.float32):
    """Runs a reference case; returns tap -> `error`.

    The case's weights are made by the rule in `refgen.py`, two folders up.
    """
    folder = pathlib.Path(folder).resolve()
    rule = folder.parent.parent / "refgen.py"
    for path in (folder / "manifest.json", folder / "expected.safetensors", rule):
        if not path.is_file():
            raise UserError(f"{folder} is no EdgeZSAD reference case: {path} is missing")
    spec = importlib.util.spec_from_file_location("refgen", rule)
    refgen = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(refgen)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    if manifest.get("model") != "edgezsad":
        raise UserError(f"{folder} is a case of '{manifest.get('model')}', not of edgezsad")

    variant = Variant.from_config(manifest["config"], manifest["config"]["backbone"])
    if variant.metadata() != manifest["metadata"]:
        raise UserError(f"{folder}: the metadata of the case differs from what would be written: {variant.metadata()}")
    model = EdgeZsad(variant)
    given, wanted = refgen.weights(manifest), model.tensors()
    if {k: a.shape for k, a in given.items()} != {k: tuple(t.shape) for k, t in wanted.items()}:
        differing = sorted(given.keys() ^ wanted.keys()) or [k for k in given if given[k].shape != tuple(wanted[k].shape)]
        raise UserError(f"{folder}: the tensors of the case are not those of the model: {', '.join(differing[:3])}")
    for name, tensor in wanted.items():
        tensor.copy_(torch.from_numpy(given[name].astype(np.float32)))

    computed = taps(model.to(dtype), np.asarray(Image.open(folder / manifest["image"]).convert("RGB")))
    expected, _ = read_safetensors(folder / "expected.safetensors")
    errors = {}
    for name, about in manifest["taps"].items():
        got, want = computed[name], expected[name].numpy().astype(np.float64)
        if list(got.shape) != about["shape"]:
            raise UserError(f"{folder}: tap '{name}' has shape {list(got.shape)}, and {about['shape']} is expected")
        errors[name] = error(name, got.reshape(-1)[::about["stride"]], want)
    return errors


def write_verification(model_path, variant, pictures, folder):
    """Stores what PyTorch makes of pictures, with the weights as the model file holds them.

    pictures: name -> uint8 [h, w, 3]. Each gets a folder with `image.png`, `expected.safetensors` (computed in float64, stored as
    float32) and `expected-float32.safetensors` (computed in float32). Returns the largest error of float32 against float64.
    """
    single = load_model(model_path, EdgeZsad(variant))
    double, worst = copy.deepcopy(single).double(), 0.0
    for name, rgb in pictures.items():
        at = pathlib.Path(folder) / name
        at.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb).save(at / "image.png")
        values = {"expected": taps(double, rgb), "expected-float32": taps(single, rgb)}
        for file, found in values.items():
            write_safetensors(at / f"{file}.safetensors", {k: torch.from_numpy(found[k].astype(np.float32)) for k in STORED})
        worst = max([worst] + [error(k, values["expected-float32"][k], values["expected"][k]) for k in STORED])
    return worst
