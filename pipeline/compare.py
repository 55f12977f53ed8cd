"""Models in, an honest comparison out: all of them answer the same frozen test rows in one process.

The decision that is not obvious: no stored metric is compared. A run's model is fetched and asked again, so that the test is
paired, row by row, and two runs with different test rows can still be compared.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from pipeline import tracking
from pipeline.artifacts import write_json, write_text
from pipeline.classifiers.task_model import TaskModel
from pipeline.config import Config as BaseConfig
from pipeline.document import Example
from pipeline.errors import ConfigError, DataError
from pipeline.examples import Source, load_examples
from pipeline.report import comparison_report, comparison_table, verdict_sentence
from pipeline.rescoring import answer_array, label_names, slices_of, true_array
from pipeline.significance import Comparison, compare_many
from pipeline.task import TaskConfig


class Config(BaseConfig):
    """`configs/compare.yaml`."""

    n_draws: int = Field(ge=100)
    seed: int


@dataclass(frozen=True, slots=True)
class Contender:
    """A model in the comparison: the name it goes by, its MLflow run where it has one, and the model."""

    name: str
    run_id: str | None
    model: TaskModel


def run(
    config: Config, name: str, task: TaskConfig, source: Source, wanted: Sequence[str], form: str, output: Path
) -> None:
    """Compare the models, print the result, write it, and log it as a `compare` run tagged with the runs it compares."""
    with tempfile.TemporaryDirectory() as scratch:
        contenders = [find(one, name, Path(scratch) / str(i)) for i, one in enumerate(wanted)]
    contenders = distinct(contenders)
    examples = load_examples(task, "test", source).examples
    found = compare(contenders, task, examples, config)
    changed = {change.index for one in found.values() for change in one.changed}
    page = comparison_report(
        contenders[0].name,
        found,
        title=f"{name}: {len(contenders)} models on the same {len(examples):,} articles",
        texts={i: (examples[i].title, examples[i].text) for i in sorted(changed)},
    )
    write_json({other: one.to_json() for other, one in found.items()}, output / "comparison.json")
    write_text(page, output / "comparison.html")
    _print(contenders[0].name, found, form, page)
    log_comparison(name, contenders, found, output)


def find(wanted: str, task: str, scratch: Path) -> Contender:
    """The model meant: its folder, a registry URI, an MLflow run's id or the beginning of it, or a run's name.

    Raises:
        TrackingError: no such run, or it has no model.
    """
    if (Path(wanted) / "model.json").is_file():
        model = TaskModel.load(Path(wanted))
        return Contender(f"{Path(wanted).name} · {model.digest[:8]}", None, model)
    if wanted.startswith("models:"):
        model = TaskModel.load(tracking.model_folder(wanted, scratch))
        return Contender(f"{wanted.removeprefix('models:/')} · {model.digest[:8]}", None, model)
    run_id, run_name, uri = tracking.find_run(wanted, task)
    return Contender(run_name, run_id, TaskModel.load(tracking.model_folder(uri, scratch)))


def distinct(contenders: Sequence[Contender]) -> list[Contender]:
    """The contenders with a number after a name that occurs twice.

    Raises:
        ConfigError: fewer than two, or models of different kinds of task.
    """
    if len(contenders) < 2:
        raise ConfigError("compare needs at least two runs or model folders")
    if len({one.model.task_kind for one in contenders}) > 1:
        raise ConfigError(f"the models are of different kinds: {', '.join(one.model.task_kind for one in contenders)}")
    names = [one.name for one in contenders]
    return [
        Contender(f"{one.name} ({i + 1})" if names.count(one.name) > 1 else one.name, one.run_id, one.model)
        for i, one in enumerate(contenders)
    ]


def compare(
    contenders: Sequence[Contender], task: TaskConfig, examples: Sequence[Example], config: Config
) -> dict[str, Comparison]:
    """The first model against each other one, by the other's name."""
    if not examples:
        raise DataError("no test example to compare on")
    names = label_names([one.model for one in contenders], examples)
    multi = contenders[0].model.task_kind == "multi"
    return compare_many(
        true_array(examples, names, multi=multi),
        {one.name: answer_array(one.model.predict(examples), names, multi=multi) for one in contenders},
        [one.group or one.id for one in examples],
        n_draws=config.n_draws,
        seed=config.seed,
        labels=names,
        slices=slices_of(examples, task.evaluation.slices),
        ids=[one.id for one in examples],
    )


def log_comparison(name: str, contenders: Sequence[Contender], found: dict[str, Comparison], output: Path) -> None:
    """Log the comparison as a run of its own that is found from each run it compares, and they from it."""
    first = next(iter(found.values()))
    key = tracking.new_key()
    tags = {"task": name, "slugline.kind": "compare", "verdict": str(first.verdict)}
    tags |= {f"compares.{i}": one.run_id or one.name for i, one in enumerate(contenders)}
    tracking.log_run(
        tracking.RunRecord(
            key=key,
            name=f"compare · {name} · {' vs '.join(one.model.digest[:8] for one in contenders)}",
            description=f"{contenders[0].name} (A) against {next(iter(found))} (B): {first.verdict}, "
            f"accuracy difference {first.accuracy.difference:+.4f}, p = {first.p_value:.3f} on {first.n:,} rows.",
            metrics=first.flat(),
            tags={**tracking.provenance(), **tags},
            artifacts={path.name: path for path in (output / "comparison.html", output / "comparison.json")},
        )
    )
    for one in contenders:
        if one.run_id:
            tracking.tag_run(one.run_id, f"compared.{key[:8]}", str(first.verdict))


def _print(first: str, found: dict[str, Comparison], form: str, page: str) -> None:
    match form:
        case "json":
            sys.stdout.write(
                json.dumps({other: one.to_json() for other, one in found.items()}, ensure_ascii=False) + "\n"
            )
        case "html":
            sys.stdout.write(page)
        case _:
            from rich.console import Console

            console = Console(highlight=False, emoji=False)
            for other, one in found.items():
                console.print(verdict_sentence(first, other, one))
            console.print(comparison_table(first, found))
