"""TF-IDF matrices equal to scikit-learn's `TfidfVectorizer`, without a Python loop over tokens.

Words: each text is lower-cased, its non-word characters become spaces in one `translate`, and ids come from one `map` of a
dict over the whole batch; bigrams are pairs of ids looked up in a hash table of int64 codes. Characters (`char_wb`): the
n-grams of a word are computed once per distinct word, then (document x word) counts @ (word x n-gram).
Columns: words in sorted order, then bigrams in the order of their words; `names` spells them as scikit-learn does.

References: scikit-learn 1.9, sklearn/feature_extraction/text.py (`_word_ngrams`, `_char_wb_ngrams`, `TfidfTransformer`).
"""

from __future__ import annotations

import string
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, pairwise, repeat
from typing import Literal, Self, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.errors import DataError

MAX_TOKENS_PER_CHUNK = 500_000
MAX_CACHED_WORDS = 200_000
MOST_KEY = 2**62
_SINGLES = string.ascii_lowercase + string.digits + "_ς"
_ASCII_SPACED = {code: " " for code in range(128) if not (chr(code).isalnum() or chr(code) == "_")}
_BYTES_SPACED = bytes(32 if code in _ASCII_SPACED else code for code in range(256))
_ASCII_BYTES = bytes(range(128))
_DROPPED = -2

Ids: TypeAlias = NDArray[np.int64]


def spaced(text: str) -> str:
    """The text with each character that `\\w` does not match replaced by one space: same length, same offsets."""
    if text.isascii():
        return text.translate(_ASCII_SPACED)
    for character in sorted(_foreign([text])):
        if not character.isalnum():
            text = text.replace(character, " ")
    text = _without_surrogates(text)
    return text.encode("utf-8").translate(_BYTES_SPACED).decode("utf-8")


def _foreign(texts: Sequence[str]) -> set[str]:
    """The characters beyond ASCII in the texts, lone surrogates apart."""
    return set("".join(texts).encode("utf-8", "replace").translate(None, _ASCII_BYTES).decode("utf-8"))


