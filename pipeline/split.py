"""Documents in, the same documents with a split: train, calibration or test.

The decision that is not obvious: a group's split is a hash of the group's id, so a document never changes side because
others came or went, and no order matters. Shares are therefore met on average, not to the row.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from pipeline.artifacts import json_line, read_table, replacing, write_rejected, write_table
from pipeline.config import Config as BaseConfig
from pipeline.document import Summary
from pipeline.errors import GateError

COLUMNS = (
    "id", "corpus", "text", "title", "source", "date", "url", "labels", "target", "from", "to", "split", "group",
    "boilerplate", "n_boilerplate_lines",
)  # fmt: skip
SPLITS = ("train", "calibration", "validation", "test")
_CURES = {"source": "set by: source", "day": "set by: time"}


class Shares(BaseConfig):
    """How much of a corpus goes where, on average."""

    train: float = Field(gt=0, lt=1)
    calibration: float = Field(ge=0, lt=1)
    test: float = Field(ge=0, lt=1)

    @model_validator(mode="after")
    def _whole(self) -> Shares:
        if abs(self.train + self.calibration + self.test - 1) > 1e-9:
            raise ValueError("train, calibration and test must add up to 1")
        return self


class Gate(BaseConfig):
    """The most pairs of each sort that may stand across two splits before the stage fails; null does not ask.

    A source, or a day of a corpus, that has documents in two splits is one pair, by its first document in each.
    """

    exact: int = Field(ge=0)
    near_duplicate: int = Field(ge=0)
    source: int | None = Field(ge=0)
    day: int | None = Field(ge=0)

    def limits(self) -> dict[str, int]:
        """The limits that are asked for, by sort."""
        return {sort: limit for sort, limit in self.model_dump().items() if limit is not None}


class Config(BaseConfig):
    """`configs/split.yaml`."""

    shares: Shares
    salt: str
    by: Literal["near_duplicate", "source", "time"]
    keep_given: bool
    gate: Gate


def run(config: Config, inputs: Path, output: Path) -> Summary:
    """Give each document its split, and fail if documents that belong together stand on two sides."""
    began = time.monotonic()
    rows = read_table(inputs / "documents.parquet").to_list()
    splits = assign(rows, config)
    leaks = find_leaks(rows, splits, config.gate.limits())
    with replacing(output / "leaks.jsonl") as temporary, temporary.open("wb") as out:
        out.writelines(json_line(leak) for leak in leaks)
    check_gate(leaks, config.gate, output / "leaks.jsonl")
    write_table(
        ({**row, "split": split} for row, split in zip(rows, splits, strict=True)), output / "examples.parquet", COLUMNS
    )
    return Summary(
        "split", len(rows), len(rows), write_rejected([], output / "rejected.jsonl"), time.monotonic() - began
    )


def assign(rows: Sequence[dict[str, Any]], config: Config) -> list[str]:
    """The split of each row."""
    parts = merged_groups(rows, by_source=config.by == "source")
    given = [row["split"] if config.keep_given and row["split"] in SPLITS else None for row in rows]
    if config.by == "time":
        hashed = _by_time(rows, parts, config.shares)
    else:
        hashed = [side_of(part, config.salt, config.shares) for part in parts]
    return [one or other for one, other in zip(given, hashed, strict=True)]


def side_of(group: str, salt: str, shares: Shares) -> str:
    """The split of a group, from nothing but its id and the salt."""
    point = (
        int.from_bytes(hashlib.sha256(f"{salt}\0{group}".encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64
    )
    if point < shares.train:
        return "train"
    return "calibration" if point < shares.train + shares.calibration else "test"


def merged_groups(rows: Sequence[dict[str, Any]], *, by_source: bool) -> list[str]:
    """For each row the least name of all that it hangs together with: its near-duplicates, and its source where that counts."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            parent[node] = node = parent[parent[node]]
        return node

    for row in rows:
        nodes = [f"group:{row['corpus']}:{row['group'] or row['id']}"]
        if by_source and row["source"]:
            nodes.append(f"source:{row['corpus']}:{row['source']}")
        low, high = sorted((root(nodes[0]), root(nodes[-1])))
        parent[high] = low
    return [root(f"group:{row['corpus']}:{row['group'] or row['id']}") for row in rows]


def find_leaks(
    rows: Sequence[dict[str, Any]], splits: Sequence[str], sorts: Collection[str] = ("exact", "near_duplicate")
) -> list[dict[str, str]]:
    """Pairs that stand in two splits: of one near-duplicate group, and where asked of one source or one day.

    Of many documents that share it, one pair for two splits.
    """
    found = _pairs(rows, splits, "group", [row["group"] or row["id"] for row in rows])
    for sort, key in (("source", "source"), ("day", "date")):
        if sort in sorts:
            found += _pairs(rows, splits, sort, [(row[key] or "")[: 10 if sort == "day" else None] for row in rows])
    return found


def _pairs(
    rows: Sequence[dict[str, Any]], splits: Sequence[str], sort: str, shared: Sequence[str]
) -> list[dict[str, str]]:
    members: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for index, (row, value) in enumerate(zip(rows, shared, strict=True)):
        if value:
            members[row["corpus"], value].setdefault(splits[index], index)
    found = []
    for (corpus, value), first in members.items():
        for one, other in combinations(sorted(first), 2):
            a, b = rows[first[one]], rows[first[other]]
            same = (a["text"] or "").split() == (b["text"] or "").split()
            named = ("exact" if same else "near_duplicate") if sort == "group" else sort
            pair = {"sort": named, "corpus": corpus, "id_a": a["id"], "split_a": one, "id_b": b["id"], "split_b": other}
            found.append(pair if sort == "group" else pair | {"value": value})
    return found


def check_gate(leaks: Iterable[dict[str, str]], gate: Gate, written: Path) -> None:
    """Pass, or fail the stage.

    Raises:
        GateError: more pairs across splits than the gate allows.
    """
    for sort, allowed in gate.limits().items():
        n_found = sum(leak["sort"] == sort for leak in leaks)
        if n_found > allowed:
            raise GateError(
                f"split: {n_found} {sort} pairs stand across splits, {allowed} allowed; they are in {written}: "
                f"{_CURES.get(sort, 'drop one of each, or set keep_given: false')} in configs/split.yaml"
            )


def _by_time(rows: Sequence[dict[str, Any]], parts: Sequence[str], shares: Shares) -> list[str]:
    """The oldest groups train, the newest test; a group counts by its newest document, one without a date as oldest."""
    newest: dict[tuple[str, str], str] = {}
    for row, part in zip(rows, parts, strict=True):
        key = (row["corpus"], part)
        newest[key] = max(newest.get(key, ""), row["date"] or "")
    splits = {}
    for corpus in {corpus for corpus, _ in newest}:
        order = sorted((date, part) for (c, part), date in newest.items() if c == corpus)
        for rank, (_, part) in enumerate(order):
            place = rank / len(order)
            late = "calibration" if place < shares.train + shares.calibration else "test"
            splits[corpus, part] = "train" if place < shares.train else late
    return [splits[row["corpus"], part] for row, part in zip(rows, parts, strict=True)]
