"""Stance of an article towards named targets: the sentences that name a target are judged, then weighed together.

The decision that is not obvious: the models learn from sentences with the target marked, so an article is never judged as
a whole; where it does not name the target the answer is `unrelated`, which no model is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from pipeline.classifiers.task_model import TaskModel
from pipeline.document import Evidence, Example, LabelPrediction
from pipeline.preparation import Prepared
from pipeline.sentences import sentence_spans

UNRELATED = "unrelated"


def score_targets(model: TaskModel, prepared: Prepared, targets: Sequence[str]) -> tuple[LabelPrediction, ...]:
    """One entry a target, in the order given."""
    spans = sentence_spans(prepared.body)
    return tuple(_towards(model, prepared, spans, target) for target in targets)


def mentions(text: str, target: str) -> list[tuple[int, int]]:
    """Where a name stands in a text as whole words, case apart; the name is taken literally, never as a pattern.

    A short name in capitals ('US') keeps its case, so that it is not found in 'us'.
    """
    flags = 0 if target.isupper() and len(target) <= _MAX_ABBREVIATION else re.IGNORECASE
    pattern = r"(?<!\w)" + r"\s+".join(map(re.escape, target.split())) + r"(?!\w)"
    return [found.span() for found in re.finditer(pattern, text, flags)]


_MAX_ABBREVIATION = 4


def _towards(model: TaskModel, prepared: Prepared, spans: Sequence[tuple[int, int]], target: str) -> LabelPrediction:
    found = [(start, end, at) for start, end in spans for at in mentions(prepared.body[start:end], target)[:1]]
    if not found:
        unrelated = {**dict.fromkeys(model.labels, 0.0), UNRELATED: 1.0}
        return LabelPrediction(UNRELATED, 1.0, unrelated, (UNRELATED,), False, target)
    examples = [
        Example(id=f"{prepared.document.id}#{start}", text=prepared.body[start:end], target=target, span=at)
        for start, end, at in found
    ]
    probabilities = model.predict_proba(examples)
    # Sentences that take sides weigh more than neutral mentions, as the pooling of most probable evidence does.
    sides = 1 - probabilities[:, list(model.labels).index("neutral")] if "neutral" in model.labels else np.ones(len(examples))
    weights = (0.25 + sides) / (0.25 + sides).sum()
    pooled = weights @ probabilities
    best = int(pooled.argmax())
    order = np.argsort(-(weights * probabilities[:, best]), kind="stable")[:3]
    shown = tuple(_evidence(prepared, *found[i][:2], float(probabilities[i, best])) for i in order)
    inside = tuple(label for label, p in zip(model.labels, pooled, strict=True) if p >= 1 - model.calibration.coverage)
    by_label = dict(zip(model.labels, pooled.tolist(), strict=True))
    return LabelPrediction(model.labels[best], float(pooled[best]), by_label, inside, len(inside) != 1, target, shown)


def _evidence(prepared: Prepared, start: int, end: int, weight: float) -> Evidence:
    given_start, given_end = prepared.to_given(start, end)
    return Evidence(given_start, given_end, prepared.alignment.given[given_start:given_end], weight)
