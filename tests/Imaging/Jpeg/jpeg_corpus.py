"""Makes JPEG files of every kind, and what libjpeg and Pillow make of them. Usage: jpeg_corpus.py FOLDER

Needs Pillow, numpy, and cjpeg and djpeg of libjpeg-turbo. For each picture NAME.jpg the folder gets NAME.rgb, the pixels of Pillow's
convert("RGB"), which must be djpeg's, too, where djpeg can write them. index.txt has for each "NAME WIDTH HEIGHT"; turned.txt the same
for pictures with an Exif orientation, whose NAME.turned.rgb are the pixels of Pillow's exif_transpose.
"""
import io, os, struct, subprocess, sys
import numpy as np
from PIL import Image, ImageOps

folder = sys.argv[1]
rng = np.random.default_rng(8)
index, turned = open(os.path.join(folder, "index.txt"), "w"), open(os.path.join(folder, "turned.txt"), "w")


# Pictures.

def picture(w, h):
    """Edges, ramps and noise, so that no coefficient is always zero."""
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([x * 7 + y * 3, x * x // 3 + y * 11, 255 - x * 5 + y * y], -1) % 256
    return (a + rng.integers(-40, 41, a.shape)).clip(0, 255).astype(np.uint8)

def smooth(w, h):
    y, x = np.mgrid[0:h, 0:w]
    return np.stack([x * 2 + y, 255 - x - y * 2, 128 + 90 * np.sin((x + 2 * y) / 9)], -1).clip(0, 255).astype(np.uint8)


# Encoders.

def cjpeg(a, *options, scans=None):
    """By libjpeg's cjpeg."""
    if scans is not None:
        path = os.path.join(folder, "script.txt")
        with open(path, "w") as f:
            f.write(scans)
        options = *options, "-scans", path
    data = b"P6 %d %d 255\n" % (a.shape[1], a.shape[0]) + a.tobytes()
    return subprocess.run(["cjpeg", *options], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout

def pillow(a, mode="RGB", **options):
    out = io.BytesIO()
    Image.fromarray(a, mode).save(out, "JPEG", **options)
    return out.getvalue()

def segments(jpeg):
    """Marker, start and end of each segment up to the first SOS."""
    at = 2
    while True:
        marker, end = jpeg[at + 1], at + 2 + struct.unpack(">H", jpeg[at + 2:at + 4])[0]
        yield marker, at, end
        if marker == 0xDA:
            return
        at = end

def without(jpeg, marker):
    for m, start, end in reversed(list(segments(jpeg))):
        if m == marker:
            jpeg = jpeg[:start] + jpeg[end:]
    return jpeg

def insert(jpeg, marker, data):
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data + jpeg[2:]

def with_ids(jpeg, ids):
    """With other names of the components."""
    b = bytearray(jpeg)
    for m, start, end in segments(jpeg):
        for k, i in enumerate(ids):
            if m == 0xC0:
                b[start + 10 + 3 * k] = i
            elif m == 0xDA:
                b[start + 5 + 2 * k] = i
    return bytes(b)

def with_steps(jpeg, step):
    """With other steps of quantisation: step(place, whether it has 16 bits)."""
    b = bytearray(jpeg)
    for m, start, end in segments(jpeg):
        at = start + 4
        while m == 0xDB and at < end:
            wide = b[at] >> 4
            at += 1
            for k in range(64):
                b[at:at + 1 + wide] = step(k, wide).to_bytes(1 + wide, "big")
                at += 1 + wide
    return bytes(b)


# The truth.

def djpeg(jpeg):
    run = subprocess.run(["djpeg", "-pnm"], input=jpeg, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.returncode in (0, 2), run.stderr        # 2 is a warning
    kind, size, top, pixels = run.stdout.split(b"\n", 3)
    samples = np.frombuffer(pixels, np.uint8)
    return tuple(map(int, size.split())), (samples if kind == b"P6" else samples.repeat(3)).tobytes()

def keep(name, jpeg, opens=True):
    """opens: False where Pillow's own reading of the headers is stricter than libjpeg's."""
    if opens:
        image = Image.open(io.BytesIO(jpeg))
        size, pixels = image.size, image.convert("RGB").tobytes()
        assert image.mode == "CMYK" or (size, pixels) == djpeg(jpeg), name
    else:
        size, pixels = djpeg(jpeg)
    write(name + ".jpg", jpeg)
    write(name + ".rgb", pixels)
    index.write(f"{name} {size[0]} {size[1]}\n")

def write(name, data):
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


# Every size from 1 x 1 to 17 x 17; the way there in turn.
for w in range(1, 18):
    for h in range(1, 18):
        options = {"subsampling": (w + 2 * h) % 3, "progressive": (w + h) % 2 == 1, "restart_marker_blocks": (w * h) % 4}
        keep(f"size-{w}x{h}-420", pillow(picture(w, h), quality=75, subsampling=2))
        keep(f"size-{w}x{h}-any", pillow(picture(w, h), quality=90, **options))
for w, h in [(1, 1), (7, 9), (8, 8), (16, 16), (17, 17), (9, 1), (1, 9), (255, 3), (3, 255), (129, 40)]:
    for progressive in (False, True):
        keep(f"gray-{w}x{h}-{progressive}", pillow(picture(w, h)[..., 0], "L", quality=85, progressive=progressive))

# Every way of subsampling, also odd ones, and of all components.
samplings = ["1x1", "2x1", "2x2", "1x2", "4x1", "1x4", "4x2", "2x4", "3x1", "1x3", "3x2", "2x2,2x1,1x2", "1x1,2x1,2x2", "2x2,1x2,2x1",
             "4x1,2x1,1x1", "1x4,1x2,1x2", "1x1,1x1,2x1", "2x1,2x1,2x1"]
ways = [("sequential", []), ("progressive", ["-progressive"]), ("restart", ["-restart", "1B"]), ("rows", ["-restart", "1", "-optimize"])]
for i, sampling in enumerate(samplings):
    for j, (w, h) in enumerate([(1, 1), (2, 2), (3, 3), (5, 4), (9, 7), (16, 16), (17, 33), (50, 35), (100, 75)]):
        for k, (name, options) in enumerate(ways):
            if h > 30 or (i + j + k) % 2 == 0:
                keep(f"sampling-{sampling.replace(',', '-')}-{w}x{h}-{name}",
                     cjpeg(picture(w, h), "-quality", str(30 + 7 * j), "-sample", sampling, *options))

# Every quality; below 25 tables have 16 bits.
for q in range(1, 101):
    keep(f"quality-{q}", cjpeg(picture(35, 27), "-quality", str(q), "-sample", ["2x2", "1x1", "2x1"][q % 3],
                               *(["-progressive"] if q % 4 == 0 else [])))
    keep(f"quality-{q}-rgb", cjpeg(picture(24, 17), "-quality", str(q), "-rgb", *(["-optimize"] if q % 2 else [])))

# Inks, with and without Adobe's header, and its transforms.
for q in range(1, 101, 3):
    a = np.dstack([picture(24, 19), picture(24, 19)[..., :1]])
    jpeg = pillow(a, "CMYK", quality=q, subsampling=q % 3, progressive=q % 2 == 0)
    bare = without(jpeg, 0xEE)
    keep(f"inks-{q}", jpeg)
    for transform in (0, 1, 2):
        keep(f"inks-{q}-adobe-{transform}", insert(bare, 0xEE, b"Adobe\0d\0\0\0\0" + bytes([transform])))
    keep(f"inks-{q}-bare", bare)

# What the components mean: by headers and names.
for ids in (b"RGB", b"\1\2\3", b"\0\1\2", b"rgb", b"\1\1\1"):
    for jfif in (False, True):
        for transform in (None, 0, 1, 2):
            jpeg = with_ids(cjpeg(picture(9, 9), "-quality", "90", "-sample", "1x1"), ids)
            jpeg = jpeg if jfif else without(jpeg, 0xE0)
            jpeg = jpeg if transform is None else insert(jpeg, 0xEE, b"Adobe\0d\0\0\0\0" + bytes([transform]))
            keep(f"meaning-{ids.hex()}-{jfif}-{transform}", jpeg)

# Progressive scripts, complete and not: coefficients left out or inexact are smoothed.
scripts = {
    "dc": "0,1,2: 0-0, 0, 0;",
    "dc-9": "0,1,2: 0-0, 0, 9;",
    "dc-refined": "0,1,2: 0-0, 0, 3; 0,1,2: 0-0, 3, 2; 0,1,2: 0-0, 2, 1; 0: 0-0, 1, 0; 1,2: 0-0, 1, 0;",
    "dc-apart": "0: 0-0, 0, 0; 2: 0-0, 0, 1; 1: 0-0, 0, 0;",
    "some": "0,1,2: 0-0, 0, 1; 0: 1-5, 0, 2;",
    "few": "0,1,2: 0-0, 0, 0; 0: 1-1, 0, 2; 0: 1-1, 2, 1; 1: 1-3, 0, 1; 2: 1-63, 0, 3;",
    "holes": "0,1,2: 0-0, 0, 0; 0: 2-63, 0, 0; 1: 6-63, 0, 0; 2: 10-63, 0, 0;",
    "low": "0,1,2: 0-0, 0, 0; 0: 1-9, 0, 0; 1: 1-9, 0, 0; 2: 1-9, 0, 0;",
    "inexact": "0,1,2: 0-0, 0, 1; 0: 1-63, 0, 2; 1: 1-63, 0, 2; 2: 1-63, 0, 2;",
    "complete": "0,1,2: 0-0, 0, 3; 0,1,2: 0-0, 3, 2; 0: 1-5, 0, 4; 0: 6-63, 0, 2; 1: 1-63, 0, 2; 2: 1-63, 0, 1; 0: 1-5, 4, 3; 0: 1-5, 3, 2;"
                "0: 1-63, 2, 1; 0: 1-63, 1, 0; 0,1,2: 0-0, 2, 1; 0,1,2: 0-0, 1, 0; 1: 1-63, 2, 1; 1: 1-63, 1, 0; 2: 1-63, 1, 0;",
}
for i, (name, script) in enumerate(scripts.items()):
    for j, sampling in enumerate(["1x1", "2x2", "2x4,1x1,1x1", "1x2", "1x4,1x2,1x1"]):
        for k, (w, h) in enumerate([(1, 1), (9, 9), (16, 17), (24, 8), (8, 24), (40, 16), (16, 40), (33, 65), (70, 97)]):
            if h > 60 or (i + j + k) % 2 == 0:
                options = ["-quality", str(20 + 9 * k), "-sample", sampling, *(["-restart", "3B"] if (i + k) % 3 == 0 else [])]
                a = (picture if k % 2 else smooth)(w, h)
                keep(f"script-{name}-{sampling.replace(',', '-')}-{w}x{h}", cjpeg(a, *options, scans=script))

# Sequential data in several scans, with large smooth areas in long runs, and frames of Motion JPEG without tables.
for i, script in enumerate(["0; 1; 2;", "0; 1,2;", "0,2; 1;", "1; 0; 2;"]):
    for sampling in ["1x1", "2x2", "2x1", "2x2,1x2,2x1", "1x4,1x2,1x1", *(["4x4,1x1,2x2", "4x2,2x1,1x2"] if i in (0, 3) else [])]:
        for restart in ([], ["-restart", "4B"]):
            keep(f"scans-{i}-{sampling.replace(',', '-')}-{len(restart)}",
                 cjpeg(picture(41, 37), "-quality", "80", "-sample", sampling, *restart, scans=script))
# Steps of quantisation that change between scans hold for components whose first scan is yet to come.
spectral = "0: 0-0, 0, 0; 1: 0-0, 0, 0; 2: 0-0, 0, 0; 0: 1-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0;"
for name, script in [("sequential", "0; 1; 2;"), ("progressive", spectral)]:
    jpeg = cjpeg(picture(41, 37), "-quality", "80", "-sample", "2x2", scans=script)
    for slots in ([0], [1], [0, 1]):
        parts = jpeg.split(b"\xff\xda")
        for i in range(1, len(parts)):
            tables = b"".join(bytes([slot]) + rng.integers(1, 40, 64).astype(np.uint8).tobytes() for slot in slots)
            parts[i] = b"\xff\xda" + parts[i] + (b"\xff\xdb" + struct.pack(">H", 2 + len(tables)) + tables if i < len(parts) - 1 else b"")
        keep(f"steps-change-{name}-{'-'.join(map(str, slots))}", b"".join(parts))

for i, sampling in enumerate(["1x1", "2x2", "2x1"]):
    keep(f"tables-none-{sampling}", without(cjpeg(picture(50, 40), "-quality", "70", "-sample", sampling), 0xC4))
    keep(f"large-{sampling}", cjpeg(picture(400, 300), "-quality", str(60 + 15 * i), "-sample", sampling))
    keep(f"large-{sampling}-progressive", cjpeg(smooth(700, 500), "-quality", str(60 + 15 * i), "-sample", sampling, "-progressive"))
keep("tables-none-gray", without(cjpeg(picture(50, 40), "-quality", "70", "-grayscale"), 0xC4))

# Steps of quantisation that no encoder would choose, so that numbers overflow.
steps = [lambda k, wide: int(rng.integers(0, 256 << 8 * wide)), lambda k, wide: (256 << 8 * wide) - 1,
         lambda k, wide: int(rng.integers(0, 2)) * int(rng.integers(0, 256 << 8 * wide)),
         lambda k, wide: 255 if k else int(rng.integers(0, 256 << 8 * wide))]
for i in range(80):
    w, h = int(rng.integers(1, 60)), int(rng.integers(1, 60))
    a = picture(w, h) if i % 3 else rng.integers(0, 2, (h, w, 3)).astype(np.uint8) * 255
    a = np.repeat(a[:1], h, axis=0) if i % 5 == 0 else a           # blocks with nothing below their first row
    quality = "1" if i % 2 == 0 else str(20 + i)
    jpeg = cjpeg(a, "-quality", quality, "-sample", ["1x1", "2x2", "2x1"][i % 3], *(["-progressive"] if i % 7 == 0 else []))
    keep(f"steps-{i}", with_steps(jpeg, steps[i // 2 % 4]))

# Faults that do no harm.
for name, options in [("sequential", ["-restart", "1B"]), ("progressive", ["-progressive", "-restart", "2B"])]:
    jpeg = cjpeg(picture(40, 40), "-quality", "90", *options)
    middle = list(segments(jpeg))[3][1]
    keep(f"fault-fill-{name}", jpeg.replace(b"\xff\xd0", b"\xff\xff\xff\xd0"))
    keep(f"fault-left-over-{name}", jpeg.replace(b"\xff\xd0", b"\0\1\2\xff\0\3\xff\xd0"))
    keep(f"fault-before-eoi-{name}", jpeg.replace(b"\xff\xd9", b"\0\1\2\xff\0\3\xff\xd9"))
    keep(f"fault-behind-eoi-{name}", jpeg + b"more\xff\xd8\xff")
    keep(f"fault-between-{name}", jpeg[:middle] + b"abc\xff\0\xff\xff" + jpeg[middle:])
    keep(f"fault-dnl-{name}", jpeg[:middle] + b"\xff\xdc\0\4\0\1" + jpeg[middle:])
    keep(f"fault-markers-{name}", jpeg[:middle] + b"\xff\xd3\xff\1" + jpeg[middle:], opens=False)
    keep(f"fault-no-eoi-{name}", jpeg[:-2], opens=False)

# Orientations, in both orders of bytes and of several types.
def exif(little, kind, value, tag=0x112):
    o = "<" if little else ">"
    number = {1: "Bxxx", 3: "Hxx", 4: "I"}[kind]      # a byte is not taken for a number
    entries = struct.pack(o + "HHII", 0x10F, 2, 4, 0) + struct.pack(o + "HHI" + number, tag, kind, 1, value)
    return b"Exif\0\0" + (b"II*\0" if little else b"MM\0*") + struct.pack(o + "IH", 8, 2) + entries + bytes(4)

for value in range(0, 10):
    for i, (little, kind) in enumerate([(True, 3), (False, 3), (True, 4), (False, 1)]):
        jpeg = insert(pillow(picture(13 + i, 6), quality=80, subsampling=i % 3), 0xE1, exif(little, kind, value))
        if i == 1:
            jpeg = insert(jpeg, 0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")      # another segment of the same marker before it
        keep(f"exif-{value}-{i}", jpeg)
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(jpeg)))
        write(f"exif-{value}-{i}.turned.rgb", image.convert("RGB").tobytes())
        turned.write(f"exif-{value}-{i} {image.size[0]} {image.size[1]}\n")

# What is refused.
write("arithmetic.refused", cjpeg(picture(20, 20), "-arithmetic"))
write("arithmetic-progressive.refused", cjpeg(picture(20, 20), "-arithmetic", "-progressive"))
index.close()
turned.close()
