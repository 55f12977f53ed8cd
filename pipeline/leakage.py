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

import re
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

import numpy as np
from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]  (compiled, without stubs)

V = TypeVar("V", bound=Hashable)

# Scripts without spaces between words: each character stands for itself.
_WORD = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]|[^\W\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]+")
_RECALL_AT_THRESHOLD = 0.95
_STANDARD_ERRORS = 5
_WINDOW = 64
_TEXTS_AT_ONCE = 2_000
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
    """Distinct texts in content order: which inputs hold each, and its sorted shingle hashes, one after another."""

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
    parent = list(range(len(distinct.members)))
    for i, j in _similar_pairs(distinct, n_permutations=n_permutations, threshold=threshold, seed=seed):
        parent[_root(parent, i)] = _root(parent, j)
    gathered: dict[int, list[int]] = defaultdict(list)
    for i, members in enumerate(distinct.members):
        gathered[_root(parent, i)].extend(members)
    groups = list(range(len(texts)))
    for members in gathered.values():
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


def label_conflicts(groups: Sequence[int], labels: Sequence[object]) -> list[list[int]]:
    """The groups, as indices, whose members do not all have the same label, in input order."""
    members = _by_value(groups)
    return [index for index in members.values() if len({labels[i] for i in index}) > 1]


def jaccard(first: str, second: str, *, shingle_words: int) -> float:
    """The share of word shingles that two texts have in common, in [0, 1]."""
    seen: dict[str, int] = {}
    a, b = (_shingles(_hashes(text, seen), shingle_words) for text in (first, second))
    return _overlap(a, b)


def _distinct(texts: Sequence[str], shingle_words: int) -> _Texts:
    seen: dict[str, int] = {}
    members: dict[bytes, list[int]] = defaultdict(list)
    hashes: dict[bytes, np.ndarray] = {}
    for i, text in enumerate(texts):
        words = _hashes(text, seen)
        if len(words):
            key = blake2b(words.tobytes(), digest_size=16).digest()
            members[key].append(i)
            if key not in hashes:
                hashes[key] = _shingles(words, shingle_words)
    order = sorted(hashes)
    offsets = np.cumsum([0, *(len(hashes[key]) for key in order)]).astype(np.uint64)
    shingles = np.concatenate([hashes[key] for key in order]) if order else np.zeros(0, np.uint64)
    return _Texts([members[key] for key in order], shingles, offsets)


def _hashes(text: str, seen: dict[str, int]) -> np.ndarray:
    """A 64-bit hash of each word, the same on every machine; `seen` remembers them."""
    words = _WORD.findall(text.casefold())
    for word in set(words):
        if word not in seen:
            seen[word] = int.from_bytes(
                blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"
            )
    return np.fromiter(map(seen.__getitem__, words), np.uint64, len(words))


def _shingles(words: np.ndarray, n_words: int) -> np.ndarray:
    """Sorted distinct hashes of runs of `n_words` words; a shorter text is one run."""
    n_words = min(n_words, len(words))
    mixed = np.zeros(max(0, len(words) - n_words + 1) if len(words) else 0, np.uint64)
    for place in range(n_words):
        mixed = (mixed ^ words[place : place + len(mixed)]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return np.unique(mixed)


def _similar_pairs(texts: _Texts, *, n_permutations: int, threshold: float, seed: int) -> list[tuple[int, int]]:
    if len(texts.members) < 2:
        return []
    signatures = _signatures(texts, n_permutations=n_permutations, seed=seed)
    tolerance = _STANDARD_ERRORS * np.sqrt(threshold * (1 - threshold) / n_permutations)
    kept = []
    candidates = _candidates(signatures, _rows_a_band(n_permutations, threshold))
    for start in range(0, len(candidates), _PAIRS_AT_ONCE):
        pairs = candidates[start : start + _PAIRS_AT_ONCE]
        estimate = (signatures[pairs[:, 0]] == signatures[pairs[:, 1]]).mean(axis=1)
        kept += [
            (int(i), int(j))
            for i, j in pairs[estimate >= threshold - tolerance]
            if _overlap(texts.shingles_of(i), texts.shingles_of(j)) >= threshold
        ]
    return kept


def _candidates(signatures: np.ndarray, n_rows: int) -> np.ndarray:
    """Pairs (p, 2) that agree in a whole band; in a crowd that agrees, each with its next 64 in content order."""
    n, n_permutations = signatures.shape
    keys = set()
    for start in range(0, n_permutations - n_rows + 1, n_rows):
        band = np.ascontiguousarray(signatures[:, start : start + n_rows]).view(f"V{4 * n_rows}").ravel()
        _, bucket = np.unique(band, return_inverse=True)
        order = np.argsort(bucket, kind="stable")
        ordered = bucket[order]
        for step in range(1, min(_WINDOW, n - 1) + 1):
            same = np.flatnonzero(ordered[step:] == ordered[:-step])
            if not len(same):
                break
            keys.update((order[same] * n + order[same + step]).tolist())
    unique = np.array(sorted(keys), dtype=np.int64)
    return np.column_stack([unique // n, unique % n])


def _rows_a_band(n_permutations: int, threshold: float) -> int:
    """The most selective band with which a pair at the threshold is still proposed 95 times in 100."""
    rows = 1
    while 1 - (1 - threshold ** (rows + 1)) ** (n_permutations // (rows + 1)) >= _RECALL_AT_THRESHOLD:
        rows += 1
    return rows


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    if not len(a) or not len(b):
        return 0.0
    n_common = len(np.intersect1d(a, b, assume_unique=True))
    return n_common / (len(a) + len(b) - n_common)


def _root(parent: list[int], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


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
        seen: dict[str, int] = {}
        words = {i: _hashes(texts[i], seen) for i in members}
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
