"""Kinds of defects. Each takes a good picture, float32 [SIDE, SIDE, 3], a place and a strength, and returns (picture, alpha):
alpha in 0 to 1 says how much of each pixel the defect has taken."""
import dataclasses

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .fields import SIDE, X, Y, blend, chance, colour, fractal, log_uniform, smooth, step


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a defect lies: its centre, in pixels from the picture's, and about half its extent."""

    x: float
    y: float
    size: float


# ---------------------------------------------------------------- shapes
def polar(place, g, stretch=2.5):
    """Distance from the centre in sizes, of an ellipse turned at random, and the angle."""
    turn, aspect = g.uniform(0, np.pi), np.sqrt(log_uniform(g, 1, stretch))
    dx, dy = X - np.float32(place.x), Y - np.float32(place.y)
    a = (dx * np.float32(np.cos(turn)) + dy * np.float32(np.sin(turn))) / np.float32(place.size * aspect)
    b = (dy * np.float32(np.cos(turn)) - dx * np.float32(np.sin(turn))) / np.float32(place.size / aspect)
    return a, b


def blob(place, g, soft=None, ragged=None):
    """A closed patch with an uneven edge."""
    a, b = polar(place, g)
    ragged = g.uniform(0.05, 0.4) if ragged is None else ragged
    soft = g.uniform(0.05, 0.5) if soft is None else soft
    cells = int(np.clip(SIDE / place.size * g.uniform(0.8, 2.5), 3, 100))
    r = np.hypot(a, b) + ragged * smooth(g, cells)
    return step(-r, -1, max(soft, 1.5 / place.size))


def patch(place, g):
    """A crisp shape: an ellipse, a rectangle or a polygon."""
    a, b = polar(place, g)
    kind = g.integers(3)
    if kind == 0:
        r = np.hypot(a, b)
    elif kind == 1:
        r = np.maximum(np.abs(a), np.abs(b)) * 1.15
    else:
        turns = np.sort(g.uniform(0, 2 * np.pi, g.integers(3, 7))).astype(np.float32)
        r = np.max([a * np.cos(t) + b * np.sin(t) for t in turns], 0) * 1.2
        r = np.maximum(r, np.hypot(a, b) / 1.7)
    return step(-r, -1, 1.5 / place.size)


def line_canvas():
    image = Image.new("L", (2 * SIDE, 2 * SIDE), 0)
    return image, ImageDraw.Draw(image)


def draw_line(draw, points, width, tone=255):
    """Points in pixels from the picture's centre, width in pixels."""
    flat = [tuple(2 * (p + SIDE / 2)) for p in points]
    draw.line(flat, fill=tone, width=max(1, int(round(2 * width))), joint="curve")


def finish(image):
    return np.asarray(image.reduce(2), np.float32) / 255


def path(g, place, length, bend, jag, points=14):
    """A line through the place: `bend` turns it all along, `jag` at random at every point (radians)."""
    turn = g.uniform(0, 2 * np.pi) + np.cumsum(np.full(points, bend / points) + g.normal(0, jag, points))
    way = np.cumsum(np.stack((np.cos(turn), np.sin(turn)), 1) * length / points, 0)
    return way - way.mean(0) + (place.x, place.y)


def moved(picture, dx, dy):
    """The picture as seen (dx, dy) pixels further; fields or numbers."""
    x = np.clip(X + (SIDE - 1) / 2 + dx, 0, SIDE - 1.01)
    y = np.clip(Y + (SIDE - 1) / 2 + dy, 0, SIDE - 1.01)
    i, j = x.astype(np.int32), y.astype(np.int32)
    a, b = (x - i)[..., None].astype(np.float32), (y - j)[..., None].astype(np.float32)
    upper = picture[j, i] * (1 - a) + picture[j, i + 1] * a
    lower = picture[j + 1, i] * (1 - a) + picture[j + 1, i + 1] * a
    return upper * (1 - b) + lower * b


def at(picture, place, reach=1.5):
    """Mean colour around the place."""
    r = int(max(3, place.size * reach))
    x, y = int(place.x + SIDE / 2), int(place.y + SIDE / 2)
    return picture[max(0, y - r):y + r + 1, max(0, x - r):x + r + 1].mean((0, 1))


