"""Writes seeded.json: some tensors by the rule of tests/reference/refgen.py, without numpy.

    python3 seeded.py > seeded.json
"""
import json
import struct

GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def fnv1a64(name):
    h = 0xCBF29CE484222325
    for b in name.encode("utf-8"):
        h = ((h ^ b) * 0x100000001B3) & MASK
    return h


def value(name, i, scale, offset, seed):
    """The bits of element i, as binary16."""
    h = fnv1a64(name) ^ ((seed * GOLDEN) & MASK)
    z = (h + (i + 1) * GOLDEN) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    z = z ^ (z >> 31)
    u = (z >> 40) / 2.0**24
    return struct.unpack("<H", struct.pack("<e", offset + scale * (2.0 * u - 1.0)))[0]


CASES = [
    ("vision.embeddings.cls_token", [1, 1, 8], 0.05, 0.0, 31),
    ("head.\u00e9\u4e2d\U0001f600", [3, 5], 1.0, 1.0, 0),
    ("", [4], 60000.0, 0.0, MASK),
    ("tiny", [16], 1e-7, 0.0, 1 << 63),
    ("one", [], 2.0, -3.0, 7),
    ("several blocks", [2, 40000], 0.3, 0.25, 5),
]

cases = []
for name, shape, scale, offset, seed in CASES:
    count = 1
    for d in shape:
        count *= d
    at = list(range(count)) if count < 100 else [0, 1, 65534, 65535, 65536, 65537, count - 1]
    cases.append({"name": name, "shape": shape, "scale": scale, "offset": offset, "seed": str(seed), "at": at,
                  "bits": [value(name, i, scale, offset, seed) for i in at]})
print(json.dumps(cases))
