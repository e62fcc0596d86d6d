#!/usr/bin/env python3
"""Trains an EdgeZSAD model and writes it as the engine loads it: `edgezsad.safetensors`.

What is public of EdgeZSAD (arXiv 2606.16119), as far as we could read it: the backbone is TinyViT-21M at 512 pixels; on it sits
an asymmetric global-local readout, "EdgeGLR"; one checkpoint is trained on source data derived from Real-IAD, in 2,000 steps by a
third party's account, and applied to targets that it never saw.

What is our choice, because it is not public or we could not read it: which stages the readout taps, and its exact form; the
losses, BCE(s, y) + 0.5 BCE(g, y) + focal(2)(A, M) + Dice(A, M), and their targets; the sampling; AdamW with its rates and
schedule; the batch; that the backbone is frozen unless told otherwise; the preprocessing (TinyViT's own); the selection. A model
trained with this program is a reconstruction: none of the paper's figures holds for it, only what you measure.

Inputs:
  backbone   timm's tiny_vit_21m_512.dist_in22k_ft_in1k (Apache-2.0), its model.safetensors or a state dict in a .pth; Microsoft's
             .pth of the same network serves as well
  data       Real-IAD, given out on request to institutional addresses (https://realiad4ad.github.io/Real-IAD), unpacked as it
             comes; or any folder laid out like MVTec AD. It must share no category with what the model is to be judged on
Needs PyTorch 1.13 or later, numpy and Pillow.

  train_edgezsad.py --backbone model.safetensors --data Real-IAD --out run --holdout pcb,zipper,toothbrush
  train_edgezsad.py --resume ... (the same options)        goes on from run/checkpoint.pt
  train_edgezsad.py --smoke --out smoke                    the whole way on generated pictures, in about a minute
  train_edgezsad.py --self-check tests/reference/edgezsad/tiny

Files in --out: edgezsad.safetensors, checkpoint.pt, log.jsonl (losses of each step, evaluations), recipe.json; with generated
pictures also verify/NAME/{image.png, expected.safetensors, expected-float32.safetensors}, for
  tinyzsad verify -m edgezsad.safetensors --image verify/NAME/image.png --expected verify/NAME/expected.safetensors
"""
import argparse
import dataclasses
import json
import os
import pathlib
import sys

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")                  # must stand before CUDA starts; for repeatable sums

import torch

from edgezsad.data import read_folder, split
from edgezsad.drawn_source import drawn_pictures
from edgezsad.errors import UserError
from edgezsad.model import EdgeZsad, begin
from edgezsad.recipe import AUGMENTATIONS, RECIPES
from edgezsad.surfaces import surfaces
from edgezsad.training import Trainer
from edgezsad.variant import VARIANTS, find_variant
from edgezsad.verification import TOLERANCE, self_check, write_verification
from edgezsad.weights import load_backbone, write_atomically, write_model

VERIFIED = 4                                                                  # pictures stored with what PyTorch makes of them


def words(text):
    return tuple(w for w in text.split(",") if w)


