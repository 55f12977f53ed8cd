"""`classifier.json`, which every saved classifier has beside its arrays: its settings, its labels, and what else it is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.config import Config
from pipeline.errors import ArtifactError

if TYPE_CHECKING:
    from pipeline.classifiers.encoder import Encoder

HEADER = "classifier.json"


class Fitted(Protocol):
    """What is written of any classifier."""

    @property
    def config(self) -> Config: ...

    multi_label: bool
    seed: int
    classes_: NDArray[np.str_]


def write_header(folder: Path, fitted: Fitted, **more: Any) -> None:
    """Write a classifier's header, with `more` values that JSON knows; the folder is made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    header = {
        "config": fitted.config.model_dump(mode="json"),
        "multi_label": fitted.multi_label,
        "seed": fitted.seed,
        "classes": fitted.classes_.tolist(),
        **more,
    }
    (folder / HEADER).write_text(json.dumps(header, ensure_ascii=False), encoding="utf-8")


def read_header(folder: Path) -> dict[str, Any]:
    """What `write_header` wrote, `classes` as an array."""
    header = json.loads((folder / HEADER).read_text(encoding="utf-8"))
    return header | {"classes": np.array(header["classes"], dtype=np.str_)}


def check_encoder(folder: Path, encoder: Encoder, wanted: str) -> None:
    """Pass if an encoder is the one with the digest wanted.

    Raises:
        ArtifactError: it is another one.
    """
    if encoder.digest != wanted:
        raise ArtifactError(f"{folder}: trained on another encoder than the '{encoder.name}' at hand; train it again")
