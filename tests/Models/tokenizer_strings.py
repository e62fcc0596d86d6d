"""Writes tokenizer_strings.json, what the reference tokenizer makes of many kinds of strings. Needs numpy.

  python3 tokenizer_strings.py

[text, repeat, ids]: the ids of text repeated that often, up to the last id before the padding.
"nfc": SHA-256 of the UTF-8 of NFC(c) and NFC(NFD(c)), c each code point but the surrogates, all in one.
"entities": what html.unescape makes of "&" and each name that may stand without a semicolon, or is one of XHTML.
"""
import hashlib
import html
import html.entities
import json
import pathlib
import random
import sys
import unicodedata as u

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests/reference/lizad"))
import reference

TEXTS = """
metal nut|Metal_Nut|pcb1|01|macaroni2|a close-up photo of a damaged metal_nut.|toothbrush (blue), size 3/8"|x|!|!!|! !|a!b|$5.00 ± 2%
I'll|I'LL NOT|it's|'s|'t 're 've 'm 'll 'd|'S'T'RE|rock'n'roll|''s|x''s|'sx|'tis|we'd've|’s|nut’s edge|ʼn ŉ|'l|'r e|''|'"'|--'s
<start_of_text>|a <end_of_text> b|<END_OF_TEXT>|!<end_of_text>|<end_of_text><end_of_text>|<start_of_text|x<start_of_text>'s|< end_of_text >
Straße|GRÖSSE|ẞ|ß|Größe für Möbel|naïve façade|Ærøskøbing|Œuvre|Þórður|Łódź|Čeština|Đuro|Ŀ ŀ|ﬁne ﬂow oﬃce baﬄe ﬀ ﬅ ﬆ|ĳsje Ĳ|Ǆ ǅ ǆ Ǉ ǈ ǉ Ǌ ǋ ǌ Ǳ ǲ ǳ
İstanbul|ISPARTA|ışık IĞDIR|İ|İİ|aİb|i̇|ΟΔΟΣ|ΟΔΟΣ ΣΟΦΟΣ|Σ|ΑΣ|ΑΣ.|ΑΣ'Β|ΑΣ 'Β|ΣΑ|Α'Σ|ΑΣ\u0301|Α\u0301Σ\u0301Β|ªΣ|ⅣΣ|ⓐΣ|1Σ|ΑΣⅣ|ΑΣ\u00adΒ|\U00010400Σ|ΑΣ\U00010400|\U0001f130Σ|ΑΣ:|Α·Σ·Β|ʰΣ|中Σ
Ⅳ ⅻ Ⅿ|½ ¼ ⅔|x² x³ H₂O|①②③ ⒈ ⓪|٠١٢٣٤|१२३|๑๒๓|〇一二三|１２３|𝟏𝟐𝟑 𝟘|12345|3.14159|1,000,000|½a½|௧௨|Ⅷ1|২৫%
🔩|🔩 bolt 👍🏽|👨‍👩‍👧‍👦|🇩🇪🇫🇷|❤️|☺︎|🏴󠁧󠁢󠁥󠁮󠁧󠁿|a🔩b|🔩🔩🔩🔩|😀😃😄😁|1️⃣|™®©|№5|℃ ℉ Å Ω K|→ ⇒ ∑ ∞ ≠|░▒▓█|♠♥♦♣
e\u0301|E\u0301TAT|a\u0323\u0302|a\u0302\u0323|q\u0307\u0323|\u1e69|s\u0323\u0307|s\u0307\u0323|\u0301|a\u0301\u0301\u0301|\u0344|\u0340\u0341|\u0958|\u2adc|\u1100\u1161\u11a8|\uac00\u11a8|\u1100\u1161|가각힣|각힣ᆨ|e\u200d\u0301|か\u3099|ハ\u309a|\u0cc6\u0cc2\u0cd5|\u09c7\u09be|\U0001d15e|\U000110a5\U000110ba|\uf900\uf901|\u2126\u212a\u212b|o\u0328\u0304|ọ̵̌|Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢
金属螺母|金属螺母 的 缺陷|ねじ|ネジ|ﾈｼﾞ|ｶﾞｷﾞｸﾞ ﾊﾟ|볼트|ﾡﾢￂ|螺丝钉螺丝钉|漢字カタカナひらがな|𠮷野家|「引用」|『二』、。|全角　空白|ｆｕｌｌｗｉｄｔｈ|ＡＢＣ！＂＃＆＇（）|｟｠｡｢｣|￠￡￢￣￤￥￦|￨￩￪￫￬￭￮|＜ｂ＞|＆ａｍｐ；
шуруп|Гайка металлическая|ГАЙКА|ё Ё й Й|Ґ ґ є|ქართული ᲥᲐᲠᲗᲣᲚᲘ|հայերեն ԵՎ|עברית שָׁלוֹם|العربية برغي|مَعْدِن|هندي ह िन्दी|हिन्दी|ไทย น็อต|தமிழ்|ᏣᎳᎩ ꮳꮃꭹ|ᚠᚢᚦ|ꙮ|𐐀𐐁𐐨|𝒜𝓑𝔸|Ⲁⲁ|Ꞌꞌ|ⴀⴁ|ᾈ ᾳ ΐ ΰ|ῼ ώ|ǰ|ſ ẛ|ĸ|Ⱥ ȺȾ|ᵃᵇ ₐ
&amp;|&amp|&amp;amp;|&amp;amp;amp;|&amp;amp;amp;amp; x|&lt;b&gt;|<b>&amp;</b>|<&amp;amp;amp;>|&lt;&amp;amp;amp;|&quot;x&quot;|&apos;s|&nbsp;x&nbsp;|&eacute;|&eacute|&eacutex|&Eacute;TAT|caf&eacute; &agrave;|&amplifier|&ampersand;|&notit;|&notin;|&notin|&not|&copy2024|&COPY;|&COPY|&REG x|&LT;&GT|&QUOT;|&AMP;|&AMPx|&hellip;|&ndash;|&mdash|&euro;|&alpha;&Beta;|&lang;x&rang;|&rsquo;s|&ldquo;q&rdquo;|&frac12;|&frac12x|&frac|&sup2;|&thetasym;|&hearts;|&nosuch;|&;|&|& amp;|&a|AT&T|Q&A|R&D;|&#65;|&#65|&#x41;|&#X41|&#x41g|&#65g|&#0;|&#;|&#x;|&#xg;|&#128;|&#146;s|&#x96;|&#129;|&#13;|&#10;x|&#12;x|&#11;x|&#28;x|&#127;x|&#55296;|&#xDFFF;|&#xFFFF;x|&#x1FFFE;x|&#xFDD0;x|&#1114111;x|&#1114112;|&#99999999999999999999;|&#x1F529;|&#x1f529 x|&#8217;s|&am&#112;;|&#38;#38;amp;|&amp#59;|&amp;#x26;lt;|&#0000000000000000000000065;|&#000000000000000000000000000065;|&abcdefghijklmnopqrstuvwxyz;|&ampabcdefghijklmnopqrstuvwxyz;|&times;|&times|&timesx|&THORN;&thorn|&yuml&Yuml;|&szlig;|&ordm|&sect1|&para;&parax|&cent;s &cents|&micro;m|&deg;C|&Omega;|&TRADEx|&lsaquo;&lsquo;&sbquo;|&zwj;&zwnj;x|&shy;x|&ensp;&emsp;&thinsp;x
a\tb\nc\rd|a\r\nb|  a  |\u00a0a\u00a0b|a\u2003b\u3000c|a\u200bb|a\u2028b\u2029c\u0085d|a\x1cb\x1db\x1eb\x1fb|a\x00b|\x01\x02x|a\x0bb\x0cc|a\x7fb|a\ufeffb|\ufeffx|a\u206ab|\ufff9a\ufffab\ufffb|\ufffcx\ufffd|a\x80b\x9f|a\u00adb|a\u2060b|\u202ea|\u200e\u200f|\u1680x\u180ex|\u2000\u200ax|\u202fx\u205f|\ue000|\U000f0000x|\ufdd0|\uffff x
a_b-c/d\\\\e|foo.bar@example.com|https://example.com/?q=1&amp;x=2|#hashtag @user|C++ C#|a--b|...|?!?!|“quoted” ‘single’ „low‟|‹x› «y»|‚a‛ ‟b|—–‒―|{}[]()|~`^|<>|<|>|a<b>c|%$§|¿qué? ¡sí!|…|·|a·b|´`¨|x×y÷z|¹²³|ªº|µm|Åland|ÿ Ÿ|\u0149\u02bc
uncharacteristically microcrystalline electroluminescence|pneumonoultramicroscopicsilicovolcanoconiosis|Donaudampfschifffahrtsgesellschaft|antidisestablishmentarianism|qwertyuiopasdfghjklzxcvbnm|zzzzzzzzzz|aaaa|aaaaa|abababab|lololololol|hahahahaha|mississippi|banana bandana|thethethe|ing inging|sssss ssss|eeeeeee|0000|!!!!!!!!|?????|=======|______|-------
"""

