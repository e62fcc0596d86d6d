"""Tests of tools/convert_weights.py and tools/dump_reference.py: python3 -m unittest tests/tools/test_checkpoints.py

The networks of tools/networks against the reference cases, whose values the authors' own code computed, and what is refused.
Conversions are compared with the engine's by tests/TinyZsad/ConversionTests.cs.
"""
import contextlib
import importlib.util
import io
import json
import os
import pathlib
import pickle
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "reference"
sys.path.insert(0, str(ROOT / "tools"))

import convert_weights
from checkpoints import files, half, lizad as lizad_names, visualad as visualad_names
from checkpoints.state import require
from edgezsad.errors import UserError
from edgezsad.weights import read_safetensors
from networks import lizad, text, visualad

spec = importlib.util.spec_from_file_location("refgen", CASES / "refgen.py")
refgen = importlib.util.module_from_spec(spec)
spec.loader.exec_module(refgen)


class Case:
    """A reference case's weights in the authors' checkpoints, and what it expects."""

    def __init__(self, folder):
        self.folder = CASES / folder
        self.manifest = json.loads((self.folder / "manifest.json").read_text())
        self.weights = {name: torch.from_numpy(a) for name, a in refgen.weights(self.manifest).items()}
        self.expected, _ = read_safetensors(self.folder / "expected.safetensors")
        self.image = self.folder / self.manifest["image"]

    def checkpoint(self, prefix, rename=lambda name: name, values=()):
        tensors = {rename(name[len(prefix):]): t for name, t in self.weights.items() if name.startswith(prefix)}
        return files.Checkpoint(self.folder, tensors, dict(values), [])

    def worst(self, taps):
        """The tap that is furthest off, by largest error over largest value; every tap of the case that was computed counts."""
        errors = {}
        for name, about in self.manifest["taps"].items():
            if name in taps:
                got, want = taps[name].reshape(-1)[::about["stride"]].numpy(), self.expected[name].double().numpy()
                errors[name] = float(np.abs(got - want).max() / (np.abs(want).max() or 1))
        return max(errors.items(), key=lambda pair: pair[1]), set(errors)


class Networks(unittest.TestCase):
    def test_lizad_is_the_authors(self):
        case = Case("lizad/tiny")
        taps = {}
        with contextlib.ExitStack() as changes:
            # The tiny case has other sizes than the published model, and heads of another width.
            for module in (lizad, lizad_names):
                changes.enter_context(mock.patch.object(module, "LAYERS", (1, 2, 3, 4)))
            for module, width in ((lizad, 32), (text, 16)):
                changes.enter_context(mock.patch.object(module, "HEAD_WIDTH", width))
            changes.enter_context(mock.patch.object(lizad, "SIZE", 70))
            found = {"dinov3": case.checkpoint("vision."), "head": case.checkpoint("head."),
                     "mobileclip": case.checkpoint("text.", lambda name: f"text.{name}")}
            taps = lizad.run(found, case.image, case.manifest["class_name"])
        (worst, error), compared = case.worst(taps)
        self.assertLess(error, 2e-6, worst)
        self.assertGreater(len(compared), 30)
        self.assertLessEqual({"text.normal", "rope.sin", "vision.block0.q", "vision.hidden4", "head.map", "head.global"},
                             compared)

    def test_visualad_is_the_authors(self):
        for name in ("tiny", "tiny-native", "tiny-nosca", "dinov2-tiny", "dinov2-tiny-resized"):
            with self.subTest(case=name):
                case = Case(f"visualad/{name}")
                config = case.manifest["config"]
                values = {"image_size": config["image_size"],
                          **{f"features_list.{i}": layer for i, layer in enumerate(config["features_list"])}}
                dinov2 = config["backbone"].startswith("dinov2")
                backbone = case.checkpoint("vision.", lambda name: name if dinov2 else f"visual.{name}")
                found = {"clip": None if dinov2 else backbone, "dinov2": backbone if dinov2 else None,
                         "head": case.checkpoint("head.", values=values)}
                taps = visualad.run(found, case.image, False)
                (worst, error), compared = case.worst(taps)
                self.assertLess(error, 2e-6, worst)
                self.assertLessEqual({"embed", "block.4", "token.class", "map.final", "score"}, compared)

                tensors, metadata = visualad_names.convert(backbone, dinov2, found["head"])
                self.assertEqual(tensors.keys(), case.weights.keys())
                same = ("image_size", "features_list", "heads", "sigma", "topk_ratio", "mean", "std", "ln_post")
                self.assertEqual({k: metadata[k] for k in same}, {k: case.manifest["metadata"][k] for k in same})

    def test_a_mistake_shows(self):
        case = Case("visualad/tiny")
        values = {"image_size": 70, **{f"features_list.{i}": i + 1 for i in range(4)}}
        found = {"clip": case.checkpoint("vision.", lambda name: f"visual.{name}"), "dinov2": None,
                 "head": case.checkpoint("head.", values=values)}
        with mock.patch.object(visualad, "quick_gelu", torch.nn.functional.gelu):
            (_, error), _ = case.worst(visualad.run(found, case.image, False))
        self.assertGreater(error, 1e-4)


