"""A task and some seeds in, how much its quality owes to chance out: every seed a child of one MLflow run.

The decision that is not obvious: each seed trains and calibrates anew on the same examples and answers the same test examples, so the
spread is that of the training alone; how much the test examples themselves leave open, the intervals of each run say.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline import tracking
from pipeline.artifacts import write_json
from pipeline.evaluate import Config, Evaluated, evaluate
from pipeline.examples import Source
from pipeline.task import TaskConfig
from pipeline.train import fit

log = logging.getLogger(__name__)

MEASURES = ("accuracy", "macro_f1", "micro_f1", "ece")


@dataclass(frozen=True, slots=True)
class Spread:
    """A measure over the seeds: mean, sample standard deviation, least and greatest."""

    mean: float
    sd: float
    least: float
    greatest: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} ± {self.sd:.4f} ({self.least:.4f} to {self.greatest:.4f})"


def run(config: Config, name: str, task: TaskConfig, source: Source, n_seeds: int, output: Path) -> dict[str, Spread]:
    """The spread of each measure over `n_seeds` seeds from the task's own on; also in `seeds.json` and in MLflow."""
    parent, found = tracking.new_key(), dict[int, Evaluated]()
    tracking.log_run(
        tracking.RunRecord(parent, f"{name} · {n_seeds} seeds", "Not done yet.", tags=_tags(name, "seeds"))
    )
    for seed in range(task.seed, task.seed + n_seeds):
        settings = task.model_copy(update={"seed": seed})
        found[seed] = evaluate(config, settings, source, fit(name, settings, source).model)
        log.info("seed %d: macro-F1 %.4f", seed, found[seed].metrics.macro_f1)
        _log_seed(name, parent, seed, found[seed])
    spreads = {one: spread_of([getattr(each.metrics, one) for each in found.values()]) for one in MEASURES}
    write_json({one: asdict(spread) for one, spread in spreads.items()}, output / "seeds.json")
    tracking.log_run(
        tracking.RunRecord(
            parent,
            f"{name} {spreads['macro_f1'].mean:.3f} ± {spreads['macro_f1'].sd:.3f} · {n_seeds} seeds",
            f"macro-F1 {spreads['macro_f1']}, accuracy {spreads['accuracy']} over {n_seeds} seeds.",
            metrics={f"seeds/{one}.{part}": value for one, s in spreads.items() for part, value in asdict(s).items()},
        )
    )
    return spreads


def show(spreads: dict[str, Spread], form: str) -> None:
    """Print the spreads: a line each for people, or one JSON object."""
    if form == "json":
        sys.stdout.write(json.dumps({name: asdict(spread) for name, spread in spreads.items()}) + "\n")
        return
    for name, spread in spreads.items():
        sys.stdout.write(f"{name.replace('_', '-'):10} {spread}\n")


def spread_of(values: list[float]) -> Spread:
    """The spread of some values; one alone has none."""
    return Spread(
        float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0, min(values), max(values)
    )


def _log_seed(name: str, parent: str, seed: int, found: Evaluated) -> None:
    tracking.log_run(
        tracking.RunRecord(
            tracking.new_key(),
            f"{name} {found.metrics.macro_f1:.3f} · seed {seed} · {found.model.digest[:8]}",
            params={"seed": str(seed)},
            metrics=found.flat(),
            tags={**_tags(name, "seed"), "model.digest": found.model.digest},
            parent_key=parent,
        )
    )


def _tags(name: str, kind: str) -> dict[str, str]:
    return {**tracking.provenance(), "task": name, "slugline.kind": kind}
