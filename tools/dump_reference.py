#!/usr/bin/env python3
"""Runs a system in PyTorch on a picture, from its authors' checkpoints, and writes what it computes on the way by tap name.

  dump_reference.py lizad --dinov3 model.safetensors --mobileclip mobileclip2_s0.pt --head head.pth --image nut.png \\
      --class "metal nut" -o expected.safetensors
  tinyzsad verify -m lizad.safetensors --image nut.png --class "metal nut" --expected expected.safetensors

The networks are written out here (tools/networks; EdgeZSAD's is that of tools/edgezsad), in PyTorch alone, over the checkpoints'
own names: neither the authors' repositories nor the converted model are needed, so that a verification checks the conversion and
the engine. They were checked against the authors' code by way of the reference cases (tests/reference).

By default weights are rounded as a model file stores them (FP16, float32 where that would lose more), and everything else is
float64: what is left is the engine's own error. --exact leaves the weights as they are, to see what the rounding costs.

Needs PyTorch 1.13 or later, numpy and Pillow.
"""
import argparse
import pathlib
import sys

import torch

from checkpoints.options import add_systems, read
from edgezsad.errors import UserError
from edgezsad.weights import write_safetensors
from networks import edgezsad, lizad, visualad


def parse(arguments):
    what, _, where = __doc__.partition("\n\n")
    p = argparse.ArgumentParser(description=what, epilog=where, formatter_class=argparse.RawDescriptionHelpFormatter)
    systems = add_systems(p)
    for system in systems.values():
        system.add_argument("--image", metavar="PICTURE", required=True)
        system.add_argument("-o", "--out", metavar="FILE", required=True, help="a .safetensors file; replaced if it is there")
        system.add_argument("--exact", action="store_true", help="leave the weights as the checkpoints have them")
        system.add_argument("--flush-to-zero", action="store_true", help="round as a model that was converted with this option")
        system.add_argument("--float32", action="store_true", help="compute in float32, as PyTorch usually does")
    systems["lizad"].add_argument("--class", dest="word", metavar="NAME", default="object",
                                  help="the class (default: %(default)s)")
    return p.parse_args(arguments)


@torch.no_grad()
def run(options):
    if not pathlib.Path(options.image).is_file():
        raise UserError(f"picture {options.image} does not exist")
    found = read(options)
    how = {"exact": options.exact, "flush_to_zero": options.flush_to_zero,
           "dtype": torch.float32 if options.float32 else torch.float64}
    if options.system == "lizad":
        taps = lizad.run(found, options.image, options.word, **how)
    elif options.system == "edgezsad":
        taps = edgezsad.run(found, options.image, options, **how)
    else:
        taps = visualad.run(found, options.image, options.ln_post == "checkpoint", **how)
    write_safetensors(options.out, {name: tap.float() for name, tap in taps.items()})
    print(f"wrote {options.out}: {len(taps)} taps")


def main(arguments=None):
    options = parse(arguments)
    try:
        run(options)
        return 0
    except UserError as error:
        print(f"dump_reference: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
