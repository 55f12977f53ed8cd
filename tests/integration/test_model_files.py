"""A model that was tampered with is refused in one line before any of it is used; nothing in it is ever run."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from archives import archive, finished, topic_model
from conftest import ROOT

from pipeline.classifiers.task_model import TaskModel
from pipeline.errors import ArtifactError
from pipeline.separate import Separator

LYING = struct.pack("<Q", 2**62) + b'{"a":{"dtype":"F64","shape":[9],"data_offsets":[0,72]}}'
OUTSIDE = json.dumps({"weights": {"dtype": "F64", "shape": [1 << 40], "data_offsets": [0, 8 << 40]}}).encode()


class Trap:
    """Unpickling one writes a file."""

    def __init__(self, proof: Path):
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, bytes]]:
        return Path.write_bytes, (self.proof, b"run")  # type: ignore[return-value]


def crafted_skops(proof: Path) -> bytes:
    """A skops file whose schema asks for a call of its own."""
    state = {
        "__class__": "system",
        "__module__": "os",
        "__loader__": "FunctionNode",
        "content": f"touch {proof}",
        "__id__": 1,
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive_file:
        archive_file.writestr("schema.json", json.dumps({**state, "_skops_version": "0.16.0", "protocol": 2}))
    return out.getvalue()


def changed(content: bytes) -> bytes:
    """The content with one byte in the middle changed."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(topic_model(), tmp_path / "topic"))


@pytest.mark.parametrize("number", range(len(files(topic_model()))))
def test_a_changed_byte_in_any_file_is_refused(model: Path, number: int) -> None:
    path = files(model)[number]
    path.write_bytes(changed(path.read_bytes()))
    with pytest.raises(ArtifactError):
        TaskModel.load(model)


@pytest.mark.parametrize(
    "name", ["classifier.skops", "classifier/model.skops", "task.safetensors", "classifier/classifier.json"]
)
@pytest.mark.parametrize("kind", ["pickle", "skops", "lying", "outside", "empty"])
def test_a_foreign_file_is_refused_and_nothing_in_it_is_run(model: Path, tmp_path: Path, name: str, kind: str) -> None:
    proof = tmp_path / "proof"
    content = {
        "pickle": pickle.dumps(Trap(proof)),
        "skops": crafted_skops(proof),
        "lying": LYING,
        "outside": struct.pack("<Q", len(OUTSIDE)) + OUTSIDE,
        "empty": b"",
    }[kind]
    (model / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=Path(name).name):
        TaskModel.load(model)
    assert not proof.exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"format": 1}', '{"format": 1, "files": {}}', "[" * 100_000, '{"format": 1e999}']
)
def test_a_foreign_header_is_refused(model: Path, text: str) -> None:
    (model / "model.json").write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError):
        TaskModel.load(model)


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
@pytest.mark.parametrize("kind", ["pickle", "lying", "outside", "empty", "absent", "cut"])
def test_tampered_separator_weights_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    folder, proof = Path(shutil.copytree(ROOT / "models" / "separator", tmp_path / "separator")), tmp_path / "proof"
    whole = (folder / name).read_bytes()
    content = {
        "pickle": pickle.dumps(Trap(proof)),
        "lying": LYING,
        "outside": struct.pack("<Q", len(OUTSIDE)) + OUTSIDE,
        "empty": b"",
        "absent": None,
        "cut": whole[:-100],
    }[kind]
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(ArtifactError):
        Separator.load(folder)
    assert not proof.exists()


def test_the_command_line_says_it_in_one_line(model: Path, tmp_path: Path) -> None:
    archive(tmp_path / "a.jsonl", 3)
    path = model / "classifier" / "linear.safetensors"
    path.write_bytes(changed(path.read_bytes()))
    code, output, errors = finished(tmp_path, "score", "a.jsonl", "--model", model)
    assert (code, output) == (1, b"")
    assert errors.count("\n") == 1
    assert "linear.safetensors was changed" in errors
