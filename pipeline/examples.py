"""Labelled rows in, examples for learning out: from the `split` stage's table, or from files named by `--set data.train=...`.

The decision that is not obvious: rows from files go through the same `preparation` as articles to be scored, so that what
a model learns is what it will be shown. A row that names the span of its target is a sentence and is never separated.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pipeline.artifacts import content_id, read_table
from pipeline.classifiers.hierarchy import expanded
from pipeline.clean import Duplicates, clean_row
from pipeline.document import Article, Example, Kind, Rejected
from pipeline.errors import DataError
from pipeline.inputs import Limits, read_rows
from pipeline.leakage import near_duplicate_groups
from pipeline.preparation import Prepared, prepare
from pipeline.repair import Repair
from pipeline.rows import as_row, hub_rows
from pipeline.separate import Separator
from pipeline.stored import StoredExamples
from pipeline.task import TaskConfig

log = logging.getLogger(__name__)

Part = Literal["train", "held_out", "test"]
_SPLITS = {"train": ("train",), "held_out": ("calibration", "validation"), "test": ("test",)}
BATCH_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of one part of a task, what was cut from each, and what was rejected and why."""

    examples: Sequence[Example]
    boilerplate: tuple[str, ...] = ()
    rejected: dict[str, int] = field(default_factory=dict)
    origin: str = ""

    def __len__(self) -> int:
        return len(self.examples)


@dataclass(frozen=True, slots=True)
class Source:
    """What it takes to turn files into examples; built once a run."""

    limits: Limits
    repair: Repair
    duplicates: Duplicates
    separator_folder: Path | None
    table: Path


