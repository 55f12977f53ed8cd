"""Views of the runs table and of the charts, kept on the experiment, so that MLflow opens on what people came for.

MLflow's own table shows neither metrics nor params, and sorts the charts by name. A view says which columns, filter, order
and chart sections to show; it is listed under "Views" and can be linked to. The format is that of MLflow 3.17's "Save view";
another version that reads it differently shows its default table.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

RESULTS = "slugline"
"""The key of the view of all runs, for links: `/#/experiments/<id>/runs?viewStateShareKey=slugline`."""

_HEADLINE = ("test/macro_f1", "test/accuracy", "test/ece", "shortcut/flip_rate")
_COMPARISON = ("accuracy", "accuracy.ci_low", "accuracy.ci_high", "p_value", "detectable", "n_changed")
_SECTIONS = ("test", "shortcut", "test/curve", "test/f1")
_CREATED_MS = 1_780_000_000_000


def experiment_tags(task: str | None = None) -> dict[str, str]:
    """The tags of the experiment: what it is about, its headline metric, the views of all runs and of a task's."""
    models = "tags.`slugline.kind` != 'compare'"
    tags = {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.experiment.primaryMetric.name": _HEADLINE[0],
        **_view(RESULTS, "Results", models, _HEADLINE, ("tags.`task`", "params.`classifier.kind`")),
        **_view(
            f"{RESULTS}-comparisons",
            "Comparisons",
            "tags.`slugline.kind` = 'compare'",
            [f"compare/{name}" for name in _COMPARISON],
        ),
    }
    if task:
        mine = f"tags.task = '{task}' and {models}"
        tags |= _view(f"{RESULTS}-{task}", f"Results: {task}", mine, _HEADLINE, ("params.`classifier.kind`",))
    return tags


def _view(key: str, name: str, search: str, metrics: Sequence[str], others: Sequence[str] = ()) -> dict[str, str]:
    state = {
        "searchFilter": search,
        "orderByKey": f"metrics.`{metrics[0]}`",
        "orderByAsc": False,
        "selectedColumns": [*(f"metrics.`{metric}`" for metric in metrics), *others],
        "compareRunCharts": [],
        "compareRunSections": [_section(one) for one in _SECTIONS],
        "isAccordionReordered": True,
    }
    envelope = {"name": name, "createdAt": _CREATED_MS, "updatedAt": _CREATED_MS, "state": json.dumps(state)}
    return {f"mlflow.sharedViewState.{key}": json.dumps(envelope)}


def _section(name: str) -> dict[str, object]:
    """A section of charts, by the metrics' prefix; sections that are not listed follow."""
    return {
        "uuid": f"slugline-{name}",
        "name": name,
        "display": True,
        "isReordered": True,
        "deleted": False,
        "isGenerated": True,
    }
