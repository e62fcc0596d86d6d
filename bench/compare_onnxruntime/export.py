"""Writes the ONNX graph of a reference case with its weights, and the case's picture for both sides.

    python3 export.py CASE NAME FOLDER

NAME.ppm is the picture at the model's size, NAME.bytes its pixels alone, and NAME.json the taps that the outputs hold, in order, with their shapes.
Needs PyTorch 1.13 or later, onnx, numpy and Pillow.
"""
import json
import struct
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import models

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/reference"))
import refgen  # noqa: E402


def expected(path, names):
    """Some of the expected values that a case stores."""
    data = path.read_bytes()
    length, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    return {name: np.frombuffer(data[8 + length:], np.float32)[header[name]["data_offsets"][0] // 4:header[name]["data_offsets"][1] // 4]
            for name in names if name in header}


def main():
    case, name, folder = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    warnings.simplefilter("ignore")  # the exporter knows no shapes of Microsoft's operators, and need not
    manifest = json.loads((case / "manifest.json").read_text())
    weights = refgen.weights(manifest) | expected(case / "expected.safetensors", ["text.normal", "text.abnormal"])
    model = models.build(manifest, {key: torch.from_numpy(value.astype(np.float32)) for key, value in weights.items()})
    picture = Image.open(case / manifest["image"]).convert("RGB").resize((model.side, model.side), Image.BICUBIC)
    picture.save(folder / f"{name}.ppm")
    (folder / f"{name}.bytes").write_bytes(picture.tobytes())
    pixels = torch.from_numpy(np.array(picture))
    with torch.no_grad():
        # Float32 weights of ViT-L/14 are 1.2 GB, under protobuf's limit of 2 GB for one file.
        torch.onnx.export(model, pixels, str(folder / f"{name}.onnx"), opset_version=17, custom_opsets={"com.microsoft": 1},
                          input_names=["picture"], output_names=["patches", "map"])
    taps = [[(tap, manifest["taps"][tap]["shape"]) for tap in output] for output in model.taps]
    (folder / f"{name}.json").write_text(json.dumps(taps))


if __name__ == "__main__":
    main()
