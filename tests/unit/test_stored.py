"""Examples in a file are the examples that were given, and rows streamed into one are dealt as rows read at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.document import Example
from pipeline.errors import ConfigError
from pipeline.stored import StoredExamples
from pipeline.task import load_task

CONFIGS = Path(__file__).parents[2] / "configs"
ROWS = [
    Example("a", "Text with \u2028 and “quotes”\nand a lone \ud800.", title="T", labels=("x", "y"), group="g"),
    Example("b", "", target="Ann", span=(2, 5), source="s", date="2026-01-01"),
    Example("c", "third"),
]


def test_stored_examples_are_those_given():
    stored = StoredExamples(iter(ROWS))
    assert len(stored) == 3 and list(stored) == ROWS
    assert stored[-1] == ROWS[-1] and stored[1:] == ROWS[1:] and stored[::2] == ROWS[::2]
    with pytest.raises(IndexError):
        stored[3]
    assert not StoredExamples([])


def test_streaming_needs_rows_held_out():
    with pytest.raises(ConfigError, match="held_out"):
        load_task("topic_hashing", CONFIGS, ["data.stream=true", "calibration.source=folds"])
    assert load_task("topic_hashing", CONFIGS, ["data.stream=true"]).data.stream


def test_a_stream_deals_the_rows_once_and_copies_together(tmp_path: Path):
    from pipeline.cli import _source
    from pipeline.examples import load_examples

    rows = [{"id": str(i), "text": f"story {i // 2} of many words", "label": "ab"[i % 2]} for i in range(400)]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"id": "none", "text": "z"}]))
    words = ["data.stream=true", f"data.train={tmp_path / 'all.jsonl'}", "data.separate=false"]
    task = load_task("topic_hashing", CONFIGS, words)
    train, held_out = (load_examples(task, part, _source(CONFIGS)) for part in ("train", "held_out"))
    assert isinstance(train.examples, StoredExamples) and train.rejected == {"missing_label": 1}
    assert sorted(int(one.id) for found in (train, held_out) for one in found.examples) == list(range(400))
    assert 15 <= len(held_out) <= 65
    assert not {one.text for one in train.examples} & {one.text for one in held_out.examples}
