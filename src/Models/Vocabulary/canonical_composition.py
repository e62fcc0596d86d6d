"""Writes canonical_composition.txt, the part of the Unicode Character Database that NFC needs, from Python's own copy.

  python3 canonical_composition.py

c FIRST LAST CLASS     code points FIRST..LAST have this canonical combining class (0 where no line says otherwise)
p CODE FIRST SECOND    CODE decomposes into the pair and the pair composes into CODE
d CODE FIRST [SECOND]  CODE decomposes only (singletons and composition exclusions)

Numbers are hexadecimal, classes decimal. Hangul syllables are arithmetic and left out.
"""
import pathlib
import unicodedata as u

lines = ["# Unicode Character Database " + u.unidata_version + ", (c) Unicode, Inc., https://www.unicode.org/license.txt; "
         "written by canonical_composition.py"]
start = 0
for code in range(1, 0x110000):
    if u.combining(chr(code)) != u.combining(chr(start)):
        if u.combining(chr(start)):
            lines.append(f"c {start:X} {code - 1:X} {u.combining(chr(start))}")
        start = code
for code in range(0x110000):
    pair = u.decomposition(chr(code)).split()
    if pair and not pair[0].startswith("<"):
        kind = "p" if u.normalize("NFC", chr(code)) == chr(code) else "d"
        lines.append(f"{kind} {code:X} " + " ".join(f"{int(p, 16):X}" for p in pair))
(pathlib.Path(__file__).parent / "canonical_composition.txt").write_text("\n".join(lines) + "\n", encoding="ascii")
