"""Examples in, a calibrated model out: `artifacts/<task>/model`.

The decision that is not obvious: what learns sees the train part only. Calibration and abstention learn from the held-out
part (`calibration` or `validation` rows), or from grouped folds of the train part where a task has none; never from test.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.artifacts import json_line, read_json, replacing, table_digest, write_json, write_text
from pipeline.classifiers.task_model import TaskModel
from pipeline.classifiers.transformer import is_follower
from pipeline.document import Example, Summary
from pipeline.errors import DataError
from pipeline.examples import Examples, Source, check_labels, load_examples
from pipeline.leakage import label_conflicts
from pipeline.report.doubts import doubted_labels
from pipeline.report.training import training_report
from pipeline.tally import tally_boilerplate
from pipeline.task import TaskConfig

log = logging.getLogger(__name__)

MOST_NAMED = 200
"""How many doubted labels and conflicting duplicates the training report names, at most."""

N_SAMPLE = 2_000
"""How many of the texts learnt from are kept beside the model, at most."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted model and the examples it learnt from."""

    model: TaskModel
    train: Examples
    held_out: Examples
    seconds: float


def run(name: str, task: TaskConfig, source: Source, output: Path) -> Summary:
    """Train the task's model and write it, with a record of what it learnt from; under `torchrun` the first process writes."""
    trained = fit(name, task, source)
    if not is_follower():
        write(name, trained, task, output)
    n_out = len(trained.train) + len(trained.held_out)
    rejected = Counter(trained.train.rejected)
    return Summary(f"train {name}", n_out + sum(rejected.values()), n_out, dict(rejected), trained.seconds)


def write(name: str, trained: Trained, task: TaskConfig, output: Path) -> None:
    """Write the model, the record, the report, and a sample of the texts."""
    trained.model.save(output / "model")
    write_json(record(trained, task, TaskModel.load(output / "model").digest), output / "training.json")
    write_text(training_report(name, read_json(output / "training.json")), output / "training.html")
    write_sample(trained.train, output / "training_sample.jsonl")


def fit(name: str, task: TaskConfig, source: Source) -> Trained:
    """The task's model, fitted and calibrated.

    Raises:
        DataError: no example, one label only, a label with too few examples, or a label that the task does not list.
    """
    began = time.monotonic()
    train = load_examples(task, "train", source)
    held_out = load_examples(task, "held_out", source)
    if task.labels != "auto":
        check_labels(train, task.labels)
        check_labels(held_out, task.labels)
    check_counts(train, task)
    model = TaskModel.fit(
        name, task.kind, task.classifier, task.calibration, train.examples, held_out.examples or None, task.seed
    )  # fmt: skip
    if task.kind != "target" and any(train.boilerplate):
        cut = tally_boilerplate([example.text for example in train.examples], train.boilerplate)
        model = replace(model, training=model.training + cut)
    return Trained(model, train, held_out, time.monotonic() - began)


def check_counts(train: Examples, task: TaskConfig) -> None:
    """Pass if there are at least two labels, each with enough examples.

    Raises:
        DataError: naming the label, its count and what to do.
    """
    counts = Counter(label for example in train.examples for label in example.labels)
    if len(counts) < 2:
        only = next(iter(counts), "none")
        raise DataError(f"one label only ('{only}'); a classifier needs at least two", file=train.origin)
    label, n = min(counts.items(), key=lambda one: (one[1], one[0]))
    if n < task.data.min_examples and task.kind != "multi":
        raise DataError(
            f"label '{label}' has {n} example{'s' if n > 1 else ''}; expected at least {task.data.min_examples} "
            "(data.min_examples): add examples, or drop the label",
            file=train.origin,
        )


def quality(trained: Trained, task: TaskConfig) -> dict[str, list[dict[str, object]]]:
    """What a person should look at: labels with few examples, near-duplicates labelled unlike, labels that the model doubts."""
    examples = trained.train.examples
    counts = Counter(label for example in examples for label in example.labels)
    small = [{"label": label, "n": n} for label, n in sorted(counts.items()) if n < task.data.small_label]
    return {
        "small_labels": small,
        "conflicting_duplicates": _conflicts(examples, task)[:MOST_NAMED],
        "doubted_labels": _doubted(trained),
    }


def _conflicts(examples: Sequence[Example], task: TaskConfig) -> list[dict[str, object]]:
    """Groups that are not labelled alike; none where the task has targets, or groups were not looked for."""
    if task.kind == "target" or task.data.stream:
        return []
    place = {group: i for i, group in enumerate(dict.fromkeys(one.group or one.id for one in examples))}
    groups = [place[one.group or one.id] for one in examples]
    unlike = label_conflicts(groups, [one.labels for one in examples])
    return [{"ids": [examples[i].id for i in one], "labels": [list(examples[i].labels) for i in one]} for one in unlike]


def _doubted(trained: Trained) -> list[dict[str, object]]:
    if trained.model.judged is None or trained.model.task_kind == "multi":
        return []
    examples, probabilities = trained.model.judged
    labels = trained.model.labels
    place = {label: i for i, label in enumerate(labels)}
    found = doubted_labels(np.array([place.get(one.labels[0], -1) for one in examples], np.int64), probabilities)
    return [
        {
            "id": examples[one.index].id, "title": examples[one.index].title or examples[one.index].text[:100],
            "label": examples[one.index].labels[0], "suggested": labels[one.suggested],
            "p_label": round(one.p_given, 4), "p_suggested": round(one.p_suggested, 4),
        }
        for one in found[:MOST_NAMED]
    ]  # fmt: skip


def write_sample(train: Examples, path: Path) -> None:
    """Write texts evenly taken from those learnt from, by which `evaluate` measures drift."""
    step = max(1, -(-len(train) // N_SAMPLE))
    with replacing(path) as temporary, temporary.open("wb") as out:
        out.writelines(json_line({"id": one.id, "text": one.text}) for one in train.examples[::step])


def record(trained: Trained, task: TaskConfig, model_digest: str) -> dict[str, object]:
    """What the model learnt from, without times or paths, so that two runs write the same bytes."""
    counts = Counter(label for example in trained.train.examples for label in example.labels)
    return {
        "task": trained.model.task,
        "kind": task.kind,
        "labels": list(trained.model.labels),
        "n_train": len(trained.train),
        "n_held_out": len(trained.held_out),
        "examples_per_label": dict(sorted(counts.items())),
        "rejected": trained.train.rejected,
        "quality": quality(trained, task),
        "model": model_digest,
        "data": table_digest(f"{e.id} {e.text} {e.labels} {e.target}" for e in trained.train.examples),
        "config": task.model_dump(mode="json"),
    }
