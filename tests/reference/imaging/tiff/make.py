"""Makes the TIFF files in this folder, the pictures (*.ppm) that other programs make of them, and expected.txt.

Needs Pillow, numpy, libtiff's tools (tiffcp, tiffset), libjpeg-turbo's `cjpeg` and ImageMagick's `convert`. Run in this folder.
expected.txt: file, page, picture, and the program that decoded the file. A file whose pixels are those of another file has
its picture too. Samples of more than 8 bits are cut to their 8 highest bits; Pillow and ImageMagick give them whole.
"""
import glob, io, os, struct, subprocess
import numpy as np
from PIL import Image

rng = np.random.default_rng(29)
W, H = 37, 21
y, x = np.mgrid[0:H, 0:W]
rgb = (np.stack([x * 6, y * 12, (x * y) % 256, 255 - x * 5], -1) + rng.integers(-9, 10, (H, W, 4))).clip(0, 255).astype(np.uint8)
deep = (rgb.astype(np.int64) * 257 + rng.integers(-100, 100, rgb.shape)).clip(0, 65535).astype(np.uint16)
gray, bits = rgb[..., 0], (rgb[..., 2] > 90).astype(np.uint8)
camera = (rng.integers(0, 64, (H, W)) + x * 100).clip(0, 4095).astype(np.uint16)  # 12 bits in 16
pictures, lines = {}, []

NONE, LZW, PACKBITS, DEFLATE = 1, 5, 32773, 8
BYTE, SHORT, LONG, LONG8 = 1, 3, 4, 16


def pack(samples, depth, order="<", reverse=False):
    """Rows of samples, each row in whole bytes, the highest bit first."""
    if depth == 16:
        data = samples.astype(order + "u2").tobytes()
    elif depth == 8:
        data = samples.astype(np.uint8).tobytes()
    else:
        flat = samples.reshape(samples.shape[0], -1).astype(np.uint32)
        bit = (flat[..., None] >> np.arange(depth - 1, -1, -1) & 1).astype(np.uint8)
        data = np.packbits(bit.reshape(flat.shape[0], -1), axis=1).tobytes()
    return bytes(int(f"{b:08b}"[::-1], 2) for b in data) if reverse else data


def write(name, samples, depth, photometric, order="<", rows=None, tags=(), separate=False, compression=NONE, encode=bytes,
          big=False, counts=True, fill=1, width=None):
    """Writes a file in strips. tags: number, type, values."""
    rows = rows or H
    samples = samples if samples.ndim == 3 else samples[..., None]
    planes = [samples[..., c:c + 1] for c in range(samples.shape[2])] if separate else [samples]
    strips = [encode(pack(p[at:at + rows], depth, order, fill == 2)) for p in planes for at in range(0, H, rows)]
    head, entry = (16, "Q") if big else (8, "I")
    offsets = [head + sum(len(s) + len(s) % 2 for s in strips[:i]) for i in range(len(strips))]
    entries = [(256, SHORT, [width or W]), (257, SHORT, [H]), (258, SHORT, [depth] * samples.shape[2]), (259, SHORT, [compression]),
               (262, SHORT, [photometric]), (266, SHORT, [fill]), (273, LONG8 if big else LONG, offsets),
               (277, SHORT, [samples.shape[2]]), (278, SHORT, [rows]), (284, SHORT, [2 if separate else 1]), *tags]
    if counts:
        entries.append((279, LONG, [len(s) for s in strips]))
    entries.sort()
    data = b"".join(s + b"\0" * (len(s) % 2) for s in strips)
    directory = head + len(data)
    inline = 8 if big else 4
    after = directory + (8 + 20 * len(entries) + 8 if big else 2 + 12 * len(entries) + 4)
    body, values = b"", b""
    for tag, kind, numbers in entries:
        value = struct.pack(order + str(len(numbers)) + {BYTE: "B", SHORT: "H", LONG: "I", LONG8: "Q"}[kind], *numbers)
        body += struct.pack(order + "HH" + entry, tag, kind, len(numbers))
        if len(value) <= inline:
            body += value.ljust(inline, b"\0")
        else:
            body += struct.pack(order + entry, after + len(values))
            values += value + b"\0" * (len(value) % 2)
    magic = b"II" if order == "<" else b"MM"
    start = struct.pack(order + "HHHQ", 43, 8, 0, directory) if big else struct.pack(order + "HI", 42, directory)
    count = struct.pack(order + ("Q" if big else "H"), len(entries))
    with open(name, "wb") as file:
        file.write(magic + start + data + count + body + b"\0" * inline + values)
    return name


