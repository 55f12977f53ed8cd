"""`kind: hashing`: words and pairs hashed to a fixed number of columns, learned in steps over batches: memory is bounded.

Each batch of examples is read once, hashed, and written to a scratch file as counts; the steps read that file. So beside the weights
(`2 ** n_bits` columns, a number each for each label, three while learning) and one batch, only the labels and where each row begins are in
memory. What a column weighs (idf) is counted on the way. Two words of one column cannot be told apart: the price of not keeping a vocabulary.
References: Weinberger et al. 2009, Feature Hashing for Large Scale Multitask Learning; Bottou 2012, Stochastic Gradient Descent Tricks
(averaged weights); scikit-learn's SGDClassifier, whose `partial_fit` takes the steps.
"""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self, TypeAlias
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Bounds
from safetensors.numpy import load_file, save_file
from scipy import sparse

from pipeline.classifiers.analysis import Ids, chunks, counted, placed_words, tf_idf, tokenized
from pipeline.classifiers.head import Array, Flags, softmax
from pipeline.classifiers.header import read_header, write_header
from pipeline.classifiers.labels import Labels, label_matrix
from pipeline.classifiers.target import Field, view, view_text
from pipeline.config import Config
from pipeline.document import Example

_SPREAD, _FIRST = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
Rows: TypeAlias = NDArray[np.int64]


class HashingConfig(Config):
    """Settings: `n_epochs` passes over the hashed rows in batches of `batch_rows`; `alpha` is the ridge of the logistic loss.

    Of folds, as many are judged as give `min_judged` examples, each by a fit without it.
    """

    kind: Literal["hashing"]
    field: Field
    window: int = Bounds(ge=0)
    min_n: int = Bounds(ge=1, le=2)
    max_n: int = Bounds(ge=1, le=2)
    min_chars: int = Bounds(ge=1)
    n_bits: int = Bounds(ge=8, le=26)
    sublinear: bool
    idf: bool
    alpha: float = Bounds(gt=0)
    n_epochs: int = Bounds(ge=1)
    batch_rows: int = Bounds(ge=1)
    class_weight: Literal["balanced", "none"]
    min_judged: int = Bounds(ge=1)
    scratch: str | None


@dataclass(frozen=True, slots=True)
class HashAnalyzer:
    """Counts of hashed word n-grams (1 and 2), the words being those of `WordAnalyzer`."""

    min_n: int
    max_n: int
    min_chars: int
    n_bits: int

    @property
    def n_features(self) -> int:
        return 1 << self.n_bits

    def counts(self, texts: Sequence[str]) -> sparse.csr_array:
        """The counts (text x column), float64, sorted indices."""
        parts = []
        for chunk in chunks(texts):
            numbers: defaultdict[str, int] = defaultdict(count().__next__)
            tokens = tokenized(chunk, numbers.__getitem__, self.min_chars)
            columns, at = self._columns(_codes(list(numbers))[tokens.ids], tokens.rows)
            parts.append(counted(tokens.rows[at], columns, tokens.n_texts, self.n_features))
        return parts[0] if len(parts) == 1 else sparse.csr_array(sparse.vstack(parts, format="csr"))

    def positions(self, text: str) -> tuple[Ids, Ids, Ids]:
        """Each occurrence of a feature in one text: column, start of its first word, end of its last (code points)."""
        found, starts, ends = placed_words(text, self.min_chars)
        columns, at = self._columns(_codes(found), np.zeros(len(found), np.int64))
        n_words = len(found) if self.min_n == 1 else 0
        last = at + (np.arange(len(at)) >= n_words)
        return columns, starts[at], ends[last]

    def _columns(self, codes: NDArray[np.uint64], rows: Ids) -> tuple[Ids, Ids]:
        """The columns of the words, then of the pairs, with the place of each one's first word."""
        shift = np.uint64(64 - self.n_bits)
        found, places = [], []
        if self.min_n == 1:
            found.append((codes * _SPREAD) >> shift)
            places.append(np.arange(len(codes)))
        if self.max_n == 2:
            left = np.flatnonzero(rows[:-1] == rows[1:])
            found.append(((codes[left] * _FIRST + codes[left + 1]) * _SPREAD) >> shift)
            places.append(left)
        return np.concatenate(found).astype(np.int64), np.concatenate(places).astype(np.int64)


