"""`slugline separate PATH ...`: articles in, one answer each, in input order, as text, JSON lines or a page."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.artifacts import json_line, replacing
from pipeline.document import Article, Document, Rejected
from pipeline.separate import Separator

BATCH_ARTICLES = 256


def write(articles: Iterable[Article | Rejected], separator: Separator, form: str, output: Path | None) -> None:
    """Write the answers to a file, whole or not at all, or to standard output as they come."""
    if output is None:
        if form == "text" and sys.stdout.isatty():
            _show(separated(articles, separator))
        else:
            _write(articles, separator, form, sys.stdout.buffer)
        return
    with replacing(output) as temporary, temporary.open("wb") as out:
        _write(articles, separator, form, out)


def separated(
    articles: Iterable[Article | Rejected], separator: Separator
) -> Iterator[tuple[Article | Rejected, Document | Rejected]]:
    """Each input with its document, or why it has none."""
    iterator = iter(articles)
    while batch := list(islice(iterator, BATCH_ARTICLES)):
        documents = iter(separator.separate_batch([one for one in batch if isinstance(one, Article)]))
        for one in batch:
            yield one, next(documents) if isinstance(one, Article) else one


def as_record(given: Article | Rejected, document: Document | Rejected) -> dict[str, Any]:
    """The contract's object; an input that cannot be read has no lines and says why in `error`."""
    if isinstance(document, Rejected):
        empty = {
            "id": document.id,
            "body": "",
            "lines": [],
            "is_article": 0.0,
            "title": None,
            "published": None,
            "author": None,
        }
        return {**empty, "error": {"reason": document.reason, "message": document.message}}
    record: dict[str, Any] = {
        "id": document.id,
        "body": document.body,
        "lines": [{"start": n.start, "end": n.end, "kind": n.kind.value, "body": n.body} for n in document.lines],
        "is_article": document.is_article,
        "title": document.title,
        "published": document.published,
        "author": document.author,
    }
    if document.low_confidence:
        record["low_confidence"] = True
    if isinstance(given, Article) and given.text is None:
        record["text"] = document.text
    return record


def _write(articles: Iterable[Article | Rejected], separator: Separator, form: str, out: BinaryIO) -> None:
    answers = separated(articles, separator)
    match form:
        case "jsonl":
            out.writelines(json_line(as_record(given, document)) for given, document in answers)
        case "html":
            from pipeline.separate.render import to_html

            page = to_html([document for _, document in answers if isinstance(document, Document)])
            out.write(page.encode("utf-8", "replace"))
        case _:
            for number, (_, document) in enumerate(answers):
                out.write(b"\n" if number else b"")
                _write_text(document, out)
    out.flush()


def _write_text(document: Document | Rejected, out: BinaryIO) -> None:
    if isinstance(document, Rejected):
        sys.stderr.write(f"slugline: {document.message}\n")
        return
    out.write(document.body.encode("utf-8", "replace") + b"\n")


def _show(answers: Iterable[tuple[Article | Rejected, Document | Rejected]]) -> None:
    from rich.console import Console

    from pipeline.separate.render import to_terminal

    console = Console()
    for _, document in answers:
        if isinstance(document, Rejected):
            sys.stderr.write(f"slugline: {document.message}\n")
        else:
            console.print(to_terminal(document, console.width))
