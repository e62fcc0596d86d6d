"""What PyTorch makes of 50 drawn pictures with the shipped model: python3 nano_expected.py FOLDER

Writes FOLDER/00.png to 49.png and FOLDER/expected.safetensors: score [50], score.logit [50], local.logits [50, 16, 16],
map.final [50, 256, 256], computed in float64 from the file's weights.
"""
import pathlib
import sys

import numpy as np
import torch
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from drawn.defects import KINDS
from drawn.pictures import Rule, draw
from drawn.surfaces import FAMILIES
from edgezsad.model import EdgeZsad
from edgezsad.recipe import RECIPES
from edgezsad.verification import taps
from edgezsad.weights import load_model, write_safetensors

NUMBER, KEPT = 50, ("score", "score.logit", "local.logits", "map.final")

out, names = pathlib.Path(sys.argv[1]), list(FAMILIES)
model = load_model(ROOT / "models" / "edgezsad-nano.safetensors", EdgeZsad(RECIPES["nano"].variant)).double()
found = {name: [] for name in KEPT}
for i in range(NUMBER):
    pair = draw(Rule(names[i % len(names)], tuple(KINDS), (11, i)))
    rgb = pair.defective if i % 2 else pair.good
    Image.fromarray(rgb).save(out / f"{i:02}.png")
    values = taps(model, rgb)
    for name in KEPT:
        found[name].append(values[name])
write_safetensors(out / "expected.safetensors",
                  {name: torch.from_numpy(np.stack(values).astype(np.float32)) for name, values in found.items()})
