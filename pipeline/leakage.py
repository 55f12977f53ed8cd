"""Which texts are the same story, and which of them stand on both sides of a split.

Texts become sets of hashed word shingles; MinHash signatures cut into bands propose pairs, an estimate from the whole
signature discards most of them, and the true Jaccard similarity of the sets decides. All of it runs in an order given
by the content, so that neither input order nor the number of processes changes a group.

With shingles of two words a copy with 10 % of its words changed keeps a Jaccard similarity of about 0.68, with three
0.57, with five 0.42, while unrelated news stays below 0.1: two words separate best. What this deliberately misses: an
extract of less than half of a longer text, translations, and two reporters on the same event.

References:
    Broder (1997), On the resemblance and containment of documents.
    Leskovec, Rajaraman & Ullman, Mining of Massive Datasets, chapter 3: banding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import TypeVar

import numpy as np
from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]  (compiled, without stubs)

V = TypeVar("V", bound=Hashable)

# Thai to Lao, kana, Han: scripts without spaces between words.
_WITHOUT_SPACES = ((0x0E00, 0x0F00), (0x3040, 0x3100), (0x3400, 0xA000))
_LETTER, _ALONE = 1, 2
_ODD = np.uint64(0x9E3779B97F4A7C15)
_LONGEST = 64
_RECALL_AT_THRESHOLD = 0.95
_STANDARD_ERRORS = 5
_WINDOW = 64
_TEXTS_AT_ONCE = 500
_PAIRS_AT_ONCE = 20_000
_COUNTERPARTS = 32


@dataclass(frozen=True, slots=True)
class Leak:
    """Two texts in different splits that should not be apart: `first` and `second` are their places in the input.

    `kind` is `exact`, `near-duplicate` or the name of an attribute (`source`, `day`); then `value` is what they share
    and `n` how many texts of the second's split do. `similarity` is Jaccard's, 1 for an exact copy, 0 for attributes.
    """

    kind: str
    first: int
    second: int
    first_split: str
    second_split: str
    similarity: float
    value: str = ""
    n: int = 1


@dataclass(frozen=True, slots=True)
class _Texts:
    """Distinct texts in content order: which inputs hold each, and its shingle hashes, one after another."""

    members: list[list[int]]
    shingles: np.ndarray
    offsets: np.ndarray

    def shingles_of(self, i: int) -> np.ndarray:
        return self.shingles[self.offsets[i] : self.offsets[i + 1]]


def near_duplicate_groups(
    texts: Sequence[str], *, n_permutations: int, threshold: float, shingle_words: int, seed: int
) -> list[int]:
    """The group of each text: the index of the first text that is, directly or through others, the same story.

    Exact means the same words in the same order, whatever the case, spacing and punctuation; near means a Jaccard
    similarity of shingles of at least `threshold`. A text without a word is a group of its own.
    """
    distinct = _distinct(texts, shingle_words)
    components = _components(distinct, n_permutations=n_permutations, threshold=threshold, seed=seed)
    groups = list(range(len(texts)))
    for component in components:
        members = [member for i in component for member in distinct.members[i]]
        first = min(members)
        for member in members:
            groups[member] = first
    return groups


def leaks(
    texts: Sequence[str],
    splits: Sequence[str],
    *,
    n_permutations: int,
    threshold: float,
    shingle_words: int,
    seed: int,
    attributes: Mapping[str, Sequence[str | None]] | None = None,
) -> list[Leak]:
    """What stands on both sides of a split, in input order of the second text.

    Each text of the later of two splits (in order of first appearance) gives at most one leak a split before it: its
    most similar counterpart. An attribute gives one leak for each value and pair of splits.
    """
    groups = near_duplicate_groups(
        texts, n_permutations=n_permutations, threshold=threshold, shingle_words=shingle_words, seed=seed
    )
    found = _text_leaks(texts, splits, groups, shingle_words)
    for name, values in (attributes or {}).items():
        found += _attribute_leaks(name, values, splits)
    return sorted(found, key=lambda leak: (leak.second, leak.first, leak.kind))


def count_by_kind(found: Sequence[Leak]) -> dict[str, int]:
    """How many texts leak, by kind: what a configured limit is held against."""
    counts: dict[str, int] = defaultdict(int)
    for leak in found:
        counts[leak.kind] += leak.n
    return dict(sorted(counts.items()))


def label_conflicts(groups: Sequence[Hashable], labels: Sequence[object]) -> list[list[int]]:
    """The groups, as indices, whose members do not all have the same label, in input order."""
    members = _by_value(groups)
    return [index for index in members.values() if len({labels[i] for i in index}) > 1]


def jaccard(first: str, second: str, *, shingle_words: int) -> float:
    """The share of word shingles that two texts have in common, in [0, 1]."""
    a, b = (_shingles(words, shingle_words) for words in _words([first, second]))
    return _overlap(a, b)


def _distinct(texts: Sequence[str], shingle_words: int) -> _Texts:
    members: dict[bytes, list[int]] = defaultdict(list)
    shingles: dict[bytes, np.ndarray] = {}
    for i, words in enumerate(_all_words(texts)):
        if len(words):
            key = blake2b(words.tobytes(), digest_size=16).digest()
            members[key].append(i)
            if key not in shingles:
                shingles[key] = _shingles(words, shingle_words)
    order = sorted(shingles)
    offsets = np.cumsum([0, *(len(shingles[key]) for key in order)]).astype(np.uint64)
    flat = np.concatenate([shingles[key] for key in order]) if order else np.zeros(0, np.uint64)
    return _Texts([members[key] for key in order], flat, offsets)


def _all_words(texts: Sequence[str]) -> Iterator[np.ndarray]:
    """The hashed words of each text, in batches to bound memory."""
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        yield from _words(texts[start : start + _TEXTS_AT_ONCE])


def _words(texts: Sequence[str]) -> list[np.ndarray]:
    """A 64-bit hash of each word of each text, the same on every machine.

    A word is a run of letters and digits, case folded; in scripts without spaces each character is one. All texts are
    hashed as one array of code points: the sum over a word of character times a power of an odd number, then mixed.
    """
    folded = [text.casefold() for text in texts]
    codes = np.frombuffer("\n".join([*folded, ""]).encode("utf-32-le", "surrogatepass"), np.uint32)
    sort = _sort_of_characters()[codes]
    in_word = sort > 0
    begins = in_word.copy()
    begins[1:] &= (sort[1:] == _ALONE) | (sort[:-1] != _LETTER)
    starts = np.flatnonzero(begins)
    if not len(starts):
        return [np.zeros(0, np.uint64) for _ in texts]
    codes, in_word = codes[starts[0] :], in_word[starts[0] :]
    place = np.arange(len(codes)) - np.repeat(starts - starts[0], np.diff(starts, append=starts[0] + len(codes)))
    weighted = np.where(in_word, codes * _powers()[np.minimum(place, _LONGEST - 1)], np.uint64(0))
    hashes = _mixed(np.add.reduceat(weighted, starts - starts[0]))
    ends = np.cumsum([len(text) + 1 for text in folded])
    return np.split(hashes, np.searchsorted(starts, ends[:-1]))


@cache
def _sort_of_characters() -> np.ndarray:
    """For each code point: 0 between words, 1 a letter or digit, 2 a word by itself."""
    sort = np.fromiter((chr(code).isalnum() for code in range(0x110000)), np.uint8, 0x110000)
    for first, last in _WITHOUT_SPACES:
        sort[first:last] *= _ALONE
    return sort


@cache
def _powers() -> np.ndarray:
    return np.multiply.accumulate(np.full(_LONGEST, _ODD, np.uint64))


def _mixed(hashes: np.ndarray) -> np.ndarray:
    hashes = (hashes ^ (hashes >> np.uint64(31))) * _ODD
    return hashes ^ (hashes >> np.uint64(29))


def _shingles(words: np.ndarray, n_words: int) -> np.ndarray:
    """Hashes of all runs of `n_words` words, repeats included; a shorter text is one run."""
    n_words = min(n_words, len(words))
    runs = np.zeros(len(words) - n_words + 1 if len(words) else 0, np.uint64)
    for place in range(n_words):
        runs = _mixed(runs * _ODD + words[place : place + len(runs)])
    return runs


def _components(texts: _Texts, *, n_permutations: int, threshold: float, seed: int) -> list[list[int]]:
    """The distinct texts that are joined, directly or through others, by a true similarity that reaches the threshold."""
    n = len(texts.members)
    component, members = np.arange(n), {i: [i] for i in range(n)}
    signatures = _signatures(texts, n_permutations=n_permutations, seed=seed)
    least = threshold - _STANDARD_ERRORS * np.sqrt(threshold * (1 - threshold) / n_permutations)
    refused: set[tuple[int, int]] = set()
    for pairs in _candidates(signatures, _rows_a_band(n_permutations, threshold)):
        apart = pairs[component[pairs[:, 0]] != component[pairs[:, 1]]]
        for i, j in apart[_estimates(signatures, apart) >= least].tolist():
            if component[i] == component[j] or (i, j) in refused:
                continue
            if _overlap(texts.shingles_of(i), texts.shingles_of(j)) < threshold:
                refused.add((i, j))
                continue
            few, many = sorted((int(component[i]), int(component[j])), key=lambda one: len(members[one]))
            component[members[few]] = many
            members[many] += members.pop(few)
    return list(members.values())


def _candidates(signatures: np.ndarray, n_rows: int) -> Iterator[np.ndarray]:
    """Pairs (p, 2) that agree in a whole band, some more than once; in a crowd, each with its next 64 in content order."""
    n, n_permutations = signatures.shape
    for start in range(0, n_permutations - n_rows + 1, n_rows):
        band = np.ascontiguousarray(signatures[:, start : start + n_rows]).view(f"V{4 * n_rows}").ravel()
        _, bucket = np.unique(band, return_inverse=True)
        order = np.argsort(bucket, kind="stable")
        ordered = bucket[order]
        for step in range(1, min(_WINDOW, n - 1) + 1):
            same = np.flatnonzero(ordered[step:] == ordered[:-step])
            if not len(same):
                break
            yield np.column_stack([order[same], order[same + step]])


def _estimates(signatures: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The similarity of each pair (p, 2) as its signatures have it, in batches to bound memory."""
    batches = [pairs[start : start + _PAIRS_AT_ONCE] for start in range(0, len(pairs), _PAIRS_AT_ONCE)]
    agreed = [(signatures[batch[:, 0]] == signatures[batch[:, 1]]).mean(axis=1) for batch in batches]
    return np.concatenate(agreed) if agreed else np.zeros(0)


