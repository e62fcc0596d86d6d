"""Families of surfaces. Each draws a picture float32 [SIDE, SIDE, 3] in 0 to 255 that is good by definition."""
import numpy as np
from PIL import Image, ImageDraw

from .fields import (SIDE, blend, cells, chance, colour, fractal, frame, hashed, log_uniform, near, per_cell, smooth, step,
                     streaks, wave)


def shaded(base, height, strength):
    """A surface of one colour, lit: `height` of unit deviation makes it lighter and darker by `strength` grey levels."""
    return base + strength * height[..., None]


# ---------------------------------------------------------------- metal, plastic, paper, mineral
def brushed(g):
    u, v = frame(g)
    field = 0.7 * streaks(g, u, v, log_uniform(g, 60, 400), log_uniform(g, 0.7, 2.5)) + 0.4 * streaks(g, u, v, 30, 1)
    return shaded(colour(g, 70, 210, 0.06), field, g.uniform(4, 22))


def cast(g):
    field = fractal(g, g.integers(8, 40), g.integers(2, 5), g.uniform(0.6, 1.1))
    return shaded(colour(g, 50, 190, 0.08), field + 0.4 * np.abs(field), g.uniform(5, 24))


def plastic(g):
    base = colour(g)
    picture = shaded(base, smooth(g, 3), g.uniform(0, 9))
    if chance(g, 0.6):                                                        # moulded grain, lit from a side
        grain = fractal(g, g.integers(30, 90), 2, 0.7)
        picture += ((grain - np.roll(grain, (1, 1), (0, 1))) * g.uniform(1, 9))[..., None]
    return picture


def paper(g):
    u, v = frame(g)
    field = 0.6 * fractal(g, 24, 4, 0.9) + 0.5 * streaks(g, u, v, g.uniform(8, 20), 1.2)
    picture = shaded(colour(g, 120, 245, 0.15), field, g.uniform(2, 12))
    if chance(g, 0.35):                                                       # ruled, or corrugated
        lines = wave(v / g.uniform(8, 36), 2)
        picture = blend(picture, near(g, picture.mean((0, 1)), g.uniform(10, 60)), (1 - lines) * g.uniform(0.2, 0.7))
    return picture


def concrete(g):
    field = fractal(g, g.integers(2, 6), 7, g.uniform(0.6, 0.85))
    base = colour(g, 80, 210, 0.08)
    picture = shaded(base, field, g.uniform(6, 20))
    u, v = frame(g)
    near_point, _, number = cells(g, u, v, g.uniform(7, 16))
    pores = step(-near_point, -g.uniform(0.08, 0.16), 0.08) * (per_cell(number) < g.uniform(0.2, 0.7))
    return blend(picture, near(g, base, g.uniform(20, 70)), pores * 0.8)


def marble(g):
    u, v = frame(g, warp=g.uniform(8, 24))
    base, vein = fractal(g, 3, 5, 0.6), colour(g, 60, 235)
    ridge = 1 - np.abs(fractal(g, g.integers(3, 7), 4, 0.55))
    picture = shaded(vein, base, g.uniform(6, 24))
    return blend(picture, near(g, vein, g.uniform(25, 80)), np.clip(ridge, 0, 1) ** g.uniform(2, 8) * 0.8 + 0 * u)


def terrazzo(g):
    u, v = frame(g)
    first, second, number = cells(g, u, v, log_uniform(g, 9, 30), 0.95)
    matrix = shaded(colour(g, 90, 235), fractal(g, 40, 3, 0.9), g.uniform(2, 8))
    chips = step(second - first, g.uniform(0.12, 0.3), 0.08) * (per_cell(number) < g.uniform(0.4, 0.9))
    a, b = colour(g), colour(g)
    return blend(matrix, blend(a, b, per_cell(number, 5)), chips)


def granules(g):
    u, v = frame(g, perspective=0.15)
    first, second, number = cells(g, u, v, log_uniform(g, 7, 32), g.uniform(0.5, 1))
    a = colour(g)
    tint = blend(a, near(g, a, g.uniform(10, 110)), per_cell(number, 3))
    dome = np.clip(1 - first * g.uniform(0.7, 1.3), 0, 1) ** g.uniform(0.4, 1)
    lit = tint * (0.35 + 0.75 * dome[..., None]) + g.uniform(0, 14) * fractal(g, 50, 3, 0.9)[..., None]
    return blend(colour(g, 5, 60), lit, step(second - first, g.uniform(0.04, 0.16), 0.1))