LONG = [("nut ", 75), ("nut ", 76), ("nut ", 500), ("a", 75), ("a", 76), ("a", 4096), ("a", 5000), ("ab", 3000), ("!", 300), ("!?", 2500),
        ("1", 74), ("1", 75), ("1", 76), ("1", 16384), ("1", 20000), ("🔩", 2000), ("螺丝", 900), ("mississippi", 400), ("e\u0301", 3000), ("<end_of_text>", 80),
        ("metal nut <end_of_text> ", 40), ("&amp;", 200), ("'s", 90), (" ", 20000), ("ﬃ", 300), ("supercalifragilistic", 200), ("x ", 74),
        ("\U00010400", 1100), ("Σ", 500), ("Σ.", 500), ("ΑΣ ", 60), ("😀😃😄", 100), ("\u0301", 3000), ("가", 700)]


def random_texts(rng):
    """Marks in any order after letters, letters of many scripts, and pieces of words, entities and quotes in any company."""
    marks = [c for c in map(chr, range(0x300, 0x2000)) if u.combining(c)]
    letters = [c for c in map(chr, range(0x41, 0x3000)) if u.category(c)[0] == "L"]
    pieces = ["metal", "Nut", "'s", "'", "&amp", "&amp;", "&lt;", "&", ";", "amp;", "#38;", "&#", "x27;", " ", "\u00a0", "<", "Σ", "İ", "1", "½", "!",
              "<end_of_text>", "’", "ﬁ", "Ｗ", "\u0301", "\u0323", "🔩", "\x00", "_", "the", "가", "\u11a8"]
    for _ in range(40):
        yield "".join(rng.choice(letters) + "".join(rng.choices(marks, k=rng.randrange(4))) for _ in range(6))
    for _ in range(60):
        yield "".join(rng.choices(pieces, k=12))


