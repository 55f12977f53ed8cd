"""Labelled lines in, from any of the forms they are kept in: line files, typed lines, seed articles, lines of HTML with cues."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from pipeline.document import Kind
from pipeline.errors import DataError
from pipeline.separate.characters import LINE_BREAKS
from pipeline.separate.model import KINDS

UNKNOWN = -1
SEED = "seed"
"""The variant of articles written for the project."""
DRILL = "drill"
"""The variant of articles written to be hard."""
SCRAPED = "scraped"
"""The variant of articles that came as text, their lines labelled by hand."""
PLAIN = "plain"
"""The variant of pages read by the project's own parser and then taken for plain text."""


@dataclass(frozen=True, slots=True)
class LabelledDocument:
    """`body` is 1, 0 or -1 (unknown) for each line, `kinds` an index into KINDS or -1; `is_article` is 1, 0 or -1."""

    id: str
    variant: str
    site: str
    lines: tuple[str, ...]
    body: np.ndarray
    kinds: np.ndarray
    cues: np.ndarray | None = None
    is_article: int = UNKNOWN
    gold_body: str = ""
    weight: float = 1.0
    kind_weight: float = 1.0


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file, plain, `.gz` or `.zst`.

    Raises:
        DataError: a row is not JSON.
    """
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise DataError(f"not JSON ({error})", file=path, row=number) from None


def read_documents(path: Path) -> list[LabelledDocument]:
    """The labelled documents of one file; the form is told from the first row's fields.

    Raises:
        DataError: a row has no lines or an unknown kind.
    """
    documents = []
    for number, row in enumerate(read_rows(path), 1):
        try:
            documents.append(_document(row))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not a labelled document ({error!r})", file=path, row=number) from None
    return documents


def site_of(row: dict[str, Any]) -> str:
    """The site of a row: its domain, that of its URL, or its id."""
    return row.get("domain") or urlsplit(row.get("url") or "").netloc or row["id"]


def text_of(document: LabelledDocument) -> str:
    return "\n".join(document.lines)


TO_BLANK = str.maketrans(dict.fromkeys(LINE_BREAKS, " "))


def _document(row: dict[str, Any]) -> LabelledDocument:
    kept = [i for i, line in enumerate(row["lines"]) if _line_text(line).strip()]
    lines = [row["lines"][i] for i in kept]
    kinds = kind_ids([line.get("kind") for line in lines])
    body = np.array([_is_body(line) for line in lines], np.int8)
    cues = np.array(row["cues"], np.float32)[kept] if row.get("cues") else None
    page_type = row.get("page_type", "article")
    return LabelledDocument(
        id=row["id"],
        variant=row.get("variant", "html" if cues is not None else SEED),
        site=site_of(row),
        lines=tuple(_line_text(line).translate(TO_BLANK) for line in lines),
        body=body,
        kinds=kinds,
        cues=cues,
        is_article=int(page_type == "article"),
        gold_body=row.get("gold_body") or "",
    )


def _line_text(line: dict[str, Any]) -> str:
    return line["t"] if "t" in line else line["text"]


def _is_body(line: dict[str, Any]) -> int:
    if "y" in line:
        return UNKNOWN if line["y"] is None else int(line["y"])
    return int(line["kind"] == Kind.BODY)


def kind_ids(kinds: Iterable[str | None]) -> np.ndarray:
    """An index into KINDS for each kind, -1 for None."""
    return np.array([UNKNOWN if kind is None else KINDS.index(Kind(kind)) for kind in kinds], np.int8)


def _opened(path: Path) -> io.TextIOBase:
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8")
    if path.suffix == ".zst":
        import zstandard

        stream = zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(path.open("rb"))
        return io.TextIOWrapper(stream, encoding="utf-8", newline="\n")
    return path.open(encoding="utf-8", newline="\n")
