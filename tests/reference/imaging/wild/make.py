"""Makes the pictures in this folder and expected.txt: pictures as other programs write them, beyond what the formats allow.

Needs Pillow, numpy, ExifTool and netpbm's pngtopam, bmptopnm, pamtopnm and pnmtoplainpnm. Run in this folder.

expected.txt has a line for each file: name, the program that says what is right, and then the width, the height and the
SHA-256 of the RGB pixels, or the word "error" where that program refuses the file. "truth" stands for pixels that this
script made the file from: for BMP headers and masks that neither Pillow nor netpbm reads. netpbm agrees with a BMP if no
sample differs by more than 1, because it rounds samples with fewer bits; the pixels are rounded down as in Pillow.
The pixels of orientation-* are those of Pillow's ImageOps.exif_transpose; of the files that end in -exiftool.png, those of
transposing by the orientation that ExifTool (exiftool -n -s3 -Orientation) prints.
"""
import glob, hashlib, io, os, struct, subprocess, warnings, zlib
import numpy as np
from PIL import Image, ImageOps

warnings.simplefilter("ignore")
for old in glob.glob("*.png") + glob.glob("*.bmp") + glob.glob("*.p?m") + glob.glob("*.jpg"):
    os.remove(old)
lines = []

def keep(name, data, program, rgb):
    """rgb: an array, or None for an error."""
    open(name, "wb").write(data)
    if rgb is None:
        lines.append(f"{name} {program} error")
    else:
        digest = hashlib.sha256(np.ascontiguousarray(rgb, np.uint8).tobytes()).hexdigest()
        lines.append(f"{name} {program} {rgb.shape[1]} {rgb.shape[0]} {digest}")

def pillow(data):
    try:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    except Exception:
        return None

def netpbm(command, data):
    """The pixels that a program of netpbm writes; None if it fails or reports an error of libpng."""
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return None if b"fatal" in done.stderr else pillow(done.stdout)

# PNG: what libpng warns of, and what it refuses.
def chunk(kind, data=b"", damaged=False):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ damaged)

def ihdr(colour, depth=8, interlace=0, w=5, h=4):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, interlace))

def png(*chunks):
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)

def plte(length, damaged=False):
    return chunk(b"PLTE", bytes(i % 251 for i in range(10, 10 + length)), damaged)

rows = b"".join(b"\0" + bytes((x * 40 + y * 13 + c * 70) % 256 for x in range(5) for c in range(3)) for y in range(4))
packed = zlib.compress(rows)
RGB, DATA, END = ihdr(2), chunk(b"IDAT", packed), chunk(b"IEND")
GRAY, GRAY_DATA = ihdr(0), chunk(b"IDAT", zlib.compress(b"".join(b"\0" + bytes((x * 40 + y * 13) % 256 for x in range(5)) for y in range(4))))
PALETTE, INDICES = ihdr(3), chunk(b"IDAT", zlib.compress(b"".join(b"\0" + bytes([0, 1, 2, 9, 200]) for _ in range(4))))
TEXT = chunk(b"tEXt", b"a\0b")
pngs = {}
for n in (0, 1, 3, 4, 768, 771):
    pngs[f"plte-{n}-rgb"] = RGB, plte(n), DATA, END
    pngs[f"plte-{n}-gray"] = GRAY, plte(n), GRAY_DATA, END
    pngs[f"plte-{n}-palette"] = PALETTE, plte(n), INDICES, END
    pngs[f"plte-{n}-late-rgb"] = RGB, DATA, plte(n), END
