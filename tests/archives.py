"""What the tests of scoring share: a small topic model, archives of any number of articles, the command line as a process."""

from __future__ import annotations

import atexit
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from conftest import ROOT


@cache
def topic_model() -> Path:
    """The folder of a topic model, trained on the seed articles the way `slugline train` does; not to be changed."""
    from pipeline.classifiers.task_model import TaskModel
    from pipeline.document import Example
    from pipeline.inputs import Limits, read_rows
    from pipeline.task import load_task

    task = load_task("topic", ROOT / "configs", ["seed=13"])
    limits = Limits.load(ROOT / "configs" / "inputs.yaml")
    rows = [row for row in read_rows([str(ROOT / "seeds" / "articles.jsonl")], limits) if isinstance(row, tuple)]
    examples = [Example(id=a.id, text=a.text or "", title=a.title or "", labels=(c["topic"],)) for a, c in rows]
    scratch = Path(tempfile.mkdtemp(prefix="slugline-test-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    TaskModel.fit("topic", "single", task.classifier, task.calibration, examples, None, task.seed).save(
        scratch / "topic"
    )
    return scratch / "topic"


@cache
def sentences() -> tuple[str, ...]:
    """The longer lines of the seed articles."""
    lines = (ROOT / "seeds" / "articles.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(
        line["text"] for article in map(json.loads, lines) for line in article["lines"] if len(line["text"]) > 80
    )


def article(number: int) -> dict[str, str]:
    """A good article of six lines, always the same for a number."""
    return {"id": f"a{number:06d}", "text": "\n".join(random.Random(number).sample(sentences(), 6))}


def archive(path: Path, n: int) -> Path:
    """JSON lines of the first `n` good articles, written to `path`."""
    path.write_text("".join(json.dumps(article(i)) + "\n" for i in range(n)), encoding="utf-8")
    return path


def start(folder: Path, *words: str | Path, **environment: str) -> subprocess.Popen[bytes]:
    """The command line, started in a folder; its output is kept for `communicate`."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finished(folder: Path, *words: str | Path, **environment: str) -> tuple[int, bytes, str]:
    """The exit code, standard output and standard error of the command line."""
    job = start(folder, *words, **environment)
    output, errors = job.communicate(timeout=300)
    return job.returncode, output, errors.decode()