def other(g, base, strength):
    """A colour that differs from `base` by about `strength` grey levels: darker, lighter, or of another hue."""
    kind = g.integers(3)
    if kind < 2:
        sign = (-1, 1)[kind]
        if base.mean() + sign * strength < -10 or base.mean() + sign * strength > 265:
            sign = -sign
        return np.clip(base + sign * strength * g.uniform(0.8, 1.2, 3), 0, 255)
    shift = g.normal(0, 1, 3)
    shift -= shift.mean()
    return np.clip(base + strength * 1.4 * shift / np.abs(shift).max(), 0, 255)


# ---------------------------------------------------------------- seen in training
def scratch(picture, place, strength, g):
    image, draw = line_canvas()
    for _ in range(1 if chance(g, 0.6) else g.integers(2, 5)):
        off = Place(place.x + g.normal(0, 4), place.y + g.normal(0, 4), place.size)
        way = path(g, off, place.size * g.uniform(1.6, 2.6), g.normal(0, 0.5), 0.02)
        draw_line(draw, way, g.uniform(0.7, 3), int(g.uniform(150, 256)))
    alpha = finish(image)
    tone = other(g, at(picture, place), strength * 1.3)
    result = blend(picture, tone, alpha)
    if chance(g, 0.4):                                                        # its raised edge catches the light
        edge = np.roll(alpha, g.integers(1, 3), g.integers(2)) * (1 - alpha)
        result = result + (255 - tone.mean() * 2) / 255 * strength * 0.6 * edge[..., None]
    return result, alpha


def crack(picture, place, strength, g):
    image, draw = line_canvas()
    jag, width = g.uniform(0.25, 0.7), g.uniform(0.8, 2.5)
    main = path(g, place, place.size * 2.4, g.normal(0, 0.5), jag, 22)
    for i in range(len(main) - 1):                                            # thinner towards its end
        draw_line(draw, main[i:i + 2], width * (1.2 - 0.8 * i / len(main)))
    for _ in range(g.integers(0, 4)):
        root = main[g.integers(3, len(main))]
        way = path(g, place, place.size * g.uniform(0.3, 1), 0, jag, 9)
        draw_line(draw, way - way[0] + root, width * 0.6)
    alpha = finish(image)
    tone = np.clip(at(picture, place) - strength * 1.5, 0, 255)
    if at(picture, place).mean() < 60 or chance(g, 0.15):
        tone = other(g, at(picture, place), strength * 1.5)
    return blend(picture, tone, alpha), alpha


def dent(picture, place, strength, g):
    a, b = polar(place, g, 2)
    bump = np.exp(-1.8 * (a * a + b * b)).astype(np.float32)
    turn = g.uniform(0, 2 * np.pi)
    slope = (np.gradient(bump, axis=1) * np.cos(turn) + np.gradient(bump, axis=0) * np.sin(turn)) * place.size
    shade = slope + g.choice((0, 0.4)) * bump * g.choice((-1, 1))
    result = picture + 1.6 * strength * shade[..., None] * (0.5 + picture / 255)
    if chance(g, 0.5):                                                        # what lies in it is seen nearer or farther
        zoom = g.uniform(-0.35, 0.35) * bump
        result = moved(result, -zoom * (X - place.x), -zoom * (Y - place.y))
    return result, np.minimum(1, 1.6 * np.hypot(a, b) * 0 + np.clip(bump * 1.5, 0, 1))


def stain(picture, place, strength, g):
    alpha = blob(place, g)
    if chance(g, 0.4):                                                        # dried from its rim
        inner = blob(place, g, ragged=0.1)
        alpha = np.clip(alpha - 0.6 * inner * step(alpha, 0.9, 0.2), 0, 1)
    base = at(picture, place)
    tint = other(g, base, strength) / np.maximum(base, 12)
    return blend(picture, np.clip(picture * np.clip(tint, 0.1, 4), 0, 262), alpha), alpha


def recolour(picture, place, strength, g):
    alpha = patch(place, g) if chance(g, 0.6) else blob(place, g, 0.1)
    base = at(picture, place)
    texture = g.uniform(0, 1)
    return blend(picture, other(g, base, strength) + texture * (picture - base), alpha), alpha


def splatter(picture, place, strength, g):
    alpha = np.zeros((SIDE, SIDE), np.float32)
    image, draw = line_canvas()
    for _ in range(g.integers(3, 16)):
        x, y = g.normal(0, place.size * 0.5, 2) + (place.x, place.y)
        r = log_uniform(g, 1, max(1.6, place.size * 0.22))
        x, y = 2 * (x + SIDE / 2), 2 * (y + SIDE / 2)
        draw.ellipse((x - 2 * r, y - 2 * r * g.uniform(0.6, 1.6), x + 2 * r, y + 2 * r), fill=int(g.uniform(140, 256)))
    alpha = finish(image)
    return blend(picture, other(g, at(picture, place), strength * 1.2), alpha), alpha


