"""The texts a linear model reads of one example: whole fields, and what stands around, before and after a target.

The target's own words are masked by one word, so that swapping names keeps the features. A target that is not mentioned is a
claim about the text: its words and how far they overlap with the text's are read instead (as in FNC-1 and Perspectrum).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.classifiers import claim_cues, denial_cues, stance_cues
from pipeline.document import Example

Field: TypeAlias = Literal[
    "text", "title", "all", "lead", "masked", "sentence", "near", "before", "after", "claim", "overlap",
    "anonymous", "placed", "clause", "side_before", "side_after", "cues",
    "passages", "crossed", "attitude", "denial",
]  # fmt: skip
CLAIM_FIELDS = frozenset({"passages", "crossed", "attitude", "denial"})
CUE_FIELDS = frozenset({"anonymous", "placed", "clause", "side_before", "side_after", "cues"})
TARGET_FIELDS = (
    frozenset({"masked", "sentence", "near", "before", "after", "claim", "overlap"}) | CUE_FIELDS | CLAIM_FIELDS
)
MASK = "targetmention"
_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[.!?][\"'”’)]*\s+|\n+")
_NEGATION = re.compile(
    r"\b(?:not?|never|none|nor|without|\w+n['’]t|cannot|fake|hoax|false|den(?:y|ies|ied)|debunk\w*|doubts?|refut\w+)\b"
)


@dataclass(frozen=True, slots=True)
class View:
    """A text to analyse; `origin[i]` is where its character i stands in the example's text, -1 where it does not."""

    text: str
    origin: NDArray[np.int64]


def view_text(example: Example, field: Field, window: int) -> str:
    """The words of one field; `window` is in words on each side of a target, in characters for `lead`."""
    match field:
        case "text":
            return example.text
        case "title":
            return example.title
        case "all":
            return f"{example.title}\n{example.text}" if example.title else example.text
        case "lead":
            return example.text[:window]
        case _:
            return view(example, field, window).text


def view(example: Example, field: Field, window: int) -> View:
    """As `view_text`, with the place of each character in the example's text."""
    match field:
        case "text" | "lead":
            text = view_text(example, field, window)
            return View(text, np.arange(len(text), dtype=np.int64))
        case "all":
            origin = np.arange(len(example.text), dtype=np.int64)
            lead = len(example.title) + 1 if example.title else 0
            return View(view_text(example, field, window), np.concatenate([np.full(lead, -1, np.int64), origin]))
        case "claim":
            return _unread(example.target or "" if mention_of(example) is None else "")
        case "overlap":
            return _unread(_overlap(example) if example.target and mention_of(example) is None else "")
        case "title":
            return _unread(example.title)
        case "masked":
            return _masked(example)[0]
        case "sentence" | "near" | "before" | "after":
            return _around(example, field, window)
        case "anonymous" | "placed" | "clause" | "side_before" | "side_after" | "cues":
            return _unread(_cues(example, field))
        case "passages" | "crossed" | "attitude" | "denial":
            return _unread(_claimed(example, field) if example.target and mention_of(example) is None else "")


def mention_of(example: Example) -> tuple[int, int] | None:
    """Where the target stands in the text: the span given, else its first whole-word mention in any case, else None."""
    if example.span is not None and 0 <= example.span[0] < example.span[1] <= len(example.text):
        return example.span
    found = mention_pattern(example.target).search(example.text) if example.target else None
    return found.span() if found else None


@cache
def mention_pattern(target: str) -> re.Pattern[str]:
    """What finds a name, literally, as whole words in any case."""
    return re.compile(rf"(?<!\w){re.escape(target.strip())}(?!\w)" if target.strip() else r"(?!)", re.IGNORECASE)


