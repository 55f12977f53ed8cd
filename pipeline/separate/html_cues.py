"""The walked lines of a page in, one row of numbers a line out: what the markup says, for the line model to weigh.

Counts are logarithms and shares, so that a row means the same on a short page and on a long one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pipeline.separate.html_marks import BITS, N_CONTAINERS, TAG_CLASS
from pipeline.separate.html_walk import Blocks, WalkedLine

_TAGS = ("p", "h1", "h2", "h3", "h4", "li", "cell", "figcaption", "blockquote", "div", "button", "form", "pre", "term")
_INLINE = ("time", "strong", "emphasis", "label", "small", "citation")
_LINE = (
    *(
        "chars",
        "words",
        "link_density",
        "n_links",
        "is_link",
        "starts_with_link",
        "ends_with_link",
        "is_hidden",
        "depth",
    ),
    *("strong_share", "is_title", "title_overlap", "shares_block", "is_first_in_block"),
)
_SCOPES = ("block", "parent", "grandparent", "list", "section")
_SCOPE = ("n_lines", "chars", "link_density", "mean_chars", "n_paragraphs")
_PAGE = (
    *("has_list", "has_section", "position", "char_position", "from_start", "to_end", "has_h1", "from_h1", "after_h1"),
    *("in_top", "around_top", "into_top", "before_top", "after_top", "parent_score", "grandparent_score"),
    *("shape_count", "shape_chars", "shape_link_density", "shape_in_top", "shape_spread"),
)
CUES: tuple[str, ...] = (
    *(f"tag_{name}" for name in _TAGS),
    *(f"inline_{name}" for name in _INLINE),
    *_LINE,
    *(f"{scope}_{name}" for scope in _SCOPES for name in _SCOPE),
    *_PAGE,
    *(f"in_{name}" for name in BITS[: N_CONTAINERS + 2]),
    *(f"part_{name}" for name in BITS),
    *(f"near_{name}" for name in BITS),
)
"""The name of each column. `in_` is any ancestor, `near_` the nearest three, `part_` those that hold less than a third of the page."""

_TAG_INDEX = {tag: _TAGS.index(name) for tag, name in TAG_CLASS.items()}
_WORD = re.compile(r"\w+")
_WORD_OR_BREAK = re.compile(r"\w+|\n")
_PROSE_CHARS = 80
_TITLE_CHARS = 300
_PART = 1 / 3
_Array = np.ndarray


def scaled_log(counts: ArrayLike) -> _Array:
    """ln(1 + count) / 4, so that counts of all sizes stand beside shares: a hundred is 1.15, a million 3.45."""
    return np.log1p(counts) / 4


def cue_matrix(lines: list[WalkedLine], blocks: Blocks, title: str | None) -> _Array:
    """Float32 (n_lines, len(CUES)), a row for each line in order."""
    if not lines:
        return np.zeros((0, len(CUES)), np.float32)
    text, *counts = zip(*lines, strict=True)
    counts = np.array(counts, np.int64)
    block, marks, near, inline, depth, n_chars, n_link, n_strong, n_links, starts, ends, hidden = counts
    parent = _with_none(blocks.parent)
    tag = _with_none([_TAG_INDEX[name] for name in blocks.tag])[block]
    is_prose = (tag == 0) | ((n_chars >= _PROSE_CHARS) & (n_link * 3 < n_chars))
    first, end = np.array([*blocks.first, 0]), np.array([*blocks.end, len(lines)])
    sums = _Sums(n_chars, n_link, is_prose, first, end)
    scopes = (
        block,
        parent[block],
        parent[parent[block]],
        _with_none(blocks.list_)[block],
        _with_none(blocks.section)[block],
    )
    line_cues = (
        scaled_log(n_chars),
        scaled_log([line.count(" ") for line in text]),
        n_link / n_chars,
        scaled_log(n_links),
        n_link == n_chars,
        starts,
        ends,
        hidden,
        scaled_log(depth),
        n_strong / n_chars,
        *_title_cues(text, title),
        end[block] - first[block] > 1,
        np.arange(len(lines)) == first[block],
    )
    top, scores = _scores(block, parent, n_chars, n_link, is_prose)
    columns = (
        np.arange(len(_TAGS))[:, None] == tag,
        _bits(inline, len(_INLINE)),
        line_cues,
        *(sums.cues(scope) for scope in scopes),
        _page_cues(n_chars, tag, first[top], end[top], scores, parent, block, scopes),
        _shape_cues(block, parent, blocks.look, n_chars, n_link, first[top], end[top]),
        _bits(marks, N_CONTAINERS + 2),
        _bits(_part_marks(blocks, sums.chars)[block] | near, len(BITS)),
        _bits(near, len(BITS)),
    )
    cues = np.empty((len(CUES), len(lines)), np.float32)
    for row, column in zip(cues, itertools.chain.from_iterable(columns), strict=True):
        row[:] = column
    return cues.T


class _Sums:
    """Running sums over the lines, from which what a block holds is a difference."""

    def __init__(self, n_chars: _Array, n_link: _Array, is_prose: _Array, first: _Array, end: _Array):
        totals = (np.concatenate([[0], np.cumsum(column)]) for column in (n_chars, n_link, is_prose))
        n_lines = end - first
        chars, links, prose = (total[end] - total[first] for total in totals)
        self.chars = chars
        some = np.maximum(chars, 1)
        self._by_block = np.stack(
            [
                scaled_log(n_lines),
                scaled_log(chars),
                links / some,
                scaled_log(chars / np.maximum(n_lines, 1)),
                scaled_log(prose),
            ]
        )

    def cues(self, scope: _Array) -> _Array:
        """(len(_SCOPE), n_lines): what the block numbered in `scope` holds, for each line; the whole page where it is -1."""
        return self._by_block[:, scope]


def _scores(block: _Array, parent: _Array, n_chars: _Array, n_link: _Array, is_prose: _Array) -> tuple[int, _Array]:
    """The block that holds most prose as paragraphs, and every block's share of that: its own children's and half its grandchildren's.

    References:
        The candidate scores of Arc90's Readability.
    """
    weight = np.where(is_prose, n_chars - n_link, 0).astype(float)
    holder = parent[block]
    n_blocks = len(parent)
    scores = np.bincount(holder % n_blocks, weight, n_blocks)
    scores += 0.5 * np.bincount(parent[holder] % n_blocks, weight, n_blocks)
    scores[-1] = 0
    top = int(scores.argmax())
    return (top if scores[top] > 0 else -1), scores / max(scores[top], 1.0)


def _page_cues(
    n_chars: _Array,
    tag: _Array,
    first: int,
    end: int,
    scores: _Array,
    parent: _Array,
    block: _Array,
    scopes: tuple[_Array, ...],
) -> tuple[_Array, ...]:
    n_lines = len(n_chars)
    index = np.arange(n_lines)
    before = np.cumsum(n_chars) - n_chars
    h1 = np.flatnonzero(tag == _TAGS.index("h1"))
    h1 = h1[h1 < end][-1:] if len(h1) else h1
    from_h1 = index - h1[0] if len(h1) else index
    around = max(1, (end - first) // 10)
    return (
        scopes[3] >= 0,
        scopes[4] >= 0,
        index / n_lines,
        before / n_chars.sum(),
        scaled_log(index),
        scaled_log(n_lines - index),
        np.full(n_lines, len(h1) > 0),
        np.sign(from_h1) * scaled_log(np.abs(from_h1)),
        from_h1 > 0,
        (index >= first) & (index < end),
        (index >= first - around) & (index < end + around),
        np.clip((index - first) / max(1, end - first), -1, 2),
        scaled_log(np.maximum(first - index, 0)),
        scaled_log(np.maximum(index - end + 1, 0)),
        scores[parent[block]],
        scores[parent[parent[block]]],
    )


def _shape_cues(
    block: _Array, parent: _Array, look: Sequence[str], n_chars: _Array, n_link: _Array, first: int, end: int
) -> _Array:
    """What the lines of the same make (tag and class, and the parent's) have in common: many links in many places are teasers."""
    names = [*look, ""]
    keys = [(names[b], names[p]) for b, p in zip(block.tolist(), parent[block].tolist(), strict=True)]
    numbers: dict[tuple[str, str], int] = {}
    shape = np.array([numbers.setdefault(key, len(numbers)) for key in keys])
    index = np.arange(len(block))
    count = np.bincount(shape)
    chars = np.bincount(shape, n_chars)
    last = np.zeros(len(count), int)
    np.maximum.at(last, shape, index)
    earliest = np.full(len(count), len(block))
    np.minimum.at(earliest, shape, index)
    in_top = np.bincount(shape, (index >= first) & (index < end))
    columns = (
        scaled_log(count),
        scaled_log(chars / count),
        np.bincount(shape, n_link) / chars,
        in_top / count,
        (last - earliest) / len(block),
    )
    return np.stack(columns)[:, shape]


def _title_cues(text: tuple[str, ...], title: str | None) -> tuple[_Array, _Array]:
    """Whether each line is the page's title, and the share of its words that are in it."""
    plain = " ".join(_WORD.findall((title or "").lower()))
    words = set(plain.split())
    is_title = np.zeros(len(text))
    found = _WORD_OR_BREAK.findall("\n".join([line if len(line) < _TITLE_CHARS else "" for line in text]).lower())
    line = np.cumsum(np.fromiter(map("\n".__eq__, found), bool, len(found)))
    n_words = np.bincount(line, minlength=len(text)) - (np.arange(len(text)) > 0)
    n_shared = np.bincount(line[np.fromiter(map(words.__contains__, found), bool, len(found))], minlength=len(text))
    for i in np.flatnonzero((n_words >= 3) & (n_shared == n_words) & (2 * n_words >= len(words))):
        is_title[i] = " ".join(_WORD.findall(text[i].lower())) in plain
    return is_title, n_shared / np.maximum(n_words, 1)


def _part_marks(blocks: Blocks, chars: _Array) -> _Array:
    """The bits of each block and of its ancestors, as far as these hold less than a third of the page: what names a part of it."""
    is_part = (chars < _PART * chars[-1]).tolist()
    marks: list[int] = []
    for own, parent, small in zip(blocks.own, blocks.parent, is_part, strict=False):
        marks.append((own | marks[parent] if parent >= 0 else own) if small else 0)
    return np.array([*marks, 0], np.int64)


def _bits(marks: _Array, n_bits: int) -> _Array:
    return (marks >> np.arange(n_bits)[:, None]) & 1


def _with_none(column: Sequence[int]) -> _Array:
    """The column with a last entry -1, so that block -1 (none) looks up -1 again."""
    return np.array([*column, -1], np.int64)
