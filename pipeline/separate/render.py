"""Separated documents in, something to look at out: one self-contained page, or two colours in a terminal.

Articles are hostile: every character of them is escaped, the page forbids scripts and anything from outside, and what would move a
terminal's cursor or turn the direction of its text is shown as a replacement character.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.document import Document, Kind, Line
from pipeline.separate.render_style import STYLE, TERMINAL_COLOURS

_UNSURE = (0.25, 0.75)
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_NAMES = {Kind.RELATED: "related stories", Kind.COMMENTS: "readers' comments"}
_MARGIN = 12


def to_html(documents: Sequence[Document]) -> str:
    """A page that shows each document whole, every removed block tinted and named, kind and probability on hover.

    Needs nothing from outside and no script; the same documents always give the same page.
    """
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = _plain(_title(documents[0])) if len(documents) == 1 else f"{len(documents):,} articles"
    counts = Counter(line.kind for document in documents for line in document.lines)
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">',
            f"<title>{escape(title)} · separated</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            _legend(counts, len(documents)),
            "<main>",
            *(_article(document) for document in documents),
            "</main>\n</body>\n</html>\n",
        ]
    )


def to_terminal(document: Document, width: int) -> RenderableType:
    """The document for a terminal `width` columns wide: the body plain, each removed block in a second colour beside its kind."""
    table = Table.grid(padding=(0, 2, 0, 0), expand=False)
    table.add_column(width=_MARGIN, no_wrap=True, justify="right")
    table.add_column(width=max(20, min(width, 100) - _MARGIN - 4), overflow="fold")
    for kind, lines in _blocks(document):
        colour = TERMINAL_COLOURS[kind]
        for number, line in enumerate(lines):
            name = kind.value if number == 0 and kind != Kind.BODY else ""
            text = _plain(document.text[line.start : line.end])
            table.add_row(
                Text(name, style=f"{colour} dim" if colour else ""), Text(text, style=f"{colour} dim" if colour else "")
            )
        table.add_row("", "")
    title = Text(_plain(_title(document)), style="bold")
    return Group(title, Text(_verdict(document), style="dim"), Text(""), table)


def _legend(counts: Counter[Kind], n_documents: int) -> str:
    """The bar on top: what each tint means and how many lines have it, and switches that need no script."""
    entries = "".join(
        f'<li class="k-{kind.value}"><span class="swatch"></span>{escape(_name(kind))} <b>{counts[kind]:,}</b></li>'
        for kind in Kind
        if counts[kind]
    )
    n_lines = sum(counts.values())
    share = f"{counts[Kind.BODY]:,} of {n_lines:,} {_plural('line', n_lines)} kept"
    of = f" in {n_documents:,} articles" if n_documents > 1 else ""
    switch = '<label class="switch"><input type="checkbox" id="body-only"> body only</label>'
    return f'<header class="legend"><div><p><b>{share}</b>{of}</p>{switch}</div><ul>{entries}</ul></header>'


def _article(document: Document) -> str:
    fields = [_plain(field) for field in (document.author, document.published) if field]
    about = f"<p class=about>{escape(' · '.join([*fields, _verdict(document)]))}</p>"
    blocks = "\n".join(_block(document, kind, lines) for kind, lines in _blocks(document))
    nothing = "" if document.lines else '<p class="nothing">No text.</p>'
    return f'<article>\n<h1 dir="auto">{escape(_plain(_title(document)))}</h1>\n{about}\n{blocks}{nothing}\n</article>'


def _block(document: Document, kind: Kind, lines: Sequence[Line]) -> str:
    """A run of lines of one kind; the body's has no name."""
    inner = "".join(_line(document, line) for line in lines)
    if kind == Kind.BODY:
        return f'<div class="block body">{inner}</div>'
    counted = f' <span class="n">{len(lines):,}</span>' if len(lines) > 1 else ""
    return f'<section class="block removed k-{kind.value}"><h2>{escape(_name(kind))}{counted}</h2>{inner}</section>'


def _line(document: Document, line: Line) -> str:
    low, high = _UNSURE
    unsure = low < line.body < high
    hover = f"{_name(line.kind)} · probability of body {line.body:.2f}{' · unsure' if unsure else ''}"
    mark = f'<span class="p">{line.body:.2f}</span>' if unsure else ""
    text = escape(_plain(document.text[line.start : line.end]))
    return f'<p dir="auto" title="{escape(hover)}"{" class=unsure" if unsure else ""}>{text}{mark}</p>'


def _blocks(document: Document) -> Iterator[tuple[Kind, list[Line]]]:
    """Runs of adjacent lines of one kind, in order."""
    for kind, lines in groupby(document.lines, key=lambda line: line.kind):
        yield kind, list(lines)


def _verdict(document: Document) -> str:
    n_lines, n_removed = len(document.lines), document.n_boilerplate_lines
    said = f"{n_lines - n_removed:,} {_plural('line', n_lines - n_removed)} of body, {n_removed:,} removed"
    article = f"article: {document.is_article:.0%}"
    return f"{said} · {article}{' · low confidence, please check' if document.low_confidence else ''}"


def _title(document: Document) -> str:
    headlines = (document.text[line.start : line.end] for line in document.lines if line.kind == Kind.HEADLINE)
    return document.title or next(headlines, document.id)


def _name(kind: Kind) -> str:
    return _NAMES.get(kind, kind.value)


def _plural(noun: str, n: int) -> str:
    return noun if n == 1 else f"{noun}s"


def _plain(text: str) -> str:
    """The text with what controls a screen rather than standing on it replaced."""
    return _CONTROL.sub("\ufffd", text)
