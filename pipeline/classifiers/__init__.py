"""One contract for every kind of classifier: `fit`, `predict_proba`, `classes_`, evidence, save and load; chosen by `kind`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from pipeline.classifiers.adapter import AdapterClassifier, AdapterConfig
from pipeline.classifiers.embedding import EmbeddingClassifier, EmbeddingConfig
from pipeline.classifiers.ensemble import EnsembleClassifier, EnsembleConfig
from pipeline.classifiers.fewshot import FewShotClassifier, FewShotConfig
from pipeline.classifiers.hashing import HashingClassifier, HashingConfig
from pipeline.classifiers.header import HEADER
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


KINDS: dict[str, type[Classifier]] = {
    "linear": LinearClassifier,
    "hashing": HashingClassifier,
    "embedding": EmbeddingClassifier,
    "neighbours": NeighboursClassifier,
    "fewshot": FewShotClassifier,
    "marked": MarkedClassifier,
    "adapter": AdapterClassifier,
    "transformer": TransformerClassifier,
    "ensemble": EnsembleClassifier,
}


def build(config: ClassifierConfig, *, multi_label: bool, seed: int) -> Classifier:
    """A classifier of the kind the settings name, yet to be fitted."""
    made: Any = KINDS[config.kind]
    return made(config, multi_label, seed)


def is_quick(config: ClassifierConfig) -> bool:
    """Whether a fit costs so little that two more do not matter."""
    return isinstance(config, LinearConfig | EmbeddingConfig | NeighboursConfig | MarkedConfig | EnsembleConfig)


def load(folder: Path) -> Classifier:
    """The classifier saved in a folder.

    Raises:
        ArtifactError: the folder holds none, or one that another version saved with other settings.
    """
    try:
        kind = json.loads((folder / HEADER).read_text(encoding="utf-8"))["config"]["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{folder}: holds no classifier ({error})") from None
    if kind not in KINDS:
        raise ArtifactError(f"{folder}: unknown kind of classifier '{kind}'")
    try:
        return KINDS[kind].load(folder)
    except (ValidationError, KeyError) as error:
        names = (
            error.args if isinstance(error, KeyError) else [".".join(map(str, one["loc"])) for one in error.errors()]
        )
        where = ", ".join(map(str, names[:3]))
        raise ArtifactError(
            f"{folder}: saved by a version of slugline with other settings of kind '{kind}' ({where}); train it again"
        ) from None
