"""Text repaired line by line: mojibake, control characters, odd blanks; and the way back from the repaired to the given text.

The decision that is not obvious: no line is added, dropped or joined, so that line i of the one is line i of the other and
any span can be led back (`Alignment`).

References: ftfy (R. Speer, 2019), doi:10.5281/zenodo.2591652.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import takewhile
from typing import Literal

from pipeline.config import Config
from pipeline.document import Document


class Repair(Config):
    """What `clean_line` does beyond dropping control characters and trailing blanks."""

    fix_encoding: bool
    normalization: Literal["NFC", "NFKC"]


@dataclass(frozen=True, slots=True)
class Alignment:
    """A cleaned text and the text it came from: line i of one is line i of the other."""

    given: str
    cleaned: str

    def to_given(self, start: int, end: int) -> tuple[int, int]:
        """Where the span `[start, end)` of the cleaned text stands in the text given, both in code points."""
        if self.given == self.cleaned:
            return start, end
        first = self.cleaned.count("\n", 0, start)
        last = first + self.cleaned.count("\n", start, end)
        lines = _line_spans(self.given)
        return self._place(first, start, lines, is_end=False), self._place(last, end, lines, is_end=True)

    def _place(self, index: int, offset: int, lines: Sequence[tuple[int, int]], *, is_end: bool) -> int:
        begin = 0
        for _ in range(index):
            begin = self.cleaned.index("\n", begin) + 1
        stop = self.cleaned.find("\n", begin)
        cleaned = self.cleaned[begin : stop if stop >= 0 else len(self.cleaned)]
        start, end = lines[index]
        return start + _aligned(cleaned, self.given[start:end], offset - begin, is_end=is_end)


def clean_with_span(text: str, span: tuple[int, int] | None, repair: Repair) -> tuple[str, tuple[int, int] | None]:
    """The cleaned text, and where the span now stands: its three parts are cleaned apart, so nothing merges across its ends."""
    if span is None or not 0 <= span[0] < span[1] <= len(text):
        return clean_text(text, repair), None
    whole = clean_text(text, repair)
    if whole == text:
        return text, span
    before, mention, after = (
        clean_text(part, repair, strip=False) for part in (text[: span[0]], text[slice(*span)], text[span[1] :])
    )
    return before + mention + after, (len(before), len(before) + len(mention))


def clean_text(text: str, repair: Repair, *, strip: bool = True) -> str:
    """The text with every line cleaned and `\\n` between them; cleaning twice changes nothing more."""
    if _is_clean(text, repair.normalization):
        return text
    return "\n".join(clean_line(line, repair, strip=strip) for line in _LINE_BREAK.split(text))


def clean_line(line: str, repair: Repair, *, strip: bool = True) -> str:
    """The line without mojibake, control characters, odd blanks and trailing blanks.

    Deliberately kept: letters of any script, emoji, curly quotes, dashes, leading blanks and runs of blanks.
    """
    line = _BLANK.sub(" ", _CONTROL.sub("", line))
    if not line.isascii():
        line = _BLANK.sub(" ", _CONTROL.sub("", _repaired(line, repair)))
        line = unicodedata.normalize(repair.normalization, line)
    return line.rstrip() if strip else line


def clean_lines(document: Document, repair: Repair) -> Document:
    """An HTML document with its text cleaned line by line; the spans follow, a line left empty goes."""
    text = clean_text(document.text, repair)
    if text == document.text:
        return document
    given_starts, cleaned_starts = _line_starts(document.text), _line_starts(text)
    cleaned_lines = text.split("\n")
    lines = []
    for line in document.lines:
        index = bisect_right(given_starts, line.start) - 1
        if cleaned_lines[index].strip():
            start = cleaned_starts[index]
            lines.append(replace(line, start=start, end=start + len(cleaned_lines[index])))
    return replace(document, text=text, lines=tuple(lines))


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return starts[:-1]


_MAX_REPAIRS = 4  # text garbled more often than this is not text any more
_MAX_REPAIRED_CHARS = 48  # what stands for one character, garbled as often as is repaired
_N_ANCHORED = 3  # characters that must be equal for two lines to agree again
_LINE_BREAK = re.compile("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff\u00ad\u200b\u2060\ud800-\udfff]")
_BLANK = re.compile("[\t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_SUSPECT = re.compile("[^\x00-\x7f]{2}|[\x80-\x9f\u00c2\u00c3\u0152\u0153]")  # stands in all that ftfy finds bad
_CLEAN_BYTES = bytes(byte for byte in range(256) if (byte >= 32 and byte != 127) or byte == 10)
_WITHOUT_ASCII = bytes(32 if byte < 128 else byte for byte in range(256))


def _is_clean(text: str, normalization: Literal["NFC", "NFKC"]) -> bool:
    """Whether it can be told at a glance that cleaning would change nothing."""
    if " \n" in text or text.endswith(" "):
        return False
    given = text.encode("utf-8", "surrogatepass")
    if given.translate(None, _CLEAN_BYTES):
        return False
    return all(_stands_alone(run, normalization) for run in set(given.translate(_WITHOUT_ASCII).split()))


@lru_cache(maxsize=10_000)
def _stands_alone(run: bytes, normalization: Literal["NFC", "NFKC"]) -> bool:
    """Whether it is one character that stays as it is between ASCII characters."""
    one = run.decode("utf-8", "surrogatepass")
    if len(one) > 1 or unicodedata.combining(one) or unicodedata.normalize(normalization, one) != one:
        return False
    return not any(pattern.search(one) for pattern in (_LINE_BREAK, _CONTROL, _BLANK, _SUSPECT))


def _repaired(line: str, repair: Repair) -> str:
    if not repair.fix_encoding:
        return line
    from ftfy import fix_encoding
    from ftfy.badness import is_bad

    for _ in range(_MAX_REPAIRS):
        if not _SUSPECT.search(line) or not is_bad(line) or (repaired := fix_encoding(line)) == line:
            break
        line = repaired
    return line


def _line_spans(text: str) -> list[tuple[int, int]]:
    spans, begin = [], 0
    for found in _LINE_BREAK.finditer(text):
        spans.append((begin, found.start()))
        begin = found.end()
    return [*spans, (begin, len(text))]


def _aligned(cleaned: str, given: str, offset: int, *, is_end: bool) -> int:
    """The offset in `given` that answers to `offset` in `cleaned`; between two matches, the nearer outer edge."""
    if cleaned == given:
        return offset
    for start, given_start, size in _common_runs(cleaned, given):
        if start <= offset < start + size or (is_end and start < offset <= start + size):
            return given_start + offset - start
        if start > offset:
            return given_start
    return len(given)


@lru_cache(maxsize=256)
def _common_runs(cleaned: str, given: str) -> list[tuple[int, int, int]]:
    """Where the two agree: start in the one, start in the other, length, in order.

    Repairs are local, so past each the two soon agree again: at the nearest place where some characters are equal.
    Deliberately missed: what lies behind a repair that is longer than any mojibake.
    """
    runs, a, b = [], 0, 0
    while a < len(cleaned) and b < len(given):
        size = _n_equal(cleaned, a, given, b)
        if size:
            runs.append((a, b, size))
        a, b = a + size, b + size
        if (shift := _shift(cleaned, a, given, b)) is None:
            break
        a, b = a + shift[0], b + shift[1]
    return runs


def _n_equal(one: str, a: int, other: str, b: int) -> int:
    """How many characters are equal from `a` and `b` on."""
    n, step = 0, 64
    while one[a + n : a + n + step] == other[b + n : b + n + step] and a + n < len(one):
        n += step
    pairs = zip(one[a + n : a + n + step], other[b + n : b + n + step], strict=False)
    return min(len(one) - a, n + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs)))


def _shift(cleaned: str, a: int, given: str, b: int) -> tuple[int, int] | None:
    """How far to go in either until they agree again; None where they do not soon."""
    for far in range(1, _MAX_REPAIRED_CHARS):
        for in_cleaned in range(min(far, len(cleaned) - a) + 1):
            here, there = a + in_cleaned, b + far - in_cleaned
            ahead = cleaned[here : here + _N_ANCHORED]
            if ahead and ahead == given[there : there + _N_ANCHORED]:
                return in_cleaned, far - in_cleaned
    return None
