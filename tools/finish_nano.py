#!/usr/bin/env python3
"""Measures the model in the box on what it has never seen, and writes its file with words and figures, and the record beside it.

Figures, each the mean over categories of image AUROC, pixel AUROC and AUPRO (up to a false positive rate of 0.3):
  drawn        held-out families of surfaces with held-out kinds of defects; and the same with the kinds that were trained on
  faint        as before, with defects from a contrast of 0.3 and 12 pixels on
  photographs  crops of photographs of surfaces that scikit-image packages, tinted, with drawn defects of both groups

  finish_nano.py --model run/edgezsad.safetensors --photographs .../skimage/data --log run/log.jsonl --out models

Files in --out: edgezsad-nano.safetensors, edgezsad-nano.json (recipe, figures, SHA-256), edgezsad-nano.log.jsonl.
Needs PyTorch, numpy and Pillow.
"""
import argparse
import functools
import hashlib
import json
import pathlib
import sys

import numpy as np
import torch
from PIL import Image

from drawn.fields import SIDE, colour
from drawn.pictures import Rule, draw, draw_on, generator
from edgezsad.drawn_source import GROUPS, heldout_rules
from edgezsad.errors import UserError
from edgezsad.metrics import PixelAuroc, aupro, auroc, mean
from edgezsad.model import EdgeZsad, upsample
from edgezsad.recipe import RECIPES
from edgezsad.weights import load_model, read_safetensors, write_atomically, write_safetensors

PHOTOGRAPHS = ("brick", "grass", "gravel", "moon", "ihc")
FIGURES = ("image_auroc", "pixel_auroc", "aupro")
ABOUT = ("A try-out and a smoke test: EdgeZSAD's design at a small size, trained from nothing on drawn surfaces and defects "
         "only. No substitute for the trained systems.")


def photograph(folder, name, number):
    """A crop of a photograph, SIDE pixels each way; gray ones in a tint."""
    path = pathlib.Path(folder) / f"{name}.png"
    if not path.is_file():
        raise UserError(f"{path} is missing: --photographs is skimage/data of an installed scikit-image")
    g = generator(9, PHOTOGRAPHS.index(name), number)
    image = Image.open(path)
    side = int(g.integers(SIDE, min(image.size) + 1))
    x, y = (int(g.integers(0, n - side + 1)) for n in image.size)
    crop = image.convert("RGB").crop((x, y, x + side, y + side)).resize((SIDE, SIDE), Image.BICUBIC)
    if image.mode in ("L", "I;16"):
        light = np.asarray(crop, np.float32) / 255
        crop = 255 * light ** (np.log(np.clip(colour(g, 90, 160), 20, 230) / 255) / np.log(0.5))
    return np.asarray(crop, np.uint8)


def pairs_of(options):
    """Set -> category -> pairs, each made when it is asked for."""
    faint, plain = (heldout_rules(options.seed, options.pairs, faint=faint) for faint in (True, False))

    def photographed(group, name, i):
        rule = Rule("photograph", GROUPS[group], (options.seed, 5, PHOTOGRAPHS.index(name), i), 0.8, False, 40)
        return draw_on(photograph(options.photographs, name, i), rule)

    def chosen(rules, group):
        return {name: map(draw, of) for name, of in rules.items() if name.endswith("/" + group)}
    sets = {"drawn": chosen(plain, "new"), "drawn, trained kinds": chosen(plain, "known"),
            "drawn, faint": chosen(faint, "new"), "drawn, faint, trained kinds": chosen(faint, "known")}
    if options.photographs:
        for title, group in (("photographs", "new"), ("photographs, trained kinds", "known")):
            sets[title] = {name: map(functools.partial(photographed, group, name), range(options.pairs)) for name in PHOTOGRAPHS}
    return sets


@torch.no_grad()
def measure(model, pairs):
    """The figures of a category."""
    scores, labels, pixels, maps, masks = [], [], PixelAuroc(), [], []
    for pair in pairs:
        s, _, a = model(torch.from_numpy(np.stack((pair.good, pair.defective))))
        logits = upsample(a, SIDE, SIDE).numpy()
        for i, mask in enumerate((np.zeros_like(pair.mask), pair.mask)):
            scores.append(float(s[i]))
            labels.append(i)
            pixels.add(logits[i], mask)
            maps.append(1 / (1 + np.exp(-logits[i])))
            masks.append(mask)
    return dict(zip(FIGURES, (auroc(scores, labels), pixels.value(), aupro(maps, masks))))


def figures(model, options):
    found = {}
    for title, categories in pairs_of(options).items():
        rows = {name.split("/")[0]: measure(model, pairs) for name, pairs in categories.items()}
        found[title] = {**{key: mean([row[key] for row in rows.values()]) for key in FIGURES}, "categories": rows}
        print(f"{title}: " + ", ".join(f"{key} {found[title][key]:.4f}" for key in FIGURES), flush=True)
    return found


def rounded(value):
    """A value of JSON with four digits of every number."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def shortened(log):
    """The training's log with its numbers rounded: further digits are a step's noise."""
    return "".join(json.dumps(rounded(json.loads(line))) + "\n" for line in log.splitlines())


def words(found):
    """What the file says of its figures, a line a set."""
    def line(title):
        return "image AUROC {image_auroc:.3f}, pixel AUROC {pixel_auroc:.3f}, AUPRO {aupro:.3f}".format(**found[title])
    said = {"figures_drawn": f"held-out drawn surfaces and defects: {line('drawn')}"}
    if "photographs" in found:
        said["figures_photographs"] = f"photographs of surfaces with drawn defects: {line('photographs')}"
    return said


def main(arguments=None):
    what, _, where = __doc__.partition("\n\n")
    p = argparse.ArgumentParser(description=what, epilog=where, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", metavar="FILE", required=True)
    p.add_argument("--photographs", metavar="FOLDER", help="skimage/data of an installed scikit-image")
    p.add_argument("--log", metavar="FILE", help="the training's log, kept beside the model")
    p.add_argument("--pairs", metavar="N", type=int, default=160, help="pairs of each category (default: %(default)s)")
    p.add_argument("--seed", metavar="N", type=int, default=7, help="of the pictures that are measured (default: %(default)s)")
    p.add_argument("--out", metavar="FOLDER", help="write the model and its record there; without it, only measure")
    p.add_argument("--threads", metavar="N", type=int)
    options = p.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    recipe = RECIPES["nano"]
    try:
        found = figures(load_model(options.model, EdgeZsad(recipe.variant)).eval(), options)
        if not options.out:
            return 0
        tensors, metadata = read_safetensors(options.model)
        out, name = pathlib.Path(options.out), "edgezsad-nano"
        path = out / f"{name}.safetensors"
        write_safetensors(path, tensors, {**metadata, "description": ABOUT, **words(found)})
        record = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size,
                  "parameters": sum(t.numel() for t in tensors.values()), "recipe": recipe.as_data(),
                  "measured_on": {"seed": options.seed, "pairs": options.pairs}, "figures": rounded(found)}
        write_atomically(out / f"{name}.json", lambda file: file.write((json.dumps(record, indent=1) + "\n").encode()))
        if options.log:
            text = shortened(pathlib.Path(options.log).read_text(encoding="utf-8"))
            write_atomically(out / f"{name}.log.jsonl", lambda file: file.write(text.encode()))
        print(f"{path}: {record['bytes']:,} bytes, SHA-256 {record['sha256']}")
        return 0
    except (UserError, OSError) as error:
        print(f"finish_nano: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
