"""Tests of tools/train_edgezsad.py: python3 -m unittest tests/tools/test_train_edgezsad.py (PyTorch, numpy, Pillow)."""
import contextlib
import dataclasses
import io
import json
import math
import pathlib
import struct
import sys
import tempfile
import unittest

import numpy as np
import torch
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "reference" / "edgezsad"
sys.path.insert(0, str(ROOT / "tools"))

import train_edgezsad
from edgezsad import data, losses, metrics, surfaces, training, verification, weights
from edgezsad.errors import UserError
from edgezsad.model import EdgeZsad
from edgezsad.recipe import RECIPES, SMOKE_VARIANT
from edgezsad.variant import VARIANTS, Variant, find_variant

torch.use_deterministic_algorithms(True, warn_only=True)


def manifest(case="tiny"):
    return json.loads((CASES / case / "manifest.json").read_text())


def raw_safetensors(path):
    """name -> (dtype, shape, bytes), and the metadata: a reader apart from the program's own."""
    content = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + length])
    body = content[8 + length:]
    metadata = header.pop("__metadata__")
    return {k: (v["dtype"], v["shape"], body[slice(*v["data_offsets"])]) for k, v in header.items()}, metadata


def tiny_model(seed=3, variant=SMOKE_VARIANT):
    torch.manual_seed(seed)
    model = EdgeZsad(variant)
    for name, tensor in model.tensors().items():                              # statistics as if trained
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            tensor.uniform_(-0.2, 0.2)
    return model.eval()


class Folder(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.folder = pathlib.Path(held.name)

    def assert_user_error(self, pattern, call, *arguments):
        with self.assertRaisesRegex(UserError, pattern) as caught:
            call(*arguments)
        self.assertNotIn("\n", str(caught.exception))

    def picture(self, path, size=(20, 16), value=100, mode="RGB"):
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, value if mode == "L" else (value,) * 3).save(path)
        return path


class SelfCheck(unittest.TestCase):
    def test_network_reproduces_the_reference_cases(self):
        for case in ("tiny", "padded"):
            for dtype, limit in ((torch.float32, 1e-5), (torch.float64, 1e-7)):  # 6e-8: the rounding of the stored values
                with self.subTest(case=case, dtype=dtype):
                    errors = verification.self_check(CASES / case, dtype)
                    self.assertEqual(set(errors), set(manifest(case)["taps"]))
                    self.assertEqual(errors["resized"], 0)
                    self.assertLessEqual(max(errors.values()), limit)

    def test_a_wrong_readout_shows(self):
        kept = EdgeZsad.__init__

        def off_by_one(model, variant):
            kept(model, variant)
            model.head.glr.topk += 1
        EdgeZsad.__init__ = off_by_one
        try:
            self.assertGreater(verification.self_check(CASES / "tiny")["local.topk"], 1e-3)
        finally:
            EdgeZsad.__init__ = kept

    def test_verb(self):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(train_edgezsad.main(["--self-check", str(CASES / "tiny")]), 0)
        self.assertIn("float64, 34 taps", out.getvalue())

    def test_no_case(self):
        with contextlib.redirect_stderr(io.StringIO()) as err:
            self.assertEqual(train_edgezsad.main(["--self-check", str(ROOT)]), 2)
        self.assertEqual(err.getvalue().count("\n"), 1)


