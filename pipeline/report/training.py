"""The page of a training: what was learnt from, and which rows a person should look at before trusting it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report.page import Safe, page, percent, section, table, tag


def training_report(task: str, record: Mapping[str, Any]) -> str:
    """The page, from what `training.json` holds."""
    counts: dict[str, int] = record["examples_per_label"]
    found = record["quality"]
    parts = [
        tag("h1", f"{task}: trained on {record['n_train']:,} examples of {len(counts)} labels"),
        _labels(counts, {one["label"] for one in found["small_labels"]}),
        _doubted(found["doubted_labels"]),
        _conflicts(found["conflicting_duplicates"]),
    ]
    return page(f"{task}: training", *parts)


def _labels(counts: Mapping[str, int], small: set[str]) -> Safe:
    rows = [
        (label, f"{n:,}", "few examples" if label in small else "")
        for label, n in sorted(counts.items(), key=lambda one: one[1])
    ]
    return section(
        "labels",
        "Labels",
        table(("label", "examples", ""), rows),
        note=f"{len(small)} labels have few examples: their figures are unsure.",
    )


def _doubted(doubted: list[dict[str, Any]]) -> Safe:
    rows = [
        (one["id"], one["title"], one["label"], percent(one["p_label"]), one["suggested"], percent(one["p_suggested"]))
        for one in doubted
    ]
    head = ("id", "text", "label", "probability", "model says", "probability")
    note = f"{len(doubted)} rows whose label a model that had not learnt them doubts; wrong labels are often among the first."
    return section("doubted", "Doubted labels", table(head, rows, numeric=6), note=note)


def _conflicts(conflicts: list[dict[str, Any]]) -> Safe:
    rows = [
        (", ".join(one["ids"][:5]), " | ".join(sorted({", ".join(labels) or "none" for labels in one["labels"]})))
        for one in conflicts
    ]
    note = f"{len(conflicts)} groups of near-duplicates are not labelled alike."
    return section(
        "conflicts", "Near-duplicates with different labels", table(("ids", "labels"), rows, numeric=2), note=note
    )
