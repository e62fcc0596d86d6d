"""Source data: pictures with labels and masks, and the batches drawn from them.

A picture is anything with `category`, `defective`, `key` (a text that identifies it) and `load()`, which gives (uint8 [h, w, 3],
mask): the mask is bool [h, w], all false for a good picture, and None where a defective one comes without a mask.
"""
import dataclasses
import json
import pathlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from .errors import UserError

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


@dataclasses.dataclass(frozen=True)
class FilePicture:
    """A picture in a file, with its mask in another."""

    category: str
    defective: bool
    image: pathlib.Path
    mask: pathlib.Path = None

    @property
    def key(self):
        return str(self.image)

    def load(self):
        rgb = self.open(self.image, "RGB")
        if not self.defective:
            return rgb, np.zeros(rgb.shape[:2], bool)
        return rgb, None if self.mask is None else self.open(self.mask, "L") > 127

    @staticmethod
    def open(path, mode):
        try:
            with Image.open(path) as image:
                return np.array(image.convert(mode))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise UserError(f"picture {path} cannot be read: {error}") from None


# ---------------------------------------------------------------- readers
def read_real_iad(root, categories=None):
    """Pictures of a Real-IAD folder, train and test lists together.

    realiad_jsons/[realiad_jsons/]CATEGORY.json   {"meta": {"prefix", "normal_class"}, "train": [entry], "test": [entry]}
    realiad_{1024,raw,512,256}/PREFIX/...          the pictures, the first folder of these that is there

    An entry has category, anomaly_class ("OK" or a defect's code), image_path, and mask_path (null for good pictures).
    """
    root = pathlib.Path(root)
    lists = next((f for f in (root / "realiad_jsons/realiad_jsons", root / "realiad_jsons") if any(f.glob("*.json"))), None)
    images = next((f for f in (root / f"realiad_{size}" for size in ("1024", "raw", "512", "256")) if f.is_dir()), None)
    if lists is None or images is None:
        missing = "realiad_jsons/*.json" if lists is None else "realiad_1024 (or _raw, _512, _256)"
        raise UserError(f"{root} is no Real-IAD folder: {missing} is missing")
    pictures = []
    for name in choose(categories, sorted(p.stem for p in lists.glob("*.json")), root):
        path = lists / f"{name}.json"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            meta = document.get("meta", {})
            folder, good = images / meta.get("prefix", name), meta.get("normal_class", "OK")
            folder = folder if folder.is_dir() else images / name
            for entry in document.get("train", []) + document.get("test", []):
                defective, mask = entry["anomaly_class"] != good, entry.get("mask_path")
                mask = folder / mask if defective and mask else None
                pictures.append(FilePicture(name, defective, folder / entry["image_path"], mask))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not one of Real-IAD's lists: {type(error).__name__}: {error}") from None
    return pictures


def read_mvtec(root, categories=None):
    """Pictures of a folder laid out like MVTec AD, train and test together.

    CATEGORY/train/good/*   CATEGORY/test/{good,DEFECT}/*   CATEGORY/ground_truth/DEFECT/*_mask.png
    """
    root = pathlib.Path(root)
    found = sorted(p.name for p in root.iterdir() if (p / "train").is_dir() or (p / "test").is_dir()) if root.is_dir() else []
    if not found:
        raise UserError(f"{root} holds no categories: folders CATEGORY/train/good and CATEGORY/test/DEFECT are expected")
    pictures = []
    for name in choose(categories, found, root):
        for folder in sorted(f for part in ("train", "test") for f in (root / name / part).glob("*") if f.is_dir()):
            for image in sorted(f for f in folder.iterdir() if f.suffix.lower() in IMAGES):
                defective = folder.name != "good"
                mask = root / name / "ground_truth" / folder.name / f"{image.stem}_mask.png"
                pictures.append(FilePicture(name, defective, image, mask if defective and mask.is_file() else None))
    return pictures


def choose(wanted, found, root):
    """The categories asked for, or all."""
    unknown = sorted(set(wanted or ()) - set(found))
    if unknown:
        raise UserError(f"{root} has no category '{unknown[0]}'; it has {', '.join(found)}")
    return list(wanted) if wanted else found