def _cues(example: Example, field: str) -> str:
    """The words of `stance_cues` around the mention, nothing where the target is not named."""
    mention = mention_of(example)
    if mention is None:
        return ""
    masked, at = _masked(example)
    left, right = at or (0, 0)
    if field == "cues":
        before, after = masked.text[:left], masked.text[right:]
        return stance_cues.cues(before, example.target or "", example.text[slice(*mention)], after)
    words, place = stance_cues.tokens(masked.text[:left], MASK, masked.text[right:])
    match field:
        case "anonymous":
            return stance_cues.anonymous(words)
        case "placed":
            return stance_cues.placed(words, place)
        case "clause":
            return stance_cues.clause(words, place)
        case _:
            return stance_cues.side(words, place, before=field == "side_before")


def _claimed(example: Example, field: str) -> str:
    claim = example.target or ""
    match field:
        case "passages":
            return claim_cues.passages(claim, example.text)
        case "crossed":
            return claim_cues.crossed(claim, example.text)
        case "denial":
            return denial_cues.cues(claim, example.text)
        case _:
            return claim_cues.cues(claim, example.title, example.text)


def _unread(text: str) -> View:
    return View(text, np.full(len(text), -1, dtype=np.int64))


def _around(example: Example, field: Literal["sentence", "near", "before", "after"], window: int) -> View:
    """The part of the masked text that stands in the sentence of the mention, or so many words around, before, after it."""
    whole, mention = _masked(example)
    if mention is None:
        return _unread("")
    start, end = _words_around(whole.text, mention, window)
    match field:
        case "sentence":
            start, end = _sentence_around(whole.text, mention)
        case "before":
            end = mention[0]
        case "after":
            start = mention[1]
        case "near":
            pass
    return View(whole.text[start:end], whole.origin[start:end])


def _masked(example: Example) -> tuple[View, tuple[int, int] | None]:
    """The text with every mention of the target replaced by the mask, and where the marked one is in it."""
    mention = mention_of(example)
    spans = {found.span() for found in mention_pattern(example.target or "").finditer(example.text)}
    if mention is not None:
        spans = {span for span in spans if span[1] <= mention[0] or span[0] >= mention[1]} | {mention}
    pieces, origins, at, n, marked = [], [], 0, 0, None
    for left, right in sorted(spans):
        pieces += [example.text[at:left], MASK]
        origins += [np.arange(at, left), np.full(len(MASK), left)]
        n += left - at + len(MASK)
        marked = (n - len(MASK), n) if (left, right) == mention else marked
        at = right
    pieces.append(example.text[at:])
    origins.append(np.arange(at, len(example.text)))
    return View("".join(pieces), np.concatenate(origins).astype(np.int64)), marked


def _sentence_around(text: str, mention: tuple[int, int]) -> tuple[int, int]:
    start, end = 0, len(text)
    for found in _SENTENCE_END.finditer(text):
        if found.end() <= mention[0]:
            start = found.end()
        elif found.start() >= mention[1]:
            end = found.end()
            break
    return start, end


def _words_around(text: str, mention: tuple[int, int], n: int) -> tuple[int, int]:
    """From the start of the n-th word before the mention to the end of the n-th word after it."""
    lead = max(0, mention[0] - 40 * n)
    before = [lead + found.start() for found in _WORD.finditer(text[lead : mention[0]])][-n:] if n else []
    after = [found.end() for found in _WORD.finditer(text, mention[1], min(len(text), mention[1] + 40 * n))][:n]
    return (before or [mention[0]])[0], (after or [mention[1]])[-1]


def _overlap(example: Example) -> str:
    """Words that say how much of the claim the text (and its title) repeats, and which side negates."""
    claim = set(_WORD.findall((example.target or "").casefold()))
    text = f"{example.title}\n{example.text}".casefold()
    shared = sum(len(word) for word in claim & set(_WORD.findall(text))) / max(1, sum(map(len, claim)))
    in_claim = len(_NEGATION.findall((example.target or "").casefold())) % 2
    in_text = min(3, len(_NEGATION.findall(text)))
    steps = " ".join(f"repeats{tenth}" for tenth in range(1, 11) if shared >= tenth / 10)
    return f"overlapping {steps} negated{in_claim} denies{in_text} negations{in_claim}{in_text}"
