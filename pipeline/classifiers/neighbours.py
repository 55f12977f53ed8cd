"""`kind: neighbours`: what the labelled articles nearest in meaning are labelled, for news: stories go on, and a topic is often that of a story.

Each of the k nearest has a say that falls with its distance; a share of the answer is given to all labels alike, so that none is impossible.
Alone it is seldom the best, but its errors are others than those of `linear`: it is made for an `ensemble`.
Reference: Cover and Hart 1967, Nearest neighbor pattern classification.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Bounds
from safetensors.numpy import load_file, save_file

from pipeline.classifiers.encoder import Encoder, EncodingConfig, Vectors
from pipeline.classifiers.head import Array, Flags
from pipeline.classifiers.header import check_encoder, read_header, write_header
from pipeline.classifiers.labels import Labels, label_matrix
from pipeline.document import Example

BLOCK = 64  # so many are always asked at once, the last block filled up: a product's last bits depend on its shape
_DECIMALS = 5


class NeighboursConfig(EncodingConfig):
    """Settings: how many `neighbours` have a say, to which `power` of the cosine, and what `even_share` goes to all labels alike."""

    kind: Literal["neighbours"]
    neighbours: int = Bounds(ge=1)
    power: float = Bounds(ge=0)
    even_share: float = Bounds(gt=0, lt=1)


@dataclass(slots=True)
class NeighboursClassifier:
    """The examples' unit vectors of a frozen encoder, and their labels."""

    config: NeighboursConfig
    multi_label: bool
    seed: int
    classes_: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, dtype=np.str_))
    vectors_: NDArray[np.float16] = field(default_factory=lambda: np.empty((0, 0), dtype=np.float16))
    member_: Flags = field(default_factory=lambda: np.empty((0, 0), dtype=bool))
    encoder_: Encoder = field(init=False)

    def __post_init__(self) -> None:
        self.encoder_ = self.config.built()

    def fit(self, examples: Sequence[Example], y: Labels) -> Self:
        """Itself, fitted.

        Raises:
            DataError: nothing to learn from, or one class only.
        """
        self.classes_, self.member_ = label_matrix(y, multi_label=self.multi_label)
        self.vectors_ = self._encoded(examples).astype(np.float16)
        return self

    def out_of_fold(self, examples: Sequence[Example], y: Labels, folds: NDArray[np.int64] | None) -> Array:
        """Probabilities of each example by neighbours of other folds, NaN for a label that those lack; leaves itself fitted on all."""
        self.fit(examples, y)
        answer = np.full(self.member_.shape, np.nan)
        for fold in [] if folds is None else np.unique(folds).tolist():
            out = folds == fold
            known = self.member_[~out]
            answer[out] = self._voted(self.vectors_[out].astype(np.float32), self.vectors_[~out], known)
            answer[np.ix_(out, ~known.any(axis=0))] = np.nan
        return answer

    def predict_proba(self, examples: Sequence[Example]) -> Array:
        """Raw probabilities, float64 (n, n_classes)."""
        return self._voted(self._encoded(examples), self.vectors_, self.member_)

    def sentence_weights(self, example: Example, spans: Sequence[tuple[int, int]], label: str) -> Array:
        """How far the label's log probability falls when a span is blanked out."""
        label_id = int(np.flatnonzero(self.classes_ == label)[0])
        blanked = [replace(example, text=example.text[:a] + " " * (b - a) + example.text[b:]) for a, b in spans]
        logs = np.log(self.predict_proba([example, *blanked])[:, label_id])
        return logs[0] - logs[1:]

    def save(self, folder: Path) -> None:
        """Writes `classifier.json` and the vectors; the encoder is named by its digest, not copied."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {"vectors": self.vectors_, "member": np.ascontiguousarray(self.member_)}, folder / "vectors.safetensors"
        )
        write_header(folder, self, encoder=self.encoder_.digest)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The classifier that `save` wrote.

        Raises:
            ArtifactError: the encoder at hand is not the one that made the vectors.
        """
        header = read_header(folder)
        config = NeighboursConfig.model_validate(header["config"])
        arrays = load_file(folder / "vectors.safetensors")
        classes = header["classes"]
        loaded = cls(config, header["multi_label"], header["seed"], classes, arrays["vectors"], arrays["member"])
        check_encoder(folder, loaded.encoder_, header["encoder"])
        return loaded

    def _encoded(self, examples: Sequence[Example]) -> Vectors:
        return self.encoder_.encode(self.config.texts(examples)) if examples else np.empty((0, 0), dtype=np.float32)

    def _voted(self, asked: Vectors, known: NDArray[np.float16], member: Flags) -> Array:
        """What the rows asked are by the known rows nearest to each; rows as near as the last of them have a say, too."""
        rows, labels, even = known.astype(np.float32), member.astype(np.float64), self.config.even_share
        background = member.mean(axis=0) if self.multi_label else np.full(member.shape[1], 1.0 / member.shape[1])
        k = min(self.config.neighbours, len(rows))
        answer = np.empty((len(asked), member.shape[1]))
        for start in range(0, len(asked), BLOCK):
            part = asked[start : start + BLOCK]
            filled = np.concatenate([part, np.zeros((BLOCK - len(part), part.shape[1]), np.float32)])
            near = np.round(filled @ rows.T, _DECIMALS)[: len(part)]
            for i, one in enumerate(near, start):
                chosen = np.flatnonzero(one >= np.partition(one, len(one) - k)[len(one) - k])
                says = np.maximum(one[chosen].astype(np.float64), 1e-6) ** self.config.power
                answer[i] = (1.0 - even) * (says @ labels[chosen]) / says.sum() + even * background
        return answer