def _rows_a_band(n_permutations: int, threshold: float) -> int:
    """The most selective band with which a pair at the threshold is still proposed 95 times in 100."""
    rows = 1
    while 1 - (1 - threshold ** (rows + 1)) ** (n_permutations // (rows + 1)) >= _RECALL_AT_THRESHOLD:
        rows += 1
    return rows


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    if not len(a) or not len(b):
        return 0.0
    a, b = np.unique(a), np.unique(b)
    n_common = len(np.intersect1d(a, b, assume_unique=True))
    return n_common / (len(a) + len(b) - n_common)


def _signatures(texts: _Texts, *, n_permutations: int, seed: int) -> np.ndarray:
    """(n, n_permutations) uint32: the MinHash of each text, made in batches to bound memory."""
    signatures = np.empty((len(texts.members), n_permutations), np.uint32)
    for start in range(0, len(signatures), _TEXTS_AT_ONCE):
        offsets = texts.offsets[start : start + _TEXTS_AT_ONCE + 1]
        hashes = texts.shingles[offsets[0] : offsets[-1]]
        batch = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets - offsets[0], n_permutations, seed)
        signatures[start : start + len(offsets) - 1] = batch.to_rows()
    return signatures


def _text_leaks(texts: Sequence[str], splits: Sequence[str], groups: list[int], shingle_words: int) -> list[Leak]:
    order = {split: rank for rank, split in enumerate(dict.fromkeys(splits))}
    found = []
    for members in _by_value(groups).values():
        here = _by_value([splits[i] for i in members])
        if len(here) < 2:
            continue
        words = dict(zip(members, _all_words([texts[i] for i in members]), strict=True))
        shingles = {i: _shingles(words[i], shingle_words) for i in members}
        for earlier, at in here.items():
            later = [i for i in members if order[splits[i]] > order[earlier]]
            found += [_nearest([members[i] for i in at], second, words, shingles, splits) for second in later]
    return found


