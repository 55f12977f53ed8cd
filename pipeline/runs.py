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

MAX_VARIED_CHARS = 24


def log_training(
    name: str, task: TaskConfig, output: Path, overrides: Sequence[str] = (), seconds: float = 0.0
) -> None:
    """Begin the run of a training: its settings, what it learnt from, and the model."""
    training = read_json(output / "training.json")
    key, varied = tracking.new_key(), what_varied(overrides)
    tracking.remember_key(name, key, varied)
    sizes = {"data.n_train": str(training["n_train"]), "data.n_held_out": str(training["n_held_out"])}
    tracking.log_run(
        tracking.RunRecord(
            key=key,
            name=run_name(name, "untested", task, varied, training["model"]),
            description=f"Trained on {training['n_train']:,} examples of {len(training['labels'])} labels; not evaluated yet.",
            params={**tracking.flat_params(task.model_dump(mode="json")), **sizes},
            tags={
                **tracking.provenance(),
                "task": name,
                "slugline.kind": "train",
                "model.digest": training["model"],
                **({"varied": varied} if varied else {}),
            },
            artifacts={one: output / one for one in ("training.json", "training.html")},
            datasets=(tracking.DatasetRef(_data_name(task), training["data"], training["n_train"], "training"),),
            model=output / "model",
            seconds=seconds,
        )
    )


def log_evaluation(name: str, task: TaskConfig, found: Evaluated, model: Path, output: Path) -> None:
    """Add the metrics and the report to the run that trained the model; a model from elsewhere gets a run of its own."""
    is_own = model == output / "model"
    digest = table_digest(f"{e.id} {e.text} {e.labels}" for e in found.test.examples)
    varied = tracking.last_varied(name) if is_own else ""
    tracking.log_run(
        tracking.RunRecord(
            key=tracking.last_key(name) if is_own else tracking.new_key(),
            name=run_name(name, f"{found.metrics.macro_f1:.3f}", task, varied, found.model.digest),
            description=description(found),
            metrics={metric: legible(value) for metric, value in found.flat().items()},
            curves=found.curves(),
            tags={
                **tracking.provenance(),
                "task": name,
                "slugline.kind": "train" if is_own else "evaluate",
                "model.digest": found.model.digest,
            },
            artifacts=evaluation_files(output),
            datasets=(tracking.DatasetRef(task_test_name(task), digest, len(found.test), "testing"),),
            seconds=found.seconds,
        )
    )


def evaluation_files(output: Path) -> dict[str, Path]:
    """What `evaluate` wrote, by its name in the run."""
    files = [output / "metrics.json", output / "predictions.parquet", output / "report.html"]
    files += sorted((output / "figures").glob("*.png")) + sorted((output / "tables").glob("*.json"))
    return {path.relative_to(output).as_posix(): path for path in files if path.is_file()}


def run_name(task: str, result: str, settings: TaskConfig, varied: str, model: str) -> str:
    """A name that tells runs apart where MLflow cuts it off: task, macro-F1, what was varied or the classifier, model."""
    return " · ".join([f"{task} {result}", varied or settings.classifier.kind, model[:8]])


def what_varied(overrides: Sequence[str]) -> str:
    """The settings given by `--set` as a run's name has them: last part of the key and value, those that change no model left out."""
    pairs = [
        one.partition("=")
        for one in overrides
        if not one.startswith(("data.train", "data.test", "gate.", "evaluation."))
    ]
    return ", ".join(
        f"{key.rpartition('.')[2]}={value.strip() if len(value) <= MAX_VARIED_CHARS else '…'}"
        for key, _, value in pairs
    )


def log_decision(name: str, decision: Decision, output: Path) -> None:
    """Say in the registry what became of the challenger; its model card is the version's description, and in its run."""
    if decision.outcome == "unchanged":
        return
    card = output / "model_card.md"
    key = tracking.last_key(name)
    tracking.log_run(
        tracking.RunRecord(key=key, tags={"task": name, "decision": decision.outcome}, artifacts={card.name: card})
    )
    tags = {
        "decision": decision.outcome,
        "reason": decision.reason,
        "model.digest": decision.challenger,
        **tracking.provenance(),
    }
    is_champion = decision.outcome == "promoted"
    tracking.register_version(name, key, tags, is_champion=is_champion, description=card.read_text("utf-8"))


def log_rollback(name: str, digest: str) -> None:
    """Give the alias `champion` back to the version of this model, and say why on it."""
    tags = {"decision": "champion again", "reason": "rolled back by `slugline register --rollback`"}
    tracking.move_champion(name, digest, tags)


def legible(value: float) -> float:
    """The value as the MLflow UI should show it, which shows every digit: four decimals, or three digits of a small one."""
    return round(value, 4) if abs(value) >= 0.1 else float(f"{value:.3g}")


def headline(found: Evaluated) -> str:
    """The result in one line, with its interval."""
    m = found.metrics
    low, high = m.intervals["macro_f1"]
    return f"macro-F1 {m.macro_f1:.4f} [{low:.4f}, {high:.4f}], accuracy {m.accuracy:.4f}, ECE {m.ece:.4f} on {m.n:,} test examples"


def description(found: Evaluated) -> str:
    """What the run's page says first, as Markdown: the result, then whom to trust it for."""
    m = found.metrics
    lines = [f"**{headline(found)}**"]
    known = {label: one for label, one in m.per_label.items() if one.support}
    worst = sorted(known, key=lambda label: known[label].f1)[:3]
    lines.append("Weakest labels: " + ", ".join(f"{label} (F1 {known[label].f1:.3f})" for label in worst) + ".")
    lines.append(f"Answered with one label: {m.answered:.1%}, right on {m.answered_accuracy:.1%} of those.")
    lines += _shortcut_lines(found.shortcut)
    lines.append("Everything on one page, with the errors to read: artifact `report.html`.")
    return "\n\n".join(lines)


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
