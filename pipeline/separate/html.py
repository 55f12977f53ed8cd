"""HTML in, the page's lines and what the markup says of each line out.

Block elements make lines and inline elements do not; menus and footers stay in the text, since the model decides. The parser is
lexbor through selectolax: of those measured the fastest whose tree is HTML5's. Its time grows with the square of the depth and
with tags times open formatting elements, so a page is weighed before it is parsed, and refused with a reason where it is too heavy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from resiliparse.parse.encoding import detect_encoding
from selectolax.lexbor import LexborHTMLParser

from pipeline.errors import DataError
from pipeline.separate.html_cues import CUES, cue_matrix
from pipeline.separate.html_fields import page_fields, with_shown
from pipeline.separate.html_marks import BLOCKS, CELLS, SKIPPED
from pipeline.separate.html_walk import TooDeep, walk

__all__ = ["CUES", "HtmlLimits", "HtmlLines", "HtmlRejected", "parse_html"]


@dataclass(frozen=True, slots=True)
class HtmlLimits:
    """How large a page may be; a larger one is refused with a reason, never cut.

    `max_nodes` bounds the tags and the formatting elements that a parser has to repeat, `max_depth` how deep they nest.
    """

    max_bytes: int
    max_nodes: int
    max_depth: int


@dataclass(frozen=True, slots=True)
class HtmlLines:
    """A page as lines: `cues` is float32 (n_lines, len(CUES)), a row for each line of `text` in order."""

    text: str
    cues: np.ndarray
    title: str | None
    published: str | None
    author: str | None
    site: str | None


class HtmlRejected(DataError):
    """A page is not read; `reason` is one word for counting."""

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason


_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_INLINE = frozenset(
    ("a", "b", "br", "em", "font", "frame", "i", "img", "link", "meta", "span", "strong", "time", "title", "u")
)
_KNOWN_TAG = re.compile(
    rf"<(?:!--|!doctype|/?(?:{'|'.join(sorted(n for n in BLOCKS | CELLS | SKIPPED | _INLINE if n.isalnum()))})[\s/>])",
    re.I,
)
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")
_FORMATTING = frozenset(("b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"))
_MARKERS = frozenset(("applet", "caption", "marquee", "object", "td", "template", "th"))
_VOID = frozenset(
    (
        *(
            "area",
            "base",
            "br",
            "col",
            "embed",
            "hr",
            "img",
            "input",
            "link",
            "meta",
            "param",
            "source",
            "track",
            "wbr",
        ),
        *("circle", "ellipse", "image", "line", "path", "polygon", "polyline", "rect", "stop", "use"),
    )
)
"""Elements that hold nothing: HTML's own, and those of drawings, which close themselves."""
_FORMATTING_TAG = re.compile(
    rf"<(?=[bcefistuBCEFISTU])(?:{'|'.join(''.join(f'[{c}{c.upper()}]' for c in name) for name in sorted(_FORMATTING))})[\s/>]"
)
_BLANK = r" \t\n\f\r"
_ATTRIBUTE = (
    rf"[{_BLANK}/]*+=?[^{_BLANK}/>=]++"
    rf"(?:[{_BLANK}]*+=[{_BLANK}]*+(?:\"[^\"]*+\"|'[^']*+'|[^{_BLANK}>\"'][^{_BLANK}>]*+)?+)?+"
)
_FEW_ATTRIBUTES = re.compile(
    rf"(?:[^<]++|<(?![a-zA-Z])|<[a-zA-Z][^{_BLANK}/>]*+(?:{_ATTRIBUTE}){{0,9999}}+(?!{_ATTRIBUTE}))*+"
)
"""A page up to its first tag of ten thousand attributes, read as HTML5 does: a parser compares each of them with all before it.

One match from the beginning, which passes each character once; a search would try anew at each `<` inside a tag.
"""
_CLOSED_BY_NEXT = frozenset(
    ("colgroup", "dd", "dt", "li", "optgroup", "option", "p", "rp", "rt", "tbody", "td", "tfoot", "th", "thead", "tr")
)
"""Elements that the next of their sort closes, so that they nest only inside others."""
_REPEATS_PER_NODE = 20
"""Formatting elements that a parser repeats cost a twentieth of a node's allowance: they hold no text and are soon passed."""
_N_TAGS_SEEN_WHOLE = 10_000
"""A page with fewer tags than this parses in well under a second however it nests, so that its depth is first seen in the tree."""