class Names(Folder):
    # A few pairs of every row of the table, and whole files both ways below.
    PAIRS = {
        "patch_embed.seq.0.c.weight": "patch_embed.conv1.conv.weight",
        "patch_embed.seq.2.bn.running_var": "patch_embed.conv2.bn.running_var",
        "layers.0.blocks.1.conv2.c.weight": "stages.0.blocks.1.conv2.conv.weight",
        "layers.0.blocks.1.conv3.bn.bias": "stages.0.blocks.1.conv3.bn.bias",
        "layers.0.downsample.conv1.c.weight": "stages.1.downsample.conv1.conv.weight",
        "layers.2.downsample.conv3.bn.weight": "stages.3.downsample.conv3.bn.weight",
        "layers.2.blocks.5.attn.attention_biases": "stages.2.blocks.5.attn.attention_biases",
        "layers.3.blocks.0.mlp.fc1.bias": "stages.3.blocks.0.mlp.fc1.bias",
        "layers.1.blocks.0.local_conv.c.weight": "stages.1.blocks.0.local_conv.conv.weight",
        "norm_head.weight": "head.norm.weight",
        "head.bias": "head.fc.bias",
    }

    def test_table(self):
        for microsoft, timm in self.PAIRS.items():
            self.assertEqual(weights.timm_name(microsoft), timm)
            self.assertEqual(weights.timm_name(timm), timm)

    def test_names_and_shapes_are_the_manifest_s(self):
        for case in ("tiny", "padded"):
            m = manifest(case)
            model = EdgeZsad(Variant.from_config(m["config"]))
            self.assertEqual({t["name"]: t["shape"] for t in m["tensors"]},
                             {k: list(t.shape) for k, t in model.tensors().items()})
            self.assertEqual(model.variant.metadata(), m["metadata"])

    def test_counts_of_the_full_model(self):
        # Without TinyViT's classifier and the norm before it (2 x 576), which are not in the file.
        for name, parameters in (("tiny_vit_5m_224", 5_071_764 - 640), ("tiny_vit_21m_512", 20_691_120 - 1152)):
            model = EdgeZsad(VARIANTS[name])
            self.assertEqual(sum(p.numel() for p in model.vision.parameters()), parameters)
            self.assertEqual(len(model.tensors()), 265 + 9)

    @staticmethod
    def microsoft(state):
        """timm's names turned into Microsoft's, by plain replacement."""
        def name(key):
            key = key.replace(".conv.weight", ".c.weight").replace("patch_embed.conv1", "patch_embed.seq.0")
            key = key.replace("patch_embed.conv2", "patch_embed.seq.2")
            for s in (1, 2, 3):
                key = key.replace(f"stages.{s}.downsample", f"layers.{s - 1}.downsample")
            return key.replace("stages.", "layers.")
        return {name(k): t for k, t in state.items()}

    def test_backbone_files(self):
        given = {k[len("vision."):]: t for k, t in tiny_model(5).tensors().items() if k.startswith("vision.")}
        classifier = {"head.norm.weight": torch.ones(128), "head.fc.weight": torch.ones(10, 128)}
        counters = {"patch_embed.conv1.bn.num_batches_tracked": torch.tensor(7)}
        microsoft = {**self.microsoft(given), "norm_head.weight": torch.ones(128), "head.bias": torch.ones(10),
                     "layers.1.blocks.0.attn.attention_bias_idxs": torch.zeros(16, 16, dtype=torch.long)}
        sam = {"image_encoder." + k: t for k, t in self.microsoft(given).items()}
        weights.write_safetensors(self.folder / "timm.safetensors", {**given, **classifier})
        torch.save({**given, **classifier, **counters}, self.folder / "timm.pth")
        torch.save({"model": microsoft}, self.folder / "microsoft.pth")
        torch.save({**sam, "image_encoder.neck.0.weight": torch.ones(1), "mask_decoder.x": torch.ones(1)}, self.folder / "sam.pt")
        for file in ("timm.safetensors", "timm.pth", "microsoft.pth", "sam.pt"):
            with self.subTest(file):
                model = tiny_model(6)
                weights.load_backbone(model, self.folder / file)
                for name, tensor in given.items():
                    self.assertTrue(torch.equal(model.tensors()["vision." + name], tensor), name)

    def test_backbone_errors(self):
        given = {k[len("vision."):]: t for k, t in tiny_model().tensors().items() if k.startswith("vision.")}
        biases = "stages.1.blocks.0.attn.attention_biases"
        for pattern, state in (
                (f"misses {biases}$", {k: t for k, t in given.items() if k != biases}),
                ("holds unexpected stages.9.x$", {**given, "stages.9.x": torch.ones(1)}),
                (r"attention_biases' has shape \[2, 49\], and custom has \[2, 16\].*another image size",
                 {**given, biases: torch.ones(2, 49)}),
                ("'patch_embed.conv1.bn.bias' holds values that are not finite",
                 {**given, "patch_embed.conv1.bn.bias": torch.full((16,), math.nan)})):
            weights.write_safetensors(self.folder / "x.safetensors", state)
            self.assert_user_error(pattern, weights.load_backbone, tiny_model(), self.folder / "x.safetensors")
        self.assert_user_error("does not exist", weights.load_backbone, tiny_model(), self.folder / "none.pth")
        (self.folder / "bad.pth").write_bytes(b"no checkpoint")
        self.assert_user_error("bad.pth: not a PyTorch checkpoint", weights.load_backbone, tiny_model(), self.folder / "bad.pth")
        (self.folder / "bad.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
        self.assert_user_error("not a readable safetensors", weights.load_backbone, tiny_model(), self.folder / "bad.safetensors")


class ModelFile(Folder):
    def test_round_trip(self):
        model = tiny_model()
        for dtype, name, size in ((torch.float16, "F16", 2), (torch.float32, "F32", 4)):
            path = self.folder / f"{name}.safetensors"
            weights.write_model(path, model, dtype)
            tensors, metadata = raw_safetensors(path)
            self.assertEqual(metadata, manifest()["metadata"])
            self.assertEqual(sorted(tensors), sorted(t["name"] for t in manifest()["tensors"]))
            for key, (kind, shape, blob) in tensors.items():
                want = model.tensors()[key].to(dtype).numpy()
                self.assertEqual((kind, shape, blob), (name, list(want.shape), want.tobytes()))
            again = weights.load_model(path, tiny_model(9))
            for key, tensor in model.tensors().items():
                self.assertTrue(torch.equal(again.tensors()[key], tensor.to(dtype).float()), key)
            length = struct.unpack("<Q", path.read_bytes()[:8])[0]
            self.assertEqual(length % 8, 0)
            self.assertEqual(path.stat().st_size, 8 + length + size * sum(t.numel() for t in model.tensors().values()))

    def test_what_does_not_fit_into_half(self):
        model = tiny_model()
        model.tensors()["vision.patch_embed.conv1.bn.running_var"].fill_(1e5)
        self.assert_user_error("running_var' holds values that do not fit into F16: write with --dtype f32",
                               weights.write_model, self.folder / "m.safetensors", model)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_variants(self):
        path = self.folder / "v.json"
        config = {k: v for k, v in manifest()["config"].items() if k != "backbone"}
        path.write_text(json.dumps(config))
        self.assertEqual(find_variant(str(path)), SMOKE_VARIANT)
        for key, value, pattern in (
                ("dims", [1, 2, 3], "four positive"), ("heads", [1, 3, 3, 4], "dims.1. = 64 is no multiple"),
                ("topk", 17, "1 to 16"), ("image_size", "64", "positive whole"), ("mean", 0.5, "three numbers")):
            path.write_text(json.dumps({**config, key: value}))
            self.assert_user_error(pattern, find_variant, str(path))
        path.write_text(json.dumps({"dims": [8, 8, 8, 8]}))
        self.assert_user_error("image_size, depths, heads, windows, topk missing", find_variant, str(path))
        self.assert_user_error("unknown variant 'x'", find_variant, "x")


class Readers(Folder):
    def real_iad(self, prefix="cap/", nested=True):
        lists = self.folder / ("realiad_jsons/realiad_jsons" if nested else "realiad_jsons")
        lists.mkdir(parents=True)
        good = {"category": "cap", "anomaly_class": "OK", "image_path": "OK/S1/a.jpg", "mask_path": None}
        bad = {"category": "cap", "anomaly_class": "HS", "image_path": "NG/HS/S2/b.jpg", "mask_path": "NG/HS/S2/b.png"}
        bare = {"category": "cap", "anomaly_class": "AK", "image_path": "NG/AK/S3/c.jpg", "mask_path": None}
        document = {"meta": {"prefix": prefix, "normal_class": "OK", "pre_transform": None}, "train": [good], "test": [bad, bare]}
        (lists / "cap.json").write_text(json.dumps(document))
        for entry in (good, bad, bare):
            self.picture("realiad_512/cap/" + entry["image_path"])
        self.picture("realiad_512/cap/NG/HS/S2/b.png", value=255, mode="L")
        return lists / "cap.json"

    def test_real_iad(self):
        for nested, prefix in ((True, "cap/"), (False, "elsewhere/")):
            with self.subTest(nested=nested), tempfile.TemporaryDirectory() as folder:
                self.folder = pathlib.Path(folder)
                self.real_iad(prefix, nested)
                pictures = data.read_folder(self.folder)
                base = self.folder / "realiad_512/cap"
                self.assertEqual(pictures, [
                    data.FilePicture("cap", False, base / "OK/S1/a.jpg"),
                    data.FilePicture("cap", True, base / "NG/HS/S2/b.jpg", base / "NG/HS/S2/b.png"),
                    data.FilePicture("cap", True, base / "NG/AK/S3/c.jpg")])
                self.assertEqual([None if m is None else (m.shape, m.mean()) for _, m in (p.load() for p in pictures)],
                                 [((16, 20), 0), ((16, 20), 1), None])

    def test_real_iad_errors(self):
        self.assert_user_error("does not exist", data.read_folder, self.folder / "none")
        self.assert_user_error("no Real-IAD folder: realiad_jsons", data.read_real_iad, self.folder)
        path = self.real_iad()
        self.assert_user_error("no category 'pcb'; it has cap", data.read_folder, self.folder, "auto", ("pcb",))
        (self.folder / "realiad_512/cap/OK/S1/a.jpg").unlink()
        self.assert_user_error("a.jpg is listed and missing", data.read_folder, self.folder)
        path.write_text('{"train": [{"image_path": "x"}]}')
        self.assert_user_error("not one of Real-IAD's lists: KeyError: 'anomaly_class'", data.read_folder, self.folder)
        path.write_text("[")
        self.assert_user_error("not one of Real-IAD's lists", data.read_folder, self.folder)

    def mvtec(self):
        for place in ("leaf/train/good/0", "leaf/test/good/1", "leaf/test/hole/2", "leaf/test/hole/3", "nut/train/good/0"):
            self.picture(place + ".png")
        self.picture("leaf/ground_truth/hole/2_mask.png", value=255, mode="L")
        (self.folder / "leaf/license.txt").write_text("x")

    def test_mvtec(self):
        self.mvtec()
        pictures = data.read_folder(self.folder)
        leaf = self.folder / "leaf"
        self.assertEqual(pictures, [
            data.FilePicture("leaf", False, leaf / "test/good/1.png"),
            data.FilePicture("leaf", True, leaf / "test/hole/2.png", leaf / "ground_truth/hole/2_mask.png"),
            data.FilePicture("leaf", True, leaf / "test/hole/3.png"),
            data.FilePicture("leaf", False, leaf / "train/good/0.png"),
            data.FilePicture("nut", False, self.folder / "nut/train/good/0.png")])
        self.assertEqual({p.category for p in data.read_folder(self.folder, "mvtec", ("nut",))}, {"nut"})

    def test_split(self):
        self.mvtec()
        pictures = data.read_folder(self.folder)
        self.assert_user_error("--holdout: there is no category 'x'", data.split, pictures, ("x",))
        self.assert_user_error("no defective pictures to train on, in categories nut", data.split, pictures, ("leaf",))
        self.assert_user_error("category 'nut' has no defective pictures", data.split, pictures, ("nut",))
        self.assert_user_error("no good pictures to train on", data.split, [p for p in pictures if p.defective], ())
        self.assert_user_error("has a mask", data.split, [p for p in pictures if not p.mask], ())
        self.assertEqual(data.split(pictures, ()), (pictures, []))

    def test_unreadable_picture(self):
        path = self.picture("a.png")
        path.write_bytes(path.read_bytes()[:40])
        self.assert_user_error("a.png cannot be read", data.FilePicture("c", False, path).load)


class Batches(unittest.TestCase):
    def test_order_follows_from_seed_and_step(self):
        pictures = surfaces.surfaces(1, 5)
        one, two = data.Sampler(pictures, 12, 4), data.Sampler(pictures, 12, 4)
        later = two.pictures(7)                                               # asked for in another order
        self.assertEqual([one.pictures(s) for s in range(8)][7], later)
        self.assertNotEqual(later, one.pictures(6))
        self.assertNotEqual(later, data.Sampler(pictures, 12, 5).pictures(7))

    def test_labels_and_categories_are_balanced(self):
        pictures = [p for p in surfaces.surfaces(1, 60) if p.category == "weave" or p.number < (1 if p.defective else 20)]
        drawn = [p for s in range(200) for p in data.Sampler(pictures, 12, 4).pictures(s)]
        for defective in (False, True):
            group = [p.category for p in drawn if p.defective == defective]
            self.assertEqual(len(group), 1200)
            for category in surfaces.CATEGORIES:
                self.assertAlmostEqual(group.count(category), 200, delta=65)  # five standard deviations of a binomial

    def test_token_target_is_the_maximum_of_the_mask(self):
        mask = np.zeros((96, 80), bool)
        mask[0, 0] = mask[95, 79] = mask[50, 41] = True
        target = data.token_target(mask, 4)
        want = torch.zeros(4, 4)
        want[0, 0] = want[3, 3] = want[2, 2] = 1
        self.assertTrue(torch.equal(target, want))

    def test_augmentation_moves_mask_and_picture_together(self):
        rgb = np.zeros((8, 8, 3), np.uint8)
        rgb[1, 2] = 255
        for seed in range(20):
            moved, mask = data.augment(rgb, rgb[..., 0] > 0, ("flip", "rotate"), np.random.default_rng(seed))
            self.assertTrue(np.array_equal(moved[..., 0] > 0, mask))
        coloured, _ = data.augment(np.full((4, 4, 3), 120, np.uint8), None, ("colour",), np.random.default_rng(1))
        self.assertEqual((coloured.dtype, coloured.shape), (np.uint8, (4, 4, 3)))
        self.assertTrue((coloured != 120).any() and (abs(coloured.astype(int) - 120) < 25).all())

    def test_surfaces_repeat_and_defects_are_visible(self):
        for category in surfaces.CATEGORIES:
            rgb, mask = surfaces.Surface(category, True, 3, 1).load()
            again, _ = surfaces.Surface(category, True, 3, 1).load()
            self.assertTrue(np.array_equal(rgb, again))
            self.assertEqual((rgb.dtype, rgb.shape, mask.shape), (np.uint8, (80, 96, 3), (80, 96)))
            self.assertTrue(0.003 < mask.mean() < 0.2)
            self.assertFalse(surfaces.Surface(category, False, 3, 1).load()[1].any())


class Arithmetic(unittest.TestCase):
    def test_losses(self):
        generator = torch.Generator().manual_seed(1)
        s, g, a = (torch.randn(*shape, generator=generator) for shape in ((4,), (4,), (4, 3, 3)))
        labels, known = torch.tensor([0.0, 1, 0, 1]), torch.tensor([1.0, 1, 1, 0])
        targets = torch.zeros(4, 3, 3)
        targets[1, 0, :2] = 1
        found = losses.named_losses((s, g, a), labels, targets, known, losses.count(labels, known, targets))

        def bce(x, y):
            p = 1 / (1 + math.exp(-x))
            return -math.log(p if y else 1 - p)
        tokens = [[(float(x), float(y)) for x, y in zip(a[i].flatten(), targets[i].flatten())] for i in range(4)]
        p = [[1 / (1 + math.exp(-x)) for x, _ in row] for row in tokens]
        focal = [sum((q if not y else 1 - q) ** 2 * bce(x, y) for q, (x, y) in zip(ps, row)) / 9 for ps, row in zip(p, tokens)]
        overlap = sum(q * y for q, (_, y) in zip(p[1], tokens[1]))
        want = {"image": sum(bce(float(x), y) for x, y in zip(s, labels)) / 4,
                "global": sum(bce(float(x), y) for x, y in zip(g, labels)) / 4,
                "balanced": sum(sum(bce(x, y) for row in tokens[:3] for x, y in row if y == kind) / n
                                for kind, n in ((0, 25), (1, 2))) / 2,
                "focal": sum(focal[:3]) / 3, "dice": 1 - (2 * overlap + 1) / (sum(p[1]) + 2 + 1)}
        self.assertEqual(set(found), set(want))
        for name, value in want.items():
            self.assertAlmostEqual(float(found[name]), value, places=5, msg=name)

    def test_auroc(self):
        generator = np.random.default_rng(1)
        labels, scores = generator.random(60) < 0.4, generator.integers(-6, 7, 60) / 4
        pairs = [(p > n) + (p == n) / 2 for p in scores[labels] for n in scores[~labels]]
        self.assertAlmostEqual(metrics.auroc(scores, labels), np.mean(pairs), places=12)
        pixels = metrics.PixelAuroc()
        for part in (slice(0, 25), slice(25, 60)):
            pixels.add(scores[part], labels[part])
        self.assertAlmostEqual(pixels.value(), np.mean(pairs), places=12)
        self.assertIsNone(metrics.auroc([1, 2], [True, True]))
        self.assertIsNone(metrics.PixelAuroc().value())

    def test_pixel_auroc_orders_every_sign_and_size(self):
        values = np.array([-1e30, -3.5, -1e-7, -0.0, 0.0, 1e-7, 2, 7e4], np.float32)
        for i, low in enumerate(values):
            for high in values[i + 1:]:
                pixels = metrics.PixelAuroc()
                pixels.add([low, high], [False, True])
                self.assertEqual(pixels.value(), 0.5 if low == high else 1.0, (low, high))

    def test_schedule(self):
        rates = [training.rate_factor(s, 100, 10) for s in range(100)]
        self.assertEqual(rates[0], 0.1)
        self.assertEqual(rates[9:11], [1.0, 1.0])
        self.assertTrue(all(b < a for a, b in zip(rates[10:], rates[11:])) and 0 < rates[-1] < 1e-3)


class Training(Folder):
    RECIPE = dataclasses.replace(RECIPES["smoke"], steps=6, batch=4, warm_up=2, evaluate_every=3, checkpoint_every=2,
                                 holdout_limit=3)

    def trainer(self, out, recipe=RECIPE, **options):
        pictures, heldout = data.split(surfaces.surfaces(1, 6), recipe.holdout)
        torch.manual_seed(recipe.seed)
        model = EdgeZsad(recipe.variant)
        return training.Trainer(recipe, model, pictures, heldout, self.folder / out, progress=False, **options)

    def log(self, out):
        lines = [json.loads(line) for line in (self.folder / out / "log.jsonl").read_text().splitlines()]
        return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]

    def assert_same(self, one, two):
        self.assertEqual(one.keys(), two.keys())
        for name in one:
            self.assertTrue(torch.equal(one[name], two[name]), name)

    def test_resumed_run_equals_the_uninterrupted_one(self):
        recipe = dataclasses.replace(self.RECIPE, augment=("flip", "colour"))
        whole = self.trainer("whole", recipe)
        whole.run()
        self.trainer("parts", recipe).run(until=5)                            # its last checkpoint is that of step 4
        resumed = self.trainer("parts", recipe, workers=1)
        resumed.resume()
        self.assertEqual(resumed.step, 4)
        resumed.run()
        self.assert_same(whole.model.state_dict(), resumed.model.state_dict())
        self.assertEqual(whole.best["evaluation"], resumed.best["evaluation"])
        self.assertEqual(self.log("whole"), self.log("parts"))
        files = [(self.folder / out / "m.safetensors") for out in ("whole", "parts")]
        for file, trainer in zip(files, (whole, resumed)):
            weights.write_model(file, trainer.model)
        self.assertEqual(*(f.read_bytes() for f in files))

    def test_resume_errors(self):
        self.assert_user_error("nothing to resume", self.trainer("none").resume)
        self.trainer("a").run(until=2)
        other = self.trainer("a", dataclasses.replace(self.RECIPE, seed=2, batch=6))
        self.assert_user_error("another recipe: batch was 4 and is 6; seed was 1 and is 2", other.resume)
        (self.folder / "a/checkpoint.pt").write_bytes(b"x")
        self.assert_user_error("checkpoint.pt cannot be read", self.trainer("a").resume)

    def changed(self, **changes):
        """Names of tensors that two steps of a recipe change."""
        trainer = self.trainer("c", dataclasses.replace(self.RECIPE, holdout=(), batch_norm="fixed", **changes))
        before = {k: t.clone() for k, t in trainer.model.tensors().items()}
        trainer.run(until=2)
        return {k for k, t in trainer.model.tensors().items() if not torch.equal(t, before[k])}

    def test_frozen_and_tuned_backbone(self):
        names = set(EdgeZsad(SMOKE_VARIANT).tensors())
        statistics = {n for n in names if "running_" in n}
        self.assertEqual(self.changed(tune="none"), {n for n in names if n.startswith("head.")})
        tuned = {n for n in names if n.startswith(("head.", "vision.stages.2.", "vision.stages.3."))}
        self.assertEqual(self.changed(tune="late"), tuned - statistics)
        recipe = dataclasses.replace(RECIPES["edgezsad"], variant=SMOKE_VARIANT, tune="late")
        self.assertEqual([g["rate"] for g in self.trainer("r", recipe).optimizer.param_groups], [1e-3, 1e-5])

    def test_parts_make_the_same_step(self):
        recipe = dataclasses.replace(self.RECIPE, batch=6, tune="late", batch_norm="fixed", head_rate=1e-3, backbone_rate=1e-3)
        whole, parts = self.trainer("a", recipe), self.trainer("b", recipe, part=4)
        first = [t.train_step() for t in (whole, parts)]
        for name in first[0]:
            self.assertAlmostEqual(first[0][name], first[1][name], places=5)
        gradients = [{n: p.grad for n, p in t.model.named_parameters() if p.grad is not None} for t in (whole, parts)]
        largest = max(float(g.abs().max()) for g in gradients[0].values())
        for name, gradient in gradients[0].items():
            self.assertLess(float((gradient - gradients[1][name]).abs().max()), 1e-5 * largest, name)
        self.assert_user_error("cannot be worked through in parts", lambda: self.trainer("x", part=2))

    def test_cached_features(self):
        recipe = dataclasses.replace(self.RECIPE, tune="none", batch_norm="fixed", holdout=())
        cache = self.folder / "cache"
        plain, filling = self.trainer("a", recipe), self.trainer("b", recipe, cache=cache)
        plain.run()
        filling.run()
        files = list(cache.rglob("*.npz"))
        self.assertTrue(files)
        read = self.trainer("c", recipe, cache=cache)
        read.model.vision.forward = None                                      # not to be called any more
        read.run()
        self.assert_same(filling.model.state_dict(), read.model.state_dict())
        for one, other in zip(self.log("a"), self.log("b")):
            self.assertAlmostEqual(one["loss"], other["loss"], delta=1e-3)    # features rounded to 11 bits
        self.assert_user_error("frozen backbone", lambda: self.trainer("d", cache=cache))
        files[0].write_bytes(b"x")
        picture = next(p for p in surfaces.surfaces(1, 6) if read.cache.path(p) == files[0])
        self.assert_user_error("cannot be read", read.cache.get, picture)

    def test_training_learns(self):
        trainer = self.trainer("l", dataclasses.replace(self.RECIPE, steps=24, batch=8, holdout=()))
        trainer.run()
        found = [line["loss"] for line in self.log("l")]
        self.assertLess(np.mean(found[-6:]), 0.9 * np.mean(found[:6]))

    def test_the_best_weights_are_kept(self):
        trainer = self.trainer("k")
        scores = iter((0.9, 0.4))
        trainer.evaluate = lambda: {"image_auroc": None, "pixel_auroc": None, "selection": next(scores), "categories": {}}
        at_three = {}
        keep = trainer.select

        def select():
            keep()
            at_three.update({k: t.clone() for k, t in trainer.model.tensors().items()} if trainer.step == 3 else {})
        trainer.select = select
        trainer.run()
        self.assertEqual(trainer.best["step"], 3)
        self.assert_same(trainer.model.tensors(), at_three)


