"""Generated source pictures: procedural textures, good or with a drawn defect. Each follows from its few fields alone."""
import dataclasses

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 96, 80
CATEGORIES = ("cloth", "grain", "plaster", "stripes", "tiles", "weave")


def grid(generator):
    """Pixel coordinates, turned by a random angle."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    turn = generator.uniform(0, np.pi)
    return x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)


def smooth_noise(generator, cells):
    """Noise in about [-1, 1] with that many cells a side."""
    coarse = Image.fromarray(generator.uniform(-1, 1, (cells, cells)).astype(np.float32))
    return np.array(coarse.resize((WIDTH, HEIGHT), Image.BICUBIC), np.float64)


def texture(category, generator):
    """Height field in about [-1, 1]."""
    u, v = grid(generator)
    period, phase = generator.uniform(6, 12), generator.uniform(0, 2 * np.pi, 2)
    waves = np.sin(2 * np.pi * u / period + phase[0]), np.sin(2 * np.pi * v / period + phase[1])
    return {
        "cloth": lambda: 0.5 * (waves[0] + waves[1]),
        "grain": lambda: smooth_noise(generator, 40),
        "plaster": lambda: 0.6 * smooth_noise(generator, 6) + 0.4 * smooth_noise(generator, 20),
        "stripes": lambda: waves[0],
        "tiles": lambda: np.where((u % (2 * period) < 1.5) | (v % (2 * period) < 1.5), -1.0, 0.4),
        "weave": lambda: np.where(waves[0] * waves[1] > 0, waves[0], waves[1]),
    }[category]()


def defect(generator):
    """Mask [h, w] of a scratch, a spot or a stain."""
    canvas = Image.new("L", (WIDTH, HEIGHT), 0)
    draw = ImageDraw.Draw(canvas)
    kind, (x, y) = int(generator.integers(3)), generator.uniform((16, 16), (WIDTH - 16, HEIGHT - 16))
    if kind == 0:                                                             # scratch
        turn, length = generator.uniform(0, np.pi), generator.uniform(14, 34)
        dx, dy = np.cos(turn) * length / 2, np.sin(turn) * length / 2
        draw.line((x - dx, y - dy, x + dx, y + dy), fill=255, width=int(generator.integers(2, 5)))
    elif kind == 1:                                                           # spot
        r = generator.uniform(4, 9)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
    else:                                                                     # stain
        for dx, dy, r in generator.uniform((-7, -7, 3), (7, 7, 8), (6, 3)):
            draw.ellipse((x + dx - r, y + dy - r, x + dx + r, y + dy + r), fill=255)
    return np.array(canvas) > 127


def paint(category, defective, generator):
    """(uint8 [h, w, 3], bool [h, w])."""
    field = texture(category, generator)
    colour, contrast = generator.uniform(90, 170, 3), generator.uniform(18, 34)
    light = 14 * smooth_noise(generator, 3)
    rgb = colour + (contrast * field + light)[..., None] + generator.normal(0, 3, (HEIGHT, WIDTH, 3))
    mask = np.zeros((HEIGHT, WIDTH), bool)
    if defective:
        mask = defect(generator)
        soft = Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(0.7))
        edge = np.array(soft, np.float64)[..., None] / 255
        change = generator.choice((-1, 1)) * generator.uniform(45, 80) * generator.uniform(0.6, 1.0, 3)
        rgb = rgb * (1 - edge) + (colour + change + 0.3 * contrast * field[..., None]) * edge
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8), mask


@dataclasses.dataclass(frozen=True)
class Surface:
    """A generated picture; see `data` for what a picture is."""

    category: str
    defective: bool
    number: int
    seed: int

    @property
    def key(self):
        return f"surface {self.seed} {self.category} {self.defective} {self.number}"

    def load(self):
        place = [self.seed, CATEGORIES.index(self.category), int(self.defective), self.number]
        return paint(self.category, self.defective, np.random.default_rng(place))


def surfaces(seed, number=200):
    """That many good and as many defective pictures of each category."""
    return [Surface(c, d, i, seed) for c in CATEGORIES for d in (False, True) for i in range(number)]
