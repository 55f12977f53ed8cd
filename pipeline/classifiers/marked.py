"""`kind: marked`: a head over what a frozen encoder makes of the target where it stands in its sentence.

Beside the sentence's mean vector it reads the vectors of the target's own tokens, from several layers, and of the tokens around them: in
context they say what is done by or to the target. Standardised on the training examples and scaled to unit length, part by part.
Vectors are rounded to float16, so that what padding changes in the last bits is (nearly always) rounded away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Bounds
from safetensors.numpy import load_file, save_file
from scipy import sparse

from pipeline.classifiers.encoder import Encoder, VectorCache
from pipeline.classifiers.head import Array, Head, HeadConfig
from pipeline.classifiers.header import check_encoder, read_header, write_header
from pipeline.classifiers.labels import Labels, grouped_folds, label_matrix
from pipeline.classifiers.target import mention_of
from pipeline.document import Example

Vectors = NDArray[np.float32]
_LEAST_DEVIATION = 1e-3


class MarkedConfig(HeadConfig):
    """Settings: which layers are read at the target, which one around it and how many tokens on each side; `cache` a SQLite file or null."""

    kind: Literal["marked"]
    encoder: str
    layers: tuple[int, ...] = Bounds(min_length=1)
    context_layer: int = Bounds(ge=0)
    window: int = Bounds(ge=1)
    max_tokens: int = Bounds(ge=8)
    batch_size: int = Bounds(ge=1)
    cache: str | None


@dataclass(slots=True)
class MarkedClassifier:
    """A head over vectors of the marked target; see the module."""

    config: MarkedConfig
    multi_label: bool
    seed: int
    classes_: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, dtype=np.str_))
    priors_: Array = field(default_factory=lambda: np.empty(0))
    means_: Vectors = field(default_factory=lambda: np.empty(0, np.float32))
    deviations_: Vectors = field(default_factory=lambda: np.empty(0, np.float32))
    head_: Head = field(init=False)
    encoder_: Encoder = field(init=False)

    def __post_init__(self) -> None:
        self.head_ = Head(self.config, self.multi_label, self.seed)
        self.encoder_ = Encoder(self.config.encoder, self.config.max_tokens, 1, self.config.batch_size, None)

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
        vectors = self._vectors(examples)
        self.means_, self.deviations_ = vectors.mean(axis=0), vectors.std(axis=0) + np.float32(_LEAST_DEVIATION)
        matrix = self._scaled(vectors)
        if folds is None and len(self.config.c) > 1:
            self.head_.fit(matrix, member, grouped_folds(examples, y, self.config.n_folds, self.seed))
            return np.empty((0, len(self.classes_)))
        return self.head_.fit(matrix, member, folds)

    def scores(self, examples: Sequence[Example]) -> Array:
        """One margin an example and label."""
        return self.head_.scores(self._scaled(self._vectors(examples)))

    def predict_proba(self, examples: Sequence[Example]) -> Array:
        """Raw probabilities, float64 (n, n_classes)."""
        return self.head_.probabilities(self.scores(examples))

    def sentence_weights(self, example: Example, spans: Sequence[tuple[int, int]], label: str) -> Array:
        """The label's score for the span that holds the mention; the others are not read."""
        label_id = int(np.flatnonzero(self.classes_ == label)[0])
        mention = mention_of(example) or (0, 0)
        score = float(self.scores([example])[0, label_id])
        return np.array([score if start <= mention[0] < end else 0.0 for start, end in spans])

    def save(self, folder: Path) -> None:
        """Writes `classifier.json` and the head's weights; the encoder is named by its digest, not copied."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = {
            "coefficients": self.head_.coefficients_,
            "intercepts": self.head_.intercepts_,
            "priors": self.priors_,
            "means": self.means_,
            "deviations": self.deviations_,
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
        config = MarkedConfig.model_validate(header["config"])
        loaded = cls(config, header["multi_label"], header["seed"])
        check_encoder(folder, loaded.encoder_, header["encoder"])
        loaded.classes_, loaded.priors_ = header["classes"], arrays["priors"]
        loaded.means_, loaded.deviations_ = arrays["means"], arrays["deviations"]
        loaded.head_ = Head(
            config, loaded.multi_label, loaded.seed, arrays["coefficients"], arrays["intercepts"], header["c"]
        )
        return loaded

    def _scaled(self, vectors: Vectors) -> sparse.csr_array:
        """Part by part of unit length; sparse, so that a row's product has the same bits whatever stands in its batch."""
        centred = (vectors - self.means_) / self.deviations_
        n_parts = len(self.config.layers) + 2
        parts = centred.reshape(len(centred), n_parts, -1)
        lengths = np.maximum(np.linalg.norm(parts, axis=2, keepdims=True), 1e-6)
        return sparse.csr_array((parts / lengths).reshape(len(centred), -1))

    def _vectors(self, examples: Sequence[Example]) -> Vectors:
        """(n, n_parts * n_dimensions), each distinct sentence and mention encoded once."""
        wanted = [(example.text, mention_of(example) or (0, 0)) for example in examples]
        settings = f"{self.encoder_.digest}:{self.config.layers}:{self.config.context_layer}:{self.config.window}"
        keys = [hashlib.sha256(f"{settings}\n{at}\n{text}".encode("utf-8", "replace")).digest() for text, at in wanted]
        with VectorCache(self.config.cache) as cache:
            known = cache.read(list(dict.fromkeys(keys)))
            missing = {key: one for key, one in zip(keys, wanted, strict=True) if key not in known}
            by_text: dict[str, list[tuple[bytes, tuple[int, int]]]] = {}
            for key, (text, at) in missing.items():
                by_text.setdefault(text, []).append((key, at))
            texts = sorted(by_text, key=len)
            for start in range(0, len(texts), self.config.batch_size):
                batch = texts[start : start + self.config.batch_size]
                fresh = self._encoded(batch, by_text)
                cache.write(fresh)
                known |= fresh
        return np.stack([known[key] for key in keys]).astype(np.float32)

    def _encoded(
        self, texts: Sequence[str], by_text: dict[str, list[tuple[bytes, tuple[int, int]]]]
    ) -> dict[bytes, NDArray[np.float16]]:
        found: dict[bytes, NDArray[np.float16]] = {}
        for text, (layers, offsets) in zip(texts, self.encoder_.hidden_states(texts), strict=True):
            n_tokens = len(offsets)
            for key, (begin, end) in by_text[text]:
                on = [i for i, (a, b) in enumerate(offsets) if b > a and a < end and b > begin] or [0]
                around = slice(
                    max(1, on[0] - self.config.window), max(2, min(n_tokens - 1, on[-1] + self.config.window + 1))
                )
                parts = [layers[-1].mean(axis=0), *(layers[i][on].mean(axis=0) for i in self.config.layers)]
                parts.append(layers[self.config.context_layer][around].mean(axis=0))
                found[key] = np.concatenate(parts).astype(np.float16)
        return found