def _without_surrogates(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join(" " if "\ud800" <= character <= "\udfff" else character for character in text)
    return text


def words(text: str, min_chars: int) -> list[str]:
    """The lower-cased words of a text, in order: runs of `\\w` at least `min_chars` long."""
    found = spaced(text.lower()).split()
    return found if min_chars <= 1 else [word for word in found if len(word) >= min_chars]


def placed_words(text: str, min_chars: int) -> tuple[list[str], Ids, Ids]:
    """As `words`, with where each starts and ends in the text (code points)."""
    lower = text.lower()
    found = [(start, start + len(word)) for word, start in _with_starts(spaced(lower)) if len(word) >= min_chars]
    starts, ends = (np.array([place[i] for place in found], dtype=np.int64) for i in (0, 1))
    spelt = [lower[start:end] for start, end in found]
    return spelt, _to_original(text, lower, starts), _to_original(text, lower, ends)


@dataclass(slots=True)
class PairTable:
    """From int64 codes to their place in the list given: an open-addressing hash table probed by numpy, all codes at once."""

    codes: Ids
    _slots: Ids = field(init=False, repr=False)
    _places: NDArray[np.int32] = field(init=False, repr=False)
    _shift: np.uint64 = field(init=False, repr=False)

    def __post_init__(self) -> None:
        n_bits = max(4, len(self.codes).bit_length() + 2)
        self._shift = np.uint64(64 - n_bits)
        self._slots = np.full(1 << n_bits, -1, dtype=np.int64)
        self._places = np.full(1 << n_bits, -1, dtype=np.int32)
        todo = np.arange(len(self.codes))
        slots = self._home(self.codes)
        while len(todo):
            free = self._slots[slots] == -1
            self._slots[slots[free]] = self.codes[todo[free]]
            placed = self._slots[slots] == self.codes[todo]
            self._places[slots[placed]] = todo[placed]
            todo, slots = todo[~placed], (slots[~placed] + 1) & (len(self._slots) - 1)

    def places(self, codes: Ids) -> NDArray[np.int32]:
        """For each code its place, -1 where it is not in the table."""
        slots = self._home(codes)
        held = self._slots[slots]
        places = np.where(held == codes, self._places[slots], np.int32(-1))
        todo = np.flatnonzero((held != codes) & (held != -1))
        slots = slots[todo]
        while len(todo):
            slots = (slots + 1) & (len(self._slots) - 1)
            held = self._slots[slots]
            hit = held == codes[todo]
            places[todo[hit]] = self._places[slots[hit]]
            more = ~hit & (held != -1)
            todo, slots = todo[more], slots[more]
        return places

    def _home(self, codes: Ids) -> Ids:
        return ((codes.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> self._shift).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A batch as ids: token i has id `ids[i]` (-1 unknown) and stands in text `rows[i]`."""

    ids: Ids
    rows: Ids
    n_texts: int


@dataclass(slots=True)
class WordAnalyzer:
    """Word n-grams (1 and 2) of lower-cased texts; `min_df` texts must hold a feature, the `max_features` commonest stay."""

    min_n: int
    max_n: int
    min_df: int
    max_features: int | None
    min_chars: int
    words_: list[str] = field(default_factory=list)
    unigrams_: Ids = field(default_factory=lambda: np.empty(0, np.int64))
    bigrams_: Ids = field(default_factory=lambda: np.empty(0, np.int64))
    _lookup: dict[str, int] = field(default_factory=dict, repr=False)
    _columns: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64), repr=False)
    _pairs: PairTable | None = field(default=None, repr=False)

    @property
    def n_features(self) -> int:
        return len(self.unigrams_) + len(self.bigrams_)

    def names(self) -> list[str]:
        """The features spelt out, in column order."""
        n = max(1, len(self.words_))
        pairs = [f"{self.words_[code // n]} {self.words_[code % n]}" for code in self.bigrams_.tolist()]
        return [self.words_[i] for i in self.unigrams_.tolist()] + pairs

    def fit_counts(self, texts: Sequence[str]) -> sparse.csr_array:
        """Learns the vocabulary; the counts (text x feature), float64, sorted indices."""
        batches = self._learn_words(texts)
        n_words = len(self.words_)
        self.unigrams_ = np.arange(n_words) if self.min_n == 1 else np.empty(0, np.int64)
        self.bigrams_ = _frequent_pairs(batches, n_words, self.min_df) if self.max_n == 2 else np.empty(0, np.int64)
        self._index()
        counts = _stacked([self._count(tokens) for tokens in batches])
        return counts if self.max_features is None or self.n_features <= self.max_features else self._cut(counts)

    def restore(self) -> Self:
        """Itself, ready to count, after `words_`, `unigrams_` and `bigrams_` were set."""
        self._lookup = {word: i for i, word in enumerate(self.words_)}
        self._index()
        return self

    def counts(self, texts: Sequence[str]) -> sparse.csr_array:
        """The counts (text x feature) of texts, in chunks: memory is bounded by the chunk and the answer."""
        return _stacked([self._count(tokens) for tokens in self._known(texts)])

    def positions(self, text: str) -> tuple[Ids, Ids, Ids]:
        """Each occurrence of a feature in one text: column, start of its first word, end of its last (code points)."""
        found, starts, ends = placed_words(text, self.min_chars)
        ids = np.array([self._lookup.get(word, -1) for word in found], dtype=np.int64)
        columns, firsts, lasts = self._features(ids, np.zeros(len(ids), np.int64))
        return columns, starts[firsts], ends[lasts]

    def _learn_words(self, texts: Sequence[str]) -> list[Tokens]:
        provisional: defaultdict[str, int] = defaultdict(count().__next__)
        batches = [tokenized(chunk, provisional.__getitem__, self.min_chars) for chunk in chunks(texts)]
        df = np.zeros(len(provisional), np.int64)
        for tokens in batches:
            words_met, n_each = _runs(np.sort(_distinct(tokens.ids, tokens.rows, tokens.n_texts, len(provisional))))
            df[words_met] += n_each
        kept = sorted((word, i) for word, i in provisional.items() if df[i] >= self.min_df)
        self.words_ = [word for word, _ in kept]
        self._lookup = {word: i for i, word in enumerate(self.words_)}
        renumber = np.full(len(provisional) + 1, -1, dtype=np.int64)
        renumber[[i for _, i in kept]] = np.arange(len(kept))
        return [Tokens(renumber[tokens.ids], tokens.rows, tokens.n_texts) for tokens in batches]

    def _known(self, texts: Sequence[str]) -> Iterator[Tokens]:
        lookup = dict(self._lookup) if self.min_chars <= 1 else {**self._lookup, **dict.fromkeys(_SINGLES, _DROPPED)}
        for chunk in chunks(texts):
            if self.min_chars > 1:
                lookup |= dict.fromkeys((character.lower() for character in _foreign(chunk)), _DROPPED)
            yield tokenized(chunk, lookup.get, self.min_chars)

    def _index(self) -> None:
        self._columns = np.full(len(self.words_) + 1, -1, dtype=np.int64)
        self._columns[self.unigrams_] = np.arange(len(self.unigrams_))
        self._pairs = PairTable(self.bigrams_) if self.max_n == 2 else None

    def _features(self, ids: Ids, rows: Ids) -> tuple[Ids, Ids, Ids]:
        """Columns of the features met, with the places in `ids` of their first and last word."""
        columns = self._columns[ids]
        at = np.flatnonzero(columns >= 0)
        if self._pairs is None or len(ids) < 2:
            return columns[at], at, at
        left = np.flatnonzero((ids[:-1] >= 0) & (ids[1:] >= 0) & (rows[:-1] == rows[1:]))
        places = self._pairs.places(ids[left] * len(self.words_) + ids[left + 1])
        left, places = left[places >= 0], places[places >= 0].astype(np.int64)
        both = np.concatenate([columns[at], places + len(self.unigrams_)])
        return both, np.concatenate([at, left]), np.concatenate([at, left + 1])

    def _count(self, tokens: Tokens) -> sparse.csr_array:
        columns, firsts, _ = self._features(tokens.ids, tokens.rows)
        return counted(tokens.rows[firsts], columns, tokens.n_texts, self.n_features)

    def _cut(self, counts: sparse.csr_array) -> sparse.csr_array:
        kept = _commonest(counts, self.max_features or 0)
        n = len(self.unigrams_)
        self.unigrams_, self.bigrams_ = self.unigrams_[kept[kept < n]], self.bigrams_[kept[kept >= n] - n]
        self._index()
        return sparse.csr_array(counts[:, kept])


@dataclass(slots=True)
class CharAnalyzer:
    """Character n-grams inside words padded with one space (`char_wb`) of lower-cased texts."""

    min_n: int
    max_n: int
    min_df: int
    max_features: int | None
    grams_: list[str] = field(default_factory=list)
    _lookup: dict[str, int] = field(default_factory=dict, repr=False)
    _cache: dict[str, list[int]] = field(default_factory=dict, repr=False)

    @property
    def n_features(self) -> int:
        return len(self.grams_)

    def names(self) -> list[str]:
        """The n-grams, in column order."""
        return list(self.grams_)

    def fit_counts(self, texts: Sequence[str]) -> sparse.csr_array:
        """Learns the n-grams; the counts (text x n-gram), float64."""
        provisional: defaultdict[str, int] = defaultdict(count().__next__)

        def grams_of(word: str) -> list[int]:
            return [provisional[gram] for gram in char_wb(word, self.min_n, self.max_n)]

        counts = self._batch_counts(texts, grams_of, lambda: len(provisional))
        df = np.bincount(counts.indices, minlength=size(counts)[1])
        spelt = list(provisional)
        kept = np.array(sorted(np.flatnonzero(df >= self.min_df).tolist(), key=spelt.__getitem__), dtype=np.int64)
        counts = sparse.csr_array(counts[:, kept])
        if self.max_features is not None and len(kept) > self.max_features:
            chosen = _commonest(counts, self.max_features)
            counts, kept = sparse.csr_array(counts[:, chosen]), kept[chosen]
        self.grams_ = [spelt[i] for i in kept.tolist()]
        self.restore()
        counts.sort_indices()
        return counts

    def restore(self) -> Self:
        """Itself, ready to count, after `grams_` was set."""
        self._lookup = {gram: i for i, gram in enumerate(self.grams_)}
        self._cache = {}
        return self

    def counts(self, texts: Sequence[str]) -> sparse.csr_array:
        """The counts (text x n-gram) of texts, float64, sorted indices."""
        if len(self._cache) > MAX_CACHED_WORDS:
            self._cache = {}
        counts = self._batch_counts(texts, self._known, lambda: self.n_features)
        return sparse.csr_array(counts.tocsc().tocsr())  # sorts by counting, which is faster than sort_indices

    def positions(self, text: str) -> tuple[Ids, Ids, Ids]:
        """Each occurrence of an n-gram in one text: column, start and end of the word it stands in (code points)."""
        lower = text.lower()
        found = [(self._known(word), start, start + len(word)) for word, start in _with_starts(lower)]
        lengths = [len(grams) for grams, _, _ in found]
        columns = np.array(list(chain.from_iterable(grams for grams, _, _ in found)), dtype=np.int64)
        starts = np.repeat(np.array([start for _, start, _ in found], dtype=np.int64), lengths)
        ends = np.repeat(np.array([end for _, _, end in found], dtype=np.int64), lengths)
        return columns, _to_original(text, lower, starts), _to_original(text, lower, ends)

    def _known(self, word: str) -> list[int]:
        grams = self._cache.get(word)
        if grams is None:
            lookup = self._lookup
            grams = [lookup[gram] for gram in char_wb(word, self.min_n, self.max_n) if gram in lookup]
            self._cache[word] = grams
        return grams

    def _batch_counts(
        self, texts: Sequence[str], grams_of: Callable[[str], list[int]], n_columns: Callable[[], int]
    ) -> sparse.csr_array:
        parts = []
        for chunk in chunks(texts):
            distinct: defaultdict[str, int] = defaultdict(count().__next__)
            split = [text.lower().split() for text in chunk]
            ids = np.fromiter(map(distinct.__getitem__, chain.from_iterable(split)), np.int64)
            rows = np.repeat(np.arange(len(chunk)), [len(found) for found in split])
            by_word = counted(rows, ids, len(chunk), len(distinct))
            grams = [grams_of(word) for word in distinct]
            parts.append((by_word, grams))
        return _times_grams(parts, n_columns())


def char_wb(word: str, min_n: int, max_n: int) -> list[str]:
    """The character n-grams of one padded word, as scikit-learn lists them: a word shorter than n counts once."""
    padded = f" {word} "
    grams: list[str] = []
    for n in range(min_n, max_n + 1):
        if n >= len(padded):
            grams.append(padded)
            break
        grams.extend(padded[i : i + n] for i in range(len(padded) - n + 1))
    return grams


def tf_idf(counts: sparse.csr_array, idf: NDArray[np.float64] | None, *, sublinear: bool) -> sparse.csr_array:
    """Counts weighted and scaled to unit length by row: the same floats as `TfidfTransformer` with norm l2."""
    values = np.log(counts.data) + 1.0 if sublinear else counts.data.astype(np.float64)
    if idf is not None:
        values = values * idf[counts.indices]
    n_by_row = np.diff(counts.indptr)
    squares = np.zeros(size(counts)[0])
    filled = n_by_row > 0
    if len(values):
        squares[filled] = np.add.reduceat(values * values, counts.indptr[:-1][filled])
    norms = np.sqrt(squares)
    norms[~filled] = 1.0
    return sparse.csr_array((values / np.repeat(norms, n_by_row), counts.indices, counts.indptr), shape=size(counts))


def smooth_idf(counts: sparse.csr_array) -> NDArray[np.float64]:
    """ln((1 + n) / (1 + df)) + 1 by column."""
    df = np.bincount(counts.indices, minlength=size(counts)[1]) + 1.0
    return np.log((size(counts)[0] + 1.0) / df) + 1.0


def size(matrix: sparse.csr_array) -> tuple[int, int]:
    """Rows and columns."""
    return cast(tuple[int, int], matrix.shape)


def chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in runs of about MAX_TOKENS_PER_CHUNK words."""
    start = n_chars = 0
    for i, text in enumerate(texts):
        n_chars += len(text)
        if n_chars > 6 * MAX_TOKENS_PER_CHUNK:
            yield texts[start : i + 1]
            start, n_chars = i + 1, 0
    if start < len(texts) or not texts:
        yield texts[start:]


def tokenized(texts: Sequence[str], get: Callable[..., int], min_chars: int) -> Tokens:
    """The words of the texts as `get` numbers them: a dict's `get`, or what numbers new words in turn."""
    flat: list[str] = []
    n_by_text: list[int] = []
    learning = get.__name__ != "get"
    for text in texts:
        found = spaced(text.lower()).split()
        if min_chars > 1 and (learning or min_chars > 2):
            found = [word for word in found if len(word) >= min_chars]
        flat += found
        n_by_text.append(len(found))
    mapped = map(get, flat) if learning else map(get, flat, repeat(-1))
    ids = np.fromiter(mapped, np.int64, len(flat))
    rows = np.repeat(np.arange(len(texts)), n_by_text)
    kept = ids != _DROPPED
    return Tokens(ids[kept], rows[kept], len(texts))


def _frequent_pairs(batches: list[Tokens], n_words: int, min_df: int) -> Ids:
    """The codes of the pairs of words that stand in at least `min_df` texts, sorted."""
    met = [_distinct(*_pair_codes(tokens, n_words), tokens.n_texts, n_words * n_words) for tokens in batches]
    codes, df = _runs(np.sort(np.concatenate(met)))
    return codes[df >= min_df]


def _pair_codes(tokens: Tokens, n_words: int) -> tuple[Ids, Ids]:
    ids, rows = tokens.ids, tokens.rows
    left = np.flatnonzero((ids[:-1] >= 0) & (ids[1:] >= 0) & (rows[:-1] == rows[1:]))
    return ids[left] * n_words + ids[left + 1], rows[left]


def _distinct(codes: Ids, rows: Ids, n_rows: int, n_codes: int) -> Ids:
    """The codes, each as often as there are rows with it; rows must ascend."""
    most = max(1, MOST_KEY // max(1, n_codes))  # rows whose codes fit into one number with them
    cuts = np.searchsorted(rows, [*range(0, max(1, n_rows), most), max(1, n_rows)]).tolist()
    found = []
    for first, (start, end) in enumerate(pairwise(cuts)):
        keys, _ = _runs(np.sort((rows[start:end] - first * most) * n_codes + codes[start:end]))
        found.append(keys % max(1, n_codes))
    return np.concatenate(found)


def _runs(ordered: Ids) -> tuple[Ids, Ids]:
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(first)
    return ordered[starts], np.diff(starts, append=len(ordered))


def counted(rows: Ids, columns: Ids, n_rows: int, n_columns: int) -> sparse.csr_array:
    """How often each column is met in each row, float64, sorted indices."""
    keys, n_each = _runs(np.sort(rows * max(1, n_columns) + columns))
    row_of, column_of = np.divmod(keys, max(1, n_columns))
    indptr = np.zeros(n_rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(row_of, minlength=n_rows), out=indptr[1:])
    index = np.int32 if len(keys) < 2**31 else np.int64
    parts = (n_each.astype(np.float64), column_of.astype(index), indptr.astype(index))
    return sparse.csr_array(parts, shape=(n_rows, n_columns))


def _stacked(parts: list[sparse.csr_array]) -> sparse.csr_array:
    return parts[0] if len(parts) == 1 else sparse.csr_array(sparse.vstack(parts, format="csr"))


def _commonest(counts: sparse.csr_array, n: int) -> Ids:
    """The `n` columns with the highest sums, in column order; of equals the first."""
    sums = np.bincount(counts.indices, weights=counts.data, minlength=size(counts)[1])
    return np.sort(np.argsort(-sums, kind="stable")[:n])


def _times_grams(parts: list[tuple[sparse.csr_array, list[list[int]]]], n_columns: int) -> sparse.csr_array:
    products = []
    for by_word, grams in parts:
        lengths = np.array([len(found) for found in grams], dtype=np.int64)
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]).astype(np.int32)
        columns = np.fromiter(chain.from_iterable(grams), np.int32, int(lengths.sum()))
        spelt = sparse.csr_array((np.ones(len(columns)), columns, indptr), shape=(len(grams), n_columns))
        products.append(sparse.csr_array(by_word @ spelt))
    return _stacked(products)


def _with_starts(text: str) -> Iterator[tuple[str, int]]:
    at = 0
    for word in text.split():
        at = text.index(word, at)
        yield word, at
        at += len(word)


def _to_original(text: str, lower: str, offsets: Ids) -> Ids:
    """Offsets into `text` for offsets into `lower`, which is longer where a character lower-cases to two."""
    if len(text) == len(lower):
        return offsets
    origin = np.repeat(np.arange(len(text)), [len(character.lower()) for character in text])
    return np.append(origin, len(text))[np.minimum(offsets, len(origin))]


Analyzer: TypeAlias = WordAnalyzer | CharAnalyzer


def analyzer(
    kind: Literal["word", "char_wb"], *, n: tuple[int, int], min_df: int, max_features: int | None, min_chars: int
) -> Analyzer:
    """An analyser yet to be fitted.

    Raises:
        DataError: word n-grams beyond pairs.
    """
    if kind == "char_wb":
        return CharAnalyzer(n[0], n[1], min_df, max_features)
    if not 1 <= n[0] <= n[1] <= 2:
        raise DataError(f"word n-grams {n}: expected 1 to 2")
    return WordAnalyzer(n[0], n[1], min_df, max_features, min_chars)
