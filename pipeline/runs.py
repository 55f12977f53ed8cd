"""What `train`, `evaluate` and `register` say of themselves: to the terminal, and as one run in MLflow."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline import tracking
from pipeline.artifacts import read_json, table_digest
from pipeline.evaluate import Evaluated
from pipeline.register import Decision
from pipeline.task import TaskConfig


def log_training(name: str, task: TaskConfig, output: Path) -> None:
    """Begin the run of a training: its settings, what it learnt from, and the model."""
    training = read_json(output / "training.json")
    key = tracking.new_key()
    tracking.remember_key(name, key)
    tracking.log_run(
        tracking.RunRecord(
            key=key,
            name=f"{name} · {task.classifier.kind} · {training['model'][:8]}",
            description=f"Trained on {training['n_train']:,} examples of {len(training['labels'])} labels; not evaluated yet.",
            params=tracking.flat_params(task.model_dump(mode="json")),
            metrics={"train/n": training["n_train"], "train/n_held_out": training["n_held_out"]},
            tags={**tracking.provenance(), "task": name, "model.digest": training["model"]},
            artifacts={"training.json": output / "training.json"},
            datasets=(tracking.DatasetRef(_data_name(task), training["data"], training["n_train"], "training"),),
            model=output / "model",
        )
    )


def log_evaluation(name: str, task: TaskConfig, found: Evaluated, model: Path, output: Path) -> None:
    """Add the metrics and the report to the run that trained the model; a model from elsewhere gets a run of its own."""
    is_own = model == output / "model"
    files = {
        path.name: path for path in (output / "metrics.json", output / "predictions.parquet", output / "report.html")
    }
    digest = table_digest(f"{e.id} {e.text} {e.labels}" for e in found.test.examples)
    result = headline(found)
    tracking.log_run(
        tracking.RunRecord(
            key=tracking.last_key(name) if is_own else tracking.new_key(),
            name=f"{name} · {task.classifier.kind} · macro-F1 {found.metrics.macro_f1:.3f} · {found.model.digest[:8]}",
            description=result,
            metrics=found.flat(),
            tags={**tracking.provenance(), "task": name, "model.digest": found.model.digest},
            artifacts={label: path for label, path in files.items() if path.is_file()},
            datasets=(tracking.DatasetRef(task_test_name(task), digest, len(found.test), "testing"),),
        )
    )


def log_decision(name: str, decision: Decision) -> None:
    """Say in the registry what became of the challenger."""
    if decision.outcome == "unchanged":
        return
    tags = {
        "decision": decision.outcome,
        "reason": decision.reason,
        "model.digest": decision.challenger,
        **tracking.provenance(),
    }
    tracking.register_version(name, tracking.last_key(name), tags, is_champion=decision.outcome == "promoted")


def headline(found: Evaluated) -> str:
    """The result in one line, with its interval."""
    m = found.metrics
    low, high = m.intervals["macro_f1"]
    return f"macro-F1 {m.macro_f1:.4f} [{low:.4f}, {high:.4f}], accuracy {m.accuracy:.4f}, ECE {m.ece:.4f} on {m.n:,} test examples"


def show(found: Evaluated, form: str) -> None:
    """Print the metrics: a table for people, or one JSON object."""
    if form == "json":
        sys.stdout.write(json.dumps(found.metrics.to_json() | {"shortcut": found.shortcut}, ensure_ascii=False) + "\n")
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=headline(found), title_justify="left", title_style="bold")
    for column in ("label", "precision", "recall", "F1", "articles"):
        table.add_column(column, justify="left" if column == "label" else "right")
    for label, one in found.metrics.per_label.items():
        table.add_row(label, *(f"{value:.3f}" for value in (one.precision, one.recall, one.f1)), f"{one.support:,}")
    Console(soft_wrap=True).print(table, *_shortcut_lines(found.shortcut), sep="\n")


def _shortcut_lines(shortcut: dict[str, float]) -> Sequence[str]:
    if not shortcut:
        return ()
    return (
        f"Shortcut test: accuracy {shortcut['accuracy_body']:.3f} on bodies; with another site's link list attached "
        f"{shortcut['accuracy_foreign_tail_separated']:.3f} separated, {shortcut['accuracy_foreign_tail_whole']:.3f} not separated.",
    )


def _data_name(task: TaskConfig) -> str:
    return str(task.data.train or task.data.corpus)


def task_test_name(task: TaskConfig) -> str:
    """What the test examples are called in the run."""
    return str(task.data.test or task.data.corpus)