def parse(arguments):
    what, _, where = __doc__.partition("\n\n")
    p = argparse.ArgumentParser(description=what, epilog=where, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = p.add_mutually_exclusive_group()
    verbs.add_argument("--smoke", action="store_true", help="train a toy model on generated pictures; the same as --recipe smoke")
    verbs.add_argument("--self-check", metavar="CASE", nargs="+",
                       help="compare this program's network with reference cases, and end")
    verbs.add_argument("--recipe", choices=sorted(RECIPES), default="edgezsad",
                       help="what is trained, and how (default: %(default)s)")

    files = p.add_argument_group("files")
    files.add_argument("--backbone", metavar="FILE", help="pretrained TinyViT, .safetensors or .pth")
    files.add_argument("--data", metavar="FOLDER", help="source pictures")
    files.add_argument("--layout", choices=("auto", "real-iad", "mvtec"), default="auto",
                       help="how --data is laid out (default: %(default)s)")
    files.add_argument("--categories", metavar="NAME,...", type=words,
                       help="use these categories of --data only, held-out ones included")
    files.add_argument("--out", metavar="FOLDER", help="where all files go")
    files.add_argument("--dtype", choices=("f16", "f32"), default="f16",
                       help="number format of the model file (default: %(default)s)")
    files.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.pt")

    r = p.add_argument_group("changes to the recipe")
    r.add_argument("--variant", metavar="NAME", help=f"{', '.join(VARIANTS)}, or a .json file with the sizes of another")
    r.add_argument("--tune-backbone", dest="tune", action="store_const", const="late",
                   help="train stages 2 and 3 too, at --backbone-rate; BatchNorm keeps its statistics")
    r.add_argument("--holdout", metavar="NAME,...", type=words,
                   help="source categories not trained on; the weights that do best there are kept")
    r.add_argument("--holdout-limit", metavar="N", type=int, help="pictures evaluated of each held-out category and label")
    r.add_argument("--augment", metavar="KIND,...", type=words, help=f"light changes to the pictures: {', '.join(AUGMENTATIONS)}")
    r.add_argument("--seed", type=int, help="decides order, augmentation and initial weights")
    r.add_argument("--steps", metavar="N", type=int)
    r.add_argument("--batch", metavar="N", type=int, help="pictures a step, half of them defective")
    r.add_argument("--warm-up", metavar="N", type=int, help="steps over which the rates rise")
    r.add_argument("--head-rate", metavar="X", type=float, help="learning rate of the readout")
    r.add_argument("--backbone-rate", metavar="X", type=float, help="learning rate of the backbone's tuned part")
    r.add_argument("--weight-decay", metavar="X", type=float)
    r.add_argument("--evaluate-every", metavar="N", type=int, help="steps between evaluations of the held-out categories")
    r.add_argument("--checkpoint-every", metavar="N", type=int, help="steps between checkpoints")

    m = p.add_argument_group("machine")
    m.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: cuda if there is one)")
    m.add_argument("--threads", metavar="N", type=int, help="processor threads of PyTorch")
    m.add_argument("--workers", metavar="N", type=int, default=4, help="threads that read pictures (default: %(default)s)")
    m.add_argument("--part", metavar="N", type=int,
                   help="pictures of a batch worked through at once, if all are too many for the memory")
    m.add_argument("--cache", metavar="FOLDER",
                   help="keep the frozen backbone's features there, about 0.8 MB a picture at 512 pixels")
    options = p.parse_args(arguments)
    if not options.self_check and not options.out:
        p.error("--out is needed")
    for key in ("threads", "workers", "part"):
        if getattr(options, key) is not None and getattr(options, key) < 1:
            p.error(f"--{key} must be at least 1")
    return options


def choose_recipe(options):
    """The named recipe with the changes that were asked for."""
    base = RECIPES["smoke" if options.smoke else options.recipe]
    keys = ("tune", "holdout", "holdout_limit", "augment", "seed", "steps", "batch", "warm_up", "head_rate", "backbone_rate",
            "weight_decay", "evaluate_every", "checkpoint_every")
    changes = {key: getattr(options, key) for key in keys if getattr(options, key) is not None}
    if options.tune and base.tune == "all":
        raise UserError(f"recipe {base.name} trains its whole backbone: --tune-backbone has no place there")
    if options.variant:
        changes["variant"] = find_variant(options.variant)
    return dataclasses.replace(base, **changes)


def choose_device(name):
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: {str(error).splitlines()[0]}") from None
    return name


def read_source(recipe, options):
    """(training pictures, held-out pictures)."""
    if recipe.source != "folder" and (options.data or options.categories):
        raise UserError(f"recipe {recipe.name} generates its pictures: --data and --categories have no place there")
    if recipe.source == "surfaces":
        pictures = surfaces(recipe.seed)
    elif recipe.source == "drawn":
        folder = pathlib.Path(options.out) / "pictures"
        return drawn_pictures(folder, recipe.seed, recipe.pairs, recipe.holdout_limit, options.workers)
    elif options.data:
        pictures = read_folder(options.data, options.layout, options.categories)
    else:
        raise UserError("--data is needed: a Real-IAD folder, or one laid out like MVTec AD")
    return split(pictures, recipe.holdout)