pngs |= {
    "plte-late-gray": (GRAY, GRAY_DATA, plte(3), END), "plte-late-palette": (PALETTE, INDICES, plte(30), END),
    "plte-late-twice": (RGB, DATA, plte(3), plte(3), END), "plte-early-and-late": (RGB, plte(3), DATA, plte(3), END),
    "plte-twice-rgb": (RGB, plte(3), plte(3), DATA, END), "plte-twice-gray": (GRAY, plte(3), plte(3), GRAY_DATA, END),
    "plte-twice-palette": (PALETTE, plte(30), plte(30), INDICES, END), "plte-damaged-gray": (GRAY, plte(3, True), GRAY_DATA, END),
    "plte-damaged-rgb": (RGB, plte(4, True), DATA, END), "plte-damaged-late": (RGB, DATA, plte(3, True), END),
    "plte-none": (PALETTE, INDICES, END),
    "iend-content": (RGB, DATA, chunk(b"IEND", b"abc")), "iend-damaged": (RGB, DATA, chunk(b"IEND", b"", True)),
    "iend-content-damaged": (RGB, DATA, chunk(b"IEND", b"abc", True)), "iend-missing": (RGB, DATA), "iend-cut": (RGB, DATA, END[:-2]),
    "iend-then-more": (RGB, DATA, END, b"more"), "junk-before-iend": (RGB, DATA, b"junkjunkjunk", END),
    "idat-text-idat": (RGB, DATA, TEXT, DATA, END), "idat-text-empty": (RGB, DATA, TEXT, chunk(b"IDAT"), END),
    "idat-text-inside": (RGB, chunk(b"IDAT", packed[:20]), TEXT, chunk(b"IDAT", packed[20:]), END),
    "idat-text-damaged": (RGB, DATA, TEXT, chunk(b"IDAT", b"abc", True), END), "idat-twice": (RGB, DATA, DATA, END),
    "idat-empty-text-idat": (RGB, chunk(b"IDAT"), TEXT, DATA, END), "idat-second-damaged": (RGB, DATA, chunk(b"IDAT", b"abc", True), END),
    "rows-twice": (RGB, chunk(b"IDAT", zlib.compress(rows + rows)), END), "rows-few": (RGB, chunk(b"IDAT", zlib.compress(rows[:48])), END),
    "rows-byte-few": (RGB, chunk(b"IDAT", zlib.compress(rows[:-1])), END), "filter-5": (RGB, chunk(b"IDAT", zlib.compress(b"\5" + rows[1:])), END),
    "zlib-check": (RGB, chunk(b"IDAT", b"\x78\x9d" + packed[2:]), END), "zlib-dictionary": (RGB, chunk(b"IDAT", b"\x78\xbb\0\0\0\1" + packed[2:]), END),
    "zlib-sum": (RGB, chunk(b"IDAT", packed[:-4] + bytes(4)), END), "zlib-sum-cut": (RGB, chunk(b"IDAT", packed[:-2]), END),
    "zlib-sum-none": (RGB, chunk(b"IDAT", packed[:-4]), END), "zlib-sum-after-text": (RGB, chunk(b"IDAT", packed[:-4]), TEXT, chunk(b"IDAT", packed[-4:]), END),
    "zlib-method": (RGB, chunk(b"IDAT", b"\x77\x85" + packed[2:]), END),
    "gama-damaged": (RGB, chunk(b"gAMA", struct.pack(">I", 45455), True), DATA, END), "text-damaged-late": (RGB, DATA, chunk(b"tEXt", b"a\0b", True), END),
    "gama-twice": (RGB, chunk(b"gAMA", struct.pack(">I", 45455)) * 2, DATA, END), "trns-short": (RGB, chunk(b"tRNS", b"abc"), DATA, END),
    "trns-late": (RGB, DATA, chunk(b"tRNS", bytes(6)), END), "trns-before-plte": (PALETTE, chunk(b"tRNS", bytes(3)), plte(60), INDICES, END),
    "trns-long": (PALETTE, plte(60), chunk(b"tRNS", bytes(300)), INDICES, END),
    "ihdr-twice": (RGB, RGB, DATA, END), "ihdr-late": (RGB, DATA, RGB, END), "ihdr-long": (chunk(b"IHDR", RGB[8:21] + b"x"), DATA, END),
    "text-first": (TEXT, RGB, DATA, END), "critical": (RGB, chunk(b"TEST"), DATA, END), "critical-late": (RGB, DATA, chunk(b"TEST"), END),
    "reserved-bit": (RGB, chunk(b"test"), DATA, END), "digits": (RGB, chunk(b"12ab"), DATA, END),
}
for size in (0, 6, 8, 15):
    cmf = 16 * size + 8
    pngs[f"zlib-window-{size}"] = RGB, chunk(b"IDAT", bytes([cmf, -cmf * 256 % 31]) + packed[2:]), END

