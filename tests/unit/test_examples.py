"""Labelled files in, examples out: what is said of rows that cannot be learnt from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.clean import Config as CleanConfig
from pipeline.examples import Part, Source, load_examples
from pipeline.inputs import Limits
from pipeline.task import load_task

CONFIGS = Path(__file__).parents[2] / "configs"
PARTS: tuple[Part, ...] = ("train", "held_out", "test")


def warnings(path: Path, caplog: pytest.LogCaptureFixture) -> list[str]:
    clean = CleanConfig.load(CONFIGS / "clean.yaml")
    limits = Limits.load(CONFIGS / "inputs.yaml")
    task = load_task("topic", CONFIGS, [f"data.train={path}", f"data.test={path}", "data.separate=false"])
    for part in PARTS[:2]:
        load_examples(task, part, Source(limits, clean.repair, clean.duplicates, None, path))
    return [message for message in caplog.messages if "rejected" in message]


def test_a_row_without_label_is_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"text": f"Story {i} of the harbour.", "label": "" if i in (2, 4) else "sport"} for i in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (message,) = warnings(path, caplog)
    assert message == f"{path}: 2 rows rejected: missing_label, the first is row 3 of {path}"
