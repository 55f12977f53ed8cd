"""A task and a search space in, the best settings out: every trial a child of one MLflow run.

The decision that is not obvious: a trial is judged by the answers to examples that its model had not learnt (grouped folds of the
train part), never on test. The first trial is the task as it stands, so that a sweep shows what it gained.
Reference: Akiba et al. 2019, Optuna: A Next-generation Hyperparameter Optimization Framework.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from pipeline import tracking
from pipeline.artifacts import write_json
from pipeline.classifiers.task_model import TaskModel
from pipeline.config import Config as BaseConfig
from pipeline.config import first_problem
from pipeline.document import Example
from pipeline.errors import ConfigError
from pipeline.examples import Source, load_examples
from pipeline.task import TaskConfig
from pipeline.train import check_counts

log = logging.getLogger(__name__)


class Range(BaseConfig):
    """The values of one setting: `choices`, or numbers from `low` to `high`."""

    choices: list[Any] | None = None
    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False

    @model_validator(mode="after")
    def _one_sort(self) -> Self:
        if (self.choices is None) == (self.low is None or self.high is None):
            raise ValueError("expected choices, or low and high")
        return self


class Config(BaseConfig):
    """A file in `configs/sweeps/`."""

    n_trials: int = Field(ge=1)
    seed: int
    metric: Literal["accuracy", "macro_f1", "micro_f1"]
    settings: dict[str, Range] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Swept:
    """The task with the best settings found, and what each trial reached."""

    task: TaskConfig
    trials: list[dict[str, Any]]


def run(config: Config, name: str, task: TaskConfig, source: Source, output: Path) -> Swept:
    """The best settings of the sweep; all trials are logged, and written to `sweep.json`.

    Raises:
        ConfigError: optuna is missing, torchrun started several processes, a setting does not exist or a value is out of its bounds.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("--sweep tries settings in one process; run it without torchrun, then train with the best")
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("--sweep needs optuna; pip install 'slugline[sweep]'") from error
    train = load_examples(task, "train", source)
    check_counts(train, task)
    parent, trials = tracking.new_key(), list[dict[str, Any]]()
    tags = {**tracking.provenance(), "task": name, "slugline.kind": "sweep"}
    tracking.log_run(
        tracking.RunRecord(parent, f"{name} · sweep", f"{config.n_trials} trials, not done yet.", tags=tags)
    )

    def objective(trial: optuna.Trial) -> float:
        chosen = {key: suggested(trial, key, values) for key, values in config.settings.items()} if trials else {}
        reached = judge(name, laid(task, chosen), train.examples, config.metric)
        trials.append({"settings": chosen, config.metric: reached})
        log.info(
            "sweep %s: trial %d of %d, %s %.4f, %s",
            name,
            len(trials),
            config.n_trials,
            config.metric,
            reached,
            json.dumps(chosen),
        )
        _log_trial(name, parent, len(trials), chosen, config.metric, reached)
        return reached

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=config.seed))
    study.optimize(objective, n_trials=config.n_trials)
    best = max(trials, key=lambda one: one[config.metric])
    write_json({"metric": config.metric, "best": best, "trials": trials}, output / "sweep.json")
    gained = best[config.metric] - trials[0][config.metric]
    result = f"{config.metric} {best[config.metric]:.4f} out of fold, {gained:+.4f} against the task as it stood: {json.dumps(best['settings'])}"
    metrics = {f"sweep/{config.metric}": best[config.metric], "sweep/gained": gained}
    tracking.log_run(
        tracking.RunRecord(
            parent, f"{name} · sweep · {config.metric} {best[config.metric]:.3f}", result, metrics=metrics
        )
    )
    log.info("sweep %s: %s", name, result)
    return Swept(laid(task, best["settings"]), trials)


def suggested(trial: Any, key: str, values: Range) -> Any:
    """The value of a setting in a trial; lists are chosen by their place, since optuna keeps plain values only."""
    if values.choices is not None:
        return values.choices[trial.suggest_categorical(key, list(range(len(values.choices))))]
    assert values.low is not None and values.high is not None
    if values.whole:
        return trial.suggest_int(key, round(values.low), round(values.high), log=values.log)
    return round(trial.suggest_float(key, values.low, values.high, log=values.log), 6)


def laid(task: TaskConfig, chosen: Mapping[str, Any]) -> TaskConfig:
    """The task with settings replaced; `spaces.0.weight` is the weight of the first space.

    Raises:
        ConfigError: no such setting, or a value out of its bounds.
    """
    values: Any = task.model_dump(mode="json")
    for key, value in chosen.items():
        *parents, last = [int(part) if part.isdigit() else part for part in key.split(".")]
        inside = values
        try:
            for part in parents:
                inside = inside[part]
            inside[last]  # what is not there yet is misspelt
        except (KeyError, IndexError, TypeError):
            raise ConfigError(f"sweep: the task has no setting '{key}'") from None
        inside[last] = value
    try:
        return TaskConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"sweep: {first_problem(error, TaskConfig)}") from None


def judge(name: str, task: TaskConfig, examples: Sequence[Example], metric: str) -> float:
    """The metric on examples answered by models that had not learnt them."""
    from sklearn.metrics import f1_score

    calibration = task.calibration.model_copy(update={"source": "folds"})
    model = TaskModel.fit(name, task.kind, task.classifier, calibration, examples, None, task.seed)
    assert model.judged is not None
    judged, probabilities = model.judged
    place = {label: i for i, label in enumerate(model.labels)}
    truth = np.zeros(probabilities.shape, dtype=bool)
    for row, one in zip(truth, judged, strict=True):
        row[[place[label] for label in one.labels if label in place]] = True
    said = probabilities >= model.label_thresholds
    if task.kind != "multi":
        said = np.eye(len(place), dtype=bool)[probabilities.argmax(axis=1)]
    if metric == "accuracy":
        return float((truth == said).all(axis=1).mean())
    return float(f1_score(truth, said, average="macro" if metric == "macro_f1" else "micro", zero_division=0))  # pyright: ignore[reportArgumentType]


def _log_trial(name: str, parent: str, number: int, chosen: Mapping[str, Any], metric: str, reached: float) -> None:
    label = "as it stands" if not chosen else f"trial {number}"
    tracking.log_run(
        tracking.RunRecord(
            tracking.new_key(),
            f"{name} · {label} · {metric} {reached:.3f}",
            params=tracking.flat_params(chosen),
            metrics={f"sweep/{metric}": reached},
            tags={"task": name, "slugline.kind": "trial"},
            parent_key=parent,
        )
    )
