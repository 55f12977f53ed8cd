"""`kind: embedding`: a frozen sentence encoder with a head, for few examples and for what words alone do not show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy import sparse

from pipeline.classifiers.encoder import Encoder, EncodingConfig
from pipeline.classifiers.head import Array, Head, HeadConfig
from pipeline.classifiers.header import check_encoder, read_header, write_header
from pipeline.classifiers.labels import Labels, grouped_folds, label_matrix
from pipeline.document import Example


class EmbeddingConfig(HeadConfig, EncodingConfig):
    """Settings of an embedding classifier: those of its vectors and those of its head."""

    kind: Literal["embedding"]


@dataclass(slots=True)
class EmbeddingClassifier:
    """A head over unit vectors of a frozen encoder."""

    config: EmbeddingConfig
    multi_label: bool
    seed: int
    classes_: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, dtype=np.str_))
    priors_: Array = field(default_factory=lambda: np.empty(0))
    head_: Head = field(init=False)
    encoder_: Encoder = field(init=False)

    def __post_init__(self) -> None:
        self.head_ = Head(self.config, self.multi_label, self.seed)
        self.encoder_ = self.config.built()

    def fit(self, examples: Sequence[Example], y: Labels) -> Self:
        """Itself, fitted.

        Raises:
            DataError: nothing to learn from, or one class only.
        """
        self.out_of_fold(examples, y, None)
        return self

    def out_of_fold(self, examples: Sequence[Example], y: Labels, folds: NDArray[np.int64] | None) -> Array:
        """Probabilities of each example from a head that did not learn it; leaves itself fitted on all examples."""
        self.classes_, member = label_matrix(y, multi_label=self.multi_label)
        self.priors_ = member.mean(axis=0)
        matrix = self._encoded(examples)
        if folds is None and len(self.config.c) > 1:
            self.head_.fit(matrix, member, grouped_folds(examples, y, self.config.n_folds, self.seed))
            return np.empty((0, len(self.classes_)))
        return self.head_.fit(matrix, member, folds)

    def scores(self, examples: Sequence[Example]) -> Array:
        """One margin an example and label."""
        return self.head_.scores(self._encoded(examples))

    def predict_proba(self, examples: Sequence[Example]) -> Array:
        """Raw probabilities, float64 (n, n_classes)."""
        return self.head_.probabilities(self.scores(examples))

    def sentence_weights(self, example: Example, spans: Sequence[tuple[int, int]], label: str) -> Array:
        """How far the label's score falls when a span is blanked out: leave-one-out, so the parts need not sum to it."""
        label_id = int(np.flatnonzero(self.classes_ == label)[0])
        blanked = [replace(example, text=example.text[:a] + " " * (b - a) + example.text[b:]) for a, b in spans]
        scores = self.scores([example, *blanked])[:, label_id]
        return scores[0] - scores[1:]

    def save(self, folder: Path) -> None:
        """Writes `classifier.json` and the head's weights; the encoder is named by its digest, not copied."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            "coefficients": self.head_.coefficients_,
            "intercepts": self.head_.intercepts_,
            "priors": self.priors_,
        }
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / "head.safetensors")
        write_header(folder, self, c=self.head_.c_, encoder=self.encoder_.digest)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The classifier that `save` wrote.

        Raises:
            ArtifactError: the encoder at hand is not the one the head was trained on.
        """
        header = read_header(folder)
        arrays = load_file(folder / "head.safetensors")
        config = EmbeddingConfig.model_validate(header["config"])
        loaded = cls(config, header["multi_label"], header["seed"])
        check_encoder(folder, loaded.encoder_, header["encoder"])
        loaded.classes_, loaded.priors_ = header["classes"], arrays["priors"]
        loaded.head_ = Head(
            config, loaded.multi_label, loaded.seed, arrays["coefficients"], arrays["intercepts"], header["c"]
        )
        return loaded

    def _encoded(self, examples: Sequence[Example]) -> sparse.csr_array:
        """Sparse, so that a row's product has the same bits whatever stands in its batch."""
        return sparse.csr_array(self.encoder_.encode(self.config.texts(examples)))
