"""Whole pictures: a surface, what is harmless on it, perhaps a defect, and the camera. Everything follows from the seed."""
import dataclasses
import io

import numpy as np
from PIL import Image, ImageFilter

from . import defects, surfaces
from .defects import Place
from .fields import SIDE, X, Y, blend, chance, colour, fractal, hashed, log_uniform, smooth, step

VERSION = 1                                                                   # part of every seed: a change makes other pictures


@dataclasses.dataclass(frozen=True)
class Pair:
    """The same surface good and defective, as the same camera sees it."""

    good: np.ndarray                                                          # uint8 [SIDE, SIDE, 3]
    defective: np.ndarray
    mask: np.ndarray                                                          # bool [SIDE, SIDE]
    kind: str
    contrast: float                                                           # see `contrast`


def generator(*seed):
    return np.random.default_rng([VERSION, *seed])


# ---------------------------------------------------------------- what is harmless
def harmless(picture, g):
    """Dust, highlights, shadows, seams and marks of use that cover all: unusual, and good."""
    if chance(g, 0.15):                                                       # dust, all over
        dots = (hashed(X, Y, g.integers(1 << 20)) < g.uniform(0.001, 0.012)).astype(np.float32)
        picture = blend(picture, colour(g), dots * g.uniform(0.2, 0.8))
    if chance(g, 0.12):                                                       # a highlight
        x, y, r = *g.uniform(-128, 128, 2), g.uniform(40, 130)
        glare = np.exp(-((X - x) ** 2 + ((Y - y) * g.uniform(0.5, 2)) ** 2) / (r * r))
        picture = picture + g.uniform(25, 110) * glare[..., None]
    if chance(g, 0.10):                                                       # the edge of a shadow, across
        turn = g.uniform(0, 2 * np.pi)
        side = step(X * np.cos(turn) + Y * np.sin(turn), g.uniform(-90, 90), log_uniform(g, 12, 120))
        picture = picture * (1 - g.uniform(0.1, 0.45) * side[..., None])
    if chance(g, 0.07):                                                       # a seam, from edge to edge
        turn = g.uniform(0, 2 * np.pi)
        d = X * np.cos(turn) + Y * np.sin(turn) - g.uniform(-90, 90)
        seam = step(-np.abs(d), -g.uniform(0.8, 3), 1.2)
        picture = picture * (1 - g.uniform(0.15, 0.6) * seam[..., None])
        if chance(g, 0.5):
            picture = blend(picture, picture * g.uniform(0.85, 1.15), step(d, 0, 1))
    if chance(g, 0.12):                                                       # unevenly coloured
        picture = picture * (1 + g.uniform(0.03, 0.13) * smooth(g, g.integers(2, 5)))[..., None]
    return picture


def thing(g):
    """The outline of a part on a plain background, alpha in 0 to 1, or None: the surface fills the picture."""
    if not chance(g, 0.22):
        return None
    turn, size, aspect = g.uniform(0, np.pi), g.uniform(78, 118), log_uniform(g, 0.55, 1)
    a = (X * np.cos(turn) + Y * np.sin(turn)) / size
    b = (Y * np.cos(turn) - X * np.sin(turn)) / (size * aspect)
    kind = g.integers(5)
    if kind == 0:
        r = np.hypot(a, b)
    elif kind == 1:                                                           # rounded rectangle
        r = (np.abs(a) ** 6 + np.abs(b) ** 6) ** (1 / 6)
    elif kind == 2:                                                           # hexagon
        r = np.max([a * np.cos(t) + b * np.sin(t) for t in np.arange(6) * np.pi / 3], 0)
    elif kind == 3:                                                           # ring
        r = np.hypot(a, b)
        r = np.maximum(r, 1 + 0.35 - r)
    else:                                                                     # gear
        r = np.hypot(a, b) * (1 + 0.05 * np.sign(np.sin(np.arctan2(b, a) * g.integers(6, 14))))
    return step(-r, -1, 2 / size)


def placed(g, outline, size):
    """A place where a defect of that size lies on the surface."""
    for _ in range(30):
        x, y = g.uniform(-118, 118, 2)
        if outline is None or outline[int(y + SIDE / 2), int(x + SIDE / 2)] > 0.9:
            return Place(x, y, size)
    return Place(*(np.argwhere(outline > 0.9)[g.integers((outline > 0.9).sum())][::-1] - SIDE / 2), size)


