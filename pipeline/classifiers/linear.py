"""`kind: linear`: TF-IDF spaces over the fields of an example, one weight a feature and label.

Each space is scaled to unit length, weighted and laid beside the others; the head learns the labels from that matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Bounds
from safetensors.numpy import load_file, save_file
from scipy import sparse

from pipeline.classifiers.analysis import Analyzer, CharAnalyzer, WordAnalyzer, analyzer, size, smooth_idf, tf_idf
from pipeline.classifiers.head import Array, Bayes, Columns, Head, HeadConfig
from pipeline.classifiers.header import read_header, write_header
from pipeline.classifiers.labels import Labels, grouped_folds, label_matrix
from pipeline.classifiers.target import Field, view, view_text
from pipeline.config import Config
from pipeline.document import Example
from pipeline.errors import DataError


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


class LinearConfig(HeadConfig):
    """Settings of a linear classifier; `bayes` is how much of a naive Bayes is added to the weights (0: none)."""

    kind: Literal["linear"]
    spaces: tuple[SpaceConfig, ...] = Bounds(min_length=1)
    bayes: float = Bounds(ge=0, default=0.0)
    smoothing: float = Bounds(gt=0, default=0.1)


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
    priors_: Array = field(default_factory=lambda: np.empty(0))
    head_: Head = field(init=False)

    def __post_init__(self) -> None:
        bayes = Bayes(self.config.bayes, self.config.smoothing)
        self.head_ = Head(self.config, self.multi_label, self.seed, bayes=bayes)

    def fit(self, examples: Sequence[Example], y: Labels) -> Self:
        """Itself, fitted.

        Raises:
            DataError: nothing to learn from, one class only, no feature met often enough.
        """
        self.out_of_fold(examples, y, None)
        return self

    def out_of_fold(self, examples: Sequence[Example], y: Labels, folds: NDArray[np.int64] | None) -> Array:
        """Probabilities of each example from a model that did not learn its label; leaves itself fitted on all examples.

        The document frequencies are those of all examples: they read no label; a fold lacks the words that only held-out
        examples have. NaN in the column of a
        class that the other folds lack. With `folds` None nothing is held out and the answer is empty.
        """
        self.classes_, member = label_matrix(y, multi_label=self.multi_label)
        self.priors_ = member.mean(axis=0)
        matrix = self._fit_spaces(examples)
        if folds is None and len(self.config.c) > 1:
            inner = grouped_folds(examples, y, self.config.n_folds, self.seed)
            self.head_.fit(matrix, member, inner, self._columns())
            return np.empty((0, len(self.classes_)))
        return self.head_.fit(matrix, member, folds, self._columns())

    def scores(self, examples: Sequence[Example]) -> Array:
        """One margin an example and label."""
        return self.head_.scores(self._transform(examples))

    def predict_proba(self, examples: Sequence[Example]) -> Array:
        """Raw probabilities, float64 (n, n_classes); the prior where no feature of the example is known."""
        matrix = self._transform(examples)
        probabilities = self.head_.probabilities(self.head_.scores(matrix))
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
        values[matrix.indices] = matrix.data * self.head_.coefficients_[matrix.indices, label_id]
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
            "coefficients": np.ascontiguousarray(self.head_.coefficients_),
            "intercepts": self.head_.intercepts_,
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
        write_header(folder, self, c=self.head_.c_, terms=terms)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The classifier that `save` wrote; the caller has verified the files' digests."""
        header = read_header(folder)
        arrays = load_file(folder / "linear.safetensors")
        config = LinearConfig.model_validate(header["config"])
        loaded = cls(config, header["multi_label"], header["seed"])
        loaded.classes_, loaded.priors_ = header["classes"], arrays["priors"]
        loaded.head_ = Head(
            config, header["multi_label"], header["seed"], arrays["coefficients"], arrays["intercepts"], header["c"]
        )
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

    def _columns(self) -> Columns:
        sizes = [space.analyzer.n_features for space in self.spaces_]
        return Columns(
            np.repeat(np.arange(len(sizes)), sizes), np.repeat([space.config.min_df for space in self.spaces_], sizes)
        )

    def _transform(self, examples: Sequence[Example]) -> sparse.csr_array:
        return _beside([space.transform(examples) for space in self.spaces_])


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
