"""What a stage says of itself: a record that becomes an MLflow run, or part of one."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.artifacts import digest, read_json, write_json
from pipeline.home import home


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """A data set that a run used: its name, digest and size, and what for."""

    name: str
    digest: str
    n_rows: int
    context: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What one stage adds to a run; records of one `key` become one run.

    `artifacts` maps a name in the run to a file here; those under `tables/` are shown as tables. `model` is a model's folder.
    `curves` are metrics of several points, (step, value). `seconds` is how long the work took that a new run stands for.
    """

    key: str
    name: str = ""
    description: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    datasets: tuple[DatasetRef, ...] = ()
    model: Path | None = None
    parent_key: str | None = None
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    seconds: float = 0.0


def new_key() -> str:
    """A key that no other run has."""
    return uuid.uuid4().hex


def remember_key(task: str, key: str, varied: str = "") -> None:
    """Keep the key of the run that trained a task last, and what was varied in it, outside of what DVC tracks."""
    write_json({"key": key, "varied": varied}, _remembered(task))


def last_key(task: str) -> str:
    """The key of the run that trained a task last, or a new one."""
    path = _remembered(task)
    return str(read_json(path)["key"]) if path.is_file() else new_key()


def last_varied(task: str) -> str:
    """What was varied in the run that trained a task last, as its name says it; empty for none."""
    path = _remembered(task)
    return str(read_json(path).get("varied", "")) if path.is_file() else ""


def provenance() -> dict[str, str]:
    """Tags that say where a run came from: git commit, DVC lock digest, stage and experiment."""
    lock = home() / "dvc.lock"
    found = {
        "git.commit": _git("rev-parse", "HEAD"),
        "git.dirty": "yes" if _git("status", "--porcelain", "--untracked-files=no") else "no",
        "dvc.lock": digest(lock) if lock.is_file() else "",
        "dvc.stage": os.environ.get("DVC_STAGE", ""),
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
    }
    return {name: value for name, value in found.items() if value}


def origin_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """MLflow's own tags for a new run, so that its table and page name who made it, with what, from which commit."""
    stage = tags.get("dvc.stage") or f"{tags.get('slugline.kind', 'run')}@{tags.get('task', '')}"
    found = {
        "mlflow.user": _user(),
        "mlflow.source.name": f"slugline {stage}",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": tags.get("git.commit", ""),
    }
    return {name: value for name, value in found.items() if value}


def flat_params(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted params."""
    params: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            params.update(flat_params(value, f"{prefix}{name}."))
        else:
            params[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return params


def _remembered(task: str) -> Path:
    return home() / ".slugline" / "runs" / f"{task}.json"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=home(), capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
