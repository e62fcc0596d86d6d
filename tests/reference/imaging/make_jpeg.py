"""Makes the JPEG files in this folder and their lines of expected.txt: what Pillow, over libjpeg-turbo 2.1, makes of them.

Needs Pillow, numpy, and libjpeg-turbo's cjpeg. Run in this folder. (tests/Imaging/Jpeg/jpeg_corpus.py makes far more of them, anew in
every run of the tests; these are for tests that must run without any of that.)
"""
import hashlib, io, subprocess, tempfile
import numpy as np
from PIL import Image

y, x = np.mgrid[0:27, 0:35]
a = (np.stack([x * 7 + y * 3, x * x // 3 + y * 11, 255 - x * 5 + y * y], -1) % 256).astype(np.uint8)

def cjpeg(*options, scans=None):
    data = b"P6 %d %d 255\n" % (a.shape[1], a.shape[0]) + a.tobytes()
    with tempfile.NamedTemporaryFile("w") as script:
        script.write(scans or "")
        script.flush()
        options = *options, *(["-scans", script.name] if scans else [])
        return subprocess.run(["cjpeg", *options], input=data, stdout=subprocess.PIPE, check=True).stdout

def pillow(array, mode, **options):
    out = io.BytesIO()
    Image.fromarray(array, mode).save(out, "JPEG", **options)
    return out.getvalue()

cmyk = pillow(np.dstack([a, a[..., 1]]), "CMYK", quality=60, subsampling=2)
adobe = cmyk.index(b"Adobe") + 11
first = cjpeg("-quality", "70", "-sample", "2x1")
tables = first.index(b"\xff\xc4"), first.index(b"\xff\xda")
files = {
    "gray": pillow(a[..., 0], "L", quality=80),
    "444": cjpeg("-quality", "85", "-sample", "1x1"),
    "422": cjpeg("-quality", "75", "-sample", "2x1"),
    "420": cjpeg("-quality", "75", "-sample", "2x2"),
    "440": cjpeg("-quality", "75", "-sample", "1x2"),
    "411": cjpeg("-quality", "75", "-sample", "4x1"),
    "420-restart": cjpeg("-quality", "75", "-sample", "2x2", "-restart", "1B"),
    "420-optimised": cjpeg("-quality", "40", "-sample", "2x2", "-optimize"),
    "420-progressive": cjpeg("-quality", "75", "-sample", "2x2", "-progressive"),
    "420-progressive-restart": cjpeg("-quality", "75", "-sample", "2x2", "-progressive", "-restart", "2B"),
    "incomplete": cjpeg("-quality", "75", "-sample", "2x2", scans="0,1,2: 0-0, 0, 1; 0: 1-5, 0, 2;"),
    "dc-only": cjpeg("-quality", "75", "-sample", "1x1", scans="0,1,2: 0-0, 0, 0;"),
    "scans": cjpeg("-quality", "75", "-sample", "2x2", scans="0; 1; 2;"),
    "16-bit-steps": cjpeg("-quality", "3", "-sample", "2x1"),
    "rgb": cjpeg("-quality", "75", "-rgb"),
    "cmyk": cmyk,
    "ycck": cmyk[:adobe] + b"\2" + cmyk[adobe + 1:],
    "no-tables": first[:tables[0]] + first[tables[1]:],
}
lines = [line for line in open("expected.txt") if not line.startswith("jpeg-")]
for name, data in files.items():
    open(f"jpeg-{name}.jpg", "wb").write(data)
    image = Image.open(io.BytesIO(data)).convert("RGB")
    lines.append(f"jpeg-{name}.jpg {image.size[0]} {image.size[1]} {hashlib.sha256(image.tobytes()).hexdigest()}\n")
open("expected.txt", "w").writelines(sorted(lines))
