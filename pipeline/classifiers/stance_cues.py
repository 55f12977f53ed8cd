"""What a sentence shows about a target marked in it, written as words that a linear model can weigh.

Other names give way to one word, so that who else is named says nothing; words are joined with their side and distance, or with a
negation before them; and favourable or unfavourable words are counted by side, distance and negation.
Reference for the polarity of words: Hutto and Gilbert 2014, VADER (ICWSM 8); see `polarity.txt` for its licence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

OTHER_NAME = "othername"
_TOKEN = re.compile(r"\w+(?:['’]\w+)?|[^\w\s]")
_NEGATION = re.compile(
    r"(?:not|no|never|none|nor|neither|without|cannot|hardly|barely|few|little|fail(?:s|ed|ure)?|refus\w+|den(?:y|ies|ied)|lack\w*|\w*n['’]t)",
    re.IGNORECASE,
)
_CLAUSE_BREAK = re.compile(r"[.,;:!?—–()]|(?:but|however|although|though|while|because|and)", re.IGNORECASE)
_PRONOUNS = frozenset("he she his her him they their them it its i we who".split())  # noqa: SIM905
_NOT_NAMES = frozenset(("I", "A", "The", "He", "She", "It", "We", "They"))
_MARKS = {
    '"': "qq",
    "“": "qo",
    "”": "qc",
    ",": "cm",
    ":": "cl",
    ";": "sc",
    "?": "qm",
    "!": "ex",
    "(": "po",
    ")": "pc",
    "—": "ds",
}
_N_NEGATED, _N_FLIPPED, _FLIP = 6, 4, -0.7
_N_WORDS, _N_SIDE, _N_PLACED, _N_EXACT = 60, 15, 10, 3


@lru_cache(maxsize=512)
def tokens(before: str, mask: str, after: str) -> tuple[tuple[str, ...], int]:
    """The words and marks around a masked mention, other names replaced, and the place of the mask among them."""
    left = _TOKEN.findall(before)[-_N_WORDS:]
    words = [*left, mask, *_TOKEN.findall(after)[:_N_WORDS]]
    found: list[str] = []
    at = 0
    for i, word in enumerate(words):
        if i == len(left):
            at = len(found)
        if word == mask or not word[0].isupper() or i == 0 or word in _NOT_NAMES or word.lower() in polarities():
            found.append(word)
        elif found[-1] != OTHER_NAME:
            found.append(OTHER_NAME)
    return tuple(found), at


def anonymous(words: tuple[str, ...]) -> str:
    """The words in order, punctuation spelt out."""
    return " ".join(_MARKS.get(word, word) for word in words)


def placed(words: tuple[str, ...], at: int) -> str:
    """Each word near the mention joined with its side, and with its distance where that is small."""
    found = []
    for i in range(max(0, at - _N_PLACED), min(len(words), at + _N_PLACED + 1)):
        side, distance, word = "l" if i < at else "r", abs(i - at), _MARKS.get(words[i], words[i])
        if 0 < distance <= _N_EXACT:
            found.append(f"{side}{distance}_{word}")
        if distance:
            found.append(f"{side}n_{word}")
    return " ".join(found)


def clause(words: tuple[str, ...], at: int) -> str:
    """The words between the marks and conjunctions around the mention, negated ones joined with 'not_'."""
    start, end = at, at
    while start > 0 and not _CLAUSE_BREAK.fullmatch(words[start - 1]):
        start -= 1
    while end < len(words) - 1 and not _CLAUSE_BREAK.fullmatch(words[end + 1]):
        end += 1
    return " ".join(_negated(words[start : end + 1]))


def side(words: tuple[str, ...], at: int, *, before: bool) -> str:
    """The words on one side of the mention, negated ones joined with 'not_'."""
    return " ".join(_negated(words[max(0, at - _N_SIDE) : at] if before else words[at + 1 : at + 1 + _N_SIDE]))


def cues(before: str, target: str, mention: str, after: str) -> str:
    """Favourable and unfavourable words by side and distance, negations, quotation, and how and where the target is named."""
    counted = list(_polar(before, after))
    n_chars = len(before) + len(mention) + len(after)
    is_quoted = before.count("“") > before.count("”") or before.count('"') % 2 == 1
    counted.append("inquote" if is_quoted else "outquote")
    counted.append("hasquote" if re.search('[“"]', before + after) else "noquote")
    counted.append(f"place{min(4, 5 * len(before) // max(1, n_chars))}")
    name = mention.lower()
    counted.append(f"pronoun_{name}" if name in _PRONOUNS else "named")
    counted.append(f"words{min(4, len(target.split()))}")
    if "'" in name or "’" in name or after[:2] in ("'s", "’s"):
        counted.append("owner")
    return " ".join(counted)


@cache
def polarities() -> dict[str, float]:
    """How favourable each known word is, from -4 to 4."""
    lines = Path(__file__).with_name("polarity.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split() for line in lines if not line.startswith("#"))
    return {word: float(value) for word, value in pairs}


def _polar(before: str, after: str) -> Iterator[str]:
    left = _TOKEN.findall(before)
    words = [*left, "", *_TOKEN.findall(after)]
    known, total, n_left = polarities(), 0.0, 0
    for i, word in enumerate(words):
        at_side, distance = "l" if i < len(left) else "r", abs(i - len(left))
        if word and _NEGATION.fullmatch(word):
            n_left = _N_FLIPPED
            yield from ("negation", f"negation_{at_side}")
            continue
        n_left -= 1
        value = known.get(word.lower(), 0.0) * (_FLIP if n_left > 0 else 1.0)
        if value:
            total += value
            sign, reach = (
                "pos" if value > 0 else "neg",
                "n" if distance <= _N_FLIPPED else "m" if distance <= _N_PLACED else "f",
            )
            yield from (sign, f"{sign}{at_side}", f"{sign}{at_side}{reach}", f"{sign}{reach}") * (
                2 if abs(value) >= 2 else 1
            )
    rounded = max(-6, min(6, round(total)))
    yield f"total{'minus' if rounded < 0 else 'plus'}{abs(rounded)}"


def _negated(words: tuple[str, ...]) -> Iterator[str]:
    n_left = 0
    for word in words:
        if _NEGATION.fullmatch(word):
            n_left = _N_NEGATED
            yield word.lower()
            continue
        if word in ".;:!?":
            n_left = 0
        if word[0].isalnum():
            yield f"not_{word.lower()}" if n_left > 0 else word.lower()
            n_left -= 1
