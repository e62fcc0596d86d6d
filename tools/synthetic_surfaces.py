#!/usr/bin/env python3
"""Draws pictures of surfaces, good and defective, by seed alone: the world that the model in the box has learnt from.

A picture is a family of surfaces (drawn/surfaces.py), what is harmless on it (dust, highlights, shadows, seams), sometimes a
part's outline on a plain background, perhaps one defect (drawn/defects.py), and a camera: light, vignette, blur, noise, JPEG
(drawn/pictures.py). The good and the defective picture of a pair differ in the defect alone.

Held out whole, never trained on: surfaces wood, leather, knit, terrazzo, perforated; defects hole, foreign, frayed. Contrast of
a defect: the mean change of its pixels (largest channel, in grey levels) over 10 + the standard deviation of the picture's
brightness.
What the figures are taken on is plain (contrast 0.8 or more, 40 pixels or more) unless it says faint (0.3 or more, 12 or more).

  synthetic_surfaces.py sheet --set training --out sheet.png
  synthetic_surfaces.py folder --set heldout --pairs 40 --out drawn       laid out like MVTec AD: train with it, evaluate on it

Needs numpy and Pillow.
"""
import argparse
import json
import pathlib
import sys

import numpy as np
from PIL import Image

from drawn.pictures import draw
from drawn.surfaces import TRAINED
from edgezsad.drawn_source import GROUPS, heldout_rules, training_rules

SETS = ("training", "heldout", "heldout-faint")


def rules(options):
    """Name -> rules, a name a category."""
    if options.set != "training":
        return heldout_rules(options.seed, options.pairs, options.group or tuple(GROUPS), faint=options.set == "heldout-faint")
    drawn = training_rules(options.seed, options.pairs * len(TRAINED))
    return {name: [rule for rule in drawn if rule.family == name] for name in TRAINED}


def sheet(options):
    """One picture of many: good, defective and mask side by side, a category a row."""
    rows = []
    for of in rules(options).values():
        pairs = [draw(rule) for rule in of]
        tiles = [(p.good, p.defective, np.uint8(255) * p.mask[..., None].repeat(3, -1)) for p in pairs]
        rows.append(np.concatenate([tile for of_pair in tiles for tile in of_pair], 1))
    Image.fromarray(np.concatenate(rows)[::2, ::2]).save(options.out)


def folder(options):
    """CATEGORY/test/good, CATEGORY/test/KIND, CATEGORY/ground_truth/KIND; meta.json lists them for the engine's evaluation."""
    out, listed = pathlib.Path(options.out), {}
    for name, of in rules(options).items():
        category = name.replace("/", "-")
        for i, rule in enumerate(of):
            pair = draw(rule)
            good, bad = f"{category}/test/good/{i:04}.png", f"{category}/test/{pair.kind}/{i:04}.png"
            mask = f"{category}/ground_truth/{pair.kind}/{i:04}_mask.png"
            for path, array in ((good, pair.good), (bad, pair.defective), (mask, np.uint8(255) * pair.mask)):
                (out / path).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(out / path)
            listed.setdefault(category, []).extend(({"img_path": good, "mask_path": "", "anomaly": 0},
                                                    {"img_path": bad, "mask_path": mask, "anomaly": 1}))
    (out / "meta.json").write_text(json.dumps({"test": listed}, indent=1) + "\n", encoding="utf-8")


def main(arguments=None):
    what, _, where = __doc__.partition("\n\n")
    p = argparse.ArgumentParser(description=what, epilog=where, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=("sheet", "folder"), help="one picture of many, or a folder laid out like MVTec AD")
    p.add_argument("--set", choices=SETS, default="training", help="which part of the world (default: %(default)s)")
    p.add_argument("--group", choices=tuple(GROUPS), action="append",
                   help="held-out kinds of defects (new) or trained ones (known) only")
    p.add_argument("--pairs", metavar="N", type=int, default=5, help="pairs of each category (default: %(default)s)")
    p.add_argument("--seed", metavar="N", type=int, default=1)
    p.add_argument("--out", metavar="PATH", required=True)
    options = p.parse_args(arguments)
    if options.pairs < 1 or options.seed < 0:
        p.error("--pairs must be at least 1, --seed at least 0")
    {"sheet": sheet, "folder": folder}[options.what](options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
