"""Rows whose label the model doubts enough for a person to look again.

The rule is that of confident learning without its counting step: a row is doubted where the model gives another label at
least the probability that it gives that label, on average, where it is the label. Nothing is fitted, so it needs no
library; it works on the rows of a test split, whose probabilities are out of sample.

References:
    Northcutt, Jiang & Chuang (2021), Confident Learning: Estimating Uncertainty in Dataset Labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Doubt:
    """A row whose given label is doubted: what the model suggests, and both probabilities. `label_id`s are columns."""

    index: int
    suggested: int
    p_given: float
    p_suggested: float


def doubted_labels(y_true: np.ndarray, probabilities: np.ndarray) -> list[Doubt]:
    """The doubted rows, least probable given label first.

    `y_true` (n,) are columns of `probabilities` (n, k); -1 or beyond is a label that the model does not know, and never
    doubted.
    """
    n, k = probabilities.shape
    y_true = np.asarray(y_true)
    known = (y_true >= 0) & (y_true < k)
    of_label = [probabilities[y_true == label, label] for label in range(k)]
    usual = np.array([one.mean() if len(one) else np.inf for one in of_label])
    given = np.where(known, y_true, 0)
    confident = np.where(probabilities >= usual, probabilities, -1.0)
    suggested = confident.argmax(axis=1)
    p_given, p_suggested = probabilities[np.arange(n), given], confident[np.arange(n), suggested]
    rows = np.flatnonzero(known & (suggested != given) & (p_suggested > 0))
    return [
        Doubt(int(i), int(suggested[i]), float(p_given[i]), float(p_suggested[i]))
        for i in rows[np.argsort(p_given[rows], kind="stable")]
    ]
