"""The part of a classifier that learns labels from a matrix: one weight a column and label, by liblinear or lbfgs.

Labels are learned one against the rest (squared hinge) or together (logistic). The weights of a complement naive Bayes may be
added: they are linear too, cost one product, and know the many words that are too rare for the margin. Scores are float32 products, so a saved model
answers with the same bits. Raw probabilities are a softmax of the scores, or with several labels a sigmoid each.
References: Fan et al. 2008, LIBLINEAR (JMLR 9); Rifkin and Klautau 2004, In Defense of One-Vs-All Classification (JMLR 5);
Rennie et al. 2003, Tackling the Poor Assumptions of Naive Bayes; Wang and Manning 2012, Baselines and Bigrams.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Bounds
from pydantic import field_validator
from scipy import sparse

from pipeline.config import Config

Array: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
TINY = 1e-12
MOST_LBFGS_TOLERANCE = 1e-4
"""lbfgs stops by its gradient, which is small from the start on few examples: a tolerance made for liblinear leaves it unsolved."""
LEAST_LBFGS_ITERATIONS = 1000
"""And so do as few passes."""


class HeadConfig(Config):
    """Settings of the head; several values of `c` are compared on folds inside the training examples.

    `tolerance` and `max_iterations` end the solver; with `loss: logistic` at most MOST_LBFGS_TOLERANCE and at least LEAST_LBFGS_ITERATIONS count.
    """

    loss: Literal["squared_hinge", "logistic"]
    c: tuple[float, ...] = Bounds(min_length=1)
    n_folds: int = Bounds(ge=2)
    class_weight: Literal["balanced", "none"]
    max_iterations: int = Bounds(ge=1)
    tolerance: float = Bounds(gt=0)

    @field_validator("c", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [value] if isinstance(value, int | float) else value


@dataclass(frozen=True, slots=True)
class Bayes:
    """How much of a naive Bayes is added, in spreads of the scores on the training rows; columns must not be negative."""

    weight: float
    smoothing: float


@dataclass(frozen=True, slots=True)
class Columns:
    """The block each column belongs to, and how many rows must hold it: a fold must not know the columns of its held-out rows."""

    block: NDArray[np.int64]
    min_df: NDArray[np.int64]

    def known(self, train: sparse.csr_array, rows: sparse.csr_array) -> sparse.csr_array:
        """The rows without the columns that a fit on `train` alone would lack; each block keeps its length."""
        df = np.bincount(train.indices, minlength=len(self.block))
        n_rows = cast(tuple[int, int], rows.shape)[0]
        place = np.repeat(np.arange(n_rows), np.diff(rows.indptr)) * (int(self.block.max(initial=0)) + 1)
        place += self.block[rows.indices]
        kept = (df >= self.min_df)[rows.indices]
        before = np.bincount(place, weights=rows.data**2)
        after = np.bincount(place, weights=np.where(kept, rows.data**2, 0.0), minlength=len(before))
        longer = np.sqrt(before / np.maximum(after, TINY))
        answer = sparse.csr_array(
            (np.where(kept, rows.data * longer[place], 0.0), rows.indices.copy(), rows.indptr.copy()), rows.shape
        )
        answer.eliminate_zeros()
        return answer


@dataclass(slots=True)
class Head:
    """Scores (n, n_labels) from a matrix (n, n_columns)."""

    config: HeadConfig
    multi_label: bool
    seed: int
    coefficients_: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    intercepts_: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    c_: float = 0.0
    bayes: Bayes | None = None

    def fit(
        self, matrix: sparse.csr_array, member: Flags, folds: NDArray[np.int64] | None, columns: Columns | None = None
    ) -> Array:
        """Fits on all rows, with the best `c`; the probabilities of each row from the other folds (empty without folds).

        NaN in the column of a label that the other folds lack.
        """
        self.c_, *others = self.config.c
        held_out = np.empty((0, member.shape[1]))
        if folds is not None:
            held_out = self._held_out(matrix, member, folds, others, columns)
        weights, intercepts = self._solve(matrix, member, self.c_)
        self.coefficients_, self.intercepts_ = weights.astype(np.float32), intercepts.astype(np.float32)
        return held_out

    def scores(self, matrix: sparse.csr_array) -> Array:
        """One margin a row and label."""
        return _scores(matrix, self.coefficients_, self.intercepts_)

    def probabilities(self, scores: Array) -> Array:
        """Raw probabilities, to be calibrated."""
        return 1.0 / (1.0 + np.exp(-scores)) if self.multi_label else softmax(scores)

    def _held_out(
        self,
        matrix: sparse.csr_array,
        member: Flags,
        folds: NDArray[np.int64],
        others: list[float],
        columns: Columns | None,
    ) -> Array:
        best, chosen = -1.0, np.empty(0)
        for c in (self.c_, *others):
            scores = self._fold_scores(matrix, member, folds, c, columns)
            quality = _macro_f1(scores, member, multi_label=self.multi_label) if others else 0.0
            if quality > best:
                best, chosen, self.c_ = quality, scores, c
        return self.probabilities(chosen)

    def _fold_scores(
        self, matrix: sparse.csr_array, member: Flags, folds: NDArray[np.int64], c: float, columns: Columns | None
    ) -> Array:
        scores = np.full(member.shape, np.nan)
        for fold in np.unique(folds):
            train, out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            known = np.flatnonzero(member[train].any(axis=0) & ~member[train].all(axis=0))
            if len(known) < (1 if self.multi_label else 2):
                continue
            learned, asked = matrix[train], matrix[out]
            if columns is not None:
                learned, asked = columns.known(learned, learned), columns.known(learned, asked)
            weights, intercepts = self._solve(learned, member[np.ix_(train, known)], c)
            scores[np.ix_(out, known)] = _scores(asked, weights.astype(np.float32), intercepts.astype(np.float32))
        return scores

    def _solve(self, matrix: sparse.csr_array, member: Flags, c: float) -> tuple[Array, Array]:
        """Weights (n_features, n_labels) and intercepts."""
        if self.multi_label:
            solved = [self._solve_one(matrix, column, c) for column in member.T]
            weights = np.stack([one[0] for one, _ in solved], axis=1)
            intercepts = np.array([bias[0] for _, bias in solved])
            return self._with_bayes(matrix, member, weights, intercepts)
        rows, intercepts = self._solve_one(matrix, member.argmax(axis=1), c)
        weights = rows.T
        if len(rows) == 1:
            weights = np.stack([-rows[0], rows[0]], axis=1) / 2.0
            intercepts = np.array([-intercepts[0], intercepts[0]]) / 2.0
        return self._with_bayes(matrix, member, weights, intercepts)

    def _with_bayes(
        self, matrix: sparse.csr_array, member: Flags, weights: Array, intercepts: Array
    ) -> tuple[Array, Array]:
        """The weights with those of a naive Bayes added, scaled to spread the training rows as far; one label at a time with several."""
        if self.bayes is None or not self.bayes.weight or len(weights) != cast(tuple[int, int], matrix.shape)[1]:
            return weights, intercepts
        added = bayes_weights(matrix, member, self.bayes.smoothing, multi_label=self.multi_label)
        own, other = np.asarray(matrix @ weights), np.asarray(matrix @ added)
        if self.multi_label:
            factor = self.bayes.weight * own.std(axis=0) / np.maximum(other.std(axis=0), TINY)
            return weights + added * factor, intercepts - other.mean(axis=0) * factor
        own = own - own.mean(axis=1, keepdims=True)
        factor = self.bayes.weight * float(own.std()) / max(float(other.std()), TINY)
        return weights + added * factor, intercepts

    def _solve_one(self, matrix: sparse.csr_array, y: NDArray[Any], c: float) -> tuple[Array, Array]:
        if len(np.unique(y)) == 1:
            always = bool(y[0])
            return np.zeros((1, cast(tuple[int, int], matrix.shape)[1])), np.array([1.0 if always else -1.0])
        from sklearn.exceptions import ConvergenceWarning

        estimator = self._estimator(c)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(matrix, y)
        return estimator.coef_, np.atleast_1d(estimator.intercept_)

    def _estimator(self, c: float) -> Any:
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC

        settings: dict[str, Any] = {
            "C": c,
            "class_weight": "balanced" if self.config.class_weight == "balanced" else None,
            "max_iter": self.config.max_iterations,
            "tol": self.config.tolerance,
            "random_state": self.seed,
        }
        if self.config.loss == "logistic":
            settings["tol"] = min(self.config.tolerance, MOST_LBFGS_TOLERANCE)
            settings["max_iter"] = max(self.config.max_iterations, LEAST_LBFGS_ITERATIONS)
        return LinearSVC(**settings) if self.config.loss == "squared_hinge" else LogisticRegression(**settings)


def bayes_weights(matrix: sparse.csr_array, member: Flags, smoothing: float, *, multi_label: bool) -> Array:
    """Complement naive Bayes as weights (n_columns, n_labels): how rare a column is outside of a label, about the mean label.

    With several labels each is held against the rows without it.
    """
    of_label = np.asarray((member.T.astype(np.float64) @ matrix).T)
    of_others = np.asarray(matrix.sum(axis=0))[:, None] - of_label
    outside = _log_shares(np.maximum(of_others, 0.0) + smoothing)
    if multi_label:
        return (_log_shares(of_label + smoothing) - outside) / 2.0
    return outside.mean(axis=1, keepdims=True) - outside


def _log_shares(counts: Array) -> Array:
    return np.log(counts / counts.sum(axis=0))


def softmax(scores: Array) -> Array:
    """Rows that sum to one."""
    raised = np.exp(scores - np.nanmax(scores, axis=1, keepdims=True))
    return raised / np.nansum(raised, axis=1, keepdims=True)


def _scores(matrix: sparse.csr_array, weights: NDArray[np.float32], intercepts: NDArray[np.float32]) -> Array:
    return (matrix.astype(np.float32) @ weights + intercepts).astype(np.float64)


def _macro_f1(scores: Array, member: NDArray[np.bool_], *, multi_label: bool) -> float:
    filled = np.where(np.isnan(scores), -np.inf, scores)
    said = filled > 0 if multi_label else np.eye(member.shape[1], dtype=bool)[filled.argmax(axis=1)]
    hits = (said & member).sum(axis=0)
    return float(np.mean(2.0 * hits / np.maximum(1, said.sum(axis=0) + member.sum(axis=0))))
