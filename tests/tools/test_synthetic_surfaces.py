"""Tests of the drawn world and of how the model in the box is trained on it (PyTorch, numpy, Pillow):
python3 -m unittest tests/tools/test_synthetic_surfaces.py"""
import dataclasses
import json
import pathlib
import sys
import tempfile
import unittest

import numpy as np
import torch
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import synthetic_surfaces
from drawn import defects, surfaces
from drawn.fields import SIDE
from drawn.pictures import Rule, contrast, draw
from edgezsad import drawn_source, metrics, training
from edgezsad.data import Sampler, cropped, token_target
from edgezsad.model import EdgeZsad, TinyVitBlock, begin
from edgezsad.recipe import RECIPES
from edgezsad.variant import Variant

NANO = RECIPES["nano"]
SMALL = Variant("custom", 256, (8, 16, 16, 16), (1, 1, 1, 1), (1, 1, 1, 1), (8, 8, 16, 8), 4, mlp_ratio=1, expand_ratio=1)


class World(unittest.TestCase):
    def test_a_rule_gives_the_same_pair_again_and_another_seed_another(self):
        rule = Rule("wood", ("hole",), (1, 2))
        a, b, c = draw(rule), draw(rule), draw(dataclasses.replace(rule, seed=(1, 3)))
        for key in ("good", "defective", "mask"):
            np.testing.assert_array_equal(getattr(a, key), getattr(b, key))
        self.assertTrue((a.good != c.good).any())

    def test_every_family_and_kind_draws_pictures_whose_defect_is_where_the_mask_says(self):
        for i, family in enumerate(surfaces.FAMILIES):
            for kind in defects.KINDS:
                if (i + list(defects.KINDS).index(kind)) % 4:                 # a quarter of all combinations
                    continue
                if kind in defects.NEEDS_ORDER and family not in surfaces.REGULAR:
                    continue
                pair = draw(Rule(family, (kind,), (5, i), least=0.4, smallest=12))
                with self.subTest(family=family, kind=kind):
                    self.assertEqual(pair.kind, kind)
                    self.assertEqual((pair.good.shape, pair.good.dtype), ((SIDE, SIDE, 3), np.uint8))
                    self.assertEqual(pair.mask.shape, (SIDE, SIDE))
                    self.assertTrue(12 <= pair.mask.sum() <= 0.3 * SIDE * SIDE)
                    change = np.abs(pair.defective.astype(int) - pair.good).max(-1)
                    self.assertGreater(change[pair.mask].mean(), 4 * change[~pair.mask].mean() + 1)

    def test_held_out_defects_are_as_plain_as_they_are_said_to_be(self):
        for rules in drawn_source.heldout_rules(3, 2).values():
            for rule in rules:
                pair = draw(rule)
                self.assertGreaterEqual(pair.contrast, 0.8)
                self.assertGreaterEqual(pair.mask.sum(), 40)

    def test_what_is_held_out_is_never_trained_on(self):
        training_rules = drawn_source.training_rules(1, 200)
        self.assertFalse({r.family for r in training_rules} & set(surfaces.HELD_OUT))
        self.assertFalse({k for r in training_rules for k in r.kinds} & set(defects.HELD_OUT))
        groups = drawn_source.heldout_rules(1, 1)
        self.assertEqual({name.split("/")[0] for name in groups}, set(surfaces.HELD_OUT))
        self.assertTrue(all(set(r.kinds) <= set(defects.HELD_OUT) for n, of in groups.items() if n.endswith("/new") for r in of))
        seeds = [r.seed for r in training_rules] + [r.seed for of in groups.values() for r in of]
        self.assertEqual(len(seeds), len(set(seeds)))

    def test_contrast(self):
        before = np.full((4, 4, 3), 100.0)
        after, mask = before.copy(), np.zeros((4, 4), bool)
        after[0, 0], mask[0, 0] = (100, 110, 95), True
        self.assertAlmostEqual(contrast(before, after, mask), 1.0)            # 10 levels over 10 + a deviation of 0
        self.assertEqual(contrast(before, after, np.zeros((4, 4), bool)), 0)

    def test_program(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder)
            arguments = ["sheet", "--set", "heldout", "--pairs", "1", "--out", str(out / "s.png")]
            self.assertEqual(synthetic_surfaces.main(arguments), 0)
            self.assertEqual(Image.open(out / "s.png").size, (3 * SIDE // 2, 10 * SIDE // 2))
            arguments = ["folder", "--set", "heldout", "--group", "new", "--pairs", "1", "--out", str(out / "f")]
            self.assertEqual(synthetic_surfaces.main(arguments), 0)
            entries = json.loads((out / "f/meta.json").read_text())["test"]
            self.assertEqual(set(entries), {f"{family}-new" for family in surfaces.HELD_OUT})
            for of in entries.values():
                self.assertEqual([e["anomaly"] for e in of], [0, 1])
                self.assertTrue(all((out / "f" / e["img_path"]).is_file() for e in of))
                self.assertGreater(np.array(Image.open(out / "f" / of[1]["mask_path"])).max(), 0)


class Pools(unittest.TestCase):
    def test_a_pool_gives_what_the_rules_draw_and_twins_come_together(self):
        rules = drawn_source.training_rules(2, 3)
        with tempfile.TemporaryDirectory() as folder:
            pool = drawn_source.Pool(folder, rules, workers=1, tell=lambda text: None)
            again = drawn_source.Pool(folder, rules, workers=1, tell=lambda text: self.fail("drawn twice"))
            for i, rule in enumerate(rules):
                pair = draw(rule)
                for defective in (False, True):
                    rgb, mask = drawn_source.DrawnPicture(again, rule.family, defective, i).load()
                    np.testing.assert_array_equal(rgb, pair.defective if defective else pair.good)
                    np.testing.assert_array_equal(mask, pair.mask & defective)
            pictures = [drawn_source.DrawnPicture(pool, r.family, d, i) for i, r in enumerate(rules) for d in (False, True)]
            chosen = Sampler(pictures, 6, 1).pictures(4)
            self.assertEqual([p.defective for p in chosen], [False, True] * 3)
            self.assertTrue(all(a.number == b.number for a, b in zip(chosen[::2], chosen[1::2])))


class Figures(unittest.TestCase):
    def test_regions_touch_at_sides_and_corners(self):
        mask = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1], [1, 1, 0, 1]], bool)
        label = metrics.regions(mask)
        self.assertEqual(label.max(), 4)
        self.assertEqual(label[0, 0], label[1, 1])
        self.assertEqual(len({label[0, 0], label[0, 3], label[2, 3], label[3, 0]}), 4)
        self.assertTrue(((label == 0) == ~mask).all())

    def test_aupro_is_its_definition(self):
        generator = np.random.default_rng(1)
        masks = generator.random((3, 9, 13)) < 0.15
        maps = (generator.random((3, 9, 13)) + 0.4 * masks).astype(np.float32)
        least, most, kept = float(maps.min()), float(maps.max()), []
        for t in range(200):
            above = maps > np.float32(least + t * (most - least) / 200)
            parts = [above[i][label == r].mean() for i, label in enumerate(map(metrics.regions, masks))
                     for r in range(1, label.max() + 1)]
            rate = above[~masks].mean()
            if rate <= 0.3:
                kept.append((rate, np.mean(parts)))
        area = sum((a[0] - b[0]) * (a[1] + b[1]) / 2 for a, b in zip(kept, kept[1:])) / (kept[0][0] - kept[-1][0])
        self.assertAlmostEqual(metrics.aupro(list(maps), list(masks)), area, places=12)
        self.assertIsNone(metrics.aupro(list(maps), list(masks & False)))


