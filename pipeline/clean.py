"""Articles in, documents out: Unicode repaired, control characters gone, line structure kept, near-duplicates in one group.

The decision that is not obvious: HTML passes untouched. Its lines exist only after parsing, and `separate` cleans them then.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline.artifacts import read_table, write_rejected, write_table
from pipeline.config import Config as BaseConfig
from pipeline.document import Rejected, Summary
from pipeline.repair import Repair, clean_text, clean_with_span

COLUMNS = (
    "id", "corpus", "text", "html", "title", "source", "date", "url", "author", "labels", "target", "from", "to", "split", "group",
)  # fmt: skip


class Duplicates(BaseConfig):
    """How near-duplicates are found; see `pipeline.leakage`."""

    drop_exact: bool
    n_permutations: int = Field(ge=16, le=512)
    threshold: float = Field(gt=0, le=1)
    shingle_words: int = Field(ge=1, le=10)
    seed: int


class Config(BaseConfig):
    """`configs/clean.yaml`."""

    repair: Repair
    duplicates: Duplicates


def run(config: Config, inputs: Path, output: Path) -> Summary:
    """Clean the articles that `ingest` wrote and mark their duplicates."""
    began = time.monotonic()
    rows = [clean_row(row, config.repair) for row in read_table(inputs / "articles.parquet").to_list()]
    kept, rejected = drop_exact(rows) if config.duplicates.drop_exact else (rows, [])
    groups = mark_groups(kept, config.duplicates)
    write_table(
        ({**row, "group": group} for row, group in zip(kept, groups, strict=True)),
        output / "documents.parquet",
        COLUMNS,
    )
    counts = write_rejected(rejected, output / "rejected.jsonl")
    return Summary("clean", len(rows), len(kept), counts, time.monotonic() - began)


def clean_row(row: dict[str, Any], repair: Repair) -> dict[str, Any]:
    """The row with its text and title repaired; the span of a target still covers the same mention."""
    title = clean_text(row["title"], repair).replace("\n", " ").strip() if row["title"] else None
    if row["text"] is None:
        return {**row, "title": title}
    span = (row["from"], row["to"]) if row["from"] is not None and row["to"] is not None else None
    text, span = clean_with_span(row["text"], span, repair)
    return {**row, "text": text, "title": title, "from": span[0] if span else None, "to": span[1] if span else None}


def drop_exact(rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Rejected]]:
    """The rows without exact copies (white space and case apart) of an earlier row with the same labels, target and split."""
    first: dict[tuple[Any, ...], str] = {}
    kept, rejected = [], []
    for row in rows:
        text = " ".join((row["text"] or row["html"] or "").lower().split())
        key = (row["corpus"], text, tuple(row["labels"] or ()), row["target"], row["from"], row["split"])
        if key in first:
            rejected.append(Rejected(row["id"], "exact_duplicate", f"{row['corpus']}: the same text as {first[key]}"))
        else:
            first[key] = row["id"]
            kept.append(row)
    return kept, rejected


def mark_groups(rows: Sequence[dict[str, Any]], config: Duplicates) -> list[str]:
    """For each row the id of the first document of its near-duplicate cluster: documents that must not be parted."""
    from pipeline.leakage import near_duplicate_groups

    firsts = near_duplicate_groups(
        [row["text"] or row["html"] or "" for row in rows],
        n_permutations=config.n_permutations,
        threshold=config.threshold,
        shingle_words=config.shingle_words,
        seed=config.seed,
    )
    return [rows[first]["id"] for first in firsts]
