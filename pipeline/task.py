"""What differs per task: `configs/tasks/<task>.yaml`, laid over `configs/tasks/_<kind>.yaml` for what it leaves out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from pipeline.calibration import CalibrationConfig
from pipeline.classifiers import ClassifierConfig
from pipeline.config import Config, first_problem, lay, read_yaml
from pipeline.errors import ConfigError


class DataConfig(Config):
    """Where the examples come from: a corpus of the `split` stage, or files of their own; `rename` says what their labels are called here.

    `stream`: training files are read row by row into a file of examples, never whole into memory; of a file that names no held-out rows at
    most `hold_out` (and a tenth) are held out. Then near-duplicates are not looked for, exact copies stay together.
    """

    corpus: str | None = None
    train: str | list[str] | None = None
    test: str | list[str] | None = None
    separate: bool
    label: str
    rename: dict[str, str]
    min_examples: int = Field(ge=1)
    small_label: int = Field(ge=1, default=10)
    hierarchy: bool = False
    stream: bool = False
    hold_out: int = Field(ge=1, default=5000)


class Evaluation(Config):
    """What `evaluate` reports beside the metrics of the whole; `synonyms` says which label of the model a label that it lacks is counted as."""

    slices: list[Literal["source", "period", "length", "language"]]
    shortcut: bool
    synonyms: dict[str, str]


class Gate(Config):
    """What a model must reach on the test part before `register` looks at it."""

    metric: Literal["accuracy", "macro_f1", "micro_f1"]
    minimum: float = Field(ge=0, le=1)


class TaskConfig(Config):
    """One task: its data, its labels, its classifier, how it is calibrated, evaluated and promoted."""

    kind: Literal["single", "multi", "target"]
    labels: Literal["auto"] | list[str]
    data: DataConfig
    classifier: ClassifierConfig
    calibration: CalibrationConfig
    evaluation: Evaluation
    gate: Gate
    seed: int

    @model_validator(mode="after")
    def _streams_with_rows_held_out(self) -> Self:
        if self.data.stream and self.calibration.source != "held_out":
            raise ValueError("data.stream: true needs calibration.source: held_out, since folds are held in memory")
        return self


def load_task(name: str, config_dir: Path, overrides: list[str]) -> TaskConfig:
    """The settings of a task.

    Raises:
        ConfigError: no such task, a key is unknown, a value is out of bounds.
    """
    path = task_path(name, config_dir)
    values = read_yaml(path)
    for override in overrides:
        lay(values, override)
    kind = values.get("kind")
    if kind not in ("single", "multi", "target"):
        raise ConfigError(f"{path}: 'kind': expected single, multi or target, got {kind!r}")
    try:
        return TaskConfig.model_validate(_merged(read_yaml(defaults_path(kind, config_dir)), values))
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_problem(error, TaskConfig)}") from None


def task_path(name: str, config_dir: Path) -> Path:
    """The file of a task: `<dir>/tasks/<name>.yaml`, or `<dir>/<name>.yaml`.

    Raises:
        ConfigError: there is neither.
    """
    if not re.fullmatch(r"\w[\w-]*", name):
        raise ConfigError(f"task '{name[:80]}': expected a name of letters, digits and underscores")
    places = [config_dir / "tasks" / f"{name}.yaml", config_dir / f"{name}.yaml"]
    for place in places:
        if place.is_file():
            return place
    known = ", ".join(sorted(p.stem for p in (config_dir / "tasks").glob("[!_]*.yaml"))) or "none"
    raise ConfigError(f"no task '{name}': {places[0]} is not there; the tasks are {known}")


def defaults_path(kind: str, config_dir: Path) -> Path:
    """The file with what a task of this kind need not say; the one that ships where the folder has none."""
    from pipeline.home import home

    own = config_dir / "tasks" / f"_{kind}.yaml"
    return own if own.is_file() else home() / "configs" / "tasks" / f"_{kind}.yaml"


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`, group by group; a classifier of another kind replaces the whole group."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        same_kind = not (
            isinstance(value, dict) and isinstance(old, dict) and value.get("kind", old.get("kind")) != old.get("kind")
        )
        merged[key] = _merged(old, value) if isinstance(value, dict) and isinstance(old, dict) and same_kind else value
    return merged
