#!/usr/bin/env python3
"""Makes TinyZsad models of the authors' checkpoints, as `tinyzsad convert` does without Python: the same files, byte for byte.

  convert_weights.py lizad    --dinov3 model.safetensors --mobileclip mobileclip2_s0.pt --head head.pth -o lizad.safetensors
  convert_weights.py edgezsad --tinyvit model.safetensors --head run/checkpoint.pt -o edgezsad.safetensors
  convert_weights.py visualad --clip ViT-L-14-336px.pt --head CLIP.pth -o visualad.safetensors

Checkpoints are .safetensors (or their index of shards), PyTorch archives (.pt, .pth) and TorchScript's. Weights become FP16; a
tensor of which FP16 would lose more than its rounding stays float32, and is listed. Class embeddings (lizad --class) are
computed in float64 here and in float32 there, so these alone agree to rounding, not to the byte.

Needs PyTorch 1.13 or later and numpy.
"""
import argparse
import pathlib
import sys

import torch

from checkpoints import half
from checkpoints.options import add_systems, convert, read
from edgezsad.errors import UserError
from edgezsad.weights import write_safetensors
from networks import text
from networks.weights import Weights


def parse(arguments):
    what, _, where = __doc__.partition("\n\n")
    p = argparse.ArgumentParser(description=what, epilog=where, formatter_class=argparse.RawDescriptionHelpFormatter)
    systems = add_systems(p)
    for system in systems.values():
        system.add_argument("-o", "--out", metavar="FILE", required=True, help="the model to write; replaced if it is there")
        system.add_argument("--flush-to-zero", action="store_true",
                            help="let values up to 2^-25 become zero instead of keeping their tensors in float32")
    systems["lizad"].add_argument("--class", dest="classes", metavar="NAME", nargs="+", action="extend", default=[],
                                  help="store the embeddings of these classes")
    systems["lizad"].add_argument("--drop-text", action="store_true", help="leave the text tower out")
    options = p.parse_args(arguments)
    if options.system == "lizad" and options.drop_text and not options.classes:
        p.error("--drop-text leaves only stored classes: name some with --class")
    return options


def run(options):
    found = read(options)
    out = pathlib.Path(options.out)
    if any(c and c.path.resolve() == out.resolve() for c in found.values()):
        raise UserError(f"{out} is one of the checkpoints; write to another file")
    tensors, metadata = convert(options, found)
    losses = []
    for name in sorted(tensors):
        tensors[name], loss = half.stored(name, tensors[name], options.flush_to_zero)
        if loss:
            losses.append((tensors[name].dtype, loss))
    if getattr(options, "classes", None):
        weights = Weights(found["mobileclip"], "text.token_embedding.weight", flush_to_zero=options.flush_to_zero)
        for word in options.classes:
            for kind, value in zip(("normal", "abnormal"), text.embed_class(weights, word)):
                tensors[f"text.{kind}.{word}"] = value.float()
        if options.drop_text:
            kept = ("text.normal.", "text.abnormal.")
            tensors = {name: t for name, t in tensors.items() if not name.startswith("text.") or name.startswith(kept)}
    write_safetensors(out, tensors, metadata)
    for role, checkpoint in found.items():
        for name, digest in checkpoint.files if checkpoint else ():
            print(f"read {role}: {name} sha256:{digest}")
    for dtype, loss in losses:
        print(f"{loss.name}: {loss.overflowing} overflow, {loss.flushed} become zero, {loss.coarse} coarse; "
              f"{'kept in float32' if dtype == torch.float32 else 'stored as FP16 all the same'}")
    print(f"wrote {out}: {len(tensors)} tensors, {out.stat().st_size:,} bytes")


def main(arguments=None):
    options = parse(arguments)
    try:
        with torch.no_grad():
            run(options)
        return 0
    except UserError as error:
        print(f"convert_weights: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