def _nearest(
    candidates: list[int],
    second: int,
    words: dict[int, np.ndarray],
    shingles: dict[int, np.ndarray],
    splits: Sequence[str],
) -> Leak:
    """The leak from the text among `candidates` that is most like `second`; an exact copy first."""
    copies = (i for i in candidates if np.array_equal(words[i], words[second]))
    copy = next(copies, None)
    if copy is not None:
        return Leak("exact", copy, second, splits[copy], splits[second], 1.0)
    scored = [(_overlap(shingles[i], shingles[second]), -i) for i in candidates[:_COUNTERPARTS]]
    similarity, first = max(scored)
    return Leak("near-duplicate", -first, second, splits[-first], splits[second], similarity)


def _attribute_leaks(name: str, values: Sequence[str | None], splits: Sequence[str]) -> list[Leak]:
    found = []
    for value, members in _by_value(values).items():
        if value is None or value == "":
            continue
        here = list(_by_value([splits[i] for i in members]).items())
        for later, (second_split, at) in enumerate(here):
            for first_split, before in here[:later]:
                pair = members[before[0]], members[at[0]]
                found.append(Leak(name, *pair, first_split, second_split, 0.0, str(value), len(at)))
    return found


def _by_value(values: Sequence[V]) -> dict[V, list[int]]:
    """Indices by value, both in input order."""
    members: dict[V, list[int]] = {}
    for i, value in enumerate(values):
        members.setdefault(value, []).append(i)
    return members