class Files(unittest.TestCase):
    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.folder = pathlib.Path(held.name)

    def test_nothing_is_executed(self):
        class Trap:
            def __reduce__(self):
                return os.mkdir, (str(trap),)
        trap, path = self.folder / "trap", self.folder / "trap.pt"
        for protocol in range(1, 6):
            torch.save({"w": torch.ones(2), "x": Trap(), "deep": [{"y": Trap()}]}, path, pickle_protocol=protocol)
            found = files.read_checkpoint(path)
            self.assertFalse(trap.exists())
            self.assertEqual((found.values, list(found.tensors), found.tensors["w"].tolist()), ({}, ["w"], [1, 1]))
        with self.assertRaises(FileExistsError):                              # a reader that executes meets the trap twice
            torch.load(path)
        self.assertTrue(trap.exists())

    def test_a_tensor_that_is_not_read_fails_when_it_is_needed(self):
        torch.save({"marker": torch.ones(1), "c": torch.zeros(2, dtype=torch.complex64)}, self.folder / "c.pth")
        state = require(files.read_checkpoint(self.folder / "c.pth"), "a network", "marker")
        self.assertFalse(state.is_float("c"))
        with self.assertRaisesRegex(UserError, "'c' is of a type or layout that is not read"):
            state.take("c")

    def test_other_files_are_refused(self):
        torch.save({"a": torch.zeros(2)}, self.folder / "legacy.pth", _use_new_zipfile_serialization=False)
        (self.folder / "index.json").write_text('{"weight_map": {"a": "../b.safetensors"}}')
        (self.folder / "bare.pkl").write_bytes(pickle.dumps({"a": [1, 2, 3]}))
        for name, says in (("legacy.pth", "legacy format"), ("index.json", "name alone"), ("bare.pkl", "legacy"),
                           ("no", "not exist")):
            with self.subTest(name=name), self.assertRaisesRegex(UserError, says):
                files.read_checkpoint(self.folder / name)

    def test_errors_are_one_line_and_two(self):
        with contextlib.redirect_stderr(io.StringIO()) as said:
            code = convert_weights.main(["visualad", "--clip", "nowhere", "--head", "nowhere", "-o", str(self.folder / "x")])
        self.assertEqual((code, said.getvalue().count("\n")), (2, 1))


class Half(unittest.TestCase):
    def test_rounding_is_done_once(self):
        tie = torch.tensor([1 + 2**-11 + 2**-40, 1 + 2**-11, 65519.999, 2.0**-25 * (1 + 2**-30)], dtype=torch.float64)
        self.assertEqual(half.to_half(tie).tolist(), [1 + 2**-10, 1, 65504, 2**-24])

    def test_what_is_kept(self):
        for values, shape, kept in (([65519.0], (1,), False), ([65520.0], (1,), True), ([2.0**-25], (1,), True),
                                    ([0.0], (1,), False),
                                    ([1e-5] * 4, (4,), True), ([1e-5] * 4, (2, 2), False), ([2.0**-24] * 4, (4,), False)):
            with self.subTest(values=values, shape=shape):
                tensor, loss = half.stored("t", torch.tensor(values).reshape(shape))
                self.assertEqual((tensor.dtype == torch.float32, loss is not None), (kept, kept))
        with self.assertRaisesRegex(UserError, "not finite"):
            half.stored("t", torch.tensor([float("nan")]))


if __name__ == "__main__":
    unittest.main()
