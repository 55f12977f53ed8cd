"""`kind: linear`: TF-IDF spaces over the fields of an example, one weight a feature and label, by liblinear.

Each space is scaled to unit length, weighted and laid beside the others. Labels are learned one against the rest (squared
hinge or logistic loss). Scores are float32 products, so a saved model answers with the same bits; the probabilities of a
single label are a softmax of scores, of several labels a sigmoid each: raw, `pipeline.calibration` makes them honest.
References: Fan et al. 2008, LIBLINEAR (JMLR 9); Rifkin and Klautau 2004, In Defense of One-Vs-All Classification (JMLR 5).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Bounds
from safetensors.numpy import load_file, save_file
from scipy import sparse

from pipeline.classifiers.analysis import Analyzer, CharAnalyzer, WordAnalyzer, analyzer, size, smooth_idf, tf_idf
from pipeline.classifiers.target import Field, view, view_text
from pipeline.config import Config
from pipeline.document import Example
from pipeline.errors import DataError

Array = NDArray[np.float64]


class SpaceConfig(Config):
    """One feature space: which field is read, how it is cut, how it is weighted."""

    field: Field
    unit: Literal["word", "char_wb"]
    min_n: int = Bounds(ge=1, le=8)
    max_n: int = Bounds(ge=1, le=8)
    min_df: int = Bounds(ge=1)
    max_features: int | None = Bounds(ge=1)
    min_chars: int = Bounds(ge=1)
    sublinear: bool
    idf: bool
    weight: float = Bounds(gt=0)
    window: int = Bounds(ge=0)


class LinearConfig(Config):
    """Settings of a linear classifier; several values of `c` are compared on folds inside the training examples."""

    kind: Literal["linear"]
    spaces: tuple[SpaceConfig, ...] = Bounds(min_length=1)
    loss: Literal["squared_hinge", "logistic"]
    c: tuple[float, ...] = Bounds(min_length=1)
    n_folds: int = Bounds(ge=2)
    class_weight: Literal["balanced", "none"]
    max_iterations: int = Bounds(ge=1)
    tolerance: float = Bounds(gt=0)


@dataclass(slots=True)
class Space:
    """A fitted feature space."""

    config: SpaceConfig
    analyzer: Analyzer
    idf_: Array | None = None

    def fit_transform(self, examples: Sequence[Example]) -> sparse.csr_array:
        counts = self.analyzer.fit_counts(self._texts(examples))
        self.idf_ = smooth_idf(counts) if self.config.idf else None
        return self._weighted(counts)

    def transform(self, examples: Sequence[Example]) -> sparse.csr_array:
        return self._weighted(self.analyzer.counts(self._texts(examples)))

    def _texts(self, examples: Sequence[Example]) -> list[str]:
        return [view_text(example, self.config.field, self.config.window) for example in examples]

    def _weighted(self, counts: sparse.csr_array) -> sparse.csr_array:
        weighted = tf_idf(counts, self.idf_, sublinear=self.config.sublinear)
        weighted.data *= self.config.weight
        return weighted


@dataclass(slots=True)
class LinearClassifier:
    """Linear scores over TF-IDF spaces; see the module."""

    config: LinearConfig
    multi_label: bool
    seed: int
    classes_: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, dtype=np.str_))
    spaces_: list[Space] = field(default_factory=list)
    coefficients_: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    intercepts_: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    priors_: Array = field(default_factory=lambda: np.empty(0))
    c_: float = 0.0

    def fit(self, examples: Sequence[Example], y: Sequence[str] | Sequence[tuple[str, ...]]) -> Self:
        """Itself, fitted.

        Raises:
            DataError: nothing to learn from, one class only, no feature met often enough.
        """
        self.out_of_fold(examples, y, None)
        return self

    def out_of_fold(
        self, examples: Sequence[Example], y: Sequence[str] | Sequence[tuple[str, ...]], folds: NDArray[np.int64] | None
    ) -> Array:
        """Probabilities of each example from a model that did not learn its label; leaves itself fitted on all examples.

        The vocabulary and the document frequencies are those of all examples: they read no label. NaN in the column of a
        class that the other folds lack. With `folds` None nothing is held out and the answer is empty.
        """
        self.classes_, member = label_matrix(y, multi_label=self.multi_label)
        self.priors_ = member.mean(axis=0)
        matrix = self._fit_spaces(examples)
        held_out = np.empty((0, len(self.classes_)))
        self.c_, *others = self.config.c
        inner = folds
        if others and inner is None:
            inner = grouped_folds(examples, y, self.config.n_folds, self.seed)
        if inner is not None:
            held_out = self._choose_c(matrix, member, inner)
        weights, intercepts = self._solve(matrix, member, self.c_)
        self.coefficients_, self.intercepts_ = weights.astype(np.float32), intercepts.astype(np.float32)
        return held_out if folds is not None else np.empty((0, len(self.classes_)))

    def scores(self, examples: Sequence[Example]) -> Array:
        """One margin an example and label."""
        return self._score(self._transform(examples))

    def predict_proba(self, examples: Sequence[Example]) -> Array:
        """Raw probabilities, float64 (n, n_classes); the prior where no feature of the example is known."""
        matrix = self._transform(examples)
        probabilities = _probabilities(self._score(matrix), multi_label=self.multi_label)
        probabilities[np.diff(matrix.indptr) == 0] = self.priors_ / (1.0 if self.multi_label else self.priors_.sum())
        return probabilities

    def sentence_weights(self, example: Example, spans: Sequence[tuple[int, int]], label: str) -> Array:
        """How much each span of the text adds to the label's score: exact, they sum (over a cover) to score - intercept - title.

        A feature's part is shared equally by its occurrences; a pair belongs to the span in which it starts.
        """
        label_id = int(np.flatnonzero(self.classes_ == label)[0])
        at_char = np.zeros(len(example.text) + 1)
        matrix = self._transform([example])
        values = np.zeros(size(matrix)[1])
        values[matrix.indices] = matrix.data * self.coefficients_[matrix.indices, label_id]
        offset = 0
        for space in self.spaces_:
            n = space.analyzer.n_features
            seen = view(example, space.config.field, space.config.window)
            columns, starts, _ = space.analyzer.positions(seen.text)
            parts = values[offset + columns] / np.bincount(columns, minlength=max(1, n))[columns]
            places = seen.origin[starts] if len(starts) else starts
            np.add.at(at_char, places[places >= 0], parts[places >= 0])
            offset += n
        running = np.concatenate([np.zeros(1), np.cumsum(at_char)])
        return np.array([running[end] - running[start] for start, end in spans])

    def save(self, folder: Path) -> None:
        """Writes `classifier.json` (settings, labels, vocabularies) and `linear.safetensors` (weights, frequencies)."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = {
            "coefficients": np.ascontiguousarray(self.coefficients_),
            "intercepts": self.intercepts_,
            "priors": self.priors_,
        }
        terms: list[list[str]] = []
        for i, space in enumerate(self.spaces_):
            terms.append(_terms(space.analyzer))
            if space.idf_ is not None:
                arrays[f"idf.{i}"] = space.idf_
            if isinstance(space.analyzer, WordAnalyzer):
                arrays[f"unigrams.{i}"], arrays[f"bigrams.{i}"] = space.analyzer.unigrams_, space.analyzer.bigrams_
        save_file(arrays, folder / "linear.safetensors")
        header = {
            "config": self.config.model_dump(mode="json"),
            "multi_label": self.multi_label,
            "seed": self.seed,
            "classes": self.classes_.tolist(),
            "c": self.c_,
            "terms": terms,
        }
        (folder / "classifier.json").write_text(json.dumps(header, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The classifier that `save` wrote; the caller has verified the files' digests."""
        header = json.loads((folder / "classifier.json").read_text(encoding="utf-8"))
        arrays = load_file(folder / "linear.safetensors")
        config = LinearConfig.model_validate(header["config"])
        loaded = cls(config, header["multi_label"], header["seed"])
        loaded.classes_, loaded.c_ = np.array(header["classes"], dtype=np.str_), header["c"]
        loaded.coefficients_, loaded.intercepts_ = arrays["coefficients"], arrays["intercepts"]
        loaded.priors_ = arrays["priors"]
        loaded.spaces_ = [_restored(space, header["terms"][i], arrays, i) for i, space in enumerate(config.spaces)]
        return loaded

    def _fit_spaces(self, examples: Sequence[Example]) -> sparse.csr_array:
        self.spaces_ = [Space(space, _unfitted(space)) for space in self.config.spaces]
        matrix = _beside([space.fit_transform(examples) for space in self.spaces_])
        if size(matrix)[1] == 0:
            raise DataError(
                f"no feature stands in enough of the {len(examples)} training texts: lower min_df, or give longer texts"
            )
        return matrix

    def _transform(self, examples: Sequence[Example]) -> sparse.csr_array:
        return _beside([space.transform(examples) for space in self.spaces_])

    def _score(self, matrix: sparse.csr_array) -> Array:
        return (matrix.astype(np.float32) @ self.coefficients_ + self.intercepts_).astype(np.float64)

    def _choose_c(self, matrix: sparse.csr_array, member: NDArray[np.bool_], folds: NDArray[np.int64]) -> Array:
        best, chosen = -1.0, np.empty(0)
        for c in self.config.c:
            scores = self._fold_scores(matrix, member, folds, c)
            quality = _macro_f1(scores, member, multi_label=self.multi_label) if len(self.config.c) > 1 else 0.0
            if quality > best:
                best, chosen, self.c_ = quality, scores, c
        return _probabilities(chosen, multi_label=self.multi_label)

    def _fold_scores(
        self, matrix: sparse.csr_array, member: NDArray[np.bool_], folds: NDArray[np.int64], c: float
    ) -> Array:
        scores = np.full(member.shape, np.nan)
        for fold in np.unique(folds):
            train, out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            known = np.flatnonzero(member[train].any(axis=0) & ~member[train].all(axis=0))
            if len(known) < (1 if self.multi_label else 2):
                continue
            weights, intercepts = self._solve(matrix[train], member[np.ix_(train, known)], c)
            scores[np.ix_(out, known)] = matrix[out].astype(np.float32) @ weights.astype(
                np.float32
            ) + intercepts.astype(np.float32)
        return scores

    def _solve(self, matrix: sparse.csr_array, member: NDArray[np.bool_], c: float) -> tuple[Array, Array]:
        """Weights (n_features, n_labels) and intercepts."""
        if self.multi_label:
            solved = [self._solve_one(matrix, column, c) for column in member.T]
            return np.stack([weights[0] for weights, _ in solved], axis=1), np.array([bias[0] for _, bias in solved])
        weights, intercepts = self._solve_one(matrix, member.argmax(axis=1), c)
        if len(weights) == 1:
            return np.stack([-weights[0], weights[0]], axis=1) / 2.0, np.array([-intercepts[0], intercepts[0]]) / 2.0
        return weights.T, intercepts

    def _solve_one(self, matrix: sparse.csr_array, y: NDArray[Any], c: float) -> tuple[Array, Array]:
        if len(np.unique(y)) == 1:
            always = bool(y[0])
            return np.zeros((1, size(matrix)[1])), np.array([1.0 if always else -1.0])
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
        return LinearSVC(**settings) if self.config.loss == "squared_hinge" else LogisticRegression(**settings)


def label_matrix(
    y: Sequence[str] | Sequence[tuple[str, ...]], *, multi_label: bool
) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
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


def grouped_folds(
    examples: Sequence[Example], y: Sequence[str] | Sequence[tuple[str, ...]], n_folds: int, seed: int
) -> NDArray[np.int64]:
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


def out_of_fold_by_refitting(
    fit: Callable[[Sequence[Example], list[Any]], Any],
    examples: Sequence[Example],
    y: Sequence[Any],
    folds: NDArray[np.int64],
    classes: NDArray[np.str_],
) -> Array:
    """Out-of-fold probabilities for a kind of classifier without a short cut; `fit` gives a new fitted classifier."""
    answer = np.full((len(examples), len(classes)), np.nan)
    for fold in np.unique(folds):
        train, out = np.flatnonzero(folds != fold).tolist(), np.flatnonzero(folds == fold).tolist()
        fitted = fit([examples[i] for i in train], [y[i] for i in train])
        columns = np.searchsorted(classes, fitted.classes_)
        answer[np.ix_(out, columns)] = fitted.predict_proba([examples[i] for i in out])
    return answer


def softmax(scores: Array) -> Array:
    """Rows that sum to one."""
    raised = np.exp(scores - np.nanmax(scores, axis=1, keepdims=True))
    return raised / np.nansum(raised, axis=1, keepdims=True)


def _probabilities(scores: Array, *, multi_label: bool) -> Array:
    return 1.0 / (1.0 + np.exp(-scores)) if multi_label else softmax(scores)


def _macro_f1(scores: Array, member: NDArray[np.bool_], *, multi_label: bool) -> float:
    filled = np.where(np.isnan(scores), -np.inf, scores)
    said = filled > 0 if multi_label else np.eye(member.shape[1], dtype=bool)[filled.argmax(axis=1)]
    hits = (said & member).sum(axis=0)
    return float(np.mean(2.0 * hits / np.maximum(1, said.sum(axis=0) + member.sum(axis=0))))


def _beside(parts: list[sparse.csr_array]) -> sparse.csr_array:
    return parts[0] if len(parts) == 1 else sparse.csr_array(sparse.hstack(parts, format="csr"))


def _unfitted(space: SpaceConfig) -> Analyzer:
    return analyzer(
        space.unit,
        n=(space.min_n, space.max_n),
        min_df=space.min_df,
        max_features=space.max_features,
        min_chars=space.min_chars,
    )


def _terms(fitted: Analyzer) -> list[str]:
    return fitted.grams_ if isinstance(fitted, CharAnalyzer) else fitted.words_


def _restored(config: SpaceConfig, terms: list[str], arrays: dict[str, NDArray[Any]], i: int) -> Space:
    fitted = _unfitted(config)
    if isinstance(fitted, CharAnalyzer):
        fitted.grams_ = terms
    else:
        fitted.words_, fitted.unigrams_, fitted.bigrams_ = terms, arrays[f"unigrams.{i}"], arrays[f"bigrams.{i}"]
    fitted.restore()
    return Space(config, fitted, arrays.get(f"idf.{i}"))