def foam(g):
    u, v = frame(g, perspective=0.15)
    base = colour(g, 80, 235)
    picture = shaded(base, fractal(g, 20, 4, 0.8), g.uniform(3, 10))
    for size in (log_uniform(g, 5, 9), log_uniform(g, 9, 24)):
        first, _, number = cells(g, u, v, size)
        pores = step(-first, -0.18 - 0.28 * per_cell(number, 2), 0.12)
        picture = blend(picture, base * g.uniform(0.25, 0.75), pores * g.uniform(0.4, 1))
    return picture


# ---------------------------------------------------------------- grown and woven
def wood(g):
    u, v = frame(g, warp=g.uniform(0.5, 3))
    bend = smooth(g, 3) * g.uniform(4, 16) + streaks(g, u, v, 220, 60) * g.uniform(0, 5)
    rings = wave((v + bend) / log_uniform(g, 7, 40), g.integers(2))
    fibre = 0.6 * streaks(g, u, v, 45, 1.3) + 0.5 * streaks(g, u, v, 120, 3)
    base = np.array((g.uniform(110, 225), g.uniform(75, 165), g.uniform(40, 110)), np.float32)
    picture = blend(base, base * g.uniform(0.5, 0.85), rings ** g.uniform(1, 3))
    return shaded(picture, fibre, g.uniform(3, 13))


def leather(g):
    u, v = frame(g, warp=g.uniform(1, 4), perspective=0.2)
    first, second, number = cells(g, u, v, log_uniform(g, 6, 20), g.uniform(0.7, 1))
    base = colour(g, 30, 200, 0.3)
    grain = np.clip((second - first) * g.uniform(1.5, 3), 0, 1)
    picture = blend(base * g.uniform(0.35, 0.7), base, grain)
    return shaded(picture, 0.5 * smooth(g, 5) + 0.5 * per_cell(number, 4) + 0.5 * fractal(g, 60, 2), g.uniform(2, 9))


