"""Labels as paths (`world/europe`): a parent scores at least as much as each of its children, and is given where a child is.

A slash alone makes no hierarchy (`Sci/Tech` is one label): a parent counts where it is a label itself, or has two children.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def ancestors(label: str) -> tuple[str, ...]:
    """The paths above a label, nearest first: `a/b` and `a` for `a/b/c`."""
    parts = label.split("/")
    return tuple("/".join(parts[:n]) for n in range(len(parts) - 1, 0, -1) if parts[n - 1].strip())


def expanded(labels: Iterable[str]) -> tuple[str, ...]:
    """The labels with all their ancestors, sorted."""
    return tuple(sorted({path for label in labels for path in (label, *ancestors(label))}))


@lru_cache(maxsize=64)
def parents(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The paths that group these labels: an ancestor that is a label itself, or that has two of them below it."""
    below = Counter(path for label in labels for path in ancestors(label))
    return tuple(sorted(path for path, n in below.items() if n > 1 or path in labels))


@lru_cache(maxsize=64)
def _pairs(labels: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Columns of descendant and ancestor, both labels."""
    place = {label: i for i, label in enumerate(labels)}
    return tuple((place[label], place[path]) for label in labels for path in ancestors(label) if path in place)


def coherent(probabilities: Array, labels: tuple[str, ...]) -> Array:
    """Probabilities of independent labels (n, n_labels), each parent's raised to that of its most probable descendant."""
    pairs = _pairs(labels)
    if not pairs:
        return probabilities
    raised = probabilities.copy()
    for child, parent in pairs:
        raised[:, parent] = np.fmax(raised[:, parent], probabilities[:, child])
    return raised


def with_ancestors(given: Sequence[int], labels: tuple[str, ...]) -> list[int]:
    """The columns given, and those of their ancestors that are labels."""
    chosen = set(given)
    return sorted(chosen | {parent for child, parent in _pairs(labels) if child in chosen})


def with_parents(probabilities: Mapping[str, float]) -> dict[str, float]:
    """Probabilities of exclusive labels, with those of the paths above them: the sum of all labels at or below."""
    summed = dict(probabilities)
    for path in parents(tuple(probabilities)):
        below = (p for label, p in probabilities.items() if label.startswith(f"{path}/"))
        summed[path] = min(1.0, probabilities.get(path, 0.0) + sum(below))
    return summed
