"""Texts in, the spans of their lines and words out: whole batches as arrays of code points, nothing line by line.

Lines end at the same marks as in `pipeline.repair`; every line with a character that is no white space counts, with its
blanks, so body and boilerplate rebuild the text. A *segment* is what the model sees as one document: a text, or a piece of
one that has more lines than the limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.separate.characters import LINE_BREAKS, Char, classes, hashes, mix


@dataclass(frozen=True, slots=True)
class Words:
    """One row a word, in order: its line, its hash, where it stands, its length and the classes of its first two characters."""

    line: np.ndarray
    hash: np.ndarray
    start: np.ndarray
    length: np.ndarray
    first: np.ndarray
    second: np.ndarray
    from_: np.ndarray
    """(n_lines,) index of the line's first word"""
    to: np.ndarray
    """(n_lines,) index after the line's last word"""


@dataclass(frozen=True, slots=True)
class Lines:
    """The non-empty lines of a batch of texts. Offsets count from the beginning of the batch; `offset[d]` is where text d begins."""

    kinds: np.ndarray
    """(n_chars,) class of each character"""
    start: np.ndarray
    end: np.ndarray
    first: np.ndarray
    """(n_lines,) first character that is no blank"""
    last: np.ndarray
    """(n_lines,) last character that is no blank"""
    text: np.ndarray
    """(n_lines,) which text"""
    offset: np.ndarray
    segment: np.ndarray
    """(n_lines,) which segment, from 0"""
    bounds: np.ndarray
    """(n_segments + 1,) first line of each segment"""
    words: Words

    def __len__(self) -> int:
        return len(self.start)


def find_lines(texts: Sequence[str], max_lines: int) -> Lines:
    """The lines and words of the texts; segments have at most `max_lines` lines."""
    joined = "\n".join(texts)
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds = classes()[codes]
    lengths = np.array([len(text) for text in texts], np.int64)
    offset = np.concatenate([[0], np.cumsum(lengths + 1)])
    breaks = np.flatnonzero(kinds == Char.BREAK)
    start = np.concatenate([[0], breaks + 1])
    end = np.concatenate([breaks, [len(codes)]])
    inked = np.flatnonzero(kinds > Char.BREAK)
    low, high = np.searchsorted(inked, start), np.searchsorted(inked, end)
    kept = high > low
    start, end, low, high = start[kept], end[kept], low[kept], high[kept]
    text = np.searchsorted(offset, start, side="right") - 1
    segment, bounds = _segments(text, max_lines)
    words = _words(codes, kinds, start, end)
    return Lines(kinds, start, end, inked[low], inked[high - 1], text, offset, segment, bounds, words)


def pieces(text: str, max_chars: int, max_line_chars: int) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """A text too long to read at once, in pieces of about `max_chars`: each with the spans of its lines in the whole text.

    Of a line longer than `max_line_chars` only the beginning is in the piece; its span covers it all.
    """
    held: list[str] = []
    spans: list[tuple[int, int]] = []
    n_chars = 0
    for found in _LINE.finditer(text):
        line = found.group()[: 2 * max_line_chars].strip()[:max_line_chars] or found.group().strip()[:max_line_chars]
        if not line:
            continue
        if held and n_chars + len(line) >= max_chars:
            yield "\n".join(held), spans
            held, spans, n_chars = [], [], 0
        held.append(line)
        spans.append(found.span())
        n_chars += len(line) + 1
    if held:
        yield "\n".join(held), spans


_LINE = re.compile(f"[^{LINE_BREAKS}]+")
_BASE = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))


def _segments(text: np.ndarray, max_lines: int) -> tuple[np.ndarray, np.ndarray]:
    n = len(text)
    if n == 0:
        return np.zeros(0, np.int64), np.zeros(1, np.int64)
    is_new = np.ones(n, bool)
    is_new[1:] = text[1:] != text[:-1]
    first = np.flatnonzero(is_new)
    place = np.arange(n) - np.repeat(first, np.diff(np.append(first, n)))
    is_new |= place % max_lines == 0
    return np.cumsum(is_new) - 1, np.append(np.flatnonzero(is_new), n)


def _words(codes: np.ndarray, kinds: np.ndarray, start: np.ndarray, end: np.ndarray) -> Words:
    is_word = (kinds >= Char.LOWER) & (kinds <= Char.IDEOGRAPH)
    is_single = kinds == Char.IDEOGRAPH
    begins = is_word.copy()
    begins[1:] &= ~is_word[:-1] | is_single[1:] | is_single[:-1]
    at = np.flatnonzero(begins)
    if len(at) == 0:
        nothing = np.zeros(0, np.int64)
        none = np.zeros(len(start), np.int64)
        return Words(nothing, nothing.astype(np.uint64), nothing, nothing, nothing, nothing, none, none)
    hashed = hashes()[codes] * np.cumprod(np.full(len(codes), _BASE))
    hashed = mix(np.add.reduceat(hashed, at) * np.cumprod(np.full(len(codes), _INVERSE))[at])
    length = np.add.reduceat(is_word, at, dtype=np.int64)
    second = np.where(length > 1, kinds[np.minimum(at + 1, len(codes) - 1)], Char.SPACE)
    line = np.searchsorted(start, at, side="right") - 1
    from_, to = np.searchsorted(at, start), np.searchsorted(at, end)
    return Words(line, hashed, at, length, kinds[at], second, from_, to)
