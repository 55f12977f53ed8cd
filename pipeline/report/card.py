"""The model card: what a registered model is, how good, where it fails, where it came from; written from its own run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_MOST_LABELS = 40


def model_card(
    task: str,
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    decision: Mapping[str, Any],
) -> str:
    """A Markdown page from what `train`, `evaluate` and `register` wrote.

    Commit and lock are tags of the version, so the page is the same wherever the model is made again.
    """
    config = training["config"]
    parts = [
        f"# Model card: {task}",
        _result(metrics),
        f"Decision: **{decision['outcome']}**, {decision['reason']}.",
        "## What it is\n" + _listed(
            [
                ("task", f"{task}, one label an article" if training["kind"] == "single" else f"{task}, kind {training['kind']}"),
                ("classifier", config["classifier"]["kind"]),
                ("labels", ", ".join(training["labels"][:_MOST_LABELS])),
                ("digest", training["model"]),
            ]
        ),
        "## What it learnt from\n" + _listed(
            [
                ("data", str(config["data"]["train"] or config["data"]["corpus"])),
                ("digest of the data", training["data"]),
                ("examples", f"{training['n_train']:,} to learn from, {training['n_held_out']:,} held out to calibrate"),
            ]
        ),
        "## How good it is\n" + _labels(metrics),
        _shortcut(metrics.get("shortcut") or {}),
        "## How to use it\n" + _use(metrics, config),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _result(metrics: Mapping[str, Any]) -> str:
    low, high = metrics["intervals"]["macro_f1"]
    return (
        f"Macro-F1 **{metrics['macro_f1']:.4f}** (95 % interval {low:.4f} to {high:.4f}), accuracy {metrics['accuracy']:.4f}, "
        f"calibration error {metrics['ece']:.4f} on {metrics['n']:,} test examples."
    )


def _labels(metrics: Mapping[str, Any]) -> str:
    head = "| label | F1 | 95 % interval | precision | recall | articles |\n|---|---|---|---|---|---|"
    rows = []
    for label, one in sorted(metrics["per_label"].items(), key=lambda item: item[1]["f1"])[:_MOST_LABELS]:
        low, high = metrics["per_label_intervals"][label]["f1"]
        name = label.replace("|", "\\|")
        rows.append(
            f"| {name} | {one['f1']:.3f} | {low:.3f} to {high:.3f} | {one['precision']:.3f} | {one['recall']:.3f} | {one['support']:,} |"
        )
    return "Weakest label first.\n\n" + "\n".join([head, *rows])


def _shortcut(shortcut: Mapping[str, float]) -> str:
    if not shortcut:
        return ""
    return (
        "## Does it read the story or its surroundings?\n"
        f"Right on {shortcut['accuracy_body']:.1%} of the stories; with another site's link list attached "
        f"{shortcut['accuracy_foreign_tail_separated']:.1%} separated and {shortcut['accuracy_foreign_tail_whole']:.1%} not separated. "
        f"Labels that flip: {shortcut['flip_rate']:.1%}."
    )


def _use(metrics: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    return (
        f"`slugline score FILE ...`; probabilities are calibrated ({config['calibration']['method']}), and the set of labels "
        f"given beside the answer held the truth in {metrics['coverage']:.1%} of the test examples. It abstained where the set is not one label: "
        f"it answered {metrics['answered']:.1%} and was right on {metrics['answered_accuracy']:.1%} of those. "
        "Figures hold for articles like the test examples; `slugline drift` says whether new ones are."
    )


def _listed(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in rows)
