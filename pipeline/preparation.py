"""One path from an article to the text that a classifier reads, the same in training and in scoring: clean, then separate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.document import Article, Document, Kind, Line, Rejected
from pipeline.repair import Alignment, Repair, clean_lines, clean_text

if TYPE_CHECKING:
    from pipeline.separate import Separator


@dataclass(frozen=True, slots=True)
class Prepared:
    """An article ready to be classified: its lines, the body text that a model sees, and the way back to the text given."""

    document: Document
    body: str
    alignment: Alignment

    def to_given(self, start: int, end: int) -> tuple[int, int]:
        """Where the span `[start, end)` of `body` stands in the text given (for HTML: in the document's text)."""
        first, at_first = self._line_at(start)
        last, at_last = self._line_at(max(start, end - 1))
        return self.alignment.to_given(first.start + at_first, last.start + at_last + min(1, end - start))

    def _line_at(self, offset: int) -> tuple[Line, int]:
        lines = [line for line in self.document.lines if line.kind == Kind.BODY]
        for line in lines:
            length = line.end - line.start
            if offset <= length:
                return line, offset
            offset -= length + 1
        return lines[-1], lines[-1].end - lines[-1].start


def prepare(articles: Sequence[Article], repair: Repair, separator: Separator | None) -> list[Prepared | Rejected]:
    """Each article cleaned and separated, or why it cannot be; without a separator the whole text is body."""
    texts = [clean_text(a.text, repair) if a.text is not None else None for a in articles]
    cleaned = [replace(a, text=text) for a, text in zip(articles, texts, strict=True)]
    documents = separator.separate_batch(cleaned) if separator else [_undivided(a) for a in cleaned]
    return [_prepared(*one, repair) for one in zip(articles, cleaned, documents, strict=True)]


def _prepared(given: Article, cleaned: Article, document: Document | Rejected, repair: Repair) -> Prepared | Rejected:
    if isinstance(document, Rejected):
        return document
    original = given.text if given.text is not None else document.text
    if cleaned.text is None:
        document = clean_lines(document, repair)
    return Prepared(document, document.body, Alignment(original, document.text))


def _undivided(article: Article) -> Document | Rejected:
    if article.text is None:
        return Rejected(
            article.id, "html_without_separator", f"{article.id}: HTML needs separation; set data.separate: true"
        )
    spans, begin = [], 0
    for line in article.text.split("\n"):
        if line.strip():
            spans.append(Line(begin, begin + len(line), Kind.BODY, 1.0))
        begin += len(line) + 1
    return Document(
        article.id, article.text, tuple(spans), title=article.title, published=article.date, author=article.author
    )
