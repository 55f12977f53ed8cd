"""`kind: ensemble`: members fused by one weight each and one offset a label, learned on out-of-fold probabilities (stacking in the log domain).

The offsets let labels that the members say too seldom be said more often; they are held small, so that few examples move them little.
Reference: Wolpert 1992, Stacked Generalization; weights are kept at or above zero as in Breiman 1996, Stacked Regressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Bounds

from pipeline.classifiers.embedding import EmbeddingClassifier, EmbeddingConfig
from pipeline.classifiers.head import Array, Flags, softmax
from pipeline.classifiers.header import read_header, write_header
from pipeline.classifiers.labels import Labels, grouped_folds, label_matrix
from pipeline.classifiers.linear import LinearClassifier, LinearConfig
from pipeline.classifiers.marked import MarkedClassifier, MarkedConfig
from pipeline.classifiers.neighbours import NeighboursClassifier, NeighboursConfig
from pipeline.config import Config
from pipeline.document import Example

MemberConfig: TypeAlias = Annotated[
    LinearConfig | EmbeddingConfig | NeighboursConfig | MarkedConfig, Bounds(discriminator="kind")
]
Member: TypeAlias = LinearClassifier | EmbeddingClassifier | NeighboursClassifier | MarkedClassifier
KINDS: dict[str, type[Member]] = {
    "linear": LinearClassifier,
    "embedding": EmbeddingClassifier,
    "neighbours": NeighboursClassifier,
    "marked": MarkedClassifier,
}
TINY = 1e-9
OFFSET_PENALTY = 3.0  # so many examples' log loss is an offset of one worth


class EnsembleConfig(Config):
    """Settings of an ensemble; `n_folds` gives the out-of-fold probabilities on which the weights and offsets are learned.

    `balance` is the power of a label's rarity that weighs its examples in that (0 not at all, 1 fully; of single labels only): the more,
    the better rare labels are found, and the less is the accuracy over all.
    """

    kind: Literal["ensemble"]
    members: tuple[MemberConfig, ...] = Bounds(min_length=2)
    n_folds: int = Bounds(ge=2)
    balance: float = Bounds(ge=0, le=1)


@dataclass(slots=True)
class EnsembleClassifier:
    """A weighted sum of the members' log probabilities (logits with several labels), and the offsets."""

    config: EnsembleConfig
    multi_label: bool
    seed: int
    classes_: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, dtype=np.str_))
    members_: list[Member] = field(default_factory=list)
    weights_: Array = field(default_factory=lambda: np.empty(0))
    offsets_: Array = field(default_factory=lambda: np.empty(0))

    def fit(self, examples: Sequence[Example], y: Labels) -> Self:
        """Itself, fitted."""
        self.out_of_fold(examples, y, grouped_folds(examples, y, self.config.n_folds, self.seed))
        return self

    def out_of_fold(self, examples: Sequence[Example], y: Labels, folds: NDArray[np.int64] | None) -> Array:
        """Fused probabilities of each example from members that did not learn it; leaves itself fitted on all."""
        if folds is None:
            folds = grouped_folds(examples, y, self.config.n_folds, self.seed)
        self.classes_, member = label_matrix(y, multi_label=self.multi_label)
        self.members_ = [_built(config, self.multi_label, self.seed) for config in self.config.members]
        held_out = [fitted.out_of_fold(examples, y, folds) for fitted in self.members_]
        self.weights_, self.offsets_ = stacked(held_out, member, self.config.balance, multi_label=self.multi_label)
        return self._fused(held_out)

    def predict_proba(self, examples: Sequence[Example]) -> Array:
        """Fused raw probabilities, float64 (n, n_classes)."""
        return self._fused([fitted.predict_proba(examples) for fitted in self.members_])

    def sentence_weights(self, example: Example, spans: Sequence[tuple[int, int]], label: str) -> Array:
        """The members' sentence weights, added up with the weights of the members."""
        parts = [fitted.sentence_weights(example, spans, label) for fitted in self.members_]
        return np.sum([weight * part for weight, part in zip(self.weights_, parts, strict=True)], axis=0)

    def save(self, folder: Path) -> None:
        """Writes `classifier.json` and one folder a member."""
        for i, fitted in enumerate(self.members_):
            fitted.save(folder / f"member{i}")
        write_header(folder, self, weights=self.weights_.tolist(), offsets=self.offsets_.tolist())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The classifier that `save` wrote."""
        header = read_header(folder)
        config = EnsembleConfig.model_validate(header["config"])
        loaded = cls(config, header["multi_label"], header["seed"], header["classes"])
        loaded.members_ = [KINDS[one.kind].load(folder / f"member{i}") for i, one in enumerate(config.members)]
        loaded.weights_, loaded.offsets_ = (np.array(header[name], dtype=np.float64) for name in ("weights", "offsets"))
        return loaded

    def _fused(self, probabilities: list[Array]) -> Array:
        domain = _logits if self.multi_label else _logs
        z = _summed(self.weights_, self.offsets_, [domain(p) for p in probabilities])
        return 1.0 / (1.0 + np.exp(-z)) if self.multi_label else softmax(z)


def stacked(held_out: list[Array], member: Flags, balance: float, *, multi_label: bool) -> tuple[Array, Array]:
    """The weight of each member, at or above zero, and the offset of each label, that give the labels the highest penalised likelihood."""
    from scipy.optimize import minimize

    n, k = len(held_out), member.shape[1]
    unknown = np.any([np.isnan(p) for p in held_out], axis=0)
    usable = ~unknown.any(axis=1) if multi_label else (member & ~unknown).any(axis=1)
    if not usable.any():
        return np.full(n, 1.0 / n), np.zeros(k)
    truth = member[usable].astype(np.float64)
    parts = [(_logits if multi_label else _logs)(np.nan_to_num(p[usable], nan=0.0)) for p in held_out]
    shares = (np.ones(len(truth)) if multi_label else _rarity(truth, balance)) / len(truth)

    def loss(x: Array) -> tuple[float, Array]:
        weights, offsets = x[:n], x[n:]
        z = _summed(weights, offsets, parts)
        if multi_label:
            lost, wrong = (np.logaddexp(0.0, z) - truth * z).mean(axis=1), (1.0 / (1.0 + np.exp(-z)) - truth) / k
        else:
            said = softmax(z)
            lost, wrong = -np.log(np.maximum((said * truth).sum(axis=1), np.finfo(float).tiny)), said - truth
        wrong *= shares[:, None]
        pull = OFFSET_PENALTY * offsets / len(truth)
        slopes = [*(np.vdot(wrong, part) for part in parts), *(wrong.sum(axis=0) + 2.0 * pull)]
        return float(shares @ lost + pull @ offsets), np.array(slopes, dtype=np.float64)

    bounds = [(0.0, 100.0)] * n + [(None, None)] * k
    found: Any = minimize(loss, np.append(np.ones(n), np.zeros(k)), jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x[:n], dtype=np.float64), np.asarray(found.x[n:], dtype=np.float64)


def _summed(weights: Array, offsets: Array, parts: Sequence[Array]) -> Array:
    return np.asarray(sum((weight * part for weight, part in zip(weights, parts, strict=True)), start=offsets))


def _rarity(truth: Array, balance: float) -> Array:
    """The weight of each row by how rare its label is, one in the mean."""
    weights = (truth @ (1.0 / np.maximum(1.0, truth.sum(axis=0)))) ** balance
    return np.asarray(weights / weights.mean(), dtype=np.float64)


def _built(config: MemberConfig, multi_label: bool, seed: int) -> Member:
    build: Any = KINDS[config.kind]
    return build(config, multi_label, seed)


def _logs(p: Array) -> Array:
    return np.log(np.maximum(p, TINY))


def _logits(p: Array) -> Array:
    kept = np.clip(p, TINY, 1.0 - TINY)
    return np.log(kept) - np.log1p(-kept)
