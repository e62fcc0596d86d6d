"""Makes the sample pictures: photographs of surfaces that scikit-image packages, tinted, some with a defect drawn on; and surfaces that
are drawn altogether, by tools/synthetic_surfaces.py.

    python make_samples.py FOLDER_OF_SKIMAGE_DATA

Needs Pillow and NumPy. FOLDER_OF_SKIMAGE_DATA is skimage/data of an installed scikit-image.
"""

import pathlib
import random
import sys

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

OUT = pathlib.Path(__file__).parent
sys.path.insert(0, str(OUT.parent / "tools"))

from drawn.pictures import Rule, draw
SIZE = 448


def surface(name, tint):
    """A square of a gray photograph, tinted from black over a colour to white."""
    gray = Image.open(pathlib.Path(sys.argv[1]) / name).convert("L").crop((0, 0, SIZE, SIZE))
    levels = np.asarray(gray, dtype=np.float32) / 255
    rgb = levels[..., None] ** (np.log(np.array(tint) / 255) / np.log(0.5))
    return Image.fromarray((rgb * 255 + 0.5).astype(np.uint8))


def soft(draw, blur):
    """A mask in soft edges, drawn at twice the size."""
    mask = Image.new("L", (2 * SIZE, 2 * SIZE))
    draw(ImageDraw.Draw(mask))
    return mask.resize((SIZE, SIZE), Image.LANCZOS).filter(ImageFilter.GaussianBlur(blur))


def ragged(centre, radius, spread, seed):
    """Corners of a blot."""
    rng = random.Random(seed)
    angles = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    return [(2 * (centre[0] + r * np.cos(a)), 2 * (centre[1] + r * np.sin(a)))
            for a in angles for r in [radius * (1 + spread * rng.uniform(-1, 1))]]


def wire(picture):
    """A bent wire that does not belong there, with its shadow."""
    line = [(190, 330), (330, 392), (470, 430), (610, 520), (720, 640)]
    rim = soft(lambda d: d.line(line, fill=150, width=16, joint="curve"), 1.5)
    core = soft(lambda d: d.line(line, fill=235, width=6, joint="curve"), 0.5)
    picture.paste((30, 28, 26), mask=rim)
    picture.paste((226, 222, 214), mask=core)
    return picture


def stain(picture):
    """A dark liquid that has run over the surface: what is below shows through."""
    mask = soft(lambda d: (d.polygon(ragged((265, 170), 62, 0.18, 3), fill=215),
                           d.polygon(ragged((205, 245), 26, 0.2, 4), fill=190)), 3)
    picture.paste(ImageChops.multiply(picture, Image.new("RGB", picture.size, (96, 62, 40))), mask=mask)
    return picture


def hole(picture):
    """A burnt hole: black inside, a singed rim around."""
    rim = soft(lambda d: d.polygon(ragged((160, 285), 54, 0.15, 7), fill=220), 6)
    core = soft(lambda d: d.polygon(ragged((160, 285), 36, 0.12, 8), fill=255), 1.5)
    picture.paste(ImageChops.multiply(picture, Image.new("RGB", picture.size, (120, 90, 60))), mask=rim)
    picture.paste((12, 10, 9), mask=core)
    return picture


def save(picture, name):
    """Few colours keep the files small; nobody sees the difference."""
    picture.quantize(160, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(OUT / name, optimize=True)


brick, gravel, grass = ("brick.png", (176, 112, 92)), ("gravel.png", (136, 128, 118)), ("grass.png", (104, 142, 72))
save(surface(*brick), "brick.png")
save(stain(surface(*brick)), "brick-stain.png")
save(wire(surface(*gravel)), "gravel-wire.png")
save(hole(surface(*grass)), "grass-hole.png")

# Families and kinds that the model in the box has never seen.
for family, kind, name, seed in (("knit", "hole", "hole", 4), ("leather", "foreign", "ring", 2), ("wood", "frayed", "frayed", 6)):
    pair = draw(Rule(family, (kind,), (21, seed), 0.8, False, 300))
    save(Image.fromarray(pair.good), f"drawn-{family}.png")
    save(Image.fromarray(pair.defective), f"drawn-{family}-{name}.png")
