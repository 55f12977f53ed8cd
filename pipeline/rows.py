"""An article with its labels, target and split as one row of a stage table, from a file or from the Hugging Face hub."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from pipeline.artifacts import content_id
from pipeline.document import Article, Rejected
from pipeline.errors import DataError


def as_row(
    article: Article, extra: dict[str, Any], *, label: str | None, source: str | None = None
) -> dict[str, Any] | Rejected:
    """An article and the other columns of its row as a row of the stage table."""
    span = extra.get("from"), extra.get("to")
    has_span = all(isinstance(end, int | str) and str(end).strip().isdigit() for end in span)
    try:
        labels = as_labels(extra.get(label)) if label else []
    except ValueError as error:
        return Rejected(article.id, "invalid_label", f"{article.id}: {error}")
    return {
        "id": article.id,
        "text": article.text,
        "html": article.html,
        "title": article.title,
        "source": article.source or source,
        "date": article.date,
        "url": article.url,
        "author": article.author,
        "labels": labels,
        "target": extra["target"] if isinstance(extra.get("target"), str) else None,
        "from": int(span[0]) if has_span else None,  # type: ignore[arg-type]
        "to": int(span[1]) if has_span else None,  # type: ignore[arg-type]
        "split": extra["split"] if isinstance(extra.get("split"), str) else None,
    }


def as_labels(value: Any) -> list[str]:
    """The labels in a label cell: a string, a number, or a list of them, which a CSV cell spells out (`["a", "b"]`).

    Raises:
        ValueError: anything else.
    """
    match value:
        case None | "":
            return []
        case str() if value.startswith("[") and value.endswith("]"):
            return _spelt_list(value)
        case str() | int() | float():
            return [str(value)]
        case list() | tuple() if all(isinstance(one, str | int) for one in value):
            return [str(one) for one in value]
    raise ValueError(f"label {value!r}: expected a string or a list of strings")


def _spelt_list(cell: str) -> list[str]:
    """A list written into one cell, as JSON or as Python has it; what is no list is one label."""
    try:
        found = ast.literal_eval(cell)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return [cell]
    return [str(one) for one in found] if all(isinstance(one, str | int) for one in found) else [cell]


def hub_rows(name: str, split: str | None) -> Iterator[tuple[Article, dict[str, Any]] | Rejected]:
    """The rows of a data set on the Hugging Face hub, class indices as names.

    Raises:
        DataError: no such data set, or no network.
    """
    from datasets import ClassLabel, load_dataset

    try:
        parts = load_dataset(name)
    except Exception as error:  # the hub client raises many unrelated kinds, all meaning that it cannot be had
        raise DataError(
            f"cannot be had from the hub ({str(error)[:120]}); give a local file instead", file=name
        ) from error
    for part, rows in parts.items():
        if split and part != split:
            continue
        names = {k: f.names for k, f in rows.features.items() if isinstance(f, ClassLabel)}
        for number, values in enumerate(map(dict, rows)):
            yield _hub_row(
                {**values, **{k: n[values[k]] for k, n in names.items()}}, f"{name}/{part}#{number}", str(part)
            )


def _hub_row(values: dict[str, Any], place: str, part: str) -> tuple[Article, dict[str, Any]] | Rejected:
    text = values.get("text") or values.get("sentence") or values.get("content")
    if not isinstance(text, str) or not text.strip():
        return Rejected(place, "missing_text", f"{place}: no text")
    return Article(id=str(values.get("id") or content_id(text)), text=text, title=values.get("title")), {
        "split": part,
        **values,
    }
