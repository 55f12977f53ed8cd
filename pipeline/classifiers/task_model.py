"""What a task's training leaves behind: a classifier, its calibration, its sets and thresholds, in one verified folder.

`model.json` lists every other file with its sha256; `load` checks them before it parses any. The digest of the model is the
sha256 over those digests, so equal models have equal names.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from pipeline import classifiers
from pipeline.calibration import (
    CalibrationConfig,
    Calibrator,
    conformal_sets,
    conformal_threshold,
    extrapolated,
    tuned_thresholds,
)
from pipeline.classifiers.hierarchy import coherent, with_ancestors, with_parents
from pipeline.classifiers.labels import grouped_folds
from pipeline.document import Example, LabelPrediction
from pipeline.errors import ArtifactError, DataError
from pipeline.tally import MOST_TEXTS, Tally, known_words, tally_answers, tally_fresh_words

TaskKind: TypeAlias = Literal["single", "multi", "target"]
Array = NDArray[np.float64]
FORMAT = 2
_UNLISTED = ("model.json", "README.md")  # the list itself, and a model card, which is not read


@dataclass(frozen=True, slots=True)
class TaskModel:
    """A fitted task. Probabilities are calibrated; see the module for the folder it is saved as."""

    task: str
    task_kind: TaskKind
    classifier: classifiers.Classifier
    calibration: CalibrationConfig
    calibrator: Calibrator
    label_thresholds: Array
    set_thresholds: Array
    absent_thresholds: Array
    priors: Array
    known_words: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))
    training: Tally = field(default_factory=Tally)
    saved_digest: str = ""
    judged: tuple[tuple[Example, ...], Array] | None = field(default=None, repr=False, compare=False)
    """After fitting, not saved: examples that the model had not learnt when it gave these calibrated probabilities."""

    @classmethod
    def fit(
        cls,
        task: str,
        task_kind: TaskKind,
        classifier: classifiers.ClassifierConfig,
        calibration: CalibrationConfig,
        train: Sequence[Example],
        held_out: Sequence[Example] | None,
        seed: int,
    ) -> Self:
        """A model fitted on `train`, calibrated on `held_out`, or out of fold on both and then fitted on both.

        Raises:
            DataError: no example, one class only, an example without a label or with several where one is expected.
        """
        multi_label = task_kind == "multi"
        fitted = classifiers.build(classifier, multi_label=multi_label, seed=seed)
        held_out = held_out or []
        halves = None
        if calibration.source == "held_out" and len(held_out) >= calibration.min_held_out:
            learned = train
            fitted.fit(learned, _labels(learned, multi_label))
            judged, raw = held_out, fitted.predict_proba(held_out)
        else:
            learned = judged = [*train, *held_out]
            y = _labels(learned, multi_label)
            n_folds = calibration.folds_for(len(learned))
            if calibration.extrapolate and not multi_label and n_folds > 2 and classifiers.is_quick(classifier):
                halves = fitted.out_of_fold(learned, y, grouped_folds(learned, y, 2, seed))
            raw = fitted.out_of_fold(learned, y, grouped_folds(learned, y, n_folds, seed))
        return cls._calibrated(task, task_kind, fitted, calibration, learned, judged, raw, halves)

    @classmethod
    def _calibrated(
        cls,
        task: str,
        task_kind: TaskKind,
        fitted: classifiers.Classifier,
        calibration: CalibrationConfig,
        learned: Sequence[Example],
        judged: Sequence[Example],
        raw: Array,
        halves: Array | None,
    ) -> Self:
        """The model; `halves` are the answers to the same examples of a fit on half of them, where sets are extrapolated."""
        multi_label = task_kind == "multi"
        member = _membership(judged, fitted.classes_)
        if (
            not multi_label
        ):  # a fold may lack a rare class: it gives that class nothing, and its examples cannot be judged
            usable = np.asarray((member & ~np.isnan(raw)).any(axis=1))
            raw, member = np.nan_to_num(raw[usable], nan=0.0), member[usable]
            judged = [example for example, is_usable in zip(judged, usable, strict=True) if is_usable]
            halves = None if halves is None else halves[usable]
        calibrator = Calibrator(calibration.method, multi_label).fit(raw, member)
        n = len(fitted.classes_)
        given, present, absent = np.full(n, 0.5), np.zeros(n), np.ones(n)
        probabilities = calibrator.apply(raw)
        if multi_label:
            probabilities = coherent(probabilities, tuple(fitted.classes_.tolist()))
            if calibration.threshold == "tuned":
                given = tuned_thresholds(probabilities, member, calibration.min_positives)
            absent = np.array(
                [_upper(p[~m], calibration.coverage) for p, m in zip(probabilities.T, member.T, strict=True)]
            )
        else:
            y = member.argmax(axis=1)
            present = _set_thresholds(probabilities, y, calibration)
            if halves is not None:
                present = _of_a_whole_fit(
                    present, probabilities, calibrator.apply(halves), y, calibration, len(learned)
                )
        priors = _shares(learned, fitted.classes_)
        model = cls(task, task_kind, fitted, calibration, calibrator, given, present, absent, priors)
        model = replace(model, judged=(tuple(judged), probabilities))
        return model if task_kind == "target" else model._profiled(learned, judged, probabilities)

    def _profiled(self, learned: Sequence[Example], judged: Sequence[Example], probabilities: Array) -> Self:
        """Itself, with what scored articles are compared with: the words learnt from, the answers to those judged."""
        known, once = known_words(example.text for example in learned)
        counts = tally_answers(self.task, self._answers(judged, probabilities))
        some = [example.text for example in learned[:: max(1, len(learned) // MOST_TEXTS)]]
        counts.update(tally_fresh_words(self.task, some, known, once))
        return replace(self, known_words=known, training=counts)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of `predict_proba`."""
        return tuple(self.classifier.classes_.tolist())

    @property
    def digest(self) -> str:
        """sha256 over the settings and file digests of the model, the same saved or not."""
        if self.saved_digest:
            return self.saved_digest
        with tempfile.TemporaryDirectory() as scratch:
            return _write(self, Path(scratch))

    def predict_proba(self, examples: Sequence[Example]) -> Array:
        """Calibrated probabilities, float64 (n, n_labels); the shares of training where an example has no words."""
        if not examples:
            return np.empty((0, len(self.labels)))
        probabilities = self.calibrator.apply(self.classifier.predict_proba(examples))
        if self.task_kind == "multi":
            probabilities = coherent(probabilities, self.labels)
        blank = [i for i, example in enumerate(examples) if _is_blank(example)]
        probabilities[blank] = self.priors
        return probabilities

    def predict(self, examples: Sequence[Example]) -> list[tuple[LabelPrediction, ...]]:
        """The predictions of each example: one entry, or with several labels one a label above its threshold.

        An example without words is answered with the shares of training, all labels in its set, abstained.
        """
        return self._answers(examples, self.predict_proba(examples))

    def _answers(self, examples: Sequence[Example], probabilities: Array) -> list[tuple[LabelPrediction, ...]]:
        if self.task_kind == "multi":
            return [self._several(example, row) for example, row in zip(examples, probabilities, strict=True)]
        sets = conformal_sets(probabilities, self.set_thresholds)
        return [
            (self._one(example, row, inside),)
            for example, row, inside in zip(examples, probabilities, sets, strict=True)
        ]

    def sentence_weights(self, example: Example, spans: Sequence[tuple[int, int]], label: str) -> Array:
        """What each span of the text adds to the label's score, before calibration."""
        if label not in self.labels:
            raise DataError(f"task '{self.task}' has no label '{label}'; it has {', '.join(self.labels)}")
        return self.classifier.sentence_weights(example, spans, label)

    def save(self, folder: Path) -> None:
        """Writes the model as a folder, whole or not at all; what stood there is replaced."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _write(self, building)
            building.chmod(0o755)
            if folder.exists():
                shutil.rmtree(folder)
            os.replace(building, folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model saved in a folder, after every file in it was checked.

        Raises:
            ArtifactError: no model, another format, a file missing, added or changed.
        """
        header = _verified(folder)
        arrays = load_file(folder / "task.safetensors")
        calibration = CalibrationConfig.model_validate(header["calibration"])
        learned = {
            name.removeprefix("calibrator."): array for name, array in arrays.items() if name.startswith("calibrator.")
        }
        return cls(
            task=header["task"],
            task_kind=header["task_kind"],
            classifier=classifiers.load(folder / "classifier"),
            calibration=calibration,
            calibrator=Calibrator(calibration.method, header["task_kind"] == "multi", learned),
            label_thresholds=arrays["label_thresholds"],
            set_thresholds=arrays["set_thresholds"],
            absent_thresholds=arrays["absent_thresholds"],
            priors=arrays["priors"],
            known_words=arrays.get("known_words", np.empty(0, np.uint32)),
            training=Tally(header.get("training", {})),
            saved_digest=header["digest"],
        )

    def _one(self, example: Example, row: Array, inside: NDArray[np.bool_]) -> LabelPrediction:
        blank = _is_blank(example)
        kept = tuple(label for label, held in zip(self.labels, inside.tolist(), strict=True) if held or blank)
        best = int(row.argmax())
        return LabelPrediction(
            label=self.labels[best],
            probability=float(row[best]),
            probabilities=self._spelt(row),
            set=kept,
            abstained=blank or len(kept) != 1,
            target=example.target,
        )

    def _several(self, example: Example, row: Array) -> tuple[LabelPrediction, ...]:
        """An entry's set is its label where its absence can be excluded at the stated coverage, else empty and abstained."""
        blank = _is_blank(example)
        given = [] if blank else np.flatnonzero(row >= self.label_thresholds).tolist()
        if not given and not blank and self.calibration.at_least_one:
            given = [int((row / np.maximum(self.label_thresholds, 1e-6)).argmax())]
        given = with_ancestors(given, self.labels)
        sure = row > self.absent_thresholds
        return tuple(
            LabelPrediction(
                label=self.labels[i],
                probability=float(row[i]),
                probabilities=self._spelt(row),
                set=(self.labels[i],) if sure[i] else (),
                abstained=not sure[i],
                target=example.target,
            )
            for i in sorted(given, key=lambda i: -row[i])
        )

    def _spelt(self, row: Array) -> dict[str, float]:
        spelt = dict(zip(self.labels, row.tolist(), strict=True))
        return spelt if self.task_kind == "multi" else with_parents(spelt)


