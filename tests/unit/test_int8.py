"""The encoder with weights of 8 bits: nearly the same vectors, from any batch and after loading the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoders import tiny_encoder
from pydantic import TypeAdapter

from pipeline import classifiers
from pipeline.calibration import CalibrationConfig
from pipeline.classifiers.encoder import Encoder
from pipeline.classifiers.task_model import TaskModel
from pipeline.document import Example
from pipeline.errors import ArtifactError

pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")

TEXTS = ["the judge praised tarvia", "norvania was attacked by the judge , the judge , the judge .", "", "tarvia"]
CALIBRATION = CalibrationConfig(
    method="temperature",
    source="folds",
    n_folds=3,
    min_held_out=10,
    coverage=0.9,
    per_class=False,
    threshold="half",
    min_positives=4,
    at_least_one=True,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def encoder(folder: Path, backend: Any, cache: Path | None = None) -> Encoder:
    return Encoder(str(folder), 16, 2, 4, None if cache is None else str(cache), backend)


def settings(folder: Path, cache: Path, **changes: Any) -> Any:
    given = {
        "kind": "embedding", "encoder": str(folder), "field": "all", "window": 0, "max_tokens": 16, "max_chunks": 1, "batch_size": 4,
        "cache": str(cache), "backend": "onnx_int8", "loss": "logistic", "c": [3.0], "n_folds": 3, "class_weight": "none",
        "max_iterations": 200, "tolerance": 1e-4,
    }  # fmt: skip
    return TypeAdapter(classifiers.ClassifierConfig).validate_python(given | changes)


def test_vectors_of_8_bits_are_nearly_those_of_the_whole_network(folder):
    whole, rounded = (encoder(folder, backend).encode(TEXTS) for backend in ("torch", "onnx_int8"))
    assert (whole * rounded).sum(axis=1).min() > 0.95
    assert not np.array_equal(whole, rounded)


def test_a_vector_does_not_depend_on_its_neighbours_nor_on_who_made_the_file(folder, tmp_path):
    together = encoder(folder, "onnx_int8").encode(TEXTS)
    kept = tmp_path / "cache" / "vectors.sqlite"
    alone = [encoder(folder, "onnx_int8", kept if i % 2 else None).encode([text])[0] for i, text in enumerate(TEXTS)]
    np.testing.assert_array_equal(together, alone)
    assert len(list((tmp_path / "cache" / "onnx").glob("*.int8.onnx"))) == 1


def test_a_model_on_8_bits_is_loaded_with_the_same_bits_and_not_without_them(folder, tmp_path):
    rows = [Example(str(i), f"{TEXTS[i % 2]} {'.' * (i // 2)}", labels=("ab"[i % 2],)) for i in range(12)]
    config = settings(folder, tmp_path / "vectors.sqlite")
    model = TaskModel.fit("topic", "single", config, CALIBRATION, rows, None, 0)
    model.save(tmp_path / "model")
    loaded = TaskModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(rows), model.predict_proba(rows))
    np.testing.assert_array_equal(loaded.predict_proba(rows).argmax(axis=1), [i % 2 for i in range(12)])
    header = tmp_path / "model" / "classifier" / "classifier.json"
    header.write_text(header.read_text().replace('"backend": "onnx_int8"', '"backend": "torch"'))
    with pytest.raises(ArtifactError, match="another encoder"):
        classifiers.load(tmp_path / "model" / "classifier")
