"""The training loop: steps that depend on (seed, step) alone, selection on held-out categories, checkpoints that lose nothing."""
import contextlib
import copy
import hashlib
import json
import math
import pathlib
import pickle
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from .data import Loader, Sampler
from .errors import UserError
from .losses import count, named_losses
from .metrics import PixelAuroc, aupro, auroc, mean
from .model import upsample
from .recipe import TUNE
from .weights import write_atomically


class Progress:
    """One line on a terminal, rewritten; silent where the output is no terminal."""

    def __init__(self, total, shown=None):
        self.total, self.began, self.first = total, time.monotonic(), None
        self.shown = sys.stderr.isatty() if shown is None else shown

    def show(self, done, text):
        if not self.shown:
            return
        self.first = done - 1 if self.first is None else self.first
        left = (time.monotonic() - self.began) / (done - self.first) * (self.total - done)
        bar = "#" * (24 * done // self.total)
        sys.stderr.write(f"\r[{bar:24}] {done}/{self.total}  {text}  {int(left) // 60}:{int(left) % 60:02} left \x1b[K")
        sys.stderr.flush()

    def end(self):
        if self.shown:
            sys.stderr.write("\n")


class Log:
    """JSON lines. Resuming at a step drops what an interrupted run wrote after it."""

    def __init__(self, path, step):
        self.path, kept = pathlib.Path(path), []
        if step and self.path.is_file():
            kept = [line for line in self.path.read_text(encoding="utf-8").splitlines() if self.step_of(line) <= step]
        write_atomically(self.path, lambda file: file.write("".join(line + "\n" for line in kept).encode()))

    @staticmethod
    def step_of(line):
        try:
            return json.loads(line)["step"]
        except (ValueError, KeyError):                                        # cut off in the middle
            return math.inf

    def write(self, **values):
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")


class FeatureCache:
    """Features of a frozen backbone, one file a picture, in float16. What is used is always what is stored, so that it does not
    matter whether features were found or made."""

    def __init__(self, folder, model):
        digest = hashlib.sha256(json.dumps(model.variant.metadata()).encode())
        for name, tensor in sorted(model.vision.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().numpy().tobytes())
        self.folder = pathlib.Path(folder) / digest.hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, picture):
        return self.folder / (hashlib.sha256(picture.key.encode()).hexdigest()[:32] + ".npz")

    def has(self, picture):
        return self.path(picture).is_file()

    def put(self, picture, local, pool):
        if not self.has(picture):
            arrays = {"local": local.half().cpu().numpy(), "pool": pool.half().cpu().numpy()}
            write_atomically(self.path(picture), lambda file: np.savez(file, **arrays))

    def get(self, picture):
        try:
            with np.load(self.path(picture)) as held:
                return torch.from_numpy(held["local"]).float(), torch.from_numpy(held["pool"]).float()
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"cached features {self.path(picture)} cannot be read: {error}; delete the file") from None


def rate_factor(step, steps, warm_up, cool_down=0):
    """Linear warm-up, then 1, then half a cosine to 0 over the cool-down, or over all that is left. step counts from 0."""
    if step < warm_up:
        return (step + 1) / warm_up
    first = steps - cool_down if cool_down else warm_up
    return 0.5 * (1 + math.cos(math.pi * max(0, step - first) / max(1, steps - first)))


def replica(model):
    """A model that learns with the same weights, with gradients and BatchNorm's statistics of its own."""
    other = copy.deepcopy(model)
    for mine, its in zip(model.parameters(), other.parameters()):
        its.data = mine.data
    return other