# ---------------------------------------------------------------- the camera
class Camera:
    """Light, lens and file: drawn once, applied to the good and to the defective picture alike. Without a generator it changes
    nothing."""

    def __init__(self, g, outline):
        self.light, self.blur, self.noise, self.grain, self.quality, self.grey, self.outline = 1, 0, 0, 0, 0, False, outline
        if g is None:
            return
        light = 1.0
        if chance(g, 0.6):
            turn = g.uniform(0, 2 * np.pi)
            light = 1 + g.uniform(0.05, 0.35) * (X * np.cos(turn) + Y * np.sin(turn)) / SIDE
        if chance(g, 0.3):
            light = light * (1 - g.uniform(0.05, 0.45) * (X * X + Y * Y) / (SIDE * SIDE / 2))
        self.light = np.float32(light) if np.isscalar(light) else light[..., None].astype(np.float32)
        self.blur = g.uniform(0.4, 1.3) if chance(g, 0.45) else 0
        self.noise = np.float32(log_uniform(g, 0.5, 7)) if chance(g, 0.75) else 0
        self.grain = g.standard_normal((SIDE, SIDE, 1 if chance(g, 0.4) else 3), np.float32) if self.noise else 0
        self.quality = int(g.integers(35, 95)) if chance(g, 0.3) else 0
        self.grey = chance(g, 0.15)
        if outline is not None:
            back = colour(g) if chance(g, 0.6) else colour(g, 2, 30, 0)
            self.back = back + g.uniform(0, 6) * (smooth(g, 3) + fractal(g, 40, 3, 0.9))[..., None]
            shadow = np.roll(outline, tuple(g.integers(-8, 9, 2)), (0, 1))
            self.back = self.back * (1 - g.uniform(0, 0.5) * shadow[..., None])
            self.rim = g.uniform(0, 0.5) * np.clip(1 - 2 * np.abs(outline - 0.5), 0, 1)[..., None]

    def scene(self, surface):
        """What is before the lens, lit."""
        if self.outline is not None:
            surface = blend(self.back, surface * (1 - self.rim), self.outline)
        surface = np.clip(surface * self.light, 0, 255)
        return surface.mean(-1, keepdims=True).repeat(3, -1) if self.grey else surface

    def take(self, scene):
        image = Image.fromarray(np.clip(scene + 0.5, 0, 255).astype(np.uint8))
        if self.blur:
            image = image.filter(ImageFilter.GaussianBlur(self.blur))
        if self.noise:
            image = Image.fromarray(np.clip(np.asarray(image) + self.noise * self.grain + 0.5, 0, 255).astype(np.uint8))
        if self.quality:
            file = io.BytesIO()
            image.save(file, "JPEG", quality=self.quality)
            image = Image.open(file)
        return np.asarray(image.convert("RGB"))


# ---------------------------------------------------------------- the pair
def contrast(before, after, mask):
    """How plainly a defect shows: the mean change of its pixels (largest channel, in grey levels) over 10 + the deviation of the
    surface's brightness. 1 is plain to see; under 0.3 most people would miss it."""
    if not mask.any():
        return 0.0
    change = np.abs(after - before).max(-1)[mask].mean()
    return float(change / (10 + before.mean(-1).std()))


def extent(g):
    """Half the size of a defect: from a few pixels to about a quarter of the picture."""
    return log_uniform(g, 4, 70)


@dataclasses.dataclass(frozen=True)
class Rule:
    """All that decides a pair. `least`: the contrast that the defect has at least (if that cannot be had in a few tries, the
    plainest of them is taken); `smallest`: pixels of its mask; `faint`: whether it may be hardly stronger than `least`."""

    family: str
    kinds: tuple
    seed: tuple
    least: float = 0.4
    faint: bool = True
    smallest: int = 12

    @property
    def key(self):
        return [self.family, ",".join(self.kinds), *self.seed, self.least, self.faint, self.smallest]


def draw(rule):
    """Draws the pair of a rule."""
    g = generator(*rule.seed)
    picture = harmless(surfaces.FAMILIES[rule.family](g).astype(np.float32), g)
    outline = thing(g)
    return pair(g, rule, picture, Camera(g, outline))


def draw_on(photograph, rule):
    """The pair of a rule on a photograph, uint8 [SIDE, SIDE, 3], which stays as it was taken but for the defect."""
    g = generator(*rule.seed)
    return pair(g, rule, photograph.astype(np.float32), Camera(None, None))


def pair(g, rule, picture, camera):
    """A good surface, and the same with a defect of the rule's kinds."""
    good, outline = camera.scene(picture), camera.outline
    usable = [k for k in rule.kinds if k not in defects.NEEDS_ORDER or rule.family in surfaces.REGULAR]
    strength = log_uniform(g, 18 if rule.faint else 40, 130) * (0.6 + good.mean(-1).std() / 40)
    best = None
    for attempt in range(24):
        kind = usable[g.integers(len(usable))]
        place = placed(g, outline, extent(g))
        changed, alpha = defects.KINDS[kind](picture, place, strength, g)
        scene = camera.scene(changed)
        if outline is not None:                                               # beside the part there is no defect
            alpha = alpha * outline
        mask = alpha > 0.3
        if not rule.smallest <= mask.sum() <= SIDE * SIDE * 0.3:
            continue
        shown = contrast(good, scene, mask)
        if best is None or shown > best[0]:
            best = shown, scene, mask, kind
        if shown >= rule.least or attempt >= 10:
            break
        strength = min(strength * 1.35, 220)
    shown, scene, mask, kind = best
    return Pair(camera.take(good), camera.take(scene), mask, kind, shown)