@dataclass(slots=True)
class HashingClassifier:
    """One logistic margin a label over hashed columns."""

    config: HashingConfig
    multi_label: bool
    seed: int
    classes_: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, dtype=np.str_))
    priors_: Array = field(default_factory=lambda: np.empty(0))
    idf_: Array = field(default_factory=lambda: np.empty(0))
    coefficients_: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    intercepts_: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    analyzer: HashAnalyzer = field(init=False)

    def __post_init__(self) -> None:
        settings = self.config
        self.analyzer = HashAnalyzer(settings.min_n, settings.max_n, settings.min_chars, settings.n_bits)

    def fit(self, examples: Sequence[Example], y: Labels) -> Self:
        """Itself, fitted; the examples are read once, in order, a batch at a time.

        Raises:
            DataError: nothing to learn from, or one class only.
        """
        self.out_of_fold(examples, y, None)
        return self

    def out_of_fold(self, examples: Sequence[Example], y: Labels, folds: Rows | None) -> Array:
        """Probabilities of the examples of the first folds from fits without them, NaN for the others; leaves itself fitted on all."""
        self.classes_, member = label_matrix(y, multi_label=self.multi_label)
        self.priors_ = member.mean(axis=0)
        answers = np.full(member.shape, np.nan)
        with tempfile.TemporaryFile(dir=self.config.scratch) as file:
            stored = StoredCounts(file, self.analyzer.n_features)
            self._store(examples, stored)
            for fold in self._judged(folds):
                out, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
                known = np.flatnonzero(member[rest].any(axis=0) & ~member[rest].all(axis=0))
                self._learn(stored, member, rest)
                for rows in self._batches(out):
                    answers[np.ix_(rows, known)] = self._answers(self._weighted(stored.take(rows)))[:, known]
            self._learn(stored, member, np.arange(len(member)))
        return answers if folds is not None else np.empty((0, len(self.classes_)))

    def scores(self, examples: Sequence[Example]) -> Array:
        """One margin an example and label."""
        return self._scores(self._weighted(self._counts(examples)))

    def predict_proba(self, examples: Sequence[Example]) -> Array:
        """Raw probabilities, float64 (n, n_classes); the prior where an example has no words."""
        parts = [np.empty((0, len(self.classes_)))]
        for begin in range(0, len(examples), self.config.batch_rows):
            matrix = self._weighted(self._counts(examples[begin : begin + self.config.batch_rows]))
            probabilities = self._answers(matrix)
            blank = np.diff(matrix.indptr) == 0
            probabilities[blank] = self.priors_ / (1.0 if self.multi_label else self.priors_.sum())
            parts.append(probabilities)
        return np.concatenate(parts)

    def sentence_weights(self, example: Example, spans: Sequence[tuple[int, int]], label: str) -> Array:
        """How much each span of the text adds to the label's score, exactly; a pair belongs to the span in which it starts."""
        label_id = int(np.flatnonzero(self.classes_ == label)[0])
        matrix = self._weighted(self._counts([example]))
        values = np.zeros(self.analyzer.n_features)
        values[matrix.indices] = matrix.data * self.coefficients_[matrix.indices, label_id]
        seen = view(example, self.config.field, self.config.window)
        columns, starts, _ = self.analyzer.positions(seen.text)
        parts = values[columns] / np.bincount(columns, minlength=self.analyzer.n_features)[columns]
        places = seen.origin[starts] if len(starts) else starts
        at_char = np.zeros(len(example.text) + 1)
        np.add.at(at_char, places[places >= 0], parts[places >= 0])
        running = np.concatenate([np.zeros(1), np.cumsum(at_char)])
        return np.array([running[end] - running[start] for start, end in spans])

    def save(self, folder: Path) -> None:
        """Writes `classifier.json` and `hashing.safetensors`: the columns with a weight, what each weighs."""
        folder.mkdir(parents=True, exist_ok=True)
        used = np.flatnonzero(self.coefficients_.any(axis=1))
        arrays = {
            "used": used.astype(np.int32),
            "coefficients": self.coefficients_[used],
            "intercepts": self.intercepts_,
            "priors": self.priors_,
            "idf": self.idf_,
        }
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / "hashing.safetensors")
        write_header(folder, self)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The classifier that `save` wrote; the caller has verified the files' digests."""
        header = read_header(folder)
        arrays = load_file(folder / "hashing.safetensors")
        loaded = cls(HashingConfig.model_validate(header["config"]), header["multi_label"], header["seed"])
        loaded.classes_ = header["classes"]
        loaded.priors_, loaded.idf_, loaded.intercepts_ = arrays["priors"], arrays["idf"], arrays["intercepts"]
        loaded.coefficients_ = np.zeros((loaded.analyzer.n_features, len(loaded.classes_)), np.float32)
        loaded.coefficients_[arrays["used"]] = arrays["coefficients"]
        return loaded

    def _counts(self, examples: Sequence[Example]) -> sparse.csr_array:
        return self.analyzer.counts([view_text(one, self.config.field, self.config.window) for one in examples])

    def _weighted(self, counts: sparse.csr_array) -> sparse.csr_array:
        return tf_idf(counts, self.idf_ if self.config.idf else None, sublinear=self.config.sublinear)

    def _scores(self, matrix: sparse.csr_array) -> Array:
        return (matrix.astype(np.float32) @ self.coefficients_ + self.intercepts_).astype(np.float64)

    def _answers(self, matrix: sparse.csr_array) -> Array:
        scores = self._scores(matrix)
        return 1.0 / (1.0 + np.exp(-scores)) if self.multi_label else softmax(scores)

    def _store(self, examples: Sequence[Example], stored: StoredCounts) -> None:
        """Hashes the examples into the scratch file; learns the idf."""
        df = np.zeros(self.analyzer.n_features)
        for begin in range(0, len(examples), self.config.batch_rows):
            counts = self._counts(examples[begin : begin + self.config.batch_rows])
            df += np.bincount(counts.indices, minlength=len(df))
            stored.append(counts)
        self.idf_ = np.log((len(examples) + 1.0) / (df + 1.0)) + 1.0

    def _judged(self, folds: Rows | None) -> list[int]:
        if folds is None:
            return []
        names, n_each = np.unique(folds, return_counts=True)
        n_needed = int(np.searchsorted(np.cumsum(n_each), self.config.min_judged)) + 1
        return names[:n_needed].tolist()

    def _batches(self, rows: Rows) -> Iterator[Rows]:
        for begin in range(0, len(rows), self.config.batch_rows):
            yield rows[begin : begin + self.config.batch_rows]

    def _learn(self, stored: StoredCounts, member: Flags, rows: Rows) -> None:
        """Averaged steps of one logistic regression a label against the rest, over the rows in a new order each time."""
        share = member[rows].mean(axis=0)
        learnt = np.flatnonzero((share > 0) & (share < 1))
        steps = [self._steps() for _ in learnt]
        rng = np.random.default_rng(self.seed)
        for _ in range(self.config.n_epochs):
            for batch in self._batches(rng.permutation(rows)):
                matrix, truth = self._weighted(stored.take(batch)), member[batch]
                for one, k in zip(steps, learnt.tolist(), strict=True):
                    weights = _balance(truth[:, k], share[k]) if self.config.class_weight == "balanced" else None
                    one.partial_fit(matrix, truth[:, k], classes=[False, True], sample_weight=weights)
        self.coefficients_ = np.zeros((self.analyzer.n_features, len(share)), np.float32)
        self.intercepts_ = np.where(share == 1, 1.0, -1.0).astype(np.float32)
        for one, k in zip(steps, learnt.tolist(), strict=True):
            self.coefficients_[:, k], self.intercepts_[k] = one.coef_[0], one.intercept_[0]

    def _steps(self) -> Any:
        from sklearn.linear_model import SGDClassifier

        return SGDClassifier(loss="log_loss", alpha=self.config.alpha, average=True, random_state=self.seed)


