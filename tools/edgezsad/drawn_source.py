"""The drawn world as source data: pairs of pictures, drawn once into a file that training then reads from.

What training sees: families and kinds of `surfaces.TRAINED` and `defects.TRAINED`. What the figures are taken on: families that
it never sees, apart for kinds of defects that it never sees (`NAME/new`) and for those that it does (`NAME/known`).
"""
import dataclasses
import json
import multiprocessing
import pathlib

import numpy as np

from drawn import defects, surfaces
from drawn.fields import SIDE
from drawn.pictures import VERSION, Rule, contrast, draw

from .errors import UserError
from .weights import write_atomically

PLAIN = (0.8, 40)                                                             # contrast and pixels of what is trained on
GROUPS = {"new": tuple(defects.HELD_OUT), "known": tuple(defects.TRAINED)}


def training_rules(seed, pairs):
    """Pair i is drawn by rule i, whatever their number."""
    names = list(surfaces.TRAINED)
    return [Rule(names[i % len(names)], tuple(defects.TRAINED), (seed, 0, i), least=0.4, faint=True) for i in range(pairs)]


def heldout_rules(seed, pairs, groups=tuple(GROUPS), families=tuple(surfaces.HELD_OUT), faint=False):
    """`pairs` pairs of each family and group. Their defects are plain: of contrast 0.8 or more and 40 pixels or more; with
    `faint`, of contrast 0.3 or more and 12 pixels or more."""
    limits = {"least": 0.3, "faint": True} if faint else {"least": 0.8, "faint": False, "smallest": 40}
    return {f"{family}/{group}": [Rule(family, GROUPS[group], (seed, 1 + faint, list(GROUPS).index(group), i,
                                                               list(surfaces.FAMILIES).index(family)), **limits)
                                  for i in range(pairs)] for family in families for group in groups}


@dataclasses.dataclass(frozen=True)
class DrawnPicture:
    """One picture of a pair in a pool."""

    pool: object
    category: str
    defective: bool
    number: int

    @property
    def key(self):
        return f"drawn {self.category} {self.number} {self.defective}"

    @property
    def twin(self):
        """The same surface with a defect, or without."""
        return dataclasses.replace(self, defective=not self.defective)

    def load(self):
        rgb = np.array(self.pool.pictures[self.number, int(self.defective)])
        if not self.defective:
            return rgb, np.zeros((SIDE, SIDE), bool)
        return rgb, np.unpackbits(self.pool.masks[self.number], axis=-1).astype(bool)


def drawn(rule):
    pair = draw(rule)
    return pair.good, pair.defective, np.packbits(pair.mask, axis=-1)


class Pool:
    """Pairs in two files, drawn by the rules if they are not there yet."""

    def __init__(self, folder, rules, workers=2, tell=print):
        folder, about = pathlib.Path(folder), json.dumps({"version": VERSION, "rules": [r.key for r in rules]})
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        shapes = {"pictures": (len(rules), 2, SIDE, SIDE, 3), "masks": (len(rules), SIDE, SIDE // 8)}
        paths, done = {name: folder / f"{name}.u8" for name in shapes}, folder / "rules.json"
        if not done.is_file() or done.read_text(encoding="utf-8") != about:
            done.unlink(missing_ok=True)
            tell(f"{folder}: drawing {len(rules):,} pairs of pictures")
            files = {name: np.memmap(paths[name], np.uint8, "w+", shape=shape) for name, shape in shapes.items()}
            with multiprocessing.get_context("spawn").Pool(workers) as processes:
                for i, (good, defective, mask) in enumerate(processes.imap(drawn, rules, chunksize=8)):
                    files["pictures"][i, 0], files["pictures"][i, 1], files["masks"][i] = good, defective, mask
            for file in files.values():
                file.flush()
            write_atomically(done, lambda file: file.write(about.encode()))
        try:
            self.pictures, self.masks = (np.memmap(paths[name], np.uint8, "r", shape=shape) for name, shape in shapes.items())
        except (OSError, ValueError) as error:
            raise UserError(f"{folder}: {error}; delete the folder and it is drawn anew") from None


def plainness(pool):
    """[pairs, 2]: the contrast of each pair's defect as the camera shows it, and its pixels, from every second row and column."""
    path = pool.folder / "plainness.npy"
    if not path.is_file():
        found = []
        for pictures, mask in zip(pool.pictures, pool.masks):
            good, defective = pictures[:, ::2, ::2].astype(np.float32)
            mask = np.unpackbits(mask, axis=-1)[::2, ::2].astype(bool)
            found.append((contrast(good, defective, mask), 4 * mask.sum()))
        write_atomically(path, lambda file: np.save(file, np.array(found)))
    return np.load(path)


def drawn_pictures(folder, seed, pairs, heldout_pairs, workers=2):
    """(training pictures, held-out pictures)."""
    folder, rules = pathlib.Path(folder), training_rules(seed, pairs)
    pool = Pool(folder / "training", rules, workers)
    kept = np.flatnonzero((plainness(pool) >= PLAIN).all(1)).tolist()
    training = [DrawnPicture(pool, rules[i].family, defective, i) for i in kept for defective in (False, True)]
    named = [(name, rule) for name, rules in heldout_rules(seed, heldout_pairs).items() for rule in rules]
    pool = Pool(folder / "heldout", [rule for _, rule in named], workers)
    return training, [DrawnPicture(pool, name, defective, i) for i, (name, _) in enumerate(named) for defective in (False, True)]
