"""CLIP's tokenizer: byte-level BPE. ftfy's cleaning is followed but for its repair of wrongly decoded text."""
import gzip
import html
import pathlib
import re
import unicodedata

TABLE = pathlib.Path(__file__).resolve().parents[2] / "src" / "Models" / "Vocabulary" / "bpe_simple_vocab_16e6.txt.gz"
PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
SPECIAL = {"<start_of_text>": 49406, "<end_of_text>": 49407}
LIGATURES = str.maketrans({"ĳ": "ij", "Ĳ": "IJ", "ŉ": "ʼn", "Ǆ": "DŽ", "ǅ": "Dž", "ǆ": "dž", "Ǉ": "LJ", "ǈ": "Lj", "ǉ": "lj",
                           "Ǌ": "NJ", "ǋ": "Nj", "ǌ": "nj", "Ǳ": "DZ", "ǲ": "Dz", "ǳ": "dz", "ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl",
                           "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "ſt", "ﬆ": "st"})


def tidy(text):
    """What ftfy does to text that is no mojibake (its repair of wrongly decoded text is left out)."""
    while True:
        before = text
        if "<" not in text:
            text = re.sub(r"&#?[0-9A-Za-z]{1,24};", lambda m: html.unescape(m[0]), text)
        text = text.translate(LIGATURES)
        text = "".join(unicodedata.normalize("NFKC", ch) if "\uff01" <= ch <= "\uffef" or ch == "\u3000" else ch for ch in text)
        text = re.sub("[\u02bc\u2018-\u201b]", "'", re.sub("[\u201c-\u201f]", '"', text))
        text = re.sub("\r\n?|[\u2028\u2029\u0085]", "\n", text)
        text = re.sub("[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]", "", text)
        text = unicodedata.normalize("NFC", text)
        if text == before:
            return text


def clean(text):
    text = html.unescape(html.unescape(tidy(text))).strip()
    return " ".join(text.split()).lower()


def words(text):
    """special tokens | 's 't 're 've 'm 'll 'd | letters | one number | anything else that is no space"""
    def kind(ch):
        return "S" if ch.isspace() else unicodedata.category(ch)[0] if unicodedata.category(ch)[0] in "LN" else "O"
    i = 0
    while i < len(text):
        for s in (*SPECIAL, "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"):
            if text.startswith(s, i):
                j = i + len(s)
                break
        else:
            k, j = kind(text[i]), i + 1
            while k in "LO" and j < len(text) and kind(text[j]) == k:
                j += 1
        if not text[i].isspace():
            yield text[i:j]
        i = j


class Tokenizer:
    def __init__(self, path=TABLE):
        lines = gzip.open(path).read().decode("utf-8").split("\n")
        merges = [tuple(m.split()) for m in lines[1:48895]]
        others = [b for b in range(256) if b not in PRINTABLE]
        self.byte = {b: chr(b) for b in PRINTABLE} | {b: chr(256 + n) for n, b in enumerate(others)}
        symbols = [self.byte[b] for b in PRINTABLE + others]
        symbols += [s + "</w>" for s in symbols] + ["".join(m) for m in merges]
        self.id = {s: i for i, s in enumerate(symbols)} | SPECIAL
        self.rank = {m: i for i, m in enumerate(merges)}

    def bpe(self, word):
        if word in SPECIAL:
            return [word]
        s = [self.byte[b] for b in word.encode("utf-8")]
        s[-1] += "</w>"
        while len(s) > 1:
            best = min(zip(s, s[1:]), key=lambda p: self.rank.get(p, 1 << 30))
            if best not in self.rank:
                break
            out, i = [], 0
            while i < len(s):
                two = i + 1 < len(s) and (s[i], s[i + 1]) == best
                out.append(s[i] + s[i + 1] if two else s[i])
                i += 2 if two else 1
            s = out
        return s

    def __call__(self, text, length=77):
        ids = [49406] + [self.id[s] for word in words(clean(text)) for s in self.bpe(word)] + [49407]
        if len(ids) > length:
            ids = ids[:length]
            ids[-1] = 49407
        return ids + [0] * (length - len(ids))
