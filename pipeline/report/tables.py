"""Tables for MLflow, which shows them on a run and lays those of several runs side by side, row by row."""

from __future__ import annotations

import hashlib
from typing import Any

from pipeline.report.evaluation import Evaluation

_MOST_ROWS = 1_000
_MOST_CHARACTERS = 400


def tables(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """The tables by name, in MLflow's form: `predictions` (a sample that two runs share), `errors`, `labels`."""
    rows = evaluation.rows
    order = sorted(range(len(rows)), key=lambda i: hashlib.sha256(rows[i].id.encode("utf-8", "replace")).digest())
    wrong = sorted(
        (i for i, row in enumerate(rows) if not row.is_right), key=lambda i: (-rows[i].probability, rows[i].id)
    )
    per_label = evaluation.metrics.per_label
    return {
        "predictions": _answers(evaluation, sorted(order[:_MOST_ROWS])),
        "errors": _answers(evaluation, wrong[:_MOST_ROWS]),
        "labels": _table(
            ["label", "f1", "f1 low", "f1 high", "precision", "recall", "articles"],
            [
                [label, _r(one.f1), *map(_r, evaluation.metrics.per_label_intervals[label]["f1"]), _r(one.precision), _r(one.recall), one.support]
                for label, one in per_label.items()
            ],
        ),
    }  # fmt: skip


def _answers(evaluation: Evaluation, chosen: list[int]) -> dict[str, Any]:
    head = ["id", "title", "true", "predicted", "right", "probability", "source", "date", "body", "removed lines"]
    body = []
    for i in chosen:
        row = evaluation.rows[i]
        said = [row.id, row.title, ", ".join(row.true), ", ".join(row.predicted), "yes" if row.is_right else "no"]
        body.append(
            [*said, _r(row.probability), row.source or "", row.date or "", _cut(row.body), _cut("\n".join(row.removed))]
        )
    return _table(head, body)


def _table(head: list[str], rows: list[list[Any]]) -> dict[str, Any]:
    return {"columns": head, "data": rows}


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]} […]"


def _r(value: float) -> float:
    return round(float(value), 4)
