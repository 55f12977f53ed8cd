"""The stage: documents in, the same documents with their boilerplate lines set aside."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pipeline.artifacts import read_table, write_rejected, write_table
from pipeline.document import Article, Document, Kind, Rejected, Summary
from pipeline.repair import Repair, clean_lines
from pipeline.separate import Separator

COLUMNS = (
    "id", "corpus", "text", "title", "source", "date", "url", "author", "labels", "target", "from", "to", "split", "group",
    "boilerplate", "n_boilerplate_lines", "is_article",
)  # fmt: skip


def run(separator: Separator, repair: Repair, inputs: Path, output: Path) -> Summary:
    """Separate every document; a row with a target span is a sentence already and stays whole."""
    began = time.monotonic()
    rows = read_table(inputs / "documents.parquet").to_list()
    whole = [row for row in rows if row["from"] is not None]
    articles = [row for row in rows if row["from"] is None]
    documents = separator.separate_batch(
        [Article(id=r["id"], text=r["text"], html=r["html"], title=r["title"]) for r in articles]
    )
    kept: list[dict[str, Any]] = [{**row, "n_boilerplate_lines": 0} for row in whole]
    rejected: list[Rejected] = []
    for row, document in zip(articles, documents, strict=True):
        outcome = separated_row(row, document, repair)
        (rejected if isinstance(outcome, Rejected) else kept).append(outcome)  # type: ignore[arg-type]
    write_table(kept, output / "documents.parquet", COLUMNS)
    counts = write_rejected(rejected, output / "rejected.jsonl")
    return Summary("separate", len(rows), len(kept), counts, time.monotonic() - began)


def separated_row(row: dict[str, Any], document: Document | Rejected, repair: Repair) -> dict[str, Any] | Rejected:
    """The row with the body as its text and the other lines aside, or why it has no body."""
    if isinstance(document, Rejected):
        return document
    if row["html"] is not None:
        document = clean_lines(document, repair)
    body = document.body
    if not body.strip():
        return Rejected(row["id"], "no_body", f"{row['corpus']}: every line is boilerplate")
    aside = "\n".join(document.text[line.start : line.end] for line in document.lines if line.kind != Kind.BODY)
    return {
        **row,
        "text": body,
        "title": row["title"] or document.title,
        "boilerplate": aside,
        "n_boilerplate_lines": document.n_boilerplate_lines,
        "is_article": document.is_article,
    }
