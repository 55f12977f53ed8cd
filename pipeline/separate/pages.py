"""HTML pages with a gold body, as labelled lines with cues; and their weak kinds, for other renderings of the same pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.document import Kind
from pipeline.separate.align import align_lines, carried_kinds
from pipeline.separate.html import HtmlLimits, HtmlRejected, parse_html
from pipeline.separate.labelled import UNKNOWN, LabelledDocument, kind_ids, read_rows, site_of
from pipeline.separate.weak_kinds import weak_kinds


@dataclass(frozen=True, slots=True)
class LabelledPage:
    """A page's lines as a labelled document with cues, and the weak kind of each."""

    document: LabelledDocument
    kinds: tuple[Kind | None, ...]


def read_pages(path: Path, limits: HtmlLimits) -> list[LabelledPage]:
    """The pages of a file that can be parsed and have lines; their labels by alignment with the gold body."""
    pages = []
    for row in read_rows(path):
        try:
            parsed = parse_html(row["html"], limits)
        except HtmlRejected:
            continue
        lines = parsed.text.split("\n") if parsed.text else []
        if not lines:
            continue
        labels = align_lines(lines, row["gold_body"] or "")
        kinds = weak_kinds(parsed, labels)
        document = LabelledDocument(
            id=row["id"],
            variant="html",
            site=site_of(row),
            lines=tuple(lines),
            body=np.array([UNKNOWN if label is None else label for label in labels], np.int8),
            kinds=kind_ids(kinds),
            cues=parsed.cues,
            is_article=int(row["page_type"] == "article"),
            gold_body=row["gold_body"] or "",
        )
        pages.append(LabelledPage(document, tuple(kinds)))
    return pages


def with_page_kinds(documents: Iterable[LabelledDocument], pages: Iterable[LabelledPage]) -> list[LabelledDocument]:
    """The documents, each boilerplate line with the weak kind of the page's lines that it renders, where it had no kind."""
    by_id = {page.document.id: page for page in pages}
    out = []
    for document in documents:
        page = by_id.get(document.id)
        if page is not None and document.cues is None:
            carried = kind_ids(carried_kinds(page.document.lines, page.kinds, document.lines))
            carried[document.body != 0] = UNKNOWN
            document = replace(document, kinds=np.where(document.kinds >= 0, document.kinds, carried))
        out.append(document)
    return out
