"""A model and its task's test examples in; metrics with intervals, predictions row by row and a report out.

The decision that is not obvious: beside the quality on bodies, `evaluate` measures what the model does when the link list
of another site is attached (the shortcut test). A model that has learnt the link lists instead of the news shows it here.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline.artifacts import json_line, read_json, replacing, write_json, write_text
from pipeline.classifiers.task_model import TaskModel
from pipeline.config import Config as BaseConfig
from pipeline.document import Article, Example, LabelPrediction, Summary
from pipeline.errors import ArtifactError
from pipeline.examples import Examples, Source, load_examples
from pipeline.home import shipped
from pipeline.inputs import read_articles
from pipeline.leakage import label_conflicts
from pipeline.metrics import (
    Metrics,
    SliceScore,
    evaluate_multi,
    evaluate_single,
    flat_curves,
    flat_slices,
    slice_metrics,
)
from pipeline.preparation import Prepared, prepare
from pipeline.report import Drift, Evaluation, ReportRow, evaluation_report, measure_drift, pictures, tables
from pipeline.rescoring import answer_array, label_names, slices_of, true_array
from pipeline.separate import Separator
from pipeline.task import TaskConfig

log = logging.getLogger(__name__)


class Shortcut(BaseConfig):
    """The shortcut test: whose link lists are attached, and to how many articles at most."""

    tails: list[str]
    max_articles: int = Field(ge=1)


class Config(BaseConfig):
    """`configs/evaluate.yaml`."""

    n_draws: int = Field(ge=100)
    seed: int
    min_slice: int = Field(ge=1)
    n_worst: int = Field(ge=0)
    shortcut: Shortcut


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A model's answers to the test examples, and what they are worth."""

    model: TaskModel
    test: Examples
    answers: list[tuple[LabelPrediction, ...]]
    probabilities: NDArray[np.float64]
    metrics: Metrics
    slices: list[SliceScore]
    shortcut: dict[str, float]
    seconds: float
    drift: tuple[Drift, ...] = ()

    def flat(self) -> dict[str, float]:
        """Everything measured as flat MLflow metrics."""
        return {
            **self.metrics.flat(),
            **flat_slices(self.slices),
            **{f"shortcut/{k}": v for k, v in self.shortcut.items()},
            **{f"drift/{one.name.replace(' ', '_')}": one.distance for one in self.drift},
            **{f"drift/{one.name.replace(' ', '_')}.usual": one.usual for one in self.drift},
        }

    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """Calibration, accuracy by share answered and cost as MLflow metrics of several steps."""
        confidence = np.array([max((entry.probability for entry in answer), default=0.0) for answer in self.answers])
        right = [frozenset(e.labels) == _chosen(a) for e, a in zip(self.test.examples, self.answers, strict=True)]
        return flat_curves(confidence, np.array(right))


def run(config: Config, task: TaskConfig, source: Source, model: Path, output: Path) -> Evaluated:
    """Evaluate a model and write metrics, predictions and the report."""
    known = training_texts(output) if model == output / "model" else []
    found = evaluate(config, task, source, TaskModel.load(model), known)
    write_json(found.metrics.to_json() | {"shortcut": found.shortcut}, output / "metrics.json")
    write_predictions(found, output / "predictions.parquet")
    page = as_page(found, config)
    write_text(evaluation_report(page), output / "report.html")
    write_views(page, output)
    return found


