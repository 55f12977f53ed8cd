"""How far the articles judged are from those learnt from, beside how far as many held-out training articles would be.

A distance alone says little: few articles are always some way from many. So each is shown with its usual value, measured
on training articles set aside in the same number.

References:
    Lin (1991), Divergence measures based on the Shannon entropy.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

_WORD = re.compile(r"\w+")
_MOST_TEXTS = 2_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Drift:
    """One respect in which articles may differ from training: 0 is alike, 1 nothing in common; `usual` without drift."""

    name: str
    distance: float
    usual: float
    note: str = ""


def measure_drift(training: Sequence[str], new: Sequence[str]) -> list[Drift]:
    """The drift of words, of unseen words and of length; nothing where there are too few training texts to say."""
    known, fresh = ([_WORD.findall(text.casefold()) for text in _thinned(texts)] for texts in (training, new))
    if not fresh or len(known) < 4:
        return []
    step = max(2, len(known) // min(len(fresh), len(known) // 2))
    held, rest = known[::step], [words for i, words in enumerate(known) if i % step]
    pairs = (rest, fresh), (rest, held)
    notes = {
        "words": "Jensen-Shannon distance between word frequencies",
        "unseen words": "share of running words that training lacks",
        "length": "largest gap between the distributions of length in words (Kolmogorov)",
    }
    measures = {"words": _word_distance, "unseen words": _unseen_share, "length": _length_distance}
    return [Drift(name, *(measure(*pair) for pair in pairs), note=notes[name]) for name, measure in measures.items()]


def _thinned(texts: Sequence[T]) -> list[T]:
    """At most so many, evenly taken."""
    return list(texts[:: max(1, -(-len(texts) // _MOST_TEXTS))])


def _word_distance(known: Sequence[Sequence[str]], fresh: Sequence[Sequence[str]]) -> float:
    counts = [Counter(word for words in texts for word in words) for texts in (known, fresh)]
    vocabulary = sorted(set(counts[0]) | set(counts[1]))
    p, q = (np.array([count[word] for word in vocabulary], float) / max(1, count.total()) for count in counts)
    middle = (p + q) / 2
    entropies = [(-x[x > 0] * np.log2(x[x > 0])).sum() for x in (middle, p, q)]
    return float(np.sqrt(max(0.0, entropies[0] - (entropies[1] + entropies[2]) / 2)))


def _unseen_share(known: Sequence[Sequence[str]], fresh: Sequence[Sequence[str]]) -> float:
    seen = {word for words in known for word in words}
    n_words = sum(map(len, fresh))
    return sum(word not in seen for words in fresh for word in words) / max(1, n_words)


def _length_distance(known: Sequence[Sequence[str]], fresh: Sequence[Sequence[str]]) -> float:
    a, b = (np.sort([len(words) for words in texts]) for texts in (known, fresh))
    at = np.union1d(a, b)
    return float(np.abs(np.searchsorted(a, at, "right") / len(a) - np.searchsorted(b, at, "right") / len(b)).max())
