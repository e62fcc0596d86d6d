"""Makes the pictures in this folder and expected.txt, resize.txt: what libpng, netpbm and Pillow make of them.

Needs Pillow, numpy, ImageMagick's `convert` and netpbm's `pngtopnm`, `ppmtobmp`. Run in this folder.
expected.txt: file, width, height, SHA-256 of the RGB pixels. resize.txt: from, to, filter, SHA-256 of the result of
Pillow's resize of the picture whose byte i is byte 2 of the 32-bit state after i + 1 steps of s = 1664525 s + 1013904223,
s = width * 65536 + height at first.
"""
import hashlib, io, os, struct, subprocess
import numpy as np
from PIL import Image

rng = np.random.default_rng(20)
W, H = 21, 17
y, x = np.mgrid[0:H, 0:W]
base = np.stack([x * 12, y * 15, (x * y) % 256, 255 - x * 10], -1).astype(np.int64)
base = (base + rng.integers(-9, 10, base.shape)).clip(0, 255)
wide = (base * 257 + rng.integers(0, 256, base.shape)).clip(0, 65535)
expected = {}

def run(*command, data=None):
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True).stdout

def pillow(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

def keep(name, data, rgb):
    open(name, "wb").write(data)
    expected[name] = rgb.shape[1], rgb.shape[0], hashlib.sha256(np.ascontiguousarray(rgb.astype(np.uint8)).tobytes()).hexdigest()

def raw(values, top):
    """A PNM of one or three channels."""
    kind = 6 if values.ndim == 3 else 5
    head = b"P%d %d %d %d\n" % (kind, values.shape[1], values.shape[0], top)
    return head + values.astype(">u2" if top > 255 else "u1").tobytes()

# PNG: every colour type and depth, plain and interlaced, by pnmtopng and ImageMagick (both over libpng).
def libpng(data):
    """pngtopnm's pixels, 16-bit samples cut to the high byte; alpha is dropped."""
    out = run("pngtopnm", data=data)
    words = out.split(None, 3 if out[:2] == b"P4" else 4)
    kind, w, h = words[0], int(words[1]), int(words[2])
    if kind == b"P4":
        bits = np.unpackbits(np.frombuffer(out[-((w + 7) // 8) * h:], np.uint8).reshape(h, -1), axis=1)[:, :w]
        v = (1 - bits.astype(int)) * 255
    else:
        top, c = int(words[3]), 3 if kind == b"P6" else 1
        v = np.frombuffer(out[-w * h * c * (2 if top > 255 else 1):], ">u2" if top > 255 else "u1").astype(int).reshape(h, w, c)
        v = v >> 8 if top == 65535 else v * 255 // top
    v = v.reshape(h, w, -1)
    return v.repeat(3, 2) if v.shape[2] == 1 else v

def chunk(kind, data):
    import zlib
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

for interlace in (0, 1):
    for colour, depth in [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8), (4, 8), (4, 16), (6, 8), (6, 16)]:
        if colour == 3:
            n = 2 ** depth
            im = Image.fromarray(base[..., :3].astype(np.uint8)).quantize(n)
            source = io.BytesIO(); im.convert("RGB").save(source, "PNG")
            flags = ["-type", "Palette", "-colors", str(n)]
        else:
            v = wide if depth == 16 else base
            channels = {0: [0], 2: [0, 1, 2], 4: [0, 0, 0, 3], 6: [0, 1, 2, 3]}[colour]
            if depth < 8:
                v = (base >> (8 - depth)) * 255 // (2 ** depth - 1)
            head = b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL %d\nTUPLTYPE %s\nENDHDR\n" % (
                W, H, len(channels), 65535 if depth == 16 else 255, {1: b"GRAYSCALE", 3: b"RGB", 4: b"RGB_ALPHA"}[len(channels)])
            source = io.BytesIO(head + v[..., channels].astype(">u2" if depth == 16 else "u1").tobytes())
            flags = []
        data = run("convert", "-", *flags, "-interlace", "PNG" if interlace else "None", "-define", f"png:color-type={colour}",
                   "-define", f"png:bit-depth={depth}", "-define", "png:exclude-chunks=date,time,gama,chrm", "-strip", "png:-", data=source.getvalue())
        found = data[25], data[24], data[28]
        assert found == (colour, depth, interlace), (found, colour, depth, interlace)
        rgb = libpng(data)
        if (colour, depth) != (0, 16):          # Pillow saturates 16-bit gray
            assert (rgb == pillow(data)).all(), (colour, depth, interlace)
        keep(f"png-{colour}-{depth:02}{'-adam7' if interlace else ''}.png", data, rgb)

rgb8 = base[..., :3].astype(np.uint8)
def plain_png(*extra):
    import zlib
    rows = b"".join(b"\0" + rgb8[r].tobytes() for r in range(H))
    data = zlib.compress(rows)
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, 8, 2, 0, 0, 0)), *extra]
    parts += [chunk(b"IDAT", data[i:i + 100]) + (chunk(b"IDAT", b"") if i == 200 else b"") for i in range(0, len(data), 100)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")

for name, extra in [("many-idat", []), ("transparent-colour", [chunk(b"tRNS", struct.pack(">HHH", *[int(v) for v in rgb8[3, 4]]))]),
                    ("gamma-1", [chunk(b"gAMA", struct.pack(">I", 100000))]),
                    ("orientation-6", [chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0")])]:
    data = plain_png(*extra)
    assert (pillow(data) == rgb8).all() and (libpng(data) == rgb8).all() or name == "gamma-1"
    keep(f"png-{name}.png", data, rgb8)
paletted = Image.fromarray(rgb8).quantize(16)
out = io.BytesIO(); paletted.save(out, "PNG", transparency=bytes(range(0, 256, 16)))
keep("png-transparent-palette.png", out.getvalue(), np.asarray(paletted.convert("RGB")))

# BMP.
def bmp(bits, rows, palette=b"", compression=0, header=40, height=H, masks=b"", colours=0):
    body = b"".join(rows) if isinstance(rows, list) else rows
    if header == 12:
        info = struct.pack("<IHHHH", 12, W, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, W, height, 1, bits, compression, len(body), 2835, 2835, colours, 0)
        info += masks if header == 40 else (masks + bytes(header))[:header - 40]
    offset = 14 + len(info) + (len(masks) if header == 40 and not info.endswith(masks) else 0) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + info + palette + body

def pad(row):
    return row + bytes(-len(row) % 4)

index = np.asarray(paletted)
colours16 = np.array(paletted.getpalette()[:48]).reshape(16, 3)
bgrx = b"".join(bytes([b, g, r, 0]) for r, g, b in colours16.tolist())
bgr = b"".join(bytes([b, g, r]) for r, g, b in colours16.tolist())
def packed(values, bits):
    spread = np.unpackbits(values.astype(np.uint8)[..., None], axis=2)[..., 8 - bits:].reshape(len(values), -1)
    return [pad(np.packbits(row).tobytes()) for row in spread[::-1]]

word = (rgb8[..., 0].astype(int) >> 3 << 10) | (rgb8[..., 1].astype(int) >> 3 << 5) | rgb8[..., 2] >> 3
word6 = (rgb8[..., 0].astype(int) >> 3 << 11) | (rgb8[..., 1].astype(int) >> 2 << 5) | rgb8[..., 2] >> 3
rgbx = np.dstack([rgb8, base[..., 3].astype(np.uint8)])
def words(v): return [pad(row.astype("<u2").tobytes()) for row in v[::-1]]
def lanes(order): return [row[:, order].tobytes() for row in rgbx[::-1]]
rows24 = [pad(row[:, ::-1].tobytes()) for row in rgb8[::-1]]
M = lambda *m: struct.pack("<%dI" % len(m), *m)
# The mirror of each row keeps RLE codes honest: runs, literals of odd and even length, ends of lines, a jump, an early end.
def rle8():
    out = b""
    for r in range(H - 1, -1, -1):
        row = index[r].tolist()
        if r == 5:
            out += bytes([0, 2, 4, 0]) + bytes([0, 3] + row[4:7] + [0])
        elif r % 3 == 0:
            out += bytes([W, row[0]])
        elif r % 3 == 1:
            out += bytes([0, 20] + row[:20]) + bytes([1, row[20]])
        else:
            out += bytes([5, row[3], 0, 3] + row[:3] + [0]) + bytes([7, 9])
        out += bytes([0, 0]) if r > 1 else bytes([0, 1])
        if r <= 1: break
    return out

def by_rle(codes, bits):
    """The codes by the book."""
    v = np.zeros((H, W), int); cx = cy = at = 0
    while cy < H:
        a, b = codes[at], codes[at + 1]; at += 2
        if a == 0 and b == 0: cx, cy = 0, cy + 1
        elif a == 0 and b == 1: break
        elif a == 0 and b == 2: cx += codes[at]; cy += codes[at + 1]; at += 2
        else:
            n = b if a == 0 else a
            size = (n * bits + 7) // 8 if a == 0 else 1
            values = codes[at:at + size] if a == 0 else bytes([b])
            if a == 0: at += size + size % 2
            for i in range(n):
                q = values[i % len(values)] if bits == 8 else (values[i // 2 % len(values)] >> (4 if i % 2 == 0 else 0)) & 15
                if cx < W: v[H - 1 - cy, cx] = q; cx += 1
    return colours16[v]

def rle4():
    out = b""
    for r in range(H):
        if r % 3 == 0: out += bytes([W, 0x3C])
        elif r % 3 == 1: out += bytes([0, 5, 0x12, 0x34, 0x50, 0, 3, 0x77, 0, 6, 0x9A, 0xBC, 0xDE, 0])
        else: out += bytes([4, 0x21, 0, 2, 5, 0, 9, 0xFE])
        out += bytes([0, 0])
    return out + bytes([0, 1])

two = (index & 1)
bmps = {
    "1": (bmp(1, packed(two, 1), bgrx[:8], colours=2), None),
    "4": (bmp(4, packed(index, 4), bgrx, colours=16), None),
    "4-eleven-colours": (bmp(4, packed(index % 11, 4), bgrx[:44], colours=11), None),
    "8": (bmp(8, packed(index, 8), bgrx + bytes(4 * 240)), None),
    "8-gray": (bmp(8, packed(rgb8[..., 1], 8), b"".join(bytes([i, i, i, 0]) for i in range(256))), None),
    "8-os2": (bmp(8, packed(index, 8), bgr + bytes(3 * 240), header=12), None),
    "24-os2": (bmp(24, rows24, header=12), None),
    "24": (bmp(24, rows24), None),
    "24-top-down": (bmp(24, rows24[::-1], height=-H), None),
    "16": (bmp(16, words(word)), None),
    "16-565": (bmp(16, words(word6), compression=3, masks=M(0xF800, 0x7E0, 0x1F)), None),
    "16-555-v5": (bmp(16, words(word), compression=3, masks=M(0x7C00, 0x3E0, 0x1F, 0), header=124), None),
    "32": (bmp(32, lanes([2, 1, 0, 3])), None),
    "32-v4-bgra": (bmp(32, lanes([2, 1, 0, 3]), compression=3, masks=M(0xFF0000, 0xFF00, 0xFF, 0xFF000000), header=108), None),
    "32-v5-rgba": (bmp(32, lanes([0, 1, 2, 3]), compression=3, masks=M(0xFF, 0xFF00, 0xFF0000, 0xFF000000), header=124), None),
    "32-xbgr": (bmp(32, lanes([3, 2, 1, 0]), compression=3, masks=M(0xFF000000, 0xFF0000, 0xFF00, 0), header=124), None),
    # Pillow knows only the masks above, this header not at all, and drops half a byte of odd literals.
    "32-v3-odd-masks": (bmp(32, [np.sum(rgb8[r].astype(np.int64) >> [3, 2, 1] << [0, 8, 20], 1).astype("<u4").tobytes() for r in range(H)][::-1],
                            compression=3, masks=M(0x1F, 0x3F00, 0x7F00000, 0), header=56), (rgb8.astype(int) >> [3, 2, 1]) * 255 // [31, 63, 127]),
    "8-rle": (bmp(8, rle8(), bgrx + bytes(4 * 240), compression=1), by_rle(rle8(), 8)),
    "4-rle": (bmp(4, rle4(), bgrx, compression=2), by_rle(rle4(), 4)),
}
for name, (data, truth) in bmps.items():
    keep(f"bmp-{name}.bmp", data, pillow(data) if truth is None else truth)
ppm = raw(rgb8, 255)
for name, command in {"imagemagick-rle8": ["convert", "-", "-type", "Palette", "-compress", "RLE", "bmp3:-"], "imagemagick-v5": ["convert", "-", "bmp:-"],
                      "ppmtobmp-os2": ["ppmtobmp", "-os2"], "ppmtobmp-windows": ["ppmtobmp", "-windows"]}.items():
    source = raw(np.asarray(paletted.convert("RGB")), 255) if "rle" in name else ppm
    data = run(*command, data=source)
    keep(f"bmp-{name}.bmp", data, pillow(data))

# PNM. Pillow saturates gray above 8 bits; there and for PAM the truth is v / maxval * 255, rounded by Python.
scale = np.vectorize(lambda v, top: round(v / top * 255))
gray = base[..., 0]
bits = gray > 128
plain = lambda v: b" ".join(b"%d" % i for i in v.ravel().tolist())
pnms = {
    "p1.pbm": (b"P1\n# comment\n%d %d\n" % (W, H) + b"\n".join(b"".join(b"%d" % b for b in row) for row in bits.astype(int).tolist()) + b"\n", None),
    "p1-spaced.pbm": (b"P1 %d %d\n" % (W, H) + plain(bits.astype(int)) + b"\n", None),
    "p2.pgm": (b"P2 %d #w\n%d # h\n255\n" % (W, H) + plain(gray), None),
    "p2-13.pgm": (b"P2\n%d %d\n13\n" % (W, H) + plain(gray % 14), None),
    "p3.ppm": (b"P3\n%d %d\n255\n" % (W, H) + plain(rgb8), None),
    "p3-1000.ppm": (b"P3\n%d %d 1000\n" % (W, H) + plain(wide[..., :3] % 1001), None),
    "p4.pbm": (b"P4 %d %d\n" % (W, H) + np.packbits(bits, axis=1).tobytes(), None),
    "p5.pgm": (raw(gray, 255), None),
    "p5-2.pgm": (raw(gray % 3, 2), None),
    "p5-65535.pgm": (raw(wide[..., 0], 65535), scale(wide[..., :1], 65535).repeat(3, 2)),
    "p5-4095.pgm": (raw(wide[..., 0] >> 4, 4095), scale(wide[..., :1] >> 4, 4095).repeat(3, 2)),
    "p6.ppm": (ppm, None),
    "p6-100.ppm": (raw(rgb8 % 101, 100), None),
    "p6-65535.ppm": (raw(wide[..., :3], 65535), None),
    "p6-1023.ppm": (raw(wide[..., :3] >> 6, 1023), None),
}
for depth in (1, 2, 3, 4):
    channels = {1: [0], 2: [0, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[depth]
    for top in (255, 65535):
        v = (wide if top > 255 else base)[..., channels]
        head = b"P7\n# comment\nWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL %d\nTUPLTYPE SOME_KIND\nENDHDR\n" % (W, H, depth, top)
        colours = v[..., :3] if depth > 2 else v[..., :1].repeat(3, 2)
        pnms[f"p7-{depth}-{top}.pam"] = head + v.astype(">u2" if top > 255 else "u1").tobytes(), scale(colours, top)
for name, (data, truth) in pnms.items():
    keep("pnm-" + name, data, pillow(data) if truth is None else truth)

with open("expected.txt", "w") as f:
    for name, (w, h, digest) in sorted(expected.items()):
        f.write(f"{name} {w} {h} {digest}\n")

# Resize.
def pattern(w, h):
    s, out = w * 65536 + h, bytearray()
    for _ in range(3 * w * h):
        s = (1664525 * s + 1013904223) % 2 ** 32
        out.append(s >> 16 & 255)
    return Image.frombytes("RGB", (w, h), bytes(out))

sizes = [(1, 1, 5, 7), (2, 3, 1, 1), (1, 9, 4, 9), (7, 1, 7, 6), (3, 3, 3, 3), (5, 4, 518, 17), (17, 518, 5, 4), (13, 11, 12, 10), (100, 99, 33, 98),
         (64, 64, 70, 70), (31, 77, 32, 16), (16, 16, 15, 17), (333, 2, 1, 2), (2, 333, 2, 1), (300, 7, 11, 300), (201, 133, 70, 70), (97, 89, 518, 518)]
with open("resize.txt", "w") as f:
    for w, h, to_w, to_h in sizes:
        for name, how in (("Bicubic", Image.BICUBIC), ("Bilinear", Image.BILINEAR)):
            digest = hashlib.sha256(pattern(w, h).resize((to_w, to_h), how).tobytes()).hexdigest()
            f.write(f"{w} {h} {to_w} {to_h} {name} {digest}\n")