def weave(g):
    u, v = frame(g, warp=g.uniform(0, 2.5))
    p, q = log_uniform(g, 4, 20), g.uniform(0.8, 1.25)
    a, b = u / p, v / (p * q)
    i, j = np.floor(a), np.floor(b)
    shift, salt = g.integers(1, 3), g.integers(1 << 16)
    over = ((i + j) % 2 if chance(g, 0.6) else (i + shift * j) % 4 // 2) > 0.5
    one, kind = colour(g), g.choice((0, 3))
    two = near(g, one, g.uniform(0, 90))
    uneven = g.uniform(0, 0.25)
    along = blend(one * 0.45, one, wave(b, kind) * (0.65 + 0.35 * wave(a, 0)))
    along = along * (1 + uneven * (hashed(j, j, salt) - 0.5))[..., None]
    across = blend(two * 0.45, two, wave(a, kind) * (0.65 + 0.35 * wave(b, 0)))
    across = across * (1 + uneven * (hashed(i, i, salt + 1) - 0.5))[..., None]
    return np.where(over[..., None], along, across) + g.uniform(0, 7) * fractal(g, 64, 3, 1)[..., None]


def knit(g):
    u, v = frame(g, warp=g.uniform(0, 2.5))
    p = log_uniform(g, 9, 30)
    a, b = u / p, v / (p * g.uniform(0.6, 0.95))
    f = a - np.floor(a)
    side = np.where(f < 0.5, f * 2, 2 - f * 2)                                # the two legs of each stitch lean together
    loop = wave(b + g.uniform(0.4, 0.8) * side, 3)
    leg = wave(side * 0.5 + 0.25, 0)
    base = colour(g)
    ply = 0.12 * np.sin(2 * np.pi * (b * 3 + a * 4)) * g.random()
    return blend(base * g.uniform(0.25, 0.5), base, np.clip(loop * (0.35 + 0.65 * leg) + ply, 0, 1)) \
        + g.uniform(0, 8) * fractal(g, 64, 3, 1)[..., None]


def carpet(g):
    u, v = frame(g, warp=g.uniform(0, 5), perspective=0.2)
    tufts = streaks(g, u, v, g.uniform(3, 14), g.uniform(1.2, 4)) + 0.7 * fractal(g, 50, 3, 0.9)
    picture = shaded(colour(g, 40, 200), tufts, g.uniform(8, 26))
    if chance(g, 0.3):
        picture *= (1 - g.uniform(0.05, 0.3) * wave(u / g.uniform(10, 30), 0))[..., None]
    return picture


# ---------------------------------------------------------------- regular
def tiles(g):
    u, v = frame(g, warp=g.uniform(0, 1.2))
    p, q = log_uniform(g, 24, 110), g.choice((1, 1, 2, 0.6))
    a, b = u / p, v / (p * q)
    i, j = np.floor(a), np.floor(b)
    edge = np.minimum(p * np.minimum(a - i, i + 1 - a), p * q * np.minimum(b - j, j + 1 - b))
    base, salt = colour(g), g.integers(1 << 16)
    tint = base * (1 + g.uniform(0, 0.2) * (hashed(i, j, salt) - 0.5))[..., None]
    if chance(g, 0.3):                                                        # chequered
        tint = np.where(((i + j) % 2 > 0)[..., None], tint, near(g, base, g.uniform(20, 120)))
    picture = shaded(tint, fractal(g, 5, 5, 0.7), g.uniform(1, 9))
    picture += ((g.uniform(0, 22) * step(-edge, -4, 4)))[..., None] * g.choice((-1, 1))
    return blend(near(g, base, g.uniform(25, 110)), picture, step(edge, g.uniform(0.8, 3), 1.2))


def brick(g):
    u, v = frame(g, warp=g.uniform(0, 2), tilt=0.08)
    p = log_uniform(g, 12, 48)
    b = v / p
    j = np.floor(b)
    ratio = g.uniform(1.6, 3.2)
    a = u / (p * ratio) + 0.5 * (j % 2) + (hashed(j, j, 3) * 0.2 if chance(g, 0.3) else 0)
    i, salt = np.floor(a), g.integers(1 << 16)
    edge = p * np.minimum(ratio * np.minimum(a - i, i + 1 - a), np.minimum(b - j, j + 1 - b)) + 0.8 * smooth(g, 50)
    base = colour(g, 50, 200, 0.35)
    tint = base * (0.75 + 0.5 * hashed(i, j, salt))[..., None]
    picture = shaded(tint, fractal(g, 12, 5, 0.8), g.uniform(4, 20))
    mortar = shaded(colour(g, 90, 220, 0.08), fractal(g, 40, 3, 0.9), g.uniform(2, 12))
    return blend(mortar, picture, step(edge, g.uniform(1, 3.5), 2))


def stripes(g):
    u, v = frame(g, warp=g.uniform(0, 3))
    p = log_uniform(g, 5, 44)
    profile = wave(v / p, g.integers(4))
    if chance(g, 0.3):
        profile = 0.6 * profile + 0.4 * wave(v / (p * g.choice((2, 3, 0.5))), 2)
    one = colour(g)
    picture = blend(one, near(g, one, g.uniform(25, 140)), profile)
    return shaded(picture, fractal(g, g.integers(10, 60), 3, 0.9), g.uniform(0, 8)) + 0 * u[..., None]


def lattice(g):
    u, v = frame(g, warp=g.uniform(0, 3))
    p, field = log_uniform(g, 7, 44), 0
    for turn in np.arange(g.integers(2, 4)) * np.pi / g.integers(2, 4) + g.uniform(0, np.pi):
        field = field + wave((u * np.float32(np.cos(turn)) + v * np.float32(np.sin(turn))) / p, g.integers(2))
    field = (field - field.min()) / (np.ptp(field) + 1e-6)
    if chance(g, 0.4):
        field = step(field, g.uniform(0.35, 0.65), g.uniform(0.1, 0.5))
    one = colour(g)
    return shaded(blend(one, near(g, one, g.uniform(25, 140)), field), fractal(g, 40, 3, 0.9), g.uniform(0, 8))


def mesh(g):
    u, v = frame(g, warp=g.uniform(0, 2.5))
    p, q, wire = log_uniform(g, 8, 40), g.uniform(0.7, 1.4), g.uniform(0.15, 0.45)
    across = np.abs((u / p) % 1 - 0.5) * 2
    along = np.abs((v / (p * q)) % 1 - 0.5) * 2
    back, front = colour(g), colour(g)
    if abs(back.mean() - front.mean()) < 45:
        front = np.float32(255) - back * 0.7
    picture = shaded(back, fractal(g, 4, 5, 0.7), g.uniform(0, 10))
    for d in ((across, along) if chance(g, 0.75) else (across,)):
        body = front * (0.45 + 0.55 * np.sqrt(np.maximum(0, 1 - (d / wire) ** 2)))[..., None]
        picture = blend(picture, body, step(-d, -wire, 0.12))
    return picture


def perforated(g):
    u, v = frame(g)
    p = log_uniform(g, 9, 36)
    b = v / p
    j = np.floor(b)
    a = u / p + (0.5 * (j % 2) if chance(g, 0.5) else 0)
    d = np.hypot(a - np.floor(a) - 0.5, b - j - 0.5)
    r = g.uniform(0.2, 0.4)
    base = colour(g, 60, 230)
    sheet = shaded(base, 0.6 * streaks(g, u, v, 60, 1.5) + 0.5 * smooth(g, 4), g.uniform(1, 8))
    sheet = blend(sheet, near(g, base, g.uniform(0, 40)), step(-np.abs(d - r), -0.09, 0.08))
    return blend(sheet, near(g, base, g.uniform(60, 150)), step(-d, -r, 1.2 / p))


def motif(g, w, h, glyphs):
    """A small drawing, to be repeated: [h, w] in 0 to 1."""
    image = Image.new("L", (4 * w, 4 * h), 0)
    draw = ImageDraw.Draw(image)
    for _ in range(g.integers(1, 5)):
        x, y = g.uniform(0.1, 0.75) * 4 * w, g.uniform(0.1, 0.75) * 4 * h
        a, b, kind = g.uniform(0.12, 0.6) * 4 * w, g.uniform(0.12, 0.6) * 4 * h, g.integers(3)
        box, tone = (x, y, min(x + a, 4 * w - 3), min(y + b, 4 * h - 3)), int(g.uniform(110, 256))
        if glyphs or kind == 2:
            draw.line((box[0], box[1], box[2], box[3]), fill=tone, width=int(g.integers(4, 10)))
            draw.line((box[0], box[3], box[0], box[1]), fill=tone, width=int(g.integers(4, 10)))
        elif kind == 0:
            draw.ellipse(box, fill=tone, outline=int(g.uniform(0, 256)), width=int(g.integers(1, 8)))
        else:
            draw.rectangle(box, fill=tone)
    return np.asarray(image.resize((w, h), Image.BOX), np.float32) / 255


def printed(g):
    u, v = frame(g, warp=g.uniform(0, 1.5))
    w, h = g.integers(10, 52, 2)
    tile = motif(g, int(w), int(h), False)
    shift = w // 2 if chance(g, 0.4) else 0
    row = np.floor(v / h)
    field = sample(tile, u + shift * (row % 2), v)
    one = colour(g)
    picture = blend(one, near(g, one, g.uniform(40, 150)), field)
    return shaded(picture, fractal(g, 40, 3, 0.9), g.uniform(0, 8))


def sample(tile, u, v):
    """The tile, repeated without end, at (u, v); bilinear."""
    h, w = tile.shape
    x, y = u % w, v % h
    i, j = np.floor(x).astype(np.int32) % w, np.floor(y).astype(np.int32) % h
    a, b = (x - np.floor(x)).astype(np.float32), (y - np.floor(y)).astype(np.float32)
    k, l = (i + 1) % w, (j + 1) % h
    return (tile[j, i] * (1 - a) + tile[j, k] * a) * (1 - b) + (tile[l, i] * (1 - a) + tile[l, k] * a) * b


def glyphs(g):
    """Lines of signs, all different: regular as a whole, in no place the same."""
    u, v = frame(g, warp=g.uniform(0, 1), tilt=0.08)
    w, h = int(g.integers(8, 22)), int(g.integers(10, 26))
    letters = np.concatenate([motif(g, w, h, True) for _ in range(8)], 1)
    i, j = np.floor(u / w), np.floor(v / h)
    number = np.floor(hashed(i, j, g.integers(1 << 16)) * (8 if chance(g, 0.6) else 11))
    field = sample(letters, number * w + np.clip(u % w, 0, w - 1.01), v) * (number < 8)
    one = colour(g)
    picture = blend(one, near(g, one, g.uniform(60, 170)), field)
    return shaded(picture, fractal(g, 40, 3, 0.9), g.uniform(0, 7))


# Which surfaces training sees, and which it never does. Regular ones have an order that can be broken.
TRAINED = {f.__name__: f for f in (brushed, cast, plastic, paper, concrete, marble, granules, foam, weave, carpet, tiles, brick,
                                   stripes, lattice, mesh, printed, glyphs)}
HELD_OUT = {f.__name__: f for f in (wood, leather, knit, terrazzo, perforated)}
FAMILIES = {**TRAINED, **HELD_OUT}
REGULAR = ("weave", "tiles", "brick", "stripes", "lattice", "mesh", "printed", "glyphs", "knit", "perforated")
