"""A page's HTML in, the plain text that other tools make of it out: what people have who no longer have the page.

Training reads the labelled pages in all of these, since a model that has seen one tool's habits only takes them for the page's.
The tools are no part of the product; they come with the extra `renderings`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from pipeline.errors import ConfigError
from pipeline.separate.align import align_lines
from pipeline.separate.labelled import TO_BLANK, UNKNOWN, LabelledDocument, site_of

log = logging.getLogger(__name__)

Renderer = Callable[[str], str | None]


def renderers(names: Sequence[str]) -> dict[str, Renderer]:
    """The renderers of these names whose tools are installed; what is left out is said.

    Raises:
        ConfigError: a name is none of them.
    """
    found: dict[str, Renderer] = {}
    for name in names:
        if name not in _MAKERS:
            raise ConfigError(f"inputs.renderings: {name!r} is none of {', '.join(_MAKERS)}")
        try:
            found[name] = _MAKERS[name]()
        except ImportError as error:
            log.warning("pages are not rendered as %s (%s): install slugline[renderings]", name, error)
    return found


def rendered(row: dict[str, Any], by_name: Mapping[str, Renderer]) -> Iterator[LabelledDocument]:
    """A page's renderings as labelled documents; those without text are left out, and those that a tool fails on."""
    for name, render in by_name.items():
        try:
            text = render(row["html"]) or ""
        except Exception as error:  # the tools raise whatever their parsers raise
            log.info("%s: not rendered as %s (%r)", row["id"], name, error)
            continue
        lines = [line for line in (line.translate(TO_BLANK).strip() for line in text.split("\n")) if line]
        if lines:
            labels = align_lines(lines, row["gold_body"] or "")
            yield LabelledDocument(
                id=row["id"],
                variant=name,
                site=site_of(row),
                lines=tuple(lines),
                body=np.array([UNKNOWN if label is None else label for label in labels], np.int8),
                kinds=np.full(len(lines), UNKNOWN, np.int8),
                is_article=int(row["page_type"] == "article"),
                gold_body=row["gold_body"] or "",
            )


def _bs4() -> Renderer:
    soup = import_module("bs4").BeautifulSoup
    return lambda html: soup(html, "lxml").get_text("\n")


def _html_text() -> Renderer:
    return import_module("html_text").extract_text


def _inscriptis() -> Renderer:
    return import_module("inscriptis").get_text


def _resiliparse(*, main_content: bool) -> Renderer:
    extract = import_module("resiliparse.extract.html2text").extract_plain_text
    return lambda html: extract(html, main_content=main_content)


def _readability() -> Renderer:
    document, as_text = import_module("readability").Document, _html_text()
    return lambda html: as_text(document(html).summary())


def _justext() -> Renderer:
    justext = import_module("justext")
    stops = justext.get_stoplist("English")
    options = {
        "length_low": 20,
        "length_high": 100,
        "stopwords_low": 0.1,
        "stopwords_high": 0.2,
        "max_link_density": 0.5,
    }
    return lambda html: "\n".join(p.text for p in justext.justext(html, stops, **options) if not p.is_boilerplate)


def _trafilatura() -> Renderer:
    extract = import_module("trafilatura").extract
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it reports every odd link
    return lambda html: extract(html, favor_recall=True, include_links=True)


_MAKERS: dict[str, Callable[[], Renderer]] = {
    "bs4": _bs4,
    "html_text": _html_text,
    "inscriptis": _inscriptis,
    "resiliparse_all": lambda: _resiliparse(main_content=False),
    "resiliparse_main": lambda: _resiliparse(main_content=True),
    "readability": _readability,
    "justext_permissive": _justext,
    "traf_recall_all": _trafilatura,
}
"""By the names and, as far as could be found out, with the settings of the labelled lines' variants."""
