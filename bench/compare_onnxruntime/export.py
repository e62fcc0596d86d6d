"""Writes a model's ONNX graph, and what PyTorch computes for it from the picture of a rule, so that the graph can be checked.

    python3 export.py NAME FOLDER        (NAME.onnx and NAME.json; PyTorch 1.13 or later, and onnx)
"""
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch

import models


def picture(side):
    """Values in [-1, 1) by a multiplicative hash of the index; ort_bench.mjs has the same rule."""
    i = np.arange(3 * side * side, dtype=np.uint64)
    return torch.from_numpy(((i * 2654435761 % 2**32) / 2**31 - 1).astype(np.float32).reshape(1, 3, side, side))


def main():
    name, folder = sys.argv[1], Path(sys.argv[2])
    warnings.simplefilter("ignore")  # the exporter knows no shapes of Microsoft's operators, and need not
    model = models.build(name)
    x = picture(model.side)
    with torch.no_grad():
        expected = model(x).flatten().tolist()
        # Float32 weights of ViT-L/14 are 1.2 GB, under protobuf's limit of 2 GB for one file.
        torch.onnx.export(model, x, str(folder / f"{name}.onnx"), opset_version=17, custom_opsets={"com.microsoft": 1},
                          input_names=["image"], output_names=[model.output])
    (folder / f"{name}.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main()