@dataclass(slots=True)
class _Lost:
    """How many rows were rejected for each reason, and which was the first."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, place: str) -> None:
        self.counts[reason] += 1
        self.first.setdefault(reason, place)

    def warn(self, part: Part, files: Sequence[str]) -> None:
        """Say it once: the held-out part is read from the files of the training part."""
        for reason, n in self.counts.items() if part != "held_out" else ():
            log.warning("%s: %d rows rejected: %s, the first is %s", ", ".join(files), n, reason, self.first[reason])


def load_examples(task: TaskConfig, part: Part, source: Source) -> Examples:
    """The examples of one part of a task.

    Raises:
        DataError: the part has none, or a label that the task does not list.
    """
    files = task.data.test if part == "test" else task.data.train
    if files is None and (task.data.train or task.data.corpus is None):
        if part == "held_out" or (task.data.corpus is None and task.data.train is None):
            return Examples(())
        raise DataError(f"no {part} data; give --set data.{part}=PATH")
    names = [files] if isinstance(files, str) else files
    if names and task.data.stream and part != "test":
        return _checked(_streamed(names, task, part, source), part, task)
    found = _from_files(names, task, part, source) if names else _from_table(task, part, source)
    if task.kind == "multi" and task.data.hierarchy:
        found = replace(found, examples=tuple(replace(one, labels=expanded(one.labels)) for one in found.examples))
    return _checked(found, part, task)


def _checked(found: Examples, part: Part, task: TaskConfig) -> Examples:
    if not len(found) and part != "held_out":
        lost = ", ".join(f"{n} {reason}" for reason, n in found.rejected.items()) or "no row at all"
        raise DataError(
            f"no usable {part} example: {lost}; expected columns 'text' and '{task.data.label}'", file=found.origin
        )
    return found


def check_labels(found: Examples, allowed: Sequence[str]) -> None:
    """Pass if every label is one of those allowed.

    Raises:
        DataError: naming the first row with another label.
    """
    for row, example in enumerate(found.examples, start=1):
        if unknown := next((label for label in example.labels if label not in allowed), None):
            known = ", ".join(sorted(allowed)[:12])
            raise DataError(
                f"unknown label '{unknown}'; the task lists {known}; correct the row or add the label",
                file=found.origin,
                row=row,
            )


def _from_table(task: TaskConfig, part: Part, source: Source) -> Examples:
    rows = read_table(source.table).to_list()
    corpora = sorted({row["corpus"] for row in rows})
    if task.data.corpus not in corpora:
        raise DataError(f"no corpus '{task.data.corpus}'; there are {', '.join(corpora)}", file=source.table)
    mine = [row for row in rows if row["corpus"] == task.data.corpus and row["split"] in _SPLITS[part]]
    examples = tuple(_example(row, row["text"], row["group"], task.data.rename) for row in mine)
    return Examples(examples, tuple(row["boilerplate"] or "" for row in mine), {}, str(source.table))


def _from_files(files: Sequence[str], task: TaskConfig, part: Part, source: Source) -> Examples:
    lost = _Lost()
    rows = _of_part(list(_rows(files, task, source, lost)), part)
    kept, aside = _prepare_rows(rows, task, source, lost)
    lost.warn(part, files)
    groups = near_duplicate_groups(
        [text for _, text in kept], **source.duplicates.model_dump(exclude={"drop_exact"})
    ) if part == "train" else range(len(kept))  # fmt: skip
    examples = tuple(
        _example(row, text, f"{kept[g][0]['id']}#{g}", task.data.rename)
        for (row, text), g in zip(kept, groups, strict=True)
    )
    return Examples(examples, tuple(aside), dict(lost.counts), ", ".join(files))


def _streamed(files: Sequence[str], task: TaskConfig, part: Part, source: Source) -> Examples:
    """As `_from_files`, with one batch of rows in memory; a first reading counts the rows and what splits they name."""
    splits = Counter(row["split"] for row in _rows(files, task, source, _Lost()))
    is_dealt = not any(splits[name] for name in _SPLITS["held_out"])
    share = min(0.1, task.data.hold_out / max(1, splits.total()))
    lost = _Lost()

    def mine() -> Iterator[dict[str, Any]]:
        for row in _rows(files, task, source, lost):
            if splits["train"] and row["split"] not in (*_SPLITS["train"], *_SPLITS["held_out"]):
                continue
            held = _is_drawn(row, share) if is_dealt else row["split"] in _SPLITS["held_out"]
            if held == (part == "held_out"):
                yield row

    def examples() -> Iterator[Example]:
        rows = mine()
        while batch := list(islice(rows, BATCH_ROWS)):
            kept, _ = _prepare_rows(batch, task, source, lost)
            for row, text in kept:
                one = _example(row, text, content_id(text), task.data.rename)
                yield replace(one, labels=expanded(one.labels)) if task.data.hierarchy else one

    stored = StoredExamples(examples())
    lost.warn(part, files)
    return Examples(stored, (), dict(lost.counts), ", ".join(files))


def _is_drawn(row: dict[str, Any], share: float) -> bool:
    """Whether a row is held out: by its content, so that copies go the same way."""
    return int(content_id(row["text"] or row["html"] or ""), 16) < share * 2**64


def _rows(files: Sequence[str], task: TaskConfig, source: Source, lost: _Lost) -> Iterator[dict[str, Any]]:
    """The labelled rows of the files; those without a label are counted as lost."""
    for name in files:
        columns: Counter[str] = Counter()
        for number, row in enumerate(_origin(name, source.limits), start=1):
            if isinstance(row, Rejected):
                lost.add(row.reason, f"row {number} of {name}")
                continue
            columns.update(row[1].keys())
            outcome = as_row(*row, label=task.data.label)
            if isinstance(outcome, Rejected):
                raise DataError(outcome.message.partition(": ")[2], file=name, row=number)
            if not outcome["labels"] and task.kind != "multi":
                lost.add("missing_label", f"row {number} of {name}")
            elif len(outcome["labels"]) > 1 and task.kind != "multi":
                raise DataError(
                    f"{len(outcome['labels'])} labels, but the task is '{task.kind}'; set kind: multi",
                    file=name,
                    row=number,
                )
            else:
                yield outcome
        if columns and task.data.label not in columns:
            raise DataError(
                f"no column '{task.data.label}'; the columns are text, {', '.join(sorted(columns))}", file=name, row=1
            )


def _origin(name: str, limits: Limits) -> Iterator[tuple[Article, dict[str, Any]] | Rejected]:
    is_hub = (
        not Path(name).exists()
        and not Path(name).suffix
        and "://" not in name
        and name.count("/") <= 1
        and "*" not in name
    )
    return hub_rows(name, split=None) if is_hub else read_rows([name], limits)


def _of_part(rows: list[dict[str, Any]], part: Part) -> list[dict[str, Any]]:
    """The rows of a part where the file names splits; of a file that names none, all train or all test."""
    given = {row["split"] for row in rows}
    if given & {"train", "calibration", "validation", "test"}:
        mine = [row for row in rows if row["split"] in _SPLITS[part]]
        return rows if part == "test" and not mine and "train" not in given else mine
    return [] if part == "held_out" else rows


def _prepare_rows(
    rows: Sequence[dict[str, Any]], task: TaskConfig, source: Source, lost: _Lost
) -> tuple[list[tuple[dict[str, Any], str]], list[str]]:
    separator = Separator.load(source.separator_folder) if task.data.separate else None
    kept: list[tuple[dict[str, Any], str]] = []
    aside: list[str] = []
    for begin in range(0, len(rows), BATCH_ROWS):
        batch = [clean_row(row, source.repair) for row in rows[begin : begin + BATCH_ROWS]]
        longer = [row for row in batch if row["from"] is None]
        articles = [Article(id=r["id"], text=r["text"], html=r["html"], title=r["title"]) for r in longer]
        outcomes = iter(prepare(articles, source.repair, separator))
        for row in batch:
            outcome = next(outcomes) if row["from"] is None else row["text"]
            text = outcome.body if isinstance(outcome, Prepared) else outcome
            if isinstance(text, Rejected):
                lost.add(text.reason, f"the row with id '{row['id']}'")
            else:
                # A row that is boilerplate from end to end still has its label: it is learnt from as it is.
                kept.append((row, text if text.strip() else row["text"] or ""))
                aside.append(_boilerplate(outcome) if isinstance(outcome, Prepared) and text.strip() else "")
    return kept, aside


def _boilerplate(prepared: Prepared) -> str:
    document = prepared.document
    return "\n".join(document.text[line.start : line.end] for line in document.lines if line.kind != Kind.BODY)


def _example(row: dict[str, Any], text: str, group: str | None, rename: dict[str, str]) -> Example:
    span = (row["from"], row["to"]) if row["from"] is not None and row["to"] is not None else None
    labels: Sequence[str] = row["labels"] or ()
    return Example(
        id=row["id"],
        text=text,
        title=row["title"] or "",
        labels=tuple(rename.get(label, label) for label in labels),
        target=row["target"],
        span=span,
        source=row["source"],
        date=row["date"],
        group=group or row["id"],
    )