def burn(picture, place, strength, g):
    outer, inner = blob(place, g, soft=0.5), blob(dataclasses.replace(place, size=place.size * 0.55), g, soft=0.5)
    singed = picture * (np.array((0.75, 0.6, 0.45)) ** (strength / 45))
    return blend(blend(picture, singed, outer), 12 + 0.15 * picture, inner * min(1, strength / 70)), np.maximum(outer, inner)


def missing(picture, place, strength, g):
    """The pattern is not there: what is left is what one sees between, or its mean."""
    alpha = blob(place, g, soft=0.15) if chance(g, 0.5) else patch(place, g)
    small = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    mean = np.asarray(small.filter(ImageFilter.GaussianBlur(g.uniform(6, 16))), np.float32)
    if chance(g, 0.5):
        x, y = g.uniform(-100, 100, 2)
        mean = mean * 0 + at(picture, Place(x, y, 2), 1)
    return blend(picture, mean + g.uniform(0, 5) * fractal(g, 60, 3, 0.9)[..., None], alpha), alpha


def shifted(picture, place, strength, g):
    """A patch of the pattern lies a bit beside where it should."""
    alpha = patch(place, g)
    turn, by = g.uniform(0, 2 * np.pi), g.uniform(4, 16)
    return blend(picture, moved(picture, by * np.cos(turn), by * np.sin(turn)), alpha), alpha


def bent(picture, place, strength, g):
    """Lines leave their way and come back."""
    a, b = polar(place, g)
    bump = np.clip(1 - (a * a + b * b), 0, 1) ** 1.5
    turn, by = g.uniform(0, 2 * np.pi), place.size * g.uniform(0.3, 0.6) * g.choice((-1, 1))
    if chance(g, 0.3):                                                        # twisted
        angle = bump * g.uniform(0.6, 1.5) * g.choice((-1, 1))
        dx, dy = X - np.float32(place.x), Y - np.float32(place.y)
        c, s = np.cos(angle) - 1, np.sin(angle)
        return moved(picture, dx * c - dy * s, dx * s + dy * c), np.clip(3 * bump, 0, 1)
    return moved(picture, by * np.cos(turn) * bump, by * np.sin(turn) * bump), np.clip(3 * bump, 0, 1)


def retextured(picture, place, strength, g):
    """A patch has another grain: coarser, blurred, turned, roughened."""
    alpha = blob(place, g, soft=0.15) if chance(g, 0.6) else patch(place, g)
    kind = g.integers(4)
    if kind == 0:                                                             # coarser
        zoom = g.uniform(0.45, 0.7)
        inside = moved(picture, (zoom - 1) * (X - place.x), (zoom - 1) * (Y - place.y))
    elif kind == 1:                                                           # turned by a quarter, and a bit darker or lighter
        inside = np.rot90(picture) * g.choice((0.85, 1.15))
    elif kind == 2:                                                           # roughened
        u = fractal(g, int(log_uniform(g, 12, 90)), 3, 0.8)
        inside = at(picture, place) + 0.5 * (picture - at(picture, place)) + strength * 0.8 * u[..., None]
    else:                                                                     # inverted
        inside = 2 * at(picture, place) - picture
    return blend(picture, inside, alpha), alpha


def smeared(picture, place, strength, g):
    alpha = blob(place, g, soft=0.3)
    turn, by = g.uniform(0, 2 * np.pi), g.uniform(8, 24)
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    wide = np.asarray(image.filter(ImageFilter.GaussianBlur(1)), np.float32)
    steps = [(int(by * t * np.sin(turn)), int(by * t * np.cos(turn))) for t in np.linspace(-0.5, 0.5, 7)]
    total = sum(np.roll(wide, step, (0, 1)) for step in steps) / 7
    return blend(picture, total + 0.3 * strength * g.choice((-1, 1)), alpha), alpha


def scuffed(picture, place, strength, g):
    """Many fine scratches one beside the other."""
    image, draw = line_canvas()
    turn = g.uniform(0, np.pi)
    for _ in range(g.integers(8, 40)):
        x, y = g.normal(0, place.size * 0.4, 2) + (place.x, place.y)
        a, l = turn + g.normal(0, 0.15), place.size * g.uniform(0.2, 0.7)
        d = np.array((np.cos(a), np.sin(a))) * l
        draw_line(draw, np.array((x, y)) + np.stack((-d, d)), g.uniform(0.5, 1.3), int(g.uniform(90, 220)))
    alpha = finish(image)
    return blend(picture, other(g, at(picture, place), strength * 1.3), alpha), np.minimum(1, alpha * 1.3)