# Indices beyond the palette: each depth, plain and interlaced. The rows are noise, so most of the indices are beyond it.
adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
noise = np.random.default_rng(31)
for interlace in (0, 1):
    for depth, colours in ((1, 1), (2, 3), (4, 5), (8, 200)):
        w, h, data = 37, 21, b""
        for x0, y0, dx, dy in adam7 if interlace else [(0, 0, 1, 1)]:
            for y in range(y0, h, dy):
                bits = len(range(x0, w, dx)) * depth
                data += bytes([noise.integers(0, 5)]) + noise.bytes((bits + 7) // 8)
        pngs[f"index-{depth}{'-adam7' if interlace else ''}"] = (
            ihdr(3, depth, interlace, w, h), chunk(b"PLTE", noise.bytes(3 * colours)), chunk(b"IDAT", zlib.compress(data)), END)
pngs["plte-long-4-bits"] = ihdr(3, 4), plte(60), chunk(b"IDAT", zlib.compress(bytes([0, 0x12, 0x34, 0xF0] * 4))), END
for name, chunks in pngs.items():
    if name.startswith("zlib-sum-"):        # The picture is complete, without the checksum of the compressed data.
        keep(f"png-{name}.png", png(*chunks), "pillow", pillow(png(*chunks)))
    else:
        keep(f"png-{name}.png", png(*chunks), "libpng", netpbm(["pngtopam"], png(*chunks)))

# Orientation: where Pillow finds it in a PNG and in a JPEG, and which source comes first.
def tiff(value, order="<", kind=3, tag=0x112, count=1):
    head = b"II*\0" if order == "<" else b"MM\0*"
    value = struct.pack(order + {1: "Bxxx", 3: "Hxx", 4: "I"}[kind], value)
    return head + struct.pack(order + "IHHHI", 8, 1, tag, kind, count) + value + bytes(4)

def xmp(value, element=False):
    inside = f"><tiff:Orientation>{value}</tiff:Orientation></rdf:Description>" if element else f' tiff:Orientation="{value}"/>'
    return ('<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/'
            '1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"' + inside +
            '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>').encode()

def profile(name, data, width=72):
    digits = data.hex()
    return (f"\n{name}\n{len(data):8}\n" + "\n".join(digits[i:i + width] for i in range(0, len(digits), width)) + "\n").encode()

def text(keyword, value): return chunk(b"tEXt", keyword + b"\0" + value)
def ztxt(keyword, value, method=0): return chunk(b"zTXt", keyword + b"\0" + bytes([method]) + zlib.compress(value))
def itxt(keyword, value, packed=0, method=0, language=b"", translated=b""):
    value = zlib.compress(value) if packed else value
    return chunk(b"iTXt", keyword + b"\0" + bytes([packed, method]) + language + b"\0" + translated + b"\0" + value)

XMP, RAW, APP1, RAWXMP = b"XML:com.adobe.xmp", b"Raw profile type exif", b"Raw profile type APP1", b"Raw profile type xmp"
EXIF = b"Exif\0\0"
turned = {
    **{f"xmp-{i}": [itxt(XMP, xmp(i))] for i in range(10)},
    "xmp-element": [itxt(XMP, xmp(6, True))], "xmp-packed": [itxt(XMP, xmp(6), 1)], "xmp-element-packed": [itxt(XMP, xmp(8, True), 1)],
    "xmp-language": [itxt(XMP, xmp(6), 0, 0, b"en", b"XMP")], "xmp-method-1": [itxt(XMP, xmp(6), 1, 1)], "xmp-text": [text(XMP, xmp(6))],
    "xmp-ztxt": [ztxt(XMP, xmp(5))], "xmp-twice": [itxt(XMP, xmp(6)), itxt(XMP, xmp(3))], "xmp-second-empty": [itxt(XMP, xmp(6)), itxt(XMP, b"")],
    "xmp-late": [None, itxt(XMP, xmp(6))], "xmp-other-name": [itxt(b"XML:com.adobe.xmq", xmp(6))], "xmp-cut": [itxt(XMP, xmp(6)[:260])],
    "xmp-two-values": [itxt(XMP, xmp("") + xmp(7))], "xmp-no-value": [itxt(XMP, xmp("x"))], "xmp-word": [itxt(XMP, b'tiff:Orientation="6"')],
    "raw": [ztxt(RAW, profile("exif", EXIF + tiff(6)))], "raw-text": [text(RAW, profile("exif", EXIF + tiff(6)))],
    "raw-itxt": [itxt(RAW, profile("exif", EXIF + tiff(8, ">")))], "raw-itxt-packed": [itxt(RAW, profile("exif", EXIF + tiff(5)), 1)],
    "raw-no-signature": [ztxt(RAW, profile("exif", tiff(6)))], "raw-late": [None, ztxt(RAW, profile("exif", EXIF + tiff(6)))],
    "raw-upper-case": [ztxt(RAW, profile("exif", EXIF + tiff(6)).upper())], "raw-wide": [ztxt(RAW, profile("exif", EXIF + tiff(6), 2))],
    "raw-two": [ztxt(RAW, profile("exif", EXIF + tiff(6))), text(RAW, profile("exif", EXIF + tiff(3)))],
    "raw-wrong-length": [ztxt(RAW, profile("exif", EXIF + tiff(6)).replace(b"      32", b"99999999"))],
    "exif-and-raw": [chunk(b"eXIf", tiff(3)), ztxt(RAW, profile("exif", EXIF + tiff(6)))],
    "exif-and-xmp": [chunk(b"eXIf", tiff(3)), itxt(XMP, xmp(6))], "exif-1-and-xmp": [chunk(b"eXIf", tiff(1)), itxt(XMP, xmp(6))],
    "exif-9-and-xmp": [chunk(b"eXIf", tiff(9)), itxt(XMP, xmp(6))], "exif-byte-and-xmp": [chunk(b"eXIf", tiff(3, kind=1)), itxt(XMP, xmp(6))],
    "exif-other-tag-and-xmp": [chunk(b"eXIf", tiff(3, tag=0x113)), itxt(XMP, xmp(6))], "exif-long": [chunk(b"eXIf", tiff(8, kind=4))],
    "exif-other-tag-and-raw": [chunk(b"eXIf", tiff(3, tag=0x113)), ztxt(RAW, profile("exif", EXIF + tiff(6)))],
    "exif-twice": [chunk(b"eXIf", tiff(3)), chunk(b"eXIf", tiff(6))], "exif-word": [text(b"exif", EXIF + tiff(6))],
    "raw-and-xmp": [ztxt(RAW, profile("exif", EXIF + tiff(3))), itxt(XMP, xmp(6))],
    "raw-other-tag-and-xmp": [ztxt(RAW, profile("exif", EXIF + tiff(3, tag=0x113))), itxt(XMP, xmp(6))],
    "app1-exif-exiftool": [ztxt(APP1, profile("generic profile", EXIF + tiff(6)))],
    "app1-xmp-exiftool": [ztxt(APP1, profile("generic profile", b"http://ns.adobe.com/xap/1.0/\0" + xmp(8)))],
    "raw-xmp-exiftool": [ztxt(RAWXMP, profile("xmp", xmp(6)))],
}
def exiftool(data):
    return int(subprocess.run(["exiftool", "-n", "-s3", "-Orientation", "-"], input=data, stdout=subprocess.PIPE, check=True).stdout)

plain = np.asarray(Image.open(io.BytesIO(png(RGB, DATA, END))))
for name, extra in turned.items():
    early, late = ([], extra[1:]) if extra[0] is None else (extra, [])
    data = png(RGB, *early, DATA, *late, END)
    if name.endswith("-exiftool"):
        how = {6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}[exiftool(data)]
        keep(f"orientation-{name}.png", data, "exiftool", np.asarray(Image.fromarray(plain).transpose(how)))
        continue
    keep(f"orientation-{name}.png", data, "pillow", np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")))

# Malformed metadata. Pillow refuses some of these files; the picture is as it is stored.
bomb = zlib.compress(bytes(1 << 24), 9)
for name, extra in {
    "hex": text(RAW, profile("exif", EXIF + tiff(6)).replace(b"4578", b"45x8")), "odd-hex": text(RAW, profile("exif", EXIF + tiff(6))[:-2]),
    "one-line": text(RAW, b"exif"), "no-lines": text(RAW, b"\n\n\n"), "no-zero": chunk(b"iTXt", XMP), "short": chunk(b"iTXt", XMP + b"\0\0"),
    "empty-ztxt": chunk(b"zTXt", RAW + b"\0"), "empty-zlib": chunk(b"zTXt", RAW + b"\0\0"),
    "zlib": chunk(b"iTXt", XMP + b"\0\1\0\0\0" + b"\x78\x9c\xff\xff\xff"), "method": ztxt(RAW, profile("exif", tiff(6)), 1),
    "bomb": chunk(b"iTXt", XMP + b"\0\1\0\0\0" + bomb), "bomb-raw": chunk(b"zTXt", RAW + b"\0\0" + bomb), "exif": chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"),
    "no-zeros": chunk(b"iTXt", XMP + b"\0\0\0en"), "damaged": itxt(XMP, xmp(6))[:-1] + b"\0", "exif-damaged": chunk(b"eXIf", tiff(6), True),
}.items():
    keep(f"orientation-malformed-{name}.png", png(RGB, extra, DATA, END), "truth", plain)

out = io.BytesIO()
Image.fromarray(plain).save(out, "JPEG", quality=95, subsampling=0)
stored = out.getvalue()
def app1(data): return b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data
def packet(*a): return app1(b"http://ns.adobe.com/xap/1.0/\0" + xmp(*a))
# Pillow 9 reads the XMP of PNG only. The orientations here are by the rule of newer ones: Exif's tag, else the last XMP packet.
for name, (extra, orientation) in {
    "xmp": (packet(6), 6), "xmp-element": (packet(8, True), 8), "exif-and-xmp": (app1(EXIF + tiff(3)) + packet(6), 3),
    "xmp-and-exif": (packet(6) + app1(EXIF + tiff(3)), 3), "exif-other-tag-and-xmp": (app1(EXIF + tiff(3, tag=0x113)) + packet(6), 6),
    "exif-9-and-xmp": (app1(EXIF + tiff(9)) + packet(6), 1), "xmp-twice": (packet(6) + packet(3), 3), "xmp-9": (packet(9), 1),
    "extension": (app1(b"http://ns.adobe.com/xmp/extension/\0" + xmp(6)), 1), "exif-twice": (app1(EXIF + tiff(6)) + app1(EXIF + tiff(3)), 6),
}.items():
    data = stored[:2] + extra + stored[2:]
    image = Image.open(io.BytesIO(data))
    found = image.getexif().get(0x112)
    assert (found or 1) == orientation or "xmp" in name, name
    how = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}
    image = image.transpose(how[orientation]) if orientation > 1 else image
    keep(f"orientation-jpeg-{name}.jpg", data, "pillow", np.asarray(image))

# BMP.
W, H = 7, 5
y, x = np.mgrid[0:H, 0:W]
rgb = np.stack([x * 36, y * 60, (x * y * 11 + 3) % 256], -1).astype(np.int64)
index = (x + y) % 4
colours = np.array([(10, 20, 30), (200, 100, 50), (0, 255, 9), (77, 66, 250)])
BGR = 0xFF0000, 0xFF00, 0xFF

def pad(row): return row + bytes(-len(row) % 4)
def bgrx(count): return b"".join(bytes([b, g, r, 0]) for r, g, b in colours.tolist()).ljust(4 * count, b"\0")[:4 * count]
def M(*masks): return struct.pack(f"<{len(masks)}I", *masks)

def by_index(bits, values=index):
    digits = ["".join(format(v, f"0{bits}b") for v in row).ljust((W * bits + 7) // 8 * 8, "0") for row in values.tolist()]
    return b"".join(pad(bytes(int(d[i:i + 8], 2) for i in range(0, len(d), 8))) for d in digits[::-1])

def by_mask(masks, bits):
    """The rows, and the pixels that the samples stand for, rounded down as Pillow does."""
    data, truth = b"", np.zeros((H, W, 3), int)
    for row in range(H - 1, -1, -1):
        line = b""
        for column in range(W):
            word = 0
            for c, mask in enumerate(masks):
                if mask:
                    low = (mask & -mask).bit_length() - 1
                    sample = (int(rgb[row, column, c]) * (mask >> low) + 127) // 255
                    word |= sample << low
                    truth[row, column, c] = sample * 255 // (mask >> low)
            line += word.to_bytes(bits // 8, "little")
        data += pad(line)
    return data, truth

def info(size, bits, compression=0, height=H, count=0, masks=b"", planes=1):
    """A header, cut or lengthened with zeros to its size."""
    head = struct.pack("<IiiHHIIiiII", size, W, height, planes, bits, compression, 0, 2835, 2835, count, 0) + masks
    return head[:size].ljust(size, b"\0") + (masks if size == 40 else b"")

def bmp(head, data, palette=b"", offset=None):
    at = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", at + len(data), 0, 0, at if offset is None else offset) + head + palette + data

rows24 = by_mask(BGR, 24)[0]
shown = colours[index]
rle = b"".join(b"".join(bytes([1, v]) for v in row) + b"\0\0" for row in index[::-1].tolist()) + b"\0\1"
bmps = {}
for size in (40, 52, 56, 108, 124):
    bmps[f"24-masks-{size}"] = bmp(info(size, 24, 3, masks=M(*BGR, 0)[:12 if size < 56 else 16]), rows24), rgb
    bmps[f"32-masks-{size}"] = bmp(info(size, 32, 3, masks=M(*BGR, 0xFF000000)[:12 if size < 56 else 16]), by_mask(BGR, 32)[0]), rgb
    bmps[f"32-{size}"] = bmp(info(size, 32, masks=M(0xFF, 0xFF00, 0xFF0000, 0) if size > 56 else b""), by_mask(BGR, 32)[0]), rgb
    bmps[f"16-565-{size}"] = (bmp(info(size, 16, 3, masks=M(0xF800, 0x7E0, 0x1F, 0)[:12 if size < 56 else 16]), by_mask((0xF800, 0x7E0, 0x1F), 16)[0]),
                              by_mask((0xF800, 0x7E0, 0x1F), 16)[1])
for name, bits, masks in [("24-rgb", 24, (0xFF, 0xFF00, 0xFF0000)), ("24-666", 24, (0x3F000, 0xFC0, 0x3F)), ("16-880", 16, (0xFF00, 0xFF, 0)),
                          ("16-231", 16, (0x30, 0xE, 0x1)), ("16-4444", 16, (0xF00, 0xF0, 0xF)), ("32-1010102", 32, (0x3FF, 0xFFC00, 0x3FF00000)),
                          ("32-111110", 32, (0x7FF, 0x3FF800, 0xFFC00000)), ("32-7187", 32, (0xFE000000, 0x10000, 0xFF)), ("32-only-red", 32, (0xFF, 0, 0))]:
    bmps[f"masks-{name}"] = bmp(info(124, bits, 3, masks=M(*masks, 0)), by_mask(masks, bits)[0]), by_mask(masks, bits)[1]
    if name[3:] in ("rgb", "4444", "1010102"):
        bmps[f"alpha-masks-{name}"] = bmp(info(40, bits, 6, masks=M(*masks, 0)), by_mask(masks, bits)[0]), by_mask(masks, bits)[1]
for size in (16, 20, 24, 28, 32, 36, 42, 44, 46, 48, 60, 64):
    bmps[f"os2-{size}-4-short"] = bmp(info(size, 4, count=4), by_index(4), bgrx(4)), shown
for size in (16, 36, 64):
    bmps[f"os2-{size}-24"] = bmp(info(size, 24), rows24), rgb
    bmps[f"os2-{size}-8"] = bmp(info(size, 8), by_index(8), bgrx(256)), shown
for size in (20, 36, 64):
    bmps[f"os2-{size}-rle"] = bmp(info(size, 8, 1), rle, bgrx(256)), shown
for size in (15, 17, 39, 41, 63, 65, 107, 125):
    bmps[f"header-{size}"] = bmp(info(size, 24), rows24), None
bmps |= {
    "os2-16-1": (bmp(info(16, 1), by_index(1, index % 2), bgrx(2)), colours[index % 2]), "os2-64-huffman": (bmp(info(64, 1, 3), by_index(1, index % 2), bgrx(2)), None),
    "os2-64-top-down": (bmp(info(64, 24, height=-H), b"".join(rows24[i:i + 24] for i in range(96, -1, -24))), rgb),
    "2": (bmp(info(40, 2), by_index(2), bgrx(4)), shown), "masks-0-32": (bmp(info(124, 32, 3), by_mask(BGR, 32)[0]), rgb),
    "masks-0-24": (bmp(info(124, 24, 3), rows24), rgb), "masks-0-16": (bmp(info(124, 16, 3), bytes(80)), None),
    "masks-hole": (bmp(info(40, 32, 3, masks=M(0xF0F000, 0xFF, 0xFF000000)), by_mask(BGR, 32)[0]), None),
    "rle-top-down": (bmp(info(40, 8, 1, height=-H), b"".join(b"".join(bytes([1, v]) for v in row) + b"\0\0" for row in index.tolist()) + b"\0\1", bgrx(256)), shown),
    "24-palette": (bmp(info(40, 24, count=4), rows24, bgrx(4)), rgb), "24-palette-300": (bmp(info(40, 24, count=300), rows24, bgrx(300)), rgb),
    "24-palette-no-offset": (bmp(info(40, 24, count=4), rows24, bgrx(4), offset=0), rgb), "24-no-offset": (bmp(info(40, 24), rows24, offset=0), rgb),
    "565-palette-no-offset": (bmp(info(40, 16, 3, count=4, masks=M(0xF800, 0x7E0, 0x1F)), by_mask((0xF800, 0x7E0, 0x1F), 16)[0], bgrx(4), offset=0),
                              by_mask((0xF800, 0x7E0, 0x1F), 16)[1]),
    "8-no-offset": (bmp(info(40, 8, count=4), by_index(8), bgrx(4), offset=0), shown), "8-palette-300": (bmp(info(40, 8, count=300), by_index(8), bgrx(300)), shown),
    "8-palette-huge": (bmp(info(40, 8, count=2**31 - 1), by_index(8), bgrx(256)), shown), "4-palette-17": (bmp(info(40, 4, count=17), by_index(4), bgrx(17)), shown),
    "offset-in-header": (bmp(info(40, 24), rows24, offset=53), None), "planes-0": (bmp(info(40, 24, planes=0), rows24), None),
    "cut": (bmp(info(40, 24), rows24)[:-8], None),
}
for name, (data, truth) in bmps.items():
    found, program = pillow(data), "truth"
    if truth is not None and found is not None and "palette-no-offset" not in name:
        assert (found == truth).all() or "os2" in name, name
        program = "pillow"
    else:
        found = netpbm(["bmptopnm"], data)
        if truth is not None and found is not None and (np.abs(found.astype(int) - truth) <= 1).all():
            program = "netpbm"
        elif truth is None and found is None:
            program = "netpbm"
    keep(f"bmp-{name}.bmp", data, program, truth)

# PAM and PNM.
def pam(*header, eol=b"\n", end=b"\n", data=b"AB"):
    return b"P7" + eol + b"".join(line + eol for line in header) + b"ENDHDR" + end + data

size = b"WIDTH 2", b"HEIGHT 1", b"DEPTH 1", b"MAXVAL 255"
gray = *size, b"TUPLTYPE GRAYSCALE"
pnms = {
    "crlf.pam": pam(*gray, eol=b"\r\n", end=b"\r\n"), "blanks.pam": pam(*gray, end=b"   \n"), "words.pam": pam(*gray, end=b" and more\n"),
    "cr-then-word.pam": pam(*gray, end=b"\rx\n"), "only-cr.pam": pam(*gray, eol=b"\r", end=b"\r"), "blank-lines.pam": pam(b"", b"# c", b"   ", *gray, b""),
    "crlf-line-feed-data.pam": pam(*gray, eol=b"\r\n", end=b"\r\n", data=b"\nA"), "cr-data.pam": pam(*gray, data=b"\rA"),
    "comments.pam": pam(b"#a", size[0], b"# WIDTH 9", *gray[1:], b"#ENDHDR"), "types.pam": pam(*size, b"TUPLTYPE GRAY", b"TUPLTYPE SCALE"),
    "order.pam": pam(*gray[::-1]), "unknown.pam": pam(*gray, b"SIZE 3"), "lower-case.pam": pam(b"width 2", *gray[1:]), "no-depth.pam": pam(size[0], size[1], size[3]),
    "no-line-feed.pam": pam(*gray, end=b"", data=b""), "tabs.pam": pam(b"WIDTH\t2", b"  HEIGHT  1", *gray[2:]),
    "crlf.pgm": b"P5\r\n2 1\r\n255\r\nABC", "comment-at-maxval.pgm": b"P5 2 1 255# then pixels\nAB", "comment-after-maxval.pgm": b"P5 2 1 255 # then pixels\nAB",
    "comment-line-after-maxval.pgm": b"P5 2 1\n255\n#c\nAB", "comment-crlf.pgm": b"P5 2 1 255#x\r\nAB", "comments.pgm": b"P5#c\n#d\r2#e\n1 255\nAB",
    "comment-at-height.pbm": b"P4 8 1#x\nAB", "comment-in-pixels.pbm": b"P1 2 1 1#x\n0", "comment-in-pixels.pgm": b"P2 2 1 255 65#x\n 66#y\n",
    "two-blanks.pgm": b"P5 2 1 255  A", "comment-in-size.ppm": b"P6 1#c\n#d\n 1\n#e\n255\nABC", "crlf.ppm": b"P3\r\n1 1\r\n# c\r\n255\r\n1 2 3\r\n",
    "crlf.pbm": b"P4\r\n8 1\r\nABC",
}
for name, data in pnms.items():
    found = netpbm(["pamtopnm", "-assume"] if name.endswith("pam") else ["pnmtoplainpnm"], data)
    keep("pnm-" + name, data, "netpbm", found)

with open("expected.txt", "w") as f:
    f.writelines(line + "\n" for line in sorted(lines))