class Trainer:
    """Trains `model` by `recipe`; all files go to the folder `out`.

    training, heldout: pictures (see `data`). part: pictures worked through at once, all of a batch by default; it changes the
    memory needed and, but for rounding, nothing else. cache: a folder for features of a frozen backbone, or None.
    """

    def __init__(self, recipe, model, training, heldout, out, device="cpu", part=None, workers=2, cache=None, progress=None):
        self.recipe, self.model, self.device, self.out = recipe, model.to(device), device, pathlib.Path(out)
        self.part, self.progress = part or max((recipe.batch, *recipe.crops[3:])), progress
        if recipe.batch_norm == "trained" and self.part < recipe.batch:
            raise UserError("a batch whose statistics train BatchNorm cannot be worked through in parts")
        if cache and (recipe.tune != "none" or recipe.augment):
            raise UserError("features can be cached only for a frozen backbone and pictures that are not augmented")
        variant = model.variant
        for name, parameter in model.vision.named_parameters():
            parameter.requires_grad_(name.startswith(TUNE[recipe.tune]) if TUNE[recipe.tune] else False)
        self.cache = FeatureCache(cache, model) if cache else None
        known = self.cache.has if self.cache else lambda picture: False
        self.loader = Loader(Sampler(training, recipe.batch_at, recipe.seed), variant.image_size,
                             variant.grid(variant.local_stage), recipe.augment, known, workers, crop_at=recipe.crop_at)
        self.heldout = self.limited(heldout)
        self.optimizer = torch.optim.AdamW(
            [{"params": [p for p in group.parameters() if p.requires_grad], "rate": rate}
             for group, rate in ((model.head, recipe.head_rate), (model.vision, recipe.backbone_rate))
             if any(p.requires_grad for p in group.parameters())], weight_decay=recipe.weight_decay, foreach=True)
        self.average = {n: t.detach().clone() for n, t in model.state_dict().items()} if recipe.average else None
        self.replicas = [model] + [replica(model) for _ in range(recipe.side_by_side - 1)]
        self.pool = ThreadPoolExecutor(recipe.side_by_side)
        self.step, self.best, self.log = 0, None, None                        # the log is opened when it is known where to go on

    def limited(self, pictures):
        """At most holdout_limit pictures of each category and label, chosen by the seed."""
        kept = []
        for place in sorted({(p.category, p.defective) for p in pictures}):
            group = [p for p in pictures if (p.category, p.defective) == place]
            order = np.random.default_rng([self.recipe.seed, 2]).permutation(len(group))[:self.recipe.holdout_limit]
            kept += [group[i] for i in sorted(order)]
        return kept

    # ------------------------------------------------------------ one step
    def features(self, items, model=None):
        """Local tokens and pooled vector of items, from the cache where there is one."""
        model = model or self.model
        if self.cache:
            unknown = [i for i in items if i.pixels is not None and not self.cache.has(i.picture)]
            if unknown:
                with torch.no_grad():
                    found = self.model.features(torch.stack([i.pixels for i in unknown]).to(self.device))
                for item, local, pool in zip(unknown, *found):
                    self.cache.put(item.picture, local, pool)
            local, pool = zip(*(self.cache.get(i.picture) for i in items))
            return torch.stack(local).to(self.device), torch.stack(pool).to(self.device)
        return model.features(torch.stack([i.pixels for i in items]).to(self.device))

    def train_step(self):
        """One step; returns the losses by name."""
        recipe, grid = self.recipe, self.model.variant.grid(self.model.variant.local_stage)
        crop = recipe.crop_at(self.step)
        grid = crop * grid // self.model.variant.image_size if crop else grid
        for model in self.replicas:
            model.train(recipe.batch_norm == "trained")                      # BatchNorm alone heeds the mode
            model.see_crops(crop > 0)
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * rate_factor(self.step, recipe.steps, recipe.warm_up, recipe.cool_down)
        items = self.loader.batch(self.step, recipe.steps - 1)
        labels = torch.tensor([float(i.picture.defective) for i in items])
        known = torch.tensor([float(i.target is not None) for i in items])
        targets = torch.stack([torch.zeros(grid, grid) if i.target is None else i.target for i in items])
        counts, sums = count(labels, known, targets), {name: 0.0 for name, _ in recipe.losses}
        self.optimizer.zero_grad(set_to_none=True)

        def work(model, first, last):
            """Adds the gradients of some of the items; returns their losses."""
            done = {name: 0.0 for name, _ in recipe.losses}
            for at in range(first, last, self.part):
                one = slice(at, min(at + self.part, last))
                outputs = model.head.glr(*self.features(items[one], model))
                found = named_losses(outputs, *(t[one].to(self.device) for t in (labels, targets, known)), counts)
                sum(weight * found[name] for name, weight in recipe.losses).backward()
                for name in done:
                    done[name] += float(found[name].detach())
            return done
        size = len(items) // len(self.replicas)
        for done in self.pool.map(lambda i: work(self.replicas[i], i * size, (i + 1) * size), range(len(self.replicas))):
            for name in sums:
                sums[name] += done[name]
        for other in self.replicas[1:]:
            for mine, its in zip(self.model.parameters(), other.parameters()):
                if its.grad is not None:
                    mine.grad += its.grad
                    its.grad = None
        total = sum(weight * sums[name] for name, weight in recipe.losses)
        if not math.isfinite(total):
            raise UserError(f"the loss is {total} at step {self.step + 1}: lower the learning rates")
        if recipe.clip:
            torch.nn.utils.clip_grad_norm_([p for g in self.optimizer.param_groups for p in g["params"]], recipe.clip)
        self.optimizer.step()
        self.step += 1
        self.follow()
        return {"loss": total, **sums}

    @torch.no_grad()
    def follow(self):
        """Moves the running mean of the weights; it follows quickly as long as there is little to average."""
        if self.average:
            decay = min(self.recipe.average, (1 + self.step) / (10 + self.step))
            for name, tensor in self.model.state_dict().items():
                if tensor.is_floating_point():
                    self.average[name].lerp_(tensor, 1 - decay)
                else:
                    self.average[name].copy_(tensor)

    # ------------------------------------------------------------ selection
    @contextlib.contextmanager
    def averaged(self):
        """The model with the weights that would be kept now."""
        if not self.average:
            yield
            return
        learning = {n: t.detach().clone() for n, t in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        try:
            yield
        finally:
            self.model.load_state_dict(learning)

    @torch.no_grad()
    def evaluate(self):
        """Image AUROC, pixel AUROC and AUPRO of each held-out category; their means over all, and over each group of categories
        that are named FAMILY/GROUP."""
        self.model.eval()
        self.model.see_crops(False)
        size, scores, pixels, maps = self.model.variant.image_size, {}, {}, {}
        for at in range(0, len(self.heldout), self.part):
            items = self.loader.held_out(self.heldout[at:at + self.part])
            s, _, a = self.model.head.glr(*self.features(items))
            for item, score, logits in zip(items, s.tolist(), upsample(a, size, size).cpu().numpy()):
                scores.setdefault(item.picture.category, []).append((score, item.picture.defective))
                if item.mask is not None:
                    pixels.setdefault(item.picture.category, PixelAuroc()).add(logits, item.mask)
                    maps.setdefault(item.picture.category, []).append((1 / (1 + np.exp(-logits)), item.mask))
        categories = {name: {"image_auroc": auroc(*zip(*pairs)), "pixel_auroc": pixels[name].value() if name in pixels else None,
                             "aupro": aupro(*zip(*maps[name])) if name in maps else None} for name, pairs in scores.items()}

        def means(of):
            return {key: mean([c[key] for c in of]) for key in ("image_auroc", "pixel_auroc", "aupro")}
        found, names = means(categories.values()), sorted({n.partition("/")[2] for n in categories} - {""})
        groups = {g: means([c for n, c in categories.items() if n.endswith("/" + g)]) for g in names}
        selection = mean([found["image_auroc"], found["pixel_auroc"]])
        return {**found, "selection": selection, **({"groups": groups} if groups else {}), "categories": categories}

    def select(self):
        """Evaluates, and keeps these weights if they are the best so far."""
        with self.averaged():
            found = self.evaluate()
            self.log.write(step=self.step, evaluation=found)
            if self.best is None or self.recipe.keep == "last" or found["selection"] > self.best["evaluation"]["selection"]:
                self.best = {"step": self.step, "evaluation": found, "state": self.learnt()}

    def learnt(self):
        """A copy of what training changes: all that is learnt, and the statistics where these are."""
        names = {n for n, p in self.model.named_parameters() if p.requires_grad}
        if self.recipe.batch_norm == "trained":
            names |= {n for n, _ in self.model.named_buffers()}
        return {n: t.detach().cpu().clone() for n, t in self.model.state_dict().items() if n in names}

    # ------------------------------------------------------------ the run
    def run(self, until=None):
        """Trains to the recipe's last step, or to `until`, and puts the selected weights into the model at the end. Once only."""
        steps = self.recipe.steps
        self.log = Log(self.out / "log.jsonl", self.step)
        bar = Progress(steps, self.progress)
        try:
            while self.step < min(steps, until or steps):
                began = time.monotonic()
                losses = self.train_step()
                seconds = round(time.monotonic() - began, 4)
                self.log.write(step=self.step, rate=self.optimizer.param_groups[0]["lr"], **losses, seconds=seconds)
                if self.heldout and (self.step % self.recipe.evaluate_every == 0 or self.step == steps):
                    self.select()
                if self.step % self.recipe.checkpoint_every == 0 or self.step == steps:
                    self.save()
                text = f"loss {losses['loss']:.4f}"
                bar.show(self.step, text + (f"  best {self.best['evaluation']['selection']:.4f}" if self.best else ""))
        finally:
            bar.end()
            self.loader.close()
            self.pool.shutdown()
        if self.step == steps and self.best:
            self.model.load_state_dict(self.best["state"], strict=False)
        elif self.step == steps and self.average:
            self.model.load_state_dict(self.average)
        self.model.eval()

    @property
    def checkpoint(self):
        return self.out / "checkpoint.pt"

    def save(self):
        """Writes the checkpoint in one step: an interruption leaves the old one or the new one.

        Everything but tensors is one JSON text, since PyTorch 1.13 reads few other things safely. The optimizer's settings follow
        from the recipe; only its moments are stored.
        """
        best = {k: v for k, v in self.best.items() if k != "state"} if self.best else None
        state = {"about": json.dumps({"recipe": self.recipe.as_data(), "step": self.step, "best": best}),
                 "model": self.model.state_dict(), "best": self.best["state"] if self.best else {},
                 "moments": self.optimizer.state_dict()["state"], "average": self.average or {}}
        write_atomically(self.checkpoint, lambda file: torch.save(state, file))

    def resume(self):
        """Goes on from the checkpoint in `out`, which the same recipe must have written. How many steps there are, and how many
        of them cool down, may change until the cool-down begins, before and after the change: up to there they decide nothing."""
        if not self.checkpoint.is_file():
            raise UserError(f"nothing to resume: {self.checkpoint} does not exist")
        try:
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            about = json.loads(state["about"])
            before, now = about["recipe"], self.recipe.as_data()
            if all(r.get("cool_down") and about["step"] <= r["steps"] - r["cool_down"] for r in (before, now)):
                before.update({key: now[key] for key in ("steps", "cool_down")})
        except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.checkpoint} cannot be read: {str(error).splitlines()[0]}") from None
        differing = [f"{key} was {before.get(key)} and is {now.get(key)}"
                     for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
        if differing:
            raise UserError(f"{self.checkpoint} was written by another recipe: {'; '.join(differing)}")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state["moments"]})
        self.average = state.get("average") or None
        self.step, self.best = about["step"], about["best"] and {**about["best"], "state": state["best"]}