# ---------------------------------------------------------------- never seen in training
def hole(picture, place, strength, g):
    """Through to the dark or to what lies below, with a lit rim."""
    size = place.size
    alpha = blob(place, g, soft=0.08, ragged=g.uniform(0.02, 0.25))
    rim = np.clip(blob(dataclasses.replace(place, size=size * 1.15), g, 0.15, 0.05) - alpha, 0, 1)
    base = at(picture, place, 2)
    below = np.clip(base - strength * 1.6, 0, 255) if base.mean() > 75 else np.clip(base + strength * 1.6, 0, 255)
    side = np.clip(0.5 + ((X - place.x) + (Y - place.y)) / (2.8 * size), 0, 1)
    result = blend(picture, picture * (0.7 + 0.6 * side[..., None]), rim)
    return blend(result, below + 14 * (side - 0.5)[..., None], alpha), np.maximum(alpha, 0.6 * rim * (rim > 0.5))


def foreign(picture, place, strength, g):
    """A thing that does not belong there, with a body and a shadow."""
    kind = g.integers(3)
    a, b = polar(place, g, 4)
    if kind == 0:                                                             # a ring or washer
        r = np.hypot(a, b)
        alpha = step(-np.abs(r - 0.75), -0.25, 1.5 / place.size)
        height = np.sqrt(np.maximum(0, 1 - ((r - 0.75) / 0.25) ** 2))
    elif kind == 1:                                                           # a pill, a crumb
        r = (np.abs(a) ** 3 + np.abs(b) ** 3) ** (1 / 3) + 0.04 * smooth(g, 20)
        alpha, height = step(-r, -1, 1.5 / place.size), np.sqrt(np.maximum(0, 1 - r * r))
    else:                                                                     # a piece of wire
        image, draw = line_canvas()
        width = max(2.0, place.size * g.uniform(0.12, 0.25))
        draw_line(draw, path(g, place, place.size * 2.6, g.normal(0, 2), 0.1), width)
        alpha = finish(image)
        height = np.asarray(image.filter(ImageFilter.GaussianBlur(width * 0.7)).reduce(2), np.float32) / 255
    base = at(picture, place)
    body = other(g, base, strength * 1.4) if chance(g, 0.6) else colour(g)
    if np.abs(body - base).max() < strength:
        body = other(g, base, strength * 1.4)
    depth = int(np.clip(place.size * 0.12, 1, 5))
    shadow = np.roll(alpha, (depth, depth), (0, 1)) * (1 - alpha)
    result = picture * (1 - 0.35 * shadow[..., None])
    return blend(result, body * (0.55 + 0.6 * height[..., None]), alpha), alpha


def frayed(picture, place, strength, g):
    """Loose fibres that stand out from one place."""
    image, draw = line_canvas()
    main, many = g.uniform(0, 2 * np.pi), g.integers(8, 26)
    for _ in range(many):
        turn = main + g.normal(0, 0.5)
        bend = g.normal(0, 0.09) * np.arange(10)
        way = np.cumsum(np.stack((np.cos(turn + bend), np.sin(turn + bend)), 1), 0) * place.size * g.uniform(0.08, 0.2)
        back = 0.5 * place.size * np.array((np.cos(main), np.sin(main)))
        root = np.array((place.x, place.y)) + g.normal(0, 0.12 * place.size, 2) - back
        draw_line(draw, way + root, g.uniform(0.6, 1.6), int(g.uniform(130, 256)))
    alpha = finish(image)
    tone = other(g, at(picture, place), strength * 1.3)
    return blend(picture * (1 - 0.25 * np.roll(alpha, 2, 0)[..., None]), tone, alpha), alpha


TRAINED = {"scratch": scratch, "crack": crack, "dent": dent, "stain": stain, "recolour": recolour, "splatter": splatter,
           "burn": burn, "missing": missing, "shifted": shifted, "bent": bent, "retextured": retextured,
           "smeared": smeared, "scuffed": scuffed}
HELD_OUT = {"hole": hole, "foreign": foreign, "frayed": frayed}
KINDS = {**TRAINED, **HELD_OUT}
NEEDS_ORDER = ("shifted", "bent")                                             # show only where an order can be broken
