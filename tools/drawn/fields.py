"""Building blocks: coordinates, noise, cells and colours. Fields are float32 [SIDE, SIDE]; a generator decides what is random."""
import numpy as np
from PIL import Image

SIDE = 256
Y, X = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) - (SIDE - 1) / 2


def chance(g, p):
    return g.random() < p


def log_uniform(g, low, high):
    return float(np.exp(g.uniform(np.log(low), np.log(high))))


def enlarge(small, width=SIDE, height=SIDE, how=Image.BICUBIC):
    return np.asarray(Image.fromarray(np.ascontiguousarray(small, np.float32)).resize((width, height), how))


def smooth(g, cells):
    """Noise of about unit deviation, with that many cells a side."""
    cells = max(2, int(cells))
    return enlarge(g.standard_normal((cells + 2, cells + 2), np.float32)) * 1.3


def fractal(g, coarse, octaves, falloff=0.5):
    """Octaves of noise from `coarse` cells a side on; unit deviation."""
    total, weight, sum_squares = np.zeros((SIDE, SIDE), np.float32), 1.0, 0.0
    for i in range(octaves):
        cells = coarse * 2 ** i
        total += weight * (smooth(g, cells) if cells < SIDE else g.standard_normal((SIDE, SIDE), np.float32))
        sum_squares += weight * weight
        weight *= falloff
    return total / np.float32(np.sqrt(sum_squares))


def streaks(g, u, v, length, width):
    """Noise drawn out along u: cells of about `length` by `width` pixels, looked up at the coordinates."""
    rows = g.standard_normal((96, 512), np.float32)
    i, j = u / length + 48, v / width + 256
    i0, j0 = np.floor(i), np.floor(j)
    a, i0, j0 = (i - i0).astype(np.float32), i0.astype(np.int32) % 95, j0.astype(np.int32) % 512
    return rows[i0, j0] * (1 - a) + rows[i0 + 1, j0] * a


def frame(g, warp=0.0, tilt=None, perspective=0.4):
    """Coordinates (u, v) of the surface, in pixels: turned, seen from aside sometimes, bent a little by `warp` pixels."""
    if tilt is None:
        turn = g.normal(0, 0.06) + np.pi / 2 * g.integers(2) if chance(g, 0.5) else g.uniform(0, np.pi)
    else:
        turn = g.normal(0, tilt)
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u, v = X * c + Y * s, Y * c - X * s
    if chance(g, perspective):
        px, py = g.uniform(-0.45, 0.45, 2) / SIDE
        depth = 1 + np.float32(px) * X + np.float32(py) * Y
        u, v = u / depth, v / depth
    if warp:
        cells = g.integers(2, 6)
        u, v = u + warp * smooth(g, cells), v + warp * smooth(g, cells)
    offset = g.uniform(0, 400, 2).astype(np.float32)
    return u + offset[0], v + offset[1]


def hashed(i, j, salt):
    """Random numbers in [0, 1) for whole coordinates."""
    h = (i.astype(np.int64) * 374761393 + j.astype(np.int64) * 668265263 + int(salt) * 1442695041) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF).astype(np.float32) / 65536


def cells(g, u, v, size, jitter=0.9):
    """Worley's cells of about `size` pixels: (distance to the nearest point, to the second, in cells; number of the nearest)."""
    salt = g.integers(1 << 20)
    x, y = u / size, v / size
    i0, j0 = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    low_i, low_j = int(i0.min()) - 1, int(j0.min()) - 1
    ni, nj = int(i0.max()) - low_i + 2, int(j0.max()) - low_j + 2
    if ni * nj > 1 << 20:
        raise ValueError("cells are too small")
    points = g.random((ni, nj, 2), np.float32) * jitter + (1 - jitter) / 2
    first = np.full(x.shape, 1e9, np.float32)
    second, nearest = first.copy(), np.zeros(x.shape, np.int64)
    flat = points.reshape(-1, 2)
    for di in (-1, 0, 1):
        for dj in (-1, 0, 1):
            at = (i0 - low_i + di) * nj + (j0 - low_j + dj)
            p = flat[at]
            dx, dy = i0 + di + p[..., 0] - x, j0 + dj + p[..., 1] - y
            d = dx * dx + dy * dy
            closer = d < first
            second = np.where(closer, first, np.minimum(second, d))
            first = np.where(closer, d, first)
            nearest = np.where(closer, at, nearest)
    return np.sqrt(first), np.sqrt(second), nearest * 7 + salt


def per_cell(number, salt=0):
    """A random number in [0, 1) for every cell number."""
    return hashed(number, number >> 7, salt + 11)


def step(field, at, soft):
    """0 below `at`, 1 above, over about `soft`."""
    return np.clip((field - at) / soft + 0.5, 0, 1)


def wave(phase, kind):
    """Period 1, in [0, 1]: 0 sine, 1 triangle, 2 rounded bars, 3 half circles."""
    f = phase - np.floor(phase)
    if kind == 0:
        return 0.5 - 0.5 * np.cos(2 * np.pi * f)
    if kind == 1:
        return np.abs(2 * f - 1)
    if kind == 2:
        return np.clip(2.5 * np.cos(2 * np.pi * f) + 0.5, 0, 1)
    return np.sqrt(np.maximum(0, 1 - (2 * f - 1) ** 2))


def colour(g, low=25, high=235, vivid=None):
    """A random colour; most are dull, as most parts are."""
    level = g.uniform(low, high)
    vivid = g.choice((0.0, 0.12, 0.3, 0.7), p=(0.25, 0.35, 0.25, 0.15)) if vivid is None else vivid
    return np.clip(level * (1 + vivid * g.uniform(-1, 1, 3)), 0, 255).astype(np.float32)


def near(g, base, spread):
    """A colour beside another: mostly lighter or darker, a little of another hue."""
    sign = 1 if base.mean() + g.normal(0, 60) < 128 else -1
    return np.clip(base + sign * spread * (0.75 + 0.5 * g.random(3)), 0, 255).astype(np.float32)


def blend(a, b, t):
    """Colours or pictures a and b, mixed by a field."""
    t = t[..., None].astype(np.float32)
    return a * (1 - t) + b * t
