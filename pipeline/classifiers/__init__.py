"""One contract for every kind of classifier: `fit`, `predict_proba`, `classes_`, evidence, save and load; chosen by `kind`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline.classifiers.adapter import AdapterClassifier, AdapterConfig
from pipeline.classifiers.embedding import EmbeddingClassifier, EmbeddingConfig
from pipeline.classifiers.ensemble import EnsembleClassifier, EnsembleConfig
from pipeline.classifiers.fewshot import FewShotClassifier, FewShotConfig
from pipeline.classifiers.hashing import HashingClassifier, HashingConfig
from pipeline.classifiers.labels import Labels
from pipeline.classifiers.linear import LinearClassifier, LinearConfig
from pipeline.classifiers.marked import MarkedClassifier, MarkedConfig
from pipeline.classifiers.neighbours import NeighboursClassifier, NeighboursConfig
from pipeline.classifiers.transformer import TransformerClassifier, TransformerConfig
from pipeline.document import Example
from pipeline.errors import ArtifactError

ClassifierConfig: TypeAlias = Annotated[
    LinearConfig
    | HashingConfig
    | EmbeddingConfig
    | NeighboursConfig
    | FewShotConfig
    | MarkedConfig
    | AdapterConfig
    | TransformerConfig
    | EnsembleConfig,
    Field(discriminator="kind"),
]


class Classifier(Protocol):
    """What every kind offers. With `multi_label` y holds tuples of labels and the columns are independent."""

    classes_: NDArray[np.str_]

    def fit(self, examples: Sequence[Example], y: Labels) -> Self: ...

    def out_of_fold(
        self, examples: Sequence[Example], y: Labels, folds: NDArray[np.int64] | None
    ) -> NDArray[np.float64]: ...

    def predict_proba(self, examples: Sequence[Example]) -> NDArray[np.float64]: ...

    def sentence_weights(
        self, example: Example, spans: Sequence[tuple[int, int]], label: str
    ) -> NDArray[np.float64]: ...

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path) -> Self: ...


def build(config: ClassifierConfig, *, multi_label: bool, seed: int) -> Classifier:
    """A classifier of the kind the settings name, yet to be fitted."""
    match config:
        case LinearConfig():
            return LinearClassifier(config, multi_label, seed)
        case HashingConfig():
            return HashingClassifier(config, multi_label, seed)
        case EmbeddingConfig():
            return EmbeddingClassifier(config, multi_label, seed)
        case NeighboursConfig():
            return NeighboursClassifier(config, multi_label, seed)
        case FewShotConfig():
            return FewShotClassifier(config, multi_label, seed)
        case MarkedConfig():
            return MarkedClassifier(config, multi_label, seed)
        case TransformerConfig():
            return TransformerClassifier(config, multi_label, seed)
        case AdapterConfig():
            return AdapterClassifier(config, multi_label, seed)
        case EnsembleConfig():
            return EnsembleClassifier(config, multi_label, seed)


def is_quick(config: ClassifierConfig) -> bool:
    """Whether a fit costs so little that two more do not matter."""
    return isinstance(config, LinearConfig | EmbeddingConfig | NeighboursConfig | MarkedConfig | EnsembleConfig)


def load(folder: Path) -> Classifier:
    """The classifier saved in a folder.

    Raises:
        ArtifactError: the folder holds none.
    """
    try:
        kind = json.loads((folder / "classifier.json").read_text(encoding="utf-8"))["config"]["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{folder}: holds no classifier ({error})") from None
    match kind:
        case "linear":
            return LinearClassifier.load(folder)
        case "hashing":
            return HashingClassifier.load(folder)
        case "embedding":
            return EmbeddingClassifier.load(folder)
        case "neighbours":
            return NeighboursClassifier.load(folder)
        case "fewshot":
            return FewShotClassifier.load(folder)
        case "marked":
            return MarkedClassifier.load(folder)
        case "transformer":
            return TransformerClassifier.load(folder)
        case "adapter":
            return AdapterClassifier.load(folder)
        case "ensemble":
            return EnsembleClassifier.load(folder)
        case _:
            raise ArtifactError(f"{folder}: unknown kind of classifier '{kind}'")