class Recipe(unittest.TestCase):
    def trainer(self, folder, **changes):
        rules = drawn_source.training_rules(2, 8)
        pool = drawn_source.Pool(pathlib.Path(folder) / "p", rules, workers=1, tell=lambda text: None)
        pictures = [drawn_source.DrawnPicture(pool, r.family, d, i) for i, r in enumerate(rules) for d in (False, True)]
        recipe = dataclasses.replace(NANO, variant=SMALL, batch=8, steps=40, warm_up=2, cool_down=10, crops=(), **changes)
        torch.manual_seed(5)
        model = EdgeZsad(SMALL)
        begin(model)
        return training.Trainer(recipe, model, pictures, [], folder, workers=1)

    def test_the_shipped_variant_is_within_its_limits(self):
        model = EdgeZsad(NANO.variant)
        self.assertLessEqual(sum(t.numel() for t in model.tensors().values()), 3_000_000)
        self.assertEqual((NANO.variant.image_size, NANO.keep), (256, "last"))

    def test_blocks_begin_near_the_identity(self):
        model = EdgeZsad(NANO.variant)
        begin(model)
        for block in (m for m in model.modules() if isinstance(m, TinyVitBlock)):
            weight = block.local_conv.conv.weight.detach()
            self.assertTrue((weight[:, 0, 1, 1] > 3 * weight[:, 0, 0, 0].abs()).all())

    def test_schedule_stays_and_then_falls(self):
        rates = [training.rate_factor(s, 40, 2, 10) for s in range(40)]
        self.assertEqual(rates[0], 0.5)
        self.assertEqual(rates[2:31], [1] * 29)
        self.assertTrue(all(a > b for a, b in zip(rates[30:], rates[31:])))
        self.assertEqual(rates[:31], [training.rate_factor(s, 99, 2, 10) for s in range(31)])

    def test_parts_side_by_side_learn_as_one_after_the_other(self):
        with tempfile.TemporaryDirectory() as folder:
            found = []
            for _ in range(2):
                trainer = self.trainer(folder, side_by_side=2)
                if found:                                                     # the second time in turn, the last part first
                    trainer.pool.map = lambda work, parts: [work(i) for i in reversed(parts)][::-1]
                for _ in range(3):
                    trainer.train_step()
                found.append({k: t.clone() for k, t in trainer.model.state_dict().items()})
                trainer.loader.close()
            for name, tensor in found[0].items():
                torch.testing.assert_close(found[1][name], tensor, rtol=0, atol=0, msg=name)

    def test_the_running_mean_of_the_weights_is_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            trainer = self.trainer(folder, average=0.5, side_by_side=1)
            name = "head.glr.local.fc.weight"
            mean = trainer.model.state_dict()[name].clone()
            for step in range(1, 4):
                trainer.train_step()
                decay = min(0.5, (1 + step) / (10 + step))
                mean = decay * mean + (1 - decay) * trainer.model.state_dict()[name]
            torch.testing.assert_close(trainer.average[name], mean)
            with trainer.averaged():
                torch.testing.assert_close(trainer.model.state_dict()[name], mean)
            self.assertFalse(torch.equal(trainer.model.state_dict()[name], mean))
            trainer.loader.close()

    def test_more_steps_may_be_asked_for_until_the_cool_down(self):
        with tempfile.TemporaryDirectory() as folder:
            trainer = self.trainer(folder)
            trainer.train_step()
            trainer.save()
            longer = self.trainer(folder)
            longer.recipe = dataclasses.replace(longer.recipe, steps=60, cool_down=30)
            longer.resume()
            self.assertEqual(longer.step, 1)
            trainer.step = 35
            trainer.save()
            with self.assertRaisesRegex(training.UserError, "steps was 40 and is 60"):
                longer.resume()
            trainer.loader.close()
            longer.loader.close()

    def test_crops_end_windows_where_the_map_does(self):
        torch.manual_seed(1)
        model = EdgeZsad(SMALL).eval()
        small = EdgeZsad(dataclasses.replace(SMALL, image_size=128, windows=(8, 8, 8, 4))).eval()
        state = dict(model.state_dict())
        for name, tensor in small.state_dict().items():                       # the same biases by distance, in a smaller window
            if state[name].shape != tensor.shape:
                w, big = int(tensor.shape[1] ** 0.5), int(state[name].shape[1] ** 0.5)
                state[name] = state[name].reshape(-1, big, big)[:, :w, :w].reshape(-1, w * w)
        small.load_state_dict(state)
        pixels = torch.randint(0, 256, (2, 128, 128, 3), dtype=torch.uint8)
        model.see_crops(True)
        with torch.no_grad():
            for got, want in zip(model(pixels), small(pixels)):
                torch.testing.assert_close(got, want)

    def test_a_crop_holds_the_defect(self):
        rgb, mask = np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((SIDE, SIDE), bool)
        mask[200:210, 10:20] = True
        for seed in range(20):
            part, its = cropped(rgb, mask, 128, np.random.default_rng(seed))
            self.assertEqual((part.shape, its.shape), ((128, 128, 3), (128, 128)))
            self.assertGreaterEqual(its.sum(), 30)
        self.assertEqual(cropped(rgb, mask & False, 128, np.random.default_rng(1))[1].sum(), 0)

    def test_tokens_that_touch_a_defect_are_the_target(self):
        mask = np.zeros((SIDE, SIDE), bool)
        mask[17, 31:33] = True
        self.assertEqual(torch.nonzero(token_target(mask, 16)).tolist(), [[1, 1], [1, 2]])


if __name__ == "__main__":
    unittest.main()