def read_folder(root, layout="auto", categories=None):
    """Reads a source folder in one of the two layouts."""
    root = pathlib.Path(root)
    if not root.is_dir():
        raise UserError(f"data folder {root} does not exist")
    if layout == "auto":
        layout = "real-iad" if (root / "realiad_jsons").is_dir() else "mvtec"
    pictures = {"real-iad": read_real_iad, "mvtec": read_mvtec}[layout](root, categories)
    for first in {p.category: p for p in reversed(pictures)}.values():        # a wrong root shows at once, not at step 700
        if not first.image.is_file():
            raise UserError(f"picture {first.image} is listed and missing")
    return pictures


def split(pictures, holdout):
    """(training, held out): whole categories are held out. Both need good and defective pictures."""
    categories = sorted({p.category for p in pictures})
    unknown = sorted(set(holdout) - set(categories))
    if unknown:
        raise UserError(f"--holdout: there is no category '{unknown[0]}'; the data has {', '.join(categories)}")
    training = [p for p in pictures if p.category not in holdout]
    heldout = [p for p in pictures if p.category in holdout]
    for defective, word in ((False, "good"), (True, "defective")):
        if not any(p.defective == defective for p in training):
            trained = ", ".join(sorted(set(categories) - set(holdout))) or "(none)"
            raise UserError(f"no {word} pictures to train on, in categories {trained}: both kinds are needed")
        for name in holdout:
            if not any(p.defective == defective for p in heldout if p.category == name):
                raise UserError(f"--holdout: category '{name}' has no {word} pictures, so that nothing can be ranked")
    if not any(p.defective and getattr(p, "mask", True) for p in training):
        raise UserError("no defective picture to train on has a mask")
    return training, heldout


# ---------------------------------------------------------------- pixels and targets
def resize(rgb, size):
    """uint8 [h, w, 3] -> uint8 [size, size, 3], Pillow's bicubic, aspect ratio ignored: the engine's resize."""
    return np.array(Image.fromarray(rgb).resize((size, size), Image.BICUBIC))


def token_target(mask, grid):
    """bool [h, w] -> float32 [grid, grid]: 1 for each token that touches the defect."""
    return F.adaptive_max_pool2d(torch.from_numpy(mask.astype(np.float32))[None], grid)[0]


def augment(rgb, mask, kinds, generator):
    """Changes after the resize: `flip`, `rotate` (quarter turns), `colour` (gain and offset by channel, up to 10 %); `tone`
    (strong: channels swapped or mixed to gray, gain, gamma and offset, sometimes the negative)."""
    if "flip" in kinds:
        for axis in (0, 1):
            if generator.random() < 0.5:
                rgb, mask = np.flip(rgb, axis), None if mask is None else np.flip(mask, axis)
    if "rotate" in kinds:
        turns = int(generator.integers(4))
        rgb, mask = np.rot90(rgb, turns), None if mask is None else np.rot90(mask, turns)
    if "colour" in kinds:
        gain = generator.uniform(0.9, 1.1) * generator.uniform(0.97, 1.03, 3)
        offset = 255 * generator.uniform(-0.05, 0.05)
        rgb = np.clip(np.rint((rgb - 127.5) * gain + 127.5 + offset), 0, 255).astype(np.uint8)
    if "tone" in kinds:
        rgb = tone(rgb, generator)
    return np.ascontiguousarray(rgb), None if mask is None else np.ascontiguousarray(mask)


def cropped(rgb, mask, side, generator, least=30):
    """A square of both at random; of a defect it holds at least half or `least` pixels, if that can be had in a few tries."""
    places = np.argwhere(mask)
    for _ in range(8):
        if len(places):
            point = places[generator.integers(len(places))]
            y, x = (int(np.clip(c - generator.integers(side), 0, n - side)) for c, n in zip(point, mask.shape))
        else:
            y, x = (int(generator.integers(n - side + 1)) for n in mask.shape)
        part = mask[y:y + side, x:x + side]
        if part.sum() >= min(least, len(places) / 2):
            break
    return np.ascontiguousarray(rgb[y:y + side, x:x + side]), np.ascontiguousarray(part)