def parse_html(html: str | bytes, limits: HtmlLimits) -> HtmlLines:
    """The lines of a page, the markup's cues for each, and its title, date, author and site.

    What is no HTML at all comes back as the lines of plain text, its cues those of paragraphs without links.

    Raises:
        HtmlRejected: the page is larger or deeper than `limits`, or no text can be read from its bytes.
    """
    source = _decoded(html, limits)
    if not _KNOWN_TAG.search(source):
        source = "".join(f"<p>{_escaped(line)}</p>" for line in source.split("\n"))
    _weigh(source, limits)
    tree = LexborHTMLParser(_encoded(source))
    fields = page_fields(tree)
    try:
        lines, blocks = walk(tree.root, limits.max_depth)
    except TooDeep:
        raise _too_deep(limits) from None
    cues = cue_matrix(lines, blocks, fields.title)
    texts = [line.text for line in lines]
    heading = next((number for number, line in enumerate(lines) if blocks.tag[line.block] == "h1"), 0)
    fields = with_shown(fields, lines, heading)
    return HtmlLines("\n".join(texts), cues, fields.title, fields.published, fields.author, fields.site)


def _decoded(html: str | bytes, limits: HtmlLimits) -> str:
    if len(html) > limits.max_bytes:
        message = (
            f"the page has {len(html):,} bytes, the limit is {limits.max_bytes:,}; raise html.max_bytes to read it"
        )
        raise HtmlRejected("too_large", message)
    return html if isinstance(html, str) else _decoded_bytes(html)


def _decoded_bytes(raw: bytes) -> str:
    """The text of a page's bytes: by its mark, as UTF-8 where it is that, as it declares, else as it looks."""
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe\0\0", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if raw.startswith(mark):
            return raw.decode(encoding, "replace").removeprefix("\ufeff")
    n_even, n_odd = raw[:4096:2].count(0), raw[1:4096:2].count(0)
    if max(n_even, n_odd) > len(raw[:4096]) // 4:
        return raw.decode("utf-16-le" if n_odd > n_even else "utf-16-be", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        declared = _CHARSET.search(raw[:4096])
    for encoding in (
        declared.group(1).decode("ascii", "replace") if declared else None,
        detect_encoding(raw[:65536]),
        "cp1252",
    ):
        if encoding and encoding.lower().replace("_", "-") not in ("utf-8", "utf8"):
            try:
                return raw.decode(encoding, "replace")
            except (LookupError, UnicodeError):
                continue
    return raw.decode("utf-8", "replace")


def _encoded(source: str) -> bytes:
    try:
        return source.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", source).encode()


def _weigh(source: str, limits: HtmlLimits) -> None:
    """Refuse what the parser would need too long or too much memory for.

    Raises:
        HtmlRejected: too many tags, too deep, or too many formatting elements left open over too many tags.
    """
    n_tags = source.count("<")
    if n_tags > limits.max_nodes:
        raise HtmlRejected("too_many_tags", f"the page has {n_tags:,} tags, the limit is {limits.max_nodes:,}")
    if _FEW_ATTRIBUTES.match(source).end() < len(source):  # type: ignore[union-attr]  # it matches the empty page, too
        raise HtmlRejected("too_many_attributes", "the page has a tag with ten thousand attributes or more")
    n_formatting = len(_FORMATTING_TAG.findall(source))
    if n_tags <= _N_TAGS_SEEN_WHOLE and n_formatting * n_tags <= limits.max_nodes * _REPEATS_PER_NODE:
        return
    depth, n_repeated = _nesting(source)
    if depth > limits.max_depth:
        raise _too_deep(limits)
    if n_tags + n_repeated > limits.max_nodes * _REPEATS_PER_NODE:
        raise HtmlRejected(
            "too_many_tags", f"the page leaves formatting elements open: a parser would repeat {n_repeated:,} of them"
        )


def _nesting(source: str) -> tuple[int, int]:
    """About how deep the tags nest, and at most how many formatting elements a parser repeats.

    An end tag counts only where its own element is open, and for formatting inside the same table cell or object, as in HTML5.
    """
    open_: dict[str, int] = {}
    levels: list[tuple[str, dict[str, int]]] = [("", {})]
    depth = deepest = n_formatting = n_repeated = 0
    for slash, name in _TAG.findall(source):
        name = name.lower()
        if name in _VOID:
            continue
        if name in _FORMATTING:
            level = levels[-1][1]
            if not slash:
                level[name] = level.get(name, 0) + 1
                n_formatting += 1
            elif level.get(name):
                level[name] -= 1
                n_formatting -= 1
        elif name in _MARKERS and not slash:
            levels.append((name, {}))
        elif slash and name == levels[-1][0]:
            n_formatting -= sum(levels.pop()[1].values())
        if not slash:
            n_repeated += n_formatting
        if name in _CLOSED_BY_NEXT:
            continue
        if not slash:
            open_[name] = open_.get(name, 0) + 1
            depth += 1
            deepest = max(deepest, depth)
        elif open_.get(name):
            open_[name] -= 1
            depth -= 1
    return deepest, n_repeated


def _too_deep(limits: HtmlLimits) -> HtmlRejected:
    return HtmlRejected(
        "too_deep", f"the page nests its tags more than {limits.max_depth:,} deep; raise html.max_depth to read it"
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