def make_model(recipe, options):
    torch.manual_seed(recipe.seed)
    model = EdgeZsad(recipe.variant)
    if recipe.pretrained and not options.backbone:
        raise UserError(f"--backbone is needed: a pretrained {recipe.variant.name}")
    if not recipe.pretrained and options.backbone:
        raise UserError(f"recipe {recipe.name} starts from nothing: --backbone has no place there")
    if options.backbone:
        load_backbone(model, options.backbone)
    else:
        begin(model)
    return model


def train(options):
    recipe, out = choose_recipe(options), pathlib.Path(options.out)
    if not options.resume and (out / "checkpoint.pt").exists():
        raise UserError(f"{out} holds a run already: add --resume to go on with it, or choose another folder")
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    device = choose_device(options.device)
    training, heldout = read_source(recipe, options)
    model = make_model(recipe, options)
    trainer = Trainer(recipe, model, training, heldout, out, device, options.part, options.workers, options.cache)
    if options.resume:
        trainer.resume()
    parameters = [(p.numel(), p.requires_grad) for p in model.parameters()]
    print(f"{recipe.name}: {recipe.variant.name}, {sum(n for n, _ in parameters):,} parameters, "
          f"{sum(n for n, learns in parameters if learns):,} of them learn; {len(training):,} pictures, "
          f"{len(trainer.heldout):,} held out; steps {trainer.step} to {recipe.steps} on {device}")
    if not trainer.heldout:
        print("no --holdout: the last weights are taken as they are, and nothing is measured")
    write_atomically(out / "recipe.json", lambda file: file.write((json.dumps(recipe.as_data(), indent=1) + "\n").encode()))
    trainer.run()

    path = out / "edgezsad.safetensors"
    write_model(path, model.cpu(), {"f16": torch.float16, "f32": torch.float32}[options.dtype])
    if trainer.best:
        found = trainer.best["evaluation"]
        shown = {"image AUROC": found["image_auroc"], "pixel AUROC": found["pixel_auroc"], "AUPRO": found["aupro"]}
        text = ", ".join(f"{name} {'unknown' if value is None else f'{value:.4f}'}" for name, value in shown.items())
        print(f"weights of step {trainer.best['step']}; held-out categories: {text}")
    print(f"{path}: {path.stat().st_size:,} bytes")
    if recipe.source != "folder":
        shown = [p for d in (False, True) for p in [p for p in heldout or training if p.defective == d][:VERIFIED // 2]]
        named = {f"{p.category}-{'defect' if p.defective else 'good'}-{p.number}": p.load()[0] for p in shown}
        worst = write_verification(path, recipe.variant, named, out / "verify")
        print(f"{out / 'verify'}: {', '.join(named)}; float32 is at most {worst:.1e} from float64")


def check(folders):
    """Compares with reference cases; returns whether all agree."""
    good = True
    for folder in folders:
        for dtype, name in ((torch.float32, "float32"), (torch.float64, "float64")):
            errors = self_check(folder, dtype)
            worst = max(errors, key=errors.get)
            passed = errors[worst] <= TOLERANCE and errors["resized"] == 0
            good &= passed
            print(f"{folder}: {name}, {len(errors)} taps, largest error {errors[worst]:.1e} ({worst}), "
                  f"{'within' if passed else 'ABOVE'} {TOLERANCE:.0e}")
    return good


def main(arguments=None):
    options = parse(arguments)
    try:
        if options.self_check:
            return 0 if check(options.self_check) else 1
        train(options)
        return 0
    except UserError as error:
        print(f"train_edgezsad: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"train_edgezsad: stopped; {options.out}/checkpoint.pt, if there is one by now, goes on with --resume",
              file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