def _set_thresholds(probabilities: Array, y: NDArray[np.int64], settings: CalibrationConfig) -> Array:
    return conformal_threshold(probabilities, y, settings.coverage, settings.per_class, settings.min_positives)


def _of_a_whole_fit(
    thresholds: Array,
    at_folds: Array,
    at_halves: Array,
    y: NDArray[np.int64],
    settings: CalibrationConfig,
    n_learned: int,
) -> Array:
    """The thresholds extrapolated from halves and folds, on the examples whose class both knew."""
    known = ~np.isnan(at_halves).any(axis=1)
    folds, halves = (_set_thresholds(answers[known], y[known], settings) for answers in (at_folds, at_halves))
    return extrapolated(thresholds, folds, halves, settings.folds_for(n_learned))


def _labels(examples: Sequence[Example], multi_label: bool) -> Any:
    if multi_label:
        return [example.labels for example in examples]
    for i, example in enumerate(examples, start=1):
        if len(example.labels) != 1:
            raise DataError(
                f"'{example.id}' has {len(example.labels)} labels; this kind of task takes exactly one", row=i
            )
    return [example.labels[0] for example in examples]


def _membership(examples: Sequence[Example], classes: NDArray[np.str_]) -> NDArray[np.bool_]:
    place = {label: i for i, label in enumerate(classes.tolist())}
    member = np.zeros((len(examples), len(classes)), dtype=bool)
    for i, example in enumerate(examples):
        member[i, [place[label] for label in example.labels if label in place]] = True
    return member