def tone(rgb, generator):
    """The picture in other tones and colours."""
    if generator.random() < 0.5:
        rgb = rgb[..., generator.permutation(3)]
    if generator.random() < 0.1:
        rgb = rgb.mean(-1, dtype=np.float32, keepdims=True).repeat(3, -1).astype(np.uint8)
    level = np.arange(256, dtype=np.float32) / 255
    if generator.random() < 0.15:
        level = 1 - level
    if generator.random() < 0.7:
        level = level ** np.exp(generator.normal(0, 0.25))
        level = (level - 0.5) * generator.uniform(0.7, 1.2) + 0.5 + generator.uniform(-0.12, 0.12)
    curves = np.clip(level[:, None] * generator.uniform(0.92, 1.08, 3) * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.stack([curves[:, c][rgb[..., c]] for c in range(3)], -1)


@dataclasses.dataclass
class Item:
    """One picture made ready. `pixels` is None where its features are known already; `target` is None without a mask."""

    picture: object
    pixels: torch.Tensor
    target: torch.Tensor
    mask: np.ndarray = None


class Sampler:
    """Batches that are half good, half defective, their categories equally likely; which pictures, only (seed, step) says.

    Pictures that have a `twin`, the same thing with or without a defect, come together with it.
    """

    def __init__(self, pictures, batch, seed):
        self.batch, self.seed = batch if callable(batch) else lambda step: batch, seed
        self.groups = {}                                                      # label -> one list of pictures for each category
        for defective in (False, True):
            names = sorted({p.category for p in pictures if p.defective == defective})
            self.groups[defective] = [[p for p in pictures if p.category == n and p.defective == defective] for n in names]

    def pictures(self, step):
        generator = np.random.default_rng([self.seed, step])
        chosen = []
        for i in range(self.batch(step)):
            if i % 2 == 1 and hasattr(chosen[-1], "twin"):
                chosen.append(chosen[-1].twin)
                continue
            groups = self.groups[i % 2 == 1]
            group = groups[int(generator.integers(len(groups)))]
            chosen.append(group[int(generator.integers(len(group)))])
        return chosen


class Loader:
    """Makes the items of batches, some steps ahead, on threads: Pillow works outside the interpreter's lock."""

    def __init__(self, sampler, image_size, grid, kinds=(), known=lambda picture: False, workers=2, ahead=2,
                 crop_at=lambda step: 0):
        self.sampler, self.image_size, self.grid, self.kinds, self.known = sampler, image_size, grid, tuple(kinds), known
        self.crop_at, self.ahead, self.pool, self.pending = crop_at, ahead, ThreadPoolExecutor(max(1, workers)), {}

    def batch(self, step, last):
        """The items of a step; those of the next ones, up to `last`, are begun."""
        for s in range(step, min(step + self.ahead, last) + 1):
            if s not in self.pending:
                self.pending[s] = [self.pool.submit(self.item, p, (s, i)) for i, p in enumerate(self.sampler.pictures(s))]
        return [f.result() for f in self.pending.pop(step)]

    def item(self, picture, place):
        rgb, mask = picture.load()
        pixels = None if self.known(picture) else resize(rgb, self.image_size)
        generator, grid, crop = np.random.default_rng([self.sampler.seed, *place, 1]), self.grid, self.crop_at(place[0])
        if crop:
            pixels, mask = cropped(pixels, mask, crop, generator)
            grid = crop * grid // self.image_size
        if pixels is not None and self.kinds:
            pixels, mask = augment(pixels, mask, self.kinds, generator)
        target = None if mask is None else token_target(mask, grid)
        return Item(picture, None if pixels is None else torch.from_numpy(pixels), target)

    def held_out(self, pictures):
        """Items with whole masks at image_size, in order, not augmented."""
        return list(self.pool.map(self.evaluation_item, pictures))

    def evaluation_item(self, picture):
        rgb, mask = picture.load()
        if mask is not None:
            mask = np.array(Image.fromarray(mask.astype(np.uint8)).resize((self.image_size,) * 2, Image.NEAREST)).astype(bool)
        return Item(picture, None if self.known(picture) else torch.from_numpy(resize(rgb, self.image_size)), None, mask)

    def close(self):
        self.pool.shutdown(wait=True, cancel_futures=True)