@dataclass(slots=True)
class StoredCounts:
    """Rows of counts in an open file; memory holds where each begins."""

    file: BinaryIO
    n_columns: int
    _starts: list[NDArray[np.int64]] = field(default_factory=lambda: [np.zeros(1, np.int64)])

    def append(self, counts: sparse.csr_array) -> None:
        pairs = np.stack([counts.indices.astype(np.int32), counts.data.astype(np.int32)], axis=1)
        self.file.write(pairs.tobytes())
        self._starts.append(self._starts[-1][-1] + counts.indptr[1:].astype(np.int64))

    def take(self, rows: Rows) -> sparse.csr_array:
        """The rows named, in that order."""
        starts = self._joined()
        self.file.flush()
        n_each = starts[rows + 1] - starts[rows]
        parts = [
            os.pread(self.file.fileno(), 8 * n, 8 * start)
            for start, n in zip(starts[rows].tolist(), n_each.tolist(), strict=True)
        ]
        pairs = np.frombuffer(b"".join(parts), np.int32).reshape(-1, 2)
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(n_each)])
        made = (pairs[:, 1].astype(np.float64), pairs[:, 0].copy(), indptr.astype(np.int32))
        return sparse.csr_array(made, shape=(len(rows), self.n_columns))

    def _joined(self) -> NDArray[np.int64]:
        if len(self._starts) > 1:
            self._starts = [np.concatenate(self._starts)]
        return self._starts[0]


def _codes(words: list[str]) -> NDArray[np.uint64]:
    """A number of 32 bits for each word."""
    return np.fromiter((crc32(word.encode("utf-8", "surrogatepass")) for word in words), np.uint64, len(words))


def _balance(truth: NDArray[np.bool_], share: float) -> Array:
    return np.where(truth, 0.5 / share, 0.5 / (1.0 - share))
