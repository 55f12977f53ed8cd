"""A small topic model trained on the seed articles, and archives of any number of articles made of their sentences."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def topic_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a topic model, trained the way `slugline train` does."""
    from pipeline.classifiers.task_model import TaskModel
    from pipeline.document import Example
    from pipeline.inputs import Limits, read_rows
    from pipeline.task import load_task

    task = load_task("topic", ROOT / "configs", [])
    limits = Limits.load(ROOT / "configs" / "inputs.yaml")
    rows = [row for row in read_rows([str(ROOT / "seeds" / "articles.jsonl")], limits) if isinstance(row, tuple)]
    examples = [Example(id=a.id, text=a.text or "", title=a.title or "", labels=(c["topic"],)) for a, c in rows]
    folder = tmp_path_factory.mktemp("models") / "topic"
    TaskModel.fit("topic", "single", task.classifier, task.calibration, examples, None, task.seed).save(folder)
    return folder


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """The longer lines of the seed articles."""
    lines = (ROOT / "seeds" / "articles.jsonl").read_text(encoding="utf-8").splitlines()
    return [line["text"] for article in map(json.loads, lines) for line in article["lines"] if len(line["text"]) > 80]


def archive(path: Path, sentences: list[str], n: int, *, seed: int = 7) -> Path:
    """JSON lines of `n` articles of six lines each, written to `path`."""
    rng = random.Random(seed)
    with path.open("w", encoding="utf-8") as out:
        for i in range(n):
            text = "\n".join(rng.sample(sentences, 6))
            out.write(json.dumps({"id": f"a{i:06d}", "text": text}) + "\n")
    return path