def training_texts(output: Path) -> list[str]:
    """The sample of the texts that the task's last model learnt from, as `train` left it; none where it left none."""
    path = output / "training_sample.jsonl"
    return [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


def write_views(page: Evaluation, output: Path) -> None:
    """Write what the MLflow UI shows of the run without opening the report: pictures and tables."""
    with replacing(output / "figures") as temporary:
        temporary.mkdir()
        for name, picture in pictures(page).items():
            (temporary / name).write_bytes(picture)
    with replacing(output / "tables") as temporary:
        temporary.mkdir()
        for name, table in tables(page).items():
            (temporary / f"{name}.json").write_bytes(json_line(table))


def summary(name: str, found: Evaluated) -> Summary:
    """The line that `evaluate` logs."""
    n_lost = sum(found.test.rejected.values())
    return Summary(f"evaluate {name}", len(found.test) + n_lost, len(found.test), found.test.rejected, found.seconds)


def latest_model(task: str, given: Path | None, output: Path, champions: Path) -> Path:
    """The model to evaluate: the one given, else the one the task trained last, else its champion.

    Raises:
        ArtifactError: there is none.
    """
    for place in (given, output / "model", champions / task):
        if place is not None and (place / "model.json").is_file():
            return place
        if place is not None and place == given:
            raise ArtifactError(f"{place}: holds no model (no model.json)")
    raise ArtifactError(f"task '{task}' has no model yet; run `slugline train --task {task}`")


def evaluate(
    config: Config, task: TaskConfig, source: Source, model: TaskModel, known: Sequence[str] = ()
) -> Evaluated:
    """The model's metrics on the task's test examples, and their drift from the texts `known` from training."""
    began = time.monotonic()
    if model.task_kind != task.kind:
        raise ArtifactError(
            f"the model is of kind '{model.task_kind}', the task of kind '{task.kind}'; train it again or name another --model"
        )
    test = load_examples(task, "test", source)
    test = replace(test, examples=in_words_of(model, test.examples, task.evaluation.synonyms))
    warn_of_unseen_labels(model, test)
    answers = model.predict(test.examples)
    probabilities = model.predict_proba(test.examples)
    metrics = measure(model, test.examples, answers, probabilities, config)
    slices = measure_slices(model, test.examples, answers, task, config)
    shortcut = measure_shortcut(model, test, answers, source, config.shortcut) if task.evaluation.shortcut else {}
    drift = tuple(measure_drift(known, [one.text for one in test.examples]))
    return Evaluated(model, test, answers, probabilities, metrics, slices, shortcut, time.monotonic() - began, drift)


def in_words_of(model: TaskModel, examples: Sequence[Example], synonyms: Mapping[str, str]) -> tuple[Example, ...]:
    """The examples with labels that the model lacks replaced by synonyms that it has."""
    known = set(model.labels)
    names = {label: other for label, other in synonyms.items() if label not in known and other in known}
    return tuple(replace(one, labels=tuple(names.get(label, label) for label in one.labels)) for one in examples)


def warn_of_unseen_labels(model: TaskModel, test: Examples) -> None:
    """Say which true labels the model can never answer: their examples count as wrong."""
    known = set(model.labels)
    unseen = Counter(label for one in test.examples for label in one.labels if label not in known)
    if unseen:
        named = ", ".join(f"{label} ({n})" for label, n in unseen.most_common(10))
        log.warning(
            "%s: labels that the model has not learnt: %s; they count as wrong; it knows %s. Should a label be another's name, say so in "
            "evaluation.synonyms",
            test.origin,
            named,
            ", ".join(sorted(known)[:12]),
        )


def measure(
    model: TaskModel,
    examples: Sequence[Example],
    answers: Sequence[tuple[LabelPrediction, ...]],
    probabilities: NDArray[np.float64],
    config: Config,
) -> Metrics:
    """The metrics of the whole; a true label that the model has never seen counts, as wrong."""
    names, multi = label_names([model], examples), model.task_kind == "multi"
    y_true, y_pred = true_array(examples, names, multi=multi), answer_array(answers, names, multi=multi)
    if multi:
        chosen = y_pred[:, : len(model.labels)]
        return evaluate_multi(y_true, probabilities, chosen, names, n_draws=config.n_draws, seed=config.seed)
    sets = np.array([[label in answer[0].set for label in model.labels] for answer in answers])
    return evaluate_single(
        y_true, probabilities, names, n_draws=config.n_draws, seed=config.seed, sets=sets, y_pred=y_pred
    )


def measure_slices(
    model: TaskModel,
    examples: Sequence[Example],
    answers: Sequence[tuple[LabelPrediction, ...]],
    task: TaskConfig,
    config: Config,
) -> list[SliceScore]:
    """Quality by source, period, length and language, as far as the task asks for them."""
    names, multi = label_names([model], examples), model.task_kind == "multi"
    y_true, y_pred = true_array(examples, names, multi=multi), answer_array(answers, names, multi=multi)
    wanted = slices_of(examples, task.evaluation.slices)
    return slice_metrics(
        y_true, y_pred, names, wanted, n_draws=config.n_draws, seed=config.seed, min_size=config.min_slice
    )


def measure_shortcut(
    model: TaskModel, test: Examples, answers: Sequence[tuple[LabelPrediction, ...]], source: Source, config: Shortcut
) -> dict[str, float]:
    """Accuracy on the story, on what was removed from it, and with another site's link list attached; and the labels that flip."""
    separator = Separator.load(source.separator_folder)
    tails = foreign_tails(config, source, separator)
    examples, before = test.examples[: config.max_articles], answers[: config.max_articles]
    removed = [*test.boilerplate[: config.max_articles], *[""] * (len(examples) - len(test.boilerplate))]
    attached = [replace(one, text=f"{one.text}\n\n{tails[i % len(tails)]}") for i, one in enumerate(examples)]
    alone = [replace(one, title="", text=tails[i % len(tails)]) for i, one in enumerate(examples)]
    came = [
        replace(one, text=f"{one.text}\n\n{aside}" if aside else one.text)
        for one, aside in zip(examples, removed, strict=True)
    ]
    own = [
        (one, replace(one, title="", text=aside)) for one, aside in zip(examples, removed, strict=True) if aside.strip()
    ]
    cut, uncut = model.predict(separated(attached, source, separator)), model.predict(attached)
    found = {
        "accuracy_body": _accuracy(examples, before),
        "accuracy_whole": _accuracy(examples, model.predict(came)),
        "accuracy_foreign_tail_separated": _accuracy(examples, cut),
        "accuracy_foreign_tail_whole": _accuracy(examples, uncut),
        "accuracy_tail_only": _accuracy(examples, model.predict(alone)),
        "flip_rate": _flips(before, cut),
        "flip_rate_unseparated": _flips(before, uncut),
        "n_articles": float(len(examples)),
        "n_with_boilerplate": float(len(own)),
    }
    if own:
        found["accuracy_boilerplate"] = _accuracy([one for one, _ in own], model.predict([aside for _, aside in own]))
    return found


def separated(examples: Sequence[Example], source: Source, separator: Separator) -> list[Example]:
    """The examples with the body of their text; one that has none stays as it is."""
    outcomes = prepare([Article(id=one.id, text=one.text) for one in examples], source.repair, separator)
    return [
        replace(one, text=outcome.body) if isinstance(outcome, Prepared) and outcome.body.strip() else one
        for one, outcome in zip(examples, outcomes, strict=True)
    ]


def foreign_tails(config: Shortcut, source: Source, separator: Separator) -> list[str]:
    """The boilerplate of the articles named in the settings, one text an article."""
    tails_of = [shipped(path) for path in config.tails]
    articles = [one for one in read_articles(tails_of, source.limits) if isinstance(one, Article)]
    documents = [one for one in prepare(articles, source.repair, separator) if isinstance(one, Prepared)]
    tails = []
    for one in documents:
        lines = [line for line in one.document.lines if line.kind == "related"]
        if lines:
            tails.append("\n".join(one.document.text[line.start : line.end] for line in lines))
    if not tails:
        raise ArtifactError(f"the shortcut test found no link list in {', '.join(config.tails)}")
    return tails


def write_predictions(found: Evaluated, path: Path) -> None:
    """Write what the model answered to every test example, row by row, for `compare` and for people."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    answers, examples = found.answers, found.test.examples
    table = pa.table(
        {
            "id": [one.id for one in examples],
            "target": pa.array([one.target for one in examples], pa.string()),
            "true": [list(one.labels) for one in examples],
            "predicted": [[entry.label for entry in answer] for answer in answers],
            "set": [sorted({label for entry in answer for label in entry.set}) for answer in answers],
            "probabilities": list(found.probabilities),
        }
    ).replace_schema_metadata({"labels": "\x1f".join(found.model.labels), "model": found.model.digest})
    with replacing(path) as temporary:
        pq.write_table(table, temporary)


def as_page(found: Evaluated, config: Config) -> Evaluation:
    """What the report shows of an evaluation."""
    removed = found.test.boilerplate or ("",) * len(found.test)
    rows = [
        ReportRow(
            id=example.id if example.target is None else f"{example.id} · {example.target}",
            title=example.title,
            source=example.source,
            date=example.date,
            body=example.text,
            removed=tuple(aside.split("\n")) if aside else (),
            true=example.labels,
            predicted=tuple(entry.label for entry in answer),
            probability=max((entry.probability for entry in answer), default=0.0),
        )
        for example, answer, aside in zip(found.test.examples, found.answers, removed, strict=True)
    ]
    return Evaluation(
        title=f"{found.model.task}: {len(rows):,} test examples",
        metrics=found.metrics,
        labels=label_names([found.model], found.test.examples),
        rows=rows,
        probabilities=found.probabilities,
        n_worst=config.n_worst,
        facts={
            "model": found.model.digest[:16],
            "kind": found.model.task_kind,
            "test data": Path(found.test.origin).name,
        },
        slices=found.slices,
        shortcut=found.shortcut,
        conflicts=label_conflicts(
            [f"{e.group or e.id} {e.target}" for e in found.test.examples], [e.labels for e in found.test.examples]
        ),
        drift=found.drift,
    )


def promised(task: TaskConfig, output: Path) -> float:
    """The metric that the task's gate asks for, as `evaluate` wrote it."""
    return float(read_json(output / "metrics.json")[task.gate.metric])


def _chosen(answer: tuple[LabelPrediction, ...]) -> frozenset[str]:
    return frozenset(entry.label for entry in answer)


def _accuracy(examples: Sequence[Example], answers: Sequence[tuple[LabelPrediction, ...]]) -> float:
    return float(np.mean([frozenset(e.labels) == _chosen(a) for e, a in zip(examples, answers, strict=True)]))


def _flips(before: Sequence[tuple[LabelPrediction, ...]], after: Sequence[tuple[LabelPrediction, ...]]) -> float:
    return float(np.mean([_chosen(a) != _chosen(b) for a, b in zip(before, after, strict=True)]))
