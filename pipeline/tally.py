"""What a pile of scored articles looks like, as counts that add up: labels, abstentions, unknown words, what was cut.

The decision that is not obvious: all counts are whole numbers, also of shares (per mille, their sum and the sum of their squares), so that
the sum over shards is the same in whatever order they were done.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from math import sqrt
from typing import TypeAlias
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pipeline.document import BODY, Document, LabelPrediction, Rejected

Tally: TypeAlias = Counter[str]
"""Counts by name: `articles`, `error/REASON`, `lines/KIND`, `body/...`, `TASK/label/LABEL`, `TASK/abstained`, `TASK/unknown/...`."""

N_APART = 10
"""Unknown words are counted in one article of so many, since they cost more than the rest."""

_WORD = re.compile(r"\w+")
_PER_MILLE = 1000
_TEXTS_AT_ONCE = 5000
MOST_TEXTS = 2000
"""Of so many of the texts learnt from it is counted which words would have been unknown, about."""


def is_sampled(article: str) -> bool:
    """Whether the article of this id is one of those."""
    return crc32(article.encode("utf-8", "surrogatepass")) % N_APART == 0


def tally_documents(outcomes: Iterable[tuple[Document, str] | Rejected]) -> Tally:
    """The counts of articles, errors, lines by kind, and of the share of characters that is body."""
    counts = Tally()
    for one in outcomes:
        counts["articles"] += 1
        if isinstance(one, Rejected):
            counts[f"error/{one.reason}"] += 1
            continue
        document, body = one
        cut = [line for line in document.lines if line.kind is not BODY]
        for line in cut:
            counts[f"lines/{line.kind.value}"] += 1
        counts["lines/body"] += len(document.lines) - len(cut)
        _add_share(counts, "body", len(body), len(body) + sum([line.end - line.start for line in cut]))
    return counts


def tally_answers(task: str, answers: Iterable[Sequence[LabelPrediction]]) -> Tally:
    """The counts of a task's labels, and of the entries that abstain."""
    counts = Tally()
    for answer in answers:
        for entry in answer:
            counts[f"{task}/label/{entry.label}"] += 1
            counts[f"{task}/abstained"] += entry.abstained
        counts[f"{task}/entries"] += len(answer)
    return counts


def tally_words(task: str, texts: Iterable[str], known: NDArray[np.uint32]) -> Tally:
    """The counts of the share of running words that are not among those known, which are sorted; see `word_codes`."""
    counts = Tally()
    for text in texts:
        codes = word_codes(text)
        _add_share(counts, f"{task}/unknown", len(codes) - _n_among(codes, known), len(codes))
    return counts


def tally_boilerplate(bodies: Iterable[str], cut: Iterable[str]) -> Tally:
    """As `tally_documents`, of bodies and what was cut from each, as far as the texts tell."""
    counts = Tally()
    for body, rest in zip(bodies, cut, strict=True):
        _add_share(counts, "body", len(body), len(body) + len(rest))
    return counts


def word_codes(text: str) -> NDArray[np.uint32]:
    """A number of 32 bits for each running word, case apart."""
    found = _WORD.findall(text.casefold())  # no word has a blank or a surrogate in it, so all are encoded as one text
    words = " ".join(found).encode().split(b" ") if found else []
    return np.fromiter(map(crc32, words), np.uint32, len(words))


def known_words(texts: Iterable[str]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The codes of the words in the texts, sorted, and those that stand in one text only."""
    codes, n_texts = np.empty(0, np.uint32), np.empty(0, np.int64)
    rest = iter(texts)
    while inside := [np.unique(word_codes(text)) for text in islice(rest, _TEXTS_AT_ONCE)]:
        both = np.concatenate([codes, *inside])
        weights = np.concatenate([n_texts, np.ones(len(both) - len(codes), np.int64)])
        codes, places = np.unique(both, return_inverse=True)
        n_texts = np.bincount(places, weights, minlength=len(codes)).astype(np.int64)
    return codes, codes[n_texts == 1]


def tally_fresh_words(task: str, texts: Sequence[str], known: NDArray[np.uint32], once: NDArray[np.uint32]) -> Tally:
    """As `tally_words`, of texts that `known_words` has read, each as if it had not been among them."""
    return tally_words(task, texts, np.setdiff1d(known, once, assume_unique=True))


def share(counts: Tally, name: str) -> tuple[float, float, int]:
    """The mean of a share over articles, its standard error, and how many articles it is of; NaN without any."""
    n = counts[f"{name}/n"]
    if not n:
        return float("nan"), float("nan"), 0
    mean = counts[f"{name}/sum"] / n
    variance = max(0.0, counts[f"{name}/squares"] / n - mean * mean)
    return mean / _PER_MILLE, sqrt(variance / n) / _PER_MILLE, n


def labels_of(counts: Tally, task: str) -> dict[str, int]:
    """How often each label of a task was given, in the order of their names."""
    prefix = f"{task}/label/"
    return {name.removeprefix(prefix): counts[name] for name in sorted(counts) if name.startswith(prefix)}


def rejected(counts: Tally) -> dict[str, int]:
    """How many articles could not be scored, by reason."""
    return {name.removeprefix("error/"): counts[name] for name in sorted(counts) if name.startswith("error/")}


def _n_among(codes: NDArray[np.uint32], known: NDArray[np.uint32]) -> int:
    """How many codes are among those known, which are sorted; `np.isin` would sort them anew for each text."""
    places = np.searchsorted(known, codes)
    return int((known[np.minimum(places, len(known) - 1)] == codes).sum()) if len(known) else 0


def _add_share(counts: Tally, name: str, part: int, whole: int) -> None:
    if not whole:
        return
    value = (part * _PER_MILLE + whole // 2) // whole
    counts[f"{name}/n"] += 1
    counts[f"{name}/sum"] += value
    counts[f"{name}/squares"] += value * value
