"""What the model reads of each line: numbers about the line and its place in the document, and the words it knows.

All counts are whole numbers and all tables belong to one segment, so a line's features never depend on what else is in the
batch. The lexicon's cues and the words are looked up by hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from pipeline.separate.characters import Char, mix
from pipeline.separate.lexicon import CUES, FUNCTION_WORDS, phrases
from pipeline.separate.lines import Lines, Words, find_lines

_ENDS = (
    Char.TERMINAL,
    Char.QUOTE,
    Char.COLON,
    Char.COMMA,
    Char.DIGIT,
    Char.BRACKET,
    Char.BULLET,
    Char.DASH,
    Char.OTHER,
)
_BEGINS = (Char.LOWER, Char.DIGIT, Char.QUOTE, Char.BULLET, Char.DASH, Char.BRACKET, Char.LINK, Char.OTHER)
_SHARES = tuple(kind for kind in Char if kind > Char.BREAK)

NAMES: tuple[str, ...] = (
    *(f"share_{kind.name.lower()}" for kind in _SHARES),
    *(f"ends_{kind.name.lower()}" for kind in _ENDS),
    *(f"begins_{kind.name.lower()}" for kind in _BEGINS),
    "log_chars", "log_words", "word_length", "n_terminals", "n_commas", "n_quotes", "n_links", "n_bars",
    "capitalised", "all_caps", "numbers", "function_words", "is_prose", "is_short",
    *(f"cue_{name}" for name in CUES),
    *(f"cue_share_{name}" for name in CUES),
    "place", "place_from_end", "log_index", "log_index_from_end",
    "prose_before", "prose_after", "prose_here", "since_prose", "until_prose", "short_run", "short_run_before", "short_run_after",
    "repeats", "same_begin", "same_begin_share", "same_shape", "same_end", "begins_elsewhere",
    "in_story", "in_story_start", "in_neighbours_story", "relative_length", "relative_length_all",
    "n_lines", "prose_share", "prose_char_share", "mean_log_chars", "prose_log_chars", "terminal_share", "function_share", "ideograph_share",
)  # fmt: skip
"""The columns of `Features.dense`."""


@dataclass(frozen=True, slots=True)
class Features:
    """`dense` (n_lines, len(NAMES)) float64; the words are in `lines`, `phrase_hashes` are words in a place and pairs of words."""

    lines: Lines
    dense: np.ndarray
    phrase_lines: np.ndarray
    phrase_hashes: np.ndarray


@dataclass(frozen=True, slots=True)
class HashTable:
    """Values for 64-bit hashes, found by one look-up: a later entry that falls into a taken slot is left out."""

    keys: np.ndarray
    values: np.ndarray
    shift: np.uint64

    @classmethod
    def of(cls, keys: np.ndarray, values: np.ndarray, bits: int) -> HashTable:
        shift = np.uint64(64 - bits)
        table, held = np.zeros(1 << bits, np.uint64), np.zeros(1 << bits, values.dtype)
        slots = (keys >> shift).astype(np.int64)
        table[slots[::-1]], held[slots[::-1]] = keys[::-1], values[::-1]
        return cls(table, held, shift)

    def __getitem__(self, hashes: np.ndarray) -> np.ndarray:
        """The value of each hash, 0 where it is not in the table."""
        slots = (hashes >> self.shift).astype(np.int64)
        return np.where(self.keys[slots] == hashes, self.values[slots], 0)


def extract(texts: list[str], *, max_lines: int) -> Features:
    """The features of every line of the texts."""
    lines = find_lines(texts, max_lines)
    words = lines.words
    pairs, triples = _grams(words)
    columns = _Columns(len(lines))
    _add_characters(columns, lines)
    is_function = _function_words()[words.hash] > 0
    _add_words(columns, lines, is_function)
    _add_cues(columns, lines, pairs, triples)
    _add_places(columns, lines)
    _add_repeats(columns, lines, pairs)
    _add_story(columns, lines, is_function)
    _add_document(columns, lines, is_function)
    return Features(lines, columns.matrix(), *_phrases(lines, pairs))


class _Columns:
    """The feature matrix while it is filled, by name."""

    def __init__(self, n_lines: int):
        self.n_lines = n_lines
        self.by_name: dict[str, np.ndarray] = {}

    def __setitem__(self, name: str, values: np.ndarray) -> None:
        self.by_name[name] = values

    def __getitem__(self, name: str) -> np.ndarray:
        return self.by_name[name]

    def matrix(self) -> np.ndarray:
        out = np.empty((len(NAMES), self.n_lines))
        for row, name in zip(out, NAMES, strict=True):
            row[:] = self.by_name[name]
        return out.T


def _grams(words: Words) -> tuple[np.ndarray, np.ndarray]:
    """The hash of each word with its next, and with its next two; 0 where the line ends before."""
    n = len(words.hash)
    pairs, triples = np.zeros(n, np.uint64), np.zeros(n, np.uint64)
    if n > 1:
        same = words.line[1:] == words.line[:-1]
        pairs[:-1] = np.where(same, mix(words.hash[:-1] * np.uint64(3) + words.hash[1:]), 0)
    if n > 2:
        same = words.line[2:] == words.line[:-2]
        triples[:-2] = np.where(same, mix(pairs[:-2] * np.uint64(5) + words.hash[2:]), 0)
    return pairs, triples


def _add_characters(columns: _Columns, lines: Lines) -> None:
    n = len(lines)
    kinds = lines.kinds
    mark = np.zeros(len(kinds), np.int64)
    mark[lines.start] = 1
    of = np.cumsum(mark)
    counts = np.bincount(of * 16 + kinds, minlength=16 * (n + 1)).reshape(-1, 16)[1:].astype(float)
    inked = counts[:, 2:].sum(axis=1)
    for kind in _SHARES:
        columns[f"share_{kind.name.lower()}"] = counts[:, kind] / inked
    ends, begins = kinds[lines.last], kinds[lines.first]
    before_end = kinds[np.maximum(lines.last - 1, lines.first)]
    closes = ((ends == Char.QUOTE) | (ends == Char.BRACKET)) & (
        (before_end == Char.TERMINAL) | (before_end == Char.COMMA)
    )
    for kind in _ENDS:
        columns[f"ends_{kind.name.lower()}"] = (ends == kind).astype(float)
    columns["ends_terminal"] = np.where(closes, 1.0, columns["ends_terminal"])
    for kind in _BEGINS:
        columns[f"begins_{kind.name.lower()}"] = (begins == kind).astype(float)
    columns["n_chars"] = (lines.last - lines.first + 1).astype(float) + counts[:, Char.IDEOGRAPH]
    columns["log_chars"] = np.log(columns["n_chars"])
    for name, kind in (
        ("n_terminals", Char.TERMINAL),
        ("n_commas", Char.COMMA),
        ("n_quotes", Char.QUOTE),
        ("n_links", Char.LINK),
    ):
        columns[name] = np.minimum(counts[:, kind], 8)
    columns["n_bars"] = np.minimum(counts[:, Char.BULLET], 4)
    columns["ideographs"] = counts[:, Char.IDEOGRAPH]


def _line_sums(values: np.ndarray, words: Words) -> np.ndarray:
    """(n_lines,) sums of whole numbers (n_words,), exact."""
    total = np.concatenate([np.zeros(1, np.int64), np.cumsum(values, dtype=np.int64)])
    return (total[words.to] - total[words.from_]).astype(float)


def _add_words(columns: _Columns, lines: Lines, is_function: np.ndarray) -> None:
    words = lines.words
    n_words = (words.to - words.from_).astype(float)
    whole = np.maximum(n_words, 1)
    is_cap = words.first == Char.UPPER
    columns["n_words"] = n_words
    columns["log_words"] = np.log(n_words + 1)
    columns["word_length"] = np.minimum(_line_sums(words.length, words) / whole, 15)
    columns["capitalised"] = _line_sums(is_cap, words) / whole
    columns["all_caps"] = _line_sums(is_cap & (words.second == Char.UPPER), words) / whole
    columns["numbers"] = _line_sums(words.first == Char.DIGIT, words) / whole
    columns["function_words"] = _line_sums(is_function, words) / whole
    prose = (
        (columns["n_chars"] >= 80)
        & (columns["ends_terminal"] > 0)
        & ((columns["function_words"] > 0.15) | (columns["ideographs"] > 30))
    )
    columns["is_prose"] = prose.astype(float)
    columns["is_short"] = ((columns["n_chars"] < 60) & (columns["ends_terminal"] == 0)).astype(float)


def _add_cues(columns: _Columns, lines: Lines, pairs: np.ndarray, triples: np.ndarray) -> None:
    words = lines.words
    table = _cues()
    bits = table[words.hash] | table[pairs] | table[triples]
    whole = np.maximum(columns["n_words"], 1)
    for i, name in enumerate(CUES):
        counts = _line_sums((bits >> i) & 1, words)
        columns[f"cue_{name}"] = np.minimum(counts, 3)
        columns[f"cue_share_{name}"] = counts / whole


def _add_places(columns: _Columns, lines: Lines) -> None:
    n, bounds, segment = len(lines), lines.bounds, lines.segment
    index = np.arange(n) - bounds[segment]
    left = bounds[segment + 1] - 1 - np.arange(n)
    columns["place"] = index / np.maximum(index + left, 1)
    columns["place_from_end"] = 1 - columns["place"]
    columns["log_index"], columns["log_index_from_end"] = np.log(index + 1), np.log(left + 1)
    mass = np.where(columns["is_prose"] > 0, columns["n_chars"], 0).astype(np.int64)
    before = _before(mass, bounds, segment)
    total = np.maximum(_totals(mass, bounds)[segment], 1)
    columns["prose_here"] = mass / total
    columns["prose_before"] = before / total
    columns["prose_after"] = (_totals(mass, bounds)[segment] - before - mass) / total
    is_prose = columns["is_prose"] > 0
    columns["since_prose"] = np.log(1 + np.minimum(_since(is_prose, bounds, segment), 60))
    columns["until_prose"] = np.log(1 + np.minimum(_until(is_prose, bounds, segment), 60))
    is_long = columns["is_short"] == 0
    back, ahead = _since(is_long, bounds, segment), _until(is_long, bounds, segment)
    columns["short_run"] = np.where(is_long, 0, np.log(np.maximum(back + ahead, 1)))
    columns["short_run_before"], columns["short_run_after"] = np.log(back + 1), np.log(ahead + 1)


def _add_repeats(columns: _Columns, lines: Lines, pairs: np.ndarray) -> None:
    words, segment = lines.words, lines.segment
    has = words.to > words.from_
    opening = np.where(has, words.from_, 0)
    closing = np.where(has, words.to - 1, 0)
    none = len(words.hash) == 0
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mix(words.hash))])
    whole = mix(sums[words.to] - sums[words.from_])
    first = np.zeros(len(lines), np.uint64) if none else np.where(has, words.hash[opening], 0)
    two = np.zeros(len(lines), np.uint64) if none else np.where(has, pairs[opening], 0)
    last = np.zeros(len(lines), np.uint64) if none else np.where(has, words.hash[closing], 0)
    size = (columns["log_chars"] * 2).astype(np.uint64)
    ends, begins = lines.kinds[lines.last].astype(np.uint64), lines.kinds[lines.first].astype(np.uint64)
    shape = mix(size * np.uint64(1024) + begins * np.uint64(32) + ends + np.uint64(7))
    n = np.maximum(np.diff(lines.bounds)[segment], 1)
    columns["repeats"] = np.log(np.minimum(_counts(whole, lines), 20))
    columns["same_begin"] = np.log(np.minimum(_counts(two, lines), 20)) * (two > 0)
    columns["same_begin_share"] = _counts(first, lines) / n * (first > 0)
    columns["same_shape"] = _counts(shape, lines) / n
    columns["same_end"] = np.log(np.minimum(_counts(last, lines), 20)) * (last > 0)
    four = np.where(
        words.to - words.from_ >= 5, sums[np.minimum(words.from_ + 4, len(sums) - 1)] - sums[words.from_], 0
    )
    columns["begins_elsewhere"] = np.log(np.minimum(_counts(mix(four), lines), 5)) * (four > 0)


def _add_story(columns: _Columns, lines: Lines, is_function: np.ndarray) -> None:
    words, bounds = lines.words, lines.bounds
    is_content = (((words.length >= 4) & ~is_function) | (words.first == Char.IDEOGRAPH)) & (words.first != Char.DIGIT)
    content = np.flatnonzero(is_content)
    of = words.line[content]
    is_story = columns["is_prose"][of] > 0
    per_segment = np.bincount(lines.segment[of], minlength=len(bounds) - 1)
    bits = np.ceil(np.log2(np.maximum(4 * per_segment, 64))).astype(np.int64)
    base = np.concatenate([[0], np.cumsum(1 << bits)])
    slot = base[lines.segment[of]] + (words.hash[content] >> (64 - bits[lines.segment[of]]).astype(np.uint64)).astype(
        np.int64
    )
    elsewhere = np.bincount(slot[is_story], minlength=base[-1])[slot] - is_story
    n_content = np.maximum(np.bincount(of, minlength=len(lines)), 1)
    columns["in_story"] = np.bincount(of[elsewhere > 0], minlength=len(lines)) / n_content
    prose = np.flatnonzero(columns["is_prose"] > 0)
    rank = np.full(len(lines), 99)
    rank[prose] = _before((columns["is_prose"] > 0).astype(np.int64), bounds, lines.segment)[prose]
    opens = rank[of] < 3
    at_start = np.bincount(slot[opens], minlength=base[-1])[slot] - opens
    columns["in_story_start"] = np.bincount(of[at_start > 0], minlength=len(lines)) / n_content
    often = np.minimum(elsewhere, 4)
    columns["in_neighbours_story"] = np.bincount(of, weights=often, minlength=len(lines)) / n_content / 4


def _add_document(columns: _Columns, lines: Lines, is_function: np.ndarray) -> None:
    bounds, segment = lines.bounds, lines.segment
    n = np.maximum(np.diff(bounds), 1)
    milli = np.round(columns["log_chars"] * 1000).astype(np.int64)
    prose = (columns["is_prose"] > 0).astype(np.int64)
    chars = columns["n_chars"].astype(np.int64)
    n_prose = np.maximum(_totals(prose, bounds), 1)
    mean, prose_mean = _totals(milli, bounds) / n / 1000, _totals(milli * prose, bounds) / n_prose / 1000
    columns["relative_length_all"] = columns["log_chars"] - mean[segment]
    columns["relative_length"] = np.where(prose_mean[segment] > 0, columns["log_chars"] - prose_mean[segment], 0)
    columns["n_lines"] = np.log(n)[segment]
    columns["prose_share"] = (_totals(prose, bounds) / n)[segment]
    columns["prose_char_share"] = (_totals(chars * prose, bounds) / np.maximum(_totals(chars, bounds), 1))[segment]
    columns["mean_log_chars"], columns["prose_log_chars"] = mean[segment], prose_mean[segment]
    columns["terminal_share"] = (_totals((columns["ends_terminal"] > 0).astype(np.int64), bounds) / n)[segment]
    n_function = np.bincount(segment[lines.words.line[is_function]], minlength=len(n))
    n_words = np.maximum(np.bincount(segment[lines.words.line], minlength=len(n)), 1)
    columns["function_share"] = (n_function / n_words)[segment]
    ideographs = _totals(columns["ideographs"].astype(np.int64), bounds)
    columns["ideograph_share"] = (ideographs / np.maximum(_totals(chars, bounds), 1))[segment]


_ROLE_SALTS = np.array([0x1B873593, 0x2545F491, 0x3C6EF372], np.uint64)
"""A hash is salted by its role in the line: one of the first three words, one of the last two, a pair near the beginning."""


def _phrases(lines: Lines, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    words = lines.words
    index = np.arange(len(words.hash))
    from_start, from_end = index - words.from_[words.line], words.to[words.line] - 1 - index
    opening, closing = np.flatnonzero(from_start < 3), np.flatnonzero(from_end < 2)
    paired = np.flatnonzero((from_start < 8) & (pairs > 0))
    hashes = [
        mix(words.hash[opening] + _ROLE_SALTS[0] + from_start[opening].astype(np.uint64)),
        mix(words.hash[closing] + _ROLE_SALTS[1] + from_end[closing].astype(np.uint64)),
        mix(pairs[paired] + _ROLE_SALTS[2]),
    ]
    return np.concatenate([words.line[some] for some in (opening, closing, paired)]), np.concatenate(hashes)


@cache
def _function_words() -> HashTable:
    hashes = np.unique(hash_words(FUNCTION_WORDS.split()))
    return HashTable.of(hashes, np.ones(len(hashes), np.uint8), bits=16)


@cache
def _cues() -> HashTable:
    """For each phrase of up to three words one bit for each cue that has it."""
    bits: dict[int, int] = {}
    for i, name in enumerate(CUES):
        for key in hash_phrases(phrases(name)):
            bits[int(key)] = bits.get(int(key), 0) | 1 << i
    keys = np.array(sorted(bits), np.uint64)
    return HashTable.of(keys, np.array([bits[int(key)] for key in keys], np.int64), bits=18)


def hash_words(words: Sequence[str]) -> np.ndarray:
    """The hash of each word; ideographs count one by one."""
    return find_lines(words, max_lines=1 << 30).words.hash


def hash_phrases(texts: Sequence[str]) -> np.ndarray:
    """The hash of each phrase of one to three words; longer ones are left out."""
    words = find_lines(texts, max_lines=1 << 30).words
    pairs, triples = _grams(words)
    size = words.to - words.from_
    by_size = [words.hash, pairs, triples]
    return np.array([by_size[s - 1][f] for s, f in zip(size, words.from_, strict=True) if 1 <= s <= 3], np.uint64)


def _totals(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """(n_segments,) sums of whole numbers (n_lines,)."""
    total = np.concatenate([[0], np.cumsum(values)])
    return total[bounds[1:]] - total[bounds[:-1]]


def _before(values: np.ndarray, bounds: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """(n_lines,) sum over the earlier lines of the segment."""
    total = np.concatenate([[0], np.cumsum(values)])
    return total[:-1] - total[bounds[segment]]


def _since(flags: np.ndarray, bounds: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """(n_lines,) lines back to the last flagged one, or to before the segment."""
    index = np.arange(len(flags))
    last = np.maximum.accumulate(np.where(flags, index, -1)) if len(flags) else index
    return index - np.maximum(last, bounds[segment] - 1)


def _until(flags: np.ndarray, bounds: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """(n_lines,) lines on to the next flagged one, or to after the segment."""
    n = len(flags)
    index = np.arange(n)
    following = np.minimum.accumulate(np.where(flags, index, n)[::-1])[::-1] if n else index
    return np.minimum(following, bounds[segment + 1]) - index


def _counts(keys: np.ndarray, lines: Lines) -> np.ndarray:
    """(n_lines,) how many lines of the segment have the same key."""
    own = mix(keys + lines.segment.astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93))
    _, place, counts = np.unique(own, return_inverse=True, return_counts=True)
    return counts[place].astype(float)