def run(*command):
    subprocess.run(command, check=True)


def pillow(name, page=1):
    """Pillow turns a TIFF upright when it loads it; exif_transpose would turn it once more."""
    picture = Image.open(name)
    picture.seek(page - 1)
    if picture.mode.startswith("I"):
        depth = picture.tag_v2[258][0]
        return np.repeat((np.array(picture).astype(np.int64) >> depth - 8).astype(np.uint8)[..., None], 3, -1)
    return np.array(picture.convert("RGB"))


def magick(name, depth):
    """ImageMagick scales samples to 16 bits; scaling back gives what is stored."""
    data = subprocess.run(["convert", name, "-depth", "16", "rgb:-"], check=True, capture_output=True).stdout
    wide = np.frombuffer(data, "<u2").reshape(H, W, 3).astype(np.int64)
    return ((wide * ((1 << depth) - 1) + 32767) // 65535 >> depth - 8).astype(np.uint8)


def expect(name, pixels, program, page=1):
    key = (pixels.shape, pixels.tobytes())
    if key not in pictures:
        pictures[key] = (name if page == 1 else f"{name[:-4]}-{page}.tif")[:-4] + ".ppm"
        Image.fromarray(pixels).save(pictures[key])
    lines.append(f"{name} {page} {pictures[key]} {program}")


def add(name, program=pillow, *arguments):
    expect(name, program(name, *arguments), program.__name__)


for old in glob.glob("*.tif") + glob.glob("*.ppm"):
    os.remove(old)

# Depths and meanings, in both byte orders.
for depth in (1, 2, 4, 8):
    values = gray >> 8 - depth
    add(write(f"gray-{depth:02}.tif", values, depth, 1, rows=5))
    add(write(f"gray-{depth:02}-white-is-zero.tif", values, depth, 0, order=">"))
    add(write(f"gray-{depth:02}-reversed-bits.tif", values, depth, 1, fill=2))
    colours = rng.integers(0, 65536, 3 << depth).tolist()
    add(write(f"palette-{depth:02}.tif", values, depth, 3, tags=[(320, SHORT, colours)]))
add(write("gray-12.tif", camera, 12, 1, rows=4))
for depth in (10, 12, 14):
    add(write(f"gray-{depth}-packed.tif", deep[..., 0] >> 16 - depth, depth, 1, rows=4, order=">"), magick, depth)
    add(write(f"rgb-{depth}-packed.tif", deep[..., :3] >> 16 - depth, depth, 2, rows=4), magick, depth)
for order, end in (("<", "little"), (">", "big")):
    add(write(f"gray-16-{end}.tif", deep[..., 0], 16, 1, order=order, rows=6))
    add(write(f"rgb-16-{end}.tif", deep[..., :3], 16, 2, order=order, rows=6))
    add(write(f"rgba-16-{end}.tif", deep, 16, 2, order=order, tags=[(338, SHORT, [2])]))
    add(write(f"rgba-16-premultiplied-{end}.tif", deep, 16, 2, order=order, tags=[(338, SHORT, [1])]))
    add(write(f"rgb-8-{end}.tif", rgb[..., :3], 8, 2, order=order, rows=5))
add(write("gray-16-white-is-zero.tif", deep[..., 0], 16, 0), magick, 16)
add(write("camera-12-in-16.tif", camera, 16, 1))
add(write("cmyk-8.tif", rgb, 8, 5))
add(write("cmyk-16.tif", deep, 16, 5))
add(write("rgba-8.tif", rgb, 8, 2, tags=[(338, SHORT, [2])]))
add(write("rgba-8-unstated.tif", rgb, 8, 2))
add(write("rgbx-8.tif", rgb, 8, 2, tags=[(338, SHORT, [0])]))
add(write("rgba-8-premultiplied.tif", rgb, 8, 2, tags=[(338, SHORT, [1])]))
add(write("rgb-8-and-two.tif", np.concatenate([rgb, rgb[..., :1]], -1), 8, 2, tags=[(338, SHORT, [2, 0])]))
add(write("gray-8-alpha.tif", rgb[..., :2], 8, 1, tags=[(338, SHORT, [2])]))
add(write("palette-8-alpha.tif", rgb[..., :2], 8, 3, tags=[(338, SHORT, [2]), (320, SHORT, colours)]))
add(write("rgb-8-separate.tif", rgb[..., :3], 8, 2, separate=True, rows=5))
add(write("rgb-16-separate.tif", deep[..., :3], 16, 2, separate=True, rows=5, order=">"), magick, 16)
add(write("cmyk-8-separate.tif", rgb, 8, 5, separate=True))
add(write("big.tif", rgb[..., :3], 8, 2, big=True, rows=4))
add(write("big-endian-big.tif", deep[..., :3], 16, 2, big=True, rows=4, order=">"), magick, 16)
add(write("no-byte-counts.tif", rgb[..., :3], 8, 2, counts=False))

# Compressions by libtiff, of strips and tiles.
write("rgb.tif", rgb[..., :3], 8, 2)
write("deep.tif", deep[..., :3], 16, 2)
write("rgb-separate.tif", rgb[..., :3], 8, 2, separate=True)
write("deep-separate.tif", deep[..., :3], 16, 2, separate=True)
write("gray.tif", gray, 8, 1)
write("deep-gray.tif", deep[..., 0], 16, 1)
write("bits.tif", bits, 1, 0)
write("cmyk.tif", rgb, 8, 5)
TILES = ("-t", "-w", "16", "-l", "16")
for source in ("rgb", "deep", "gray", "deep-gray"):
    for code in ("lzw", "lzw:2", "zip", "zip:2", "packbits"):
        tail = code.replace(":2", "-predictor")
        for layout, how in (("strips", ("-s", "-r", "7")), ("tiles", TILES), ("separate", ("-s", "-r", "7", "-p", "separate"))):
            if layout == "separate" and ("gray" in source or code == "packbits"):
                continue
            name = f"{source}-{tail}-{layout}.tif"
            order = "-B" if layout == "tiles" else "-L"
            run("tiffcp", order, "-c", code, *how, f"{source}-separate.tif" if layout == "separate" else f"{source}.tif", name)
            add(name, *((magick, 16) if name.startswith("deep") and layout == "separate" else (pillow,)))
run("tiffcp", "-c", "zip", "-f", "lsb2msb", "gray.tif", "gray-zip-reversed-bits.tif")
run("tiffcp", "-c", "packbits", "-f", "lsb2msb", "gray.tif", "gray-packbits-reversed-bits.tif")
run("tiffcp", "-8", "-c", "lzw:2", "-r", "4", "rgb.tif", "big-lzw.tif")
run("tiffcp", "-s", "-r", "100", "-c", "none", "rgb.tif", "one-strip.tif")
run("tiffcp", *TILES, "-c", "none", "rgb.tif", "rgb-none-tiles.tif")
run("tiffcp", *TILES, "-c", "none", "-p", "separate", "rgb.tif", "rgb-none-tiles-separate.tif")
for name in ("gray-zip-reversed-bits", "gray-packbits-reversed-bits", "big-lzw", "one-strip", "rgb-none-tiles",
             "rgb-none-tiles-separate"):
    add(name + ".tif")
for source, samples, photometric in (("column", deep[:, 5:6, :3], 2), ("column-gray", deep[:, 5:6, 0], 1)):  # nothing to predict
    add(write(f"{source}.tif", samples, 16, photometric, width=1))
    for code in ("lzw:2", "zip:2"):
        for order, end in (("-L", "little"), ("-B", "big")):
            name = f"{source}-{code[:3]}-predictor-{end}.tif"
            run("tiffcp", order, "-c", code, "-s", "-r", "7", f"{source}.tif", name)
            add(name)
with open("rgb-zip-strips.tif", "rb") as file:  # the older number of Deflate
    data = file.read()
with open("rgb-old-deflate.tif", "wb") as file:
    file.write(data.replace(struct.pack("<HHIH", 259, 3, 1, 8), struct.pack("<HHIH", 259, 3, 1, 32946)))
add("rgb-old-deflate.tif")
for code in ("g3:1d", "g3:2d", "g3:2d:fill", "g4"):
    for layout, how in (("strips", ("-s", "-r", "8")), ("tiles", TILES)):
        name = f"bits-{code.replace(':', '-')}-{layout}.tif"
        run("tiffcp", "-c", code, *how, *(("-f", "lsb2msb") if layout == "tiles" else ()), "bits.tif", name)
        add(name)
for kind, name in (("tiff_ccitt", "bits-huffman"), ("group4", "bits-g4-pillow")):
    Image.fromarray(bits.astype(bool)).save(name + ".tif", compression=kind)
    add(name + ".tif")


def runs_over_rows(data):
    """PackBits that does not care for rows: runs of 2 to 128 bytes, and literals."""
    out, at = b"", 0
    while at < len(data):
        run = 1
        while run < 128 and at + run < len(data) and data[at + run] == data[at]:
            run += 1
        out += bytes([257 - run, data[at]]) if run > 1 else bytes([128, 0, data[at]])
        at += run
    return out


def old_lzw(data):
    """The codes of an early libtiff: the lowest bit first. The table is cleared before codes grow to 10 bits."""
    bit, number = [], 0
    for at in range(0, len(data), 200):
        bit += [256, *data[at:at + 200]]
    for i, code in enumerate(bit + [257]):
        number |= code << 9 * i
    return number.to_bytes((9 * len(bit) + 9 + 7) // 8, "little")


add(write("gray-packbits-over-rows.tif", gray // 100, 8, 1, compression=PACKBITS, encode=runs_over_rows))
add(write("gray-old-lzw.tif", gray, 8, 1, compression=LZW, encode=old_lzw, rows=9))

# JPEG: of all kinds, with tables of their own or shared ones.
for source, code, tail in (("rgb", "jpeg:90", "jpeg"), ("rgb", "jpeg:r:90", "jpeg-rgb"), ("gray", "jpeg:90", "jpeg"),
                           ("cmyk", "jpeg:90", "jpeg")):
    for layout, how in (("strips", ("-s", "-r", "16")), ("tiles", TILES), ("one", ("-s", "-r", "100"))):
        name = f"{source}-{tail}-{layout}.tif"
        run("tiffcp", "-c", code, *how, f"{source}.tif", name)
        add(name)
run("tiffcp", "-c", "jpeg:r:90", "-p", "separate", "-r", "16", "rgb.tif", "rgb-jpeg-separate.tif")
add("rgb-jpeg-separate.tif")
for factors in ((1, 1), (2, 1), (1, 2)):
    name = f"rgb-jpeg-{factors[0]}x{factors[1]}.tif"
    stream = io.BytesIO()
    ppm = io.BytesIO()
    Image.fromarray(rgb[..., :3]).save(ppm, "PPM")
    stream = subprocess.run(["cjpeg", "-quality", "85", "-sample", f"{factors[0]}x{factors[1]}"], input=ppm.getvalue(), check=True,
                            capture_output=True).stdout
    write(name, rgb[..., :3], 8, 6, compression=7, encode=lambda _: stream, tags=[(530, SHORT, list(factors))])
    add(name)

# Orientations, pages.
for value in range(1, 9):
    name = f"orientation-{value}.tif"
    run("tiffcp", "-c", "lzw", "rgb.tif", name)
    run("tiffset", "-s", "274", str(value), name)
    expect(name, pillow(name), "pillow")
for source in ("rgb", "gray", "bits", "deep", "cmyk", "deep-gray"):
    add(source + ".tif")
Image.fromarray(rgb[:9, :11, :3]).save("small.tif")
add("small.tif")
run("tiffcp", "rgb.tif", "gray.tif", "small.tif", "deep.tif", "pages.tif")
run("tiffcp", "-8", "rgb.tif", "gray.tif", "small.tif", "deep.tif", "big-pages.tif")
for name in ("pages.tif", "big-pages.tif"):
    for page in range(1, 5):
        expect(name, pillow(name, page=page), "pillow", page)

# What is refused.
def refused(name, *arguments, **options):
    write("refused-" + name, *arguments, **options)


refused("float.tif", deep[..., :2].reshape(H, W * 2).view(np.uint16).reshape(H, W, 2), 16, 1, tags=[(339, SHORT, [3, 3])])
refused("signed.tif", deep[..., 0], 16, 1, tags=[(339, SHORT, [2])])
refused("lab.tif", rgb[..., :3], 8, 8)
refused("ycbcr.tif", rgb[..., :3], 8, 6)
for number, name in ((6, "old-jpeg"), (34712, "jpeg-2000"), (50000, "zstd"), (34925, "lzma"), (50001, "webp"), (34676, "logluv")):
    refused(name + ".tif", gray, 8, 1, compression=number)

with open("expected.txt", "w") as file:
    file.write("\n".join(sorted(lines)) + "\n")
