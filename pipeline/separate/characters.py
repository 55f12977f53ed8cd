"""What kind of character each code point is, and a hash for it, as arrays to index with whole texts of code points."""

from __future__ import annotations

import unicodedata
from enum import IntEnum
from functools import cache

import numpy as np


class Char(IntEnum):
    """Exclusive classes; those from `LOWER` to `IDEOGRAPH` make words."""

    SPACE = 0
    BREAK = 1
    LOWER = 2
    UPPER = 3
    LETTER = 4
    DIGIT = 5
    IDEOGRAPH = 6
    TERMINAL = 7
    COMMA = 8
    COLON = 9
    QUOTE = 10
    DASH = 11
    BULLET = 12
    BRACKET = 13
    LINK = 14
    OTHER = 15


LINE_BREAKS = "\n\r\x0b\x0c\x85\u2028\u2029"
"""Where a line ends. `\\r\\n` needs no rule of its own: the empty line between them is no line."""

_N_CODES = 0x110000
_MARKS = {
    Char.TERMINAL: ".!?…。！？।؟．｡",
    Char.COMMA: ",;、，；،",
    Char.COLON: ":：",
    Char.QUOTE: "\"'“”„‘’‚«»「」『』`´‹",
    Char.DASH: "-‐‑‒–—―−~",
    Char.BULLET: "*•·●▪■◦‣|¦›>▶►→←↑↓#+○□✓✔★☆❯‧∙・",
    Char.BRACKET: "()[]{}<（）【】《》",
    Char.LINK: "/\\@&_=%$€£©®™^",
}
_IDEOGRAPHS = [
    (0x3040, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
    (0x0E00, 0x0E7F),
]


@cache
def classes() -> np.ndarray:
    """(0x110000,) uint8: the class of each code point."""
    table = np.full(_N_CODES, Char.OTHER, np.uint8)
    for code in range(0x20000):
        table[code] = _class_of(chr(code))
    for first, last in _IDEOGRAPHS:
        table[first : last + 1] = Char.IDEOGRAPH
    for kind, marks in _MARKS.items():
        table[[ord(mark) for mark in marks]] = kind
    table[[ord(mark) for mark in LINE_BREAKS]] = Char.BREAK
    return table


@cache
def hashes() -> np.ndarray:
    """(0x110000,) uint64: a hash of each code point's lower case; digits are all alike, what is in no word is 0."""
    folded = np.arange(_N_CODES, dtype=np.uint64)
    for code in range(0x20000):
        lower = chr(code).lower()
        if len(lower) == 1 and ord(lower) != code:
            folded[code] = ord(lower)
    table = classes()
    folded[table == Char.DIGIT] = ord("0")
    mixed = mix(folded + np.uint64(1))
    mixed[(table < Char.LOWER) | (table > Char.IDEOGRAPH)] = 0
    return mixed


def mix(keys: np.ndarray) -> np.ndarray:
    """The keys (uint64) scattered over 64 bits, by the finalizer of SplitMix64."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


_BY_CATEGORY = {"Ll": Char.LOWER, "Lu": Char.UPPER, "Lt": Char.UPPER, "Nd": Char.DIGIT}


def _class_of(char: str) -> Char:
    if char.isspace():
        return Char.SPACE
    category = unicodedata.category(char)
    if category in _BY_CATEGORY:
        return _BY_CATEGORY[category]
    return Char.LETTER if category[0] in "LM" or category == "Nl" else Char.OTHER