def main():
    texts = [t.encode("ascii", "backslashreplace").decode("unicode_escape") for line in TEXTS.strip().split("\n") for t in line.split("|")]
    tokenizer = reference.Tokenizer(ROOT / "src/Models/Vocabulary/bpe_simple_vocab_16e6.txt.gz")
    cases = [(t, 1) for t in dict.fromkeys([*texts, *random_texts(random.Random(1))])] + LONG
    rows = []
    for text, repeat in cases:
        ids = [int(i) for i in tokenizer(text * repeat)]
        while ids[-1] == 0:
            ids.pop()
        rows.append(json.dumps([text, repeat, ids], separators=(",", ":")))
    nfc = hashlib.sha256()
    for c in (chr(c) for c in range(0x110000) if not 0xd800 <= c < 0xe000):
        nfc.update((u.normalize("NFC", c) + u.normalize("NFC", u.normalize("NFD", c))).encode())
    bare = [n for n in html.entities.html5 if not n.endswith(";")]
    names = sorted({*bare, *(n + ";" for n in [*bare, *html.entities.name2codepoint, "apos"])})
    entities = json.dumps({n: html.unescape("&" + n) for n in names}, separators=(",", ":"))
    out = '{"nfc":"%s","entities":%s,"cases":[\n%s\n]}\n' % (nfc.hexdigest(), entities, ",\n".join(rows))
    (HERE / "tokenizer_strings.json").write_text(out, encoding="ascii")
    print(len(rows), "strings")


if __name__ == "__main__":
    main()
