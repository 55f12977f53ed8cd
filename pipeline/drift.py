"""`slugline drift`: how scored articles differ from those that their models learnt from.

`score` writes a profile beside its output, and a model carries that of its training; here the two are laid side by side. The decision
that is not obvious: with many articles every difference is beyond chance, so one counts only when it is also large.
Deliberately missed: tasks of kind `target`, whose training examples are sentences and not articles.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import hypot, isnan, sqrt
from pathlib import Path

import numpy as np
from pydantic import Field

from pipeline import tracking
from pipeline.classifiers.task_model import TaskModel
from pipeline.config import Config as BaseConfig
from pipeline.errors import ArtifactError
from pipeline.profile import Profile, profile_path, read_profile
from pipeline.tally import Tally, labels_of, share

Z_95 = 1.96


class Config(BaseConfig):
    """`configs/drift.yaml`."""

    min_distance: dict[str, float]
    n_draws: int = Field(ge=100)
    seed: int


@dataclass(frozen=True, slots=True)
class Shift:
    """One respect compared: the values in training and now, how far apart, and how far chance alone would take them."""

    task: str
    name: str
    training: float
    now: float
    distance: float
    by_chance: float
    has_moved: bool
    note: str = ""


def run(config: Config, output: Path, models: Sequence[Path], form: str) -> list[Shift]:
    """The shifts of all tasks, printed and logged.

    Raises:
        ArtifactError: no profile, or none of the models that made it.
    """
    path = output if output.name.endswith(".profile.json") else profile_path(output)
    profile = read_profile(path)
    found: list[Shift] = []
    for model in map(TaskModel.load, models):
        if model.task in profile.models and model.task_kind != "target":
            shifts = list(_shifts(config, model, profile))
            found += shifts
            _log(model, profile, shifts, path)
    if not found:
        tasks = ", ".join(profile.models) or "none"
        raise ArtifactError(f"{path}: nothing to compare its tasks ({tasks}) with; give the --model that scored it")
    _show(found, form)
    return found


def compare(config: Config, task: str, training: Tally, now: Tally) -> Iterator[Shift]:
    """The shifts of a task that both tallies know about."""
    if labels_of(training, task) and labels_of(now, task):
        yield _labels(config, task, labels_of(training, task), labels_of(now, task))
        yield _rate(config, task, training, now)
    for name, key in (("unknown words", f"{task}/unknown"), ("body", "body")):
        (before, before_se, n_before), (after, after_se, n_after) = share(training, key), share(now, key)
        if n_before and n_after:
            yield _shift(config, task, name, (before, after), Z_95 * hypot(before_se, after_se))


def _shifts(config: Config, model: TaskModel, profile: Profile) -> Iterator[Shift]:
    if profile.models[model.task] != model.digest:
        raise ArtifactError(
            f"task '{model.task}' was scored by model {profile.models[model.task][:12]}, and this is {model.digest[:12]}; "
            "score the articles again, or give that --model"
        )
    if not model.training:
        raise ArtifactError(f"the model of '{model.task}' does not say what it learnt from; train it again")
    yield from compare(config, model.task, model.training, profile.counts)


def _labels(config: Config, task: str, before: Mapping[str, int], after: Mapping[str, int]) -> Shift:
    names = sorted({*before, *after})
    counts = np.array([[one.get(name, 0) for name in names] for one in (before, after)], float)
    sizes = counts.sum(axis=1).astype(int)
    p, q = counts / counts.sum(axis=1, keepdims=True)
    rng, pooled = np.random.default_rng(config.seed), counts.sum(axis=0) / counts.sum()
    draws = [rng.multinomial(n, pooled, config.n_draws) / n for n in sizes]
    by_chance = float(np.quantile(np.abs(draws[0] - draws[1]).sum(axis=1) / 2, 0.95))
    most = int(np.abs(q - p).argmax())
    note = f"most of all '{names[most]}': {p[most]:.1%} to {q[most]:.1%}"
    return _shift(config, task, "labels", (0.0, float(np.abs(p - q).sum()) / 2), by_chance, note)


def _rate(config: Config, task: str, before: Tally, after: Tally) -> Shift:
    sizes = [one[f"{task}/entries"] for one in (before, after)]
    rates = [one[f"{task}/abstained"] / n for one, n in zip((before, after), sizes, strict=True)]
    spread = sqrt(sum(rate * (1 - rate) / n for rate, n in zip(rates, sizes, strict=True)))
    return _shift(config, task, "abstained", (rates[0], rates[1]), Z_95 * spread)


def _shift(
    config: Config, task: str, name: str, values: tuple[float, float], by_chance: float, note: str = ""
) -> Shift:
    distance = abs(values[1] - values[0])
    has_moved = distance > by_chance and distance >= config.min_distance.get(name, 0.0) and not isnan(distance)
    rounded = [round(value, 4) for value in (*values, distance, by_chance)]
    return Shift(task, name, rounded[0], rounded[1], rounded[2], rounded[3], has_moved, note)


def _log(model: TaskModel, profile: Profile, shifts: Sequence[Shift], path: Path) -> None:
    n_moved = sum(one.has_moved for one in shifts)
    n = profile.counts["articles"]
    moved = ", ".join(one.name for one in shifts if one.has_moved) or "nothing"
    metrics = {f"drift/{one.name.replace(' ', '_')}": one.distance for one in shifts}
    tracking.log_run(
        tracking.RunRecord(
            key=tracking.new_key(),
            name=f"{model.task} · drift · {n_moved} of {len(shifts)} moved · {n:,} articles",
            description=f"Moved since training, of {n:,} scored articles: {moved}.",
            metrics={**metrics, "drift/n_moved": n_moved, "drift/n": n},
            tags={**tracking.provenance(), "task": model.task, "model.digest": model.digest},
            artifacts={"profile.json": path},
        )
    )


def _show(shifts: Sequence[Shift], form: str) -> None:
    if form == "json":
        sys.stdout.write(json.dumps([asdict(one) for one in shifts], ensure_ascii=False) + "\n")
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for column in ("task", "what", "training", "now", "distance", "by chance", ""):
        table.add_column(column, justify="right" if column in ("training", "now", "distance", "by chance") else "left")
    for one in shifts:
        values = ("", "") if one.name == "labels" else (f"{one.training:.1%}", f"{one.now:.1%}")
        verdict = " ".join(filter(None, ("moved" if one.has_moved else "", one.note)))
        table.add_row(one.task, one.name, *values, f"{one.distance:.3f}", f"{one.by_chance:.3f}", verdict)
    Console(soft_wrap=True).print(table)
