"""Labels as arrays, and folds that keep groups whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.document import Example
from pipeline.errors import DataError

Labels: TypeAlias = Sequence[str] | Sequence[tuple[str, ...]]


def label_matrix(y: Labels, *, multi_label: bool) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    """The labels, sorted, and which example has which (n, n_classes).

    Raises:
        DataError: no examples, an empty label, or fewer than two classes to tell apart.
    """
    rows = [tuple(labels) if multi_label else (labels,) for labels in y]
    names = sorted({str(label) for labels in rows for label in labels})
    if not rows or not names:
        raise DataError("no labelled example to learn from")
    if not all(names):
        raise DataError("an example has an empty label")
    if len(names) == 1 and not (multi_label and any(not labels for labels in rows)):
        raise DataError(f"every example is labelled '{names[0]}': a classifier needs at least two classes")
    place = {name: i for i, name in enumerate(names)}
    member = np.zeros((len(rows), len(names)), dtype=bool)
    for i, labels in enumerate(rows):
        member[i, [place[str(label)] for label in labels]] = True
    return np.array(names, dtype=np.str_), member


def grouped_folds(examples: Sequence[Example], y: Labels, n_folds: int, seed: int) -> NDArray[np.int64]:
    """A fold a example: groups stay whole, each label's groups are dealt out in turn, commonest label last."""
    n_of: dict[str, int] = {}
    rows = [(labels,) if isinstance(labels, str) else tuple(labels) for labels in y]
    for labels in rows:
        for label in labels:
            n_of[label] = n_of.get(label, 0) + 1
    first: dict[str, tuple[int, str]] = {}
    keys = [example.group or example.id for example in examples]
    for key, labels in zip(keys, rows, strict=True):
        rarest = min(((n_of[label], label) for label in labels), default=(len(rows) + 1, ""))
        first[key] = min(first.get(key, rarest), rarest)
    order = np.random.default_rng(seed).permutation(len(first))
    dealt = sorted(zip(first.values(), order.tolist(), first, strict=True))
    fold_of = {key: i % n_folds for i, (_, _, key) in enumerate(dealt)}
    return np.array([fold_of[key] for key in keys], dtype=np.int64)