def _shares(examples: Sequence[Example], classes: NDArray[np.str_]) -> Array:
    counts = Counter(label for example in examples for label in set(example.labels))
    return np.array([counts[label] for label in classes.tolist()], dtype=np.float64) / len(examples)


def _upper(values: Array, coverage: float) -> float:
    kept = np.sort(values[~np.isnan(values)])
    rank = int(np.ceil((len(kept) + 1) * coverage - 1e-9))
    return float(kept[rank - 1]) if 1 <= rank <= len(kept) else 1.0


def _is_blank(example: Example) -> bool:
    return not any(character.isalnum() for character in example.text) and not example.title.strip()


def _write(model: TaskModel, folder: Path) -> str:
    """Writes the files of a model; its digest."""
    model.classifier.save(folder / "classifier")
    arrays = {f"calibrator.{name}": array for name, array in model.calibrator.parameters_.items()}
    arrays |= {
        "label_thresholds": model.label_thresholds,
        "set_thresholds": model.set_thresholds,
        "absent_thresholds": model.absent_thresholds,
        "priors": model.priors,
        "known_words": model.known_words,
    }
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / "task.safetensors")
    header: dict[str, Any] = {
        "format": FORMAT,
        "task": model.task,
        "task_kind": model.task_kind,
        "labels": model.labels,
        "calibration": model.calibration.model_dump(mode="json"),
        "training": dict(sorted((+model.training).items())),
        "files": _digests(folder),
    }
    header["digest"] = _digest_over(header)
    text = json.dumps(header, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / "model.json").write_text(text + "\n", encoding="utf-8")
    return header["digest"]


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).as_posix() not in _UNLISTED
    )
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in files}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_over(header: dict[str, Any]) -> str:
    named = {key: value for key, value in header.items() if key != "digest"}
    return hashlib.sha256(json.dumps(named, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _verified(folder: Path) -> dict[str, Any]:
    try:
        header = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{folder}: holds no readable model.json ({error}); train the task, or name another model"
        ) from None
    if not isinstance(header, dict) or header.get("format") != FORMAT or not isinstance(header.get("files"), dict):
        raise ArtifactError(f"{folder}: model.json is not of format {FORMAT}; train the task again")
    if header.get("digest") != _digest_over(header) or header.get("task_kind") not in get_args(TaskKind):
        raise ArtifactError(f"{folder}: model.json was changed after it was written; train the task again")
    found = _digests(folder)
    for name in sorted(found.keys() | header["files"].keys()):
        if found.get(name) != header["files"].get(name):
            what = (
                "is missing"
                if name not in found
                else "was not saved with it"
                if name not in header["files"]
                else "was changed"
            )
            raise ArtifactError(f"{folder}: {name} {what}; the model cannot be trusted, train the task again")
    return header