class Program(Folder):
    def run_program(self, *arguments):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = train_edgezsad.main([str(a) for a in arguments])
        return code, out.getvalue(), err.getvalue()

    def test_smoke_files(self):
        out = self.folder / "run"
        short = ("--smoke", "--out", out, "--steps", 4, "--batch", 4, "--warm-up", 1, "--evaluate-every", 2, "--holdout-limit", 2)
        code, text, err = self.run_program(*short)
        self.assertEqual((code, err), (0, ""))
        tensors, metadata = raw_safetensors(out / "edgezsad.safetensors")
        self.assertEqual(metadata, manifest()["metadata"])
        self.assertEqual({k: (kind, shape) for k, (kind, shape, _) in tensors.items()},
                         {t["name"]: ("F16", t["shape"]) for t in manifest()["tensors"]})
        # The stored values again, from the file and the picture.
        model = weights.load_model(out / "edgezsad.safetensors", EdgeZsad(SMOKE_VARIANT))
        folders = sorted((out / "verify").iterdir())
        self.assertEqual(len(folders), train_edgezsad.VERIFIED)
        for folder in folders:
            found = verification.taps(model, np.asarray(Image.open(folder / "image.png").convert("RGB")))
            for file in ("expected", "expected-float32"):
                stored, _ = weights.read_safetensors(folder / f"{file}.safetensors")
                self.assertEqual(set(stored), set(verification.STORED))
                self.assertLessEqual(set(stored), set(manifest()["taps"]))
                for name, value in stored.items():
                    self.assertEqual((value.dtype, list(value.shape)), (torch.float32, manifest()["taps"][name]["shape"]))
                    self.assertLess(verification.error(name, found[name], value.numpy().astype(np.float64)), 1e-5, name)
        self.assertEqual(json.loads((out / "recipe.json").read_text())["steps"], 4)
        code, _, err = self.run_program(*short)
        self.assertEqual((code, err.count("\n")), (2, 1))
        self.assertIn("add --resume", err)
        self.assertEqual(self.run_program(*short, "--resume")[0], 0)

    def test_from_backbone_and_folder(self):
        given = {k[len("vision."):]: t for k, t in tiny_model(5).tensors().items() if k.startswith("vision.")}
        weights.write_safetensors(self.folder / "timm.safetensors", given)
        (self.folder / "v.json").write_text(json.dumps({k: v for k, v in manifest()["config"].items() if k != "backbone"}))
        for p in surfaces.surfaces(1, 3):
            rgb, mask = p.load()
            files = {f"test/bad/{p.number}.png": rgb, f"ground_truth/bad/{p.number}_mask.png": mask.astype(np.uint8) * 255}
            for place, array in (files if p.defective else {f"train/good/{p.number}.png": rgb}).items():
                path = self.folder / "data" / p.category / place
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path)
        code, text, err = self.run_program(
            "--backbone", self.folder / "timm.safetensors", "--data", self.folder / "data", "--variant", self.folder / "v.json",
            "--out", self.folder / "run", "--holdout", "weave,tiles", "--steps", 3, "--warm-up", 1, "--batch", 4,
            "--dtype", "f32")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("image AUROC", text)
        tensors, _ = raw_safetensors(self.folder / "run/edgezsad.safetensors")
        for name, tensor in given.items():                                    # frozen: bit for bit what was given
            self.assertEqual(tensors["vision." + name][2], tensor.numpy().tobytes())

    def test_errors_are_one_line(self):
        out = ("--out", self.folder / "run")
        for arguments, pattern in (
                (out, "--data is needed"),
                (("--data", self.folder / "none", *out), "none does not exist"),
                (("--smoke", "--data", self.folder, *out), "generates its pictures"),
                (("--smoke", "--backbone", "x", *out), "starts from nothing"),
                (("--smoke", "--tune-backbone", *out), "trains its whole backbone"),
                (("--smoke", "--holdout", "silk", *out), "no category 'silk'; the data has cloth"),
                (("--smoke", "--steps", "0", *out), "steps must be at least 1"),
                (("--smoke", "--augment", "blur", *out), "unknown augmentation 'blur'"),
                (("--smoke", "--device", "abacus", *out), "--device abacus"),
                (("--smoke", "--resume", *out), "nothing to resume")):
            with self.subTest(pattern):
                code, _, err = self.run_program(*arguments)
                self.assertEqual((code, err.count("\n")), (2, 1), err)
                self.assertIn(pattern, err)


if __name__ == "__main__":
    unittest.main()
