"""Answers and truths as arrays: what `evaluate`, `register` and `compare` hand to the metrics, all in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.classifiers.task_model import TaskModel
from pipeline.document import Example, LabelPrediction
from pipeline.language import language_of
from pipeline.metrics import standard_slices

Answers: TypeAlias = Sequence[tuple[LabelPrediction, ...]]


def label_names(models: Sequence[TaskModel], examples: Sequence[Example]) -> list[str]:
    """The labels of the first model, then those that only the others know, then those that only the examples have."""
    known = list(dict.fromkeys(label for model in models for label in model.labels))
    return [*known, *sorted({label for one in examples for label in one.labels} - set(known))]


def true_array(
    examples: Sequence[Example], names: Sequence[str], *, multi: bool
) -> NDArray[np.int64] | NDArray[np.bool_]:
    """The true labels: (n,) indices into `names`, or (n, k) flags for several labels."""
    place = {label: i for i, label in enumerate(names)}
    if not multi:
        return np.array([place[example.labels[0]] for example in examples], dtype=np.int64)
    return _flags([[place[label] for label in example.labels] for example in examples], len(names))


def answer_array(answers: Answers, names: Sequence[str], *, multi: bool) -> NDArray[np.int64] | NDArray[np.bool_]:
    """The labels answered, of the same form as `true_array`."""
    place = {label: i for i, label in enumerate(names)}
    if not multi:
        return np.array([place[answer[0].label] for answer in answers], dtype=np.int64)
    return _flags([[place[entry.label] for entry in answer] for answer in answers], len(names))


def slices_of(examples: Sequence[Example], wanted: Sequence[str]) -> dict[str, list[str | None]]:
    """The slice of each example by each of the wanted kinds: source, period, length, language.

    A kind in which all examples are alike is left out: it would repeat the whole.
    """
    languages = [language_of(e.text) for e in examples] if "language" in wanted else None
    found = standard_slices(
        sources=[e.source for e in examples],
        dates=[e.date for e in examples],
        lengths=[len(e.text) for e in examples],
        languages=languages,
    )
    return {by: values for by, values in found.items() if by in wanted and len(set(values)) > 1}


def _flags(chosen: Sequence[Sequence[int]], n_labels: int) -> NDArray[np.bool_]:
    flags = np.zeros((len(chosen), n_labels), dtype=bool)
    for row, columns in enumerate(chosen):
        flags[row, list(columns)] = True
    return flags
