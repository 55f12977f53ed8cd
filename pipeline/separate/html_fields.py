"""A parsed page in, its title, date, author and site out: JSON-LD first, then meta tags, then what the page shows.

Read directly, since the libraries that know more heuristics cost more than the rest of the path together; DECISIONS.md has the figures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from pipeline.separate.html_marks import BITS
from pipeline.separate.html_walk import WalkedLine

_ARTICLE_TYPES = (
    "Article",
    "NewsArticle",
    "BlogPosting",
    "ReportageNewsArticle",
    "LiveBlogPosting",
    "AnalysisNewsArticle",
)
_TITLE = ("og:title", "twitter:title", "dc.title", "parsely-title", "sailthru.title")
_PUBLISHED = (
    *(
        "article:published_time",
        "datepublished",
        "date",
        "dc.date",
        "dc.date.issued",
        "dcterms.created",
        "parsely-pub-date",
    ),
    *(
        "sailthru.date",
        "pubdate",
        "publishdate",
        "publish-date",
        "article.published",
        "og:published_time",
        "cxenseparse:recs:publishtime",
    ),
)
_AUTHOR = (
    "author",
    "article:author",
    "dc.creator",
    "dcterms.creator",
    "parsely-author",
    "sailthru.author",
    "byl",
    "twitter:creator",
)
_SITE = ("og:site_name", "application-name", "publisher", "dc.publisher")
_WORD = re.compile(r"\w+")
_MONTHS = (
    *(
        "jan|ene",
        "feb|fév|fev",
        "mar|mär|mrz",
        "apr|avr|abr",
        "may|mai",
        "jun|juin",
        "jul|juil",
        "aug|aoû|ago",
        "sep|set",
        "oct|okt|out",
    ),
    *("nov", "dec|dez|déc|dic"),
)
_MONTH = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split("|")}
_MONTH_NAME = rf"(?P<month>{'|'.join(sorted(_MONTH, key=len, reverse=True))})[a-zûé]*\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.|º)?"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?<!\d)(?P<year>(?:19|20)\d\d)[-/.](?P<month>\d\d)[-/.](?P<day>\d\d)(?!\d)",
        rf"\b{_MONTH_NAME} {_DAY},? (?:de )?(?P<year>(?:19|20)\d\d)\b",
        rf"\b{_DAY} (?:de )?{_MONTH_NAME},? (?:de )?(?P<year>(?:19|20)\d\d)\b",
    )
)
_BY = re.compile(
    r"(?:(?:written|story|posted|published|words|text) )?(?:by|von|par|por|door|autor|author):? +(?P<name>[^|\u00b7\u2022,;:()\d]{3,60})",
    re.I,
)
_NAME_END = re.compile(
    r"\s+(?:on|for|in|at|updated|published|posted|staff|and \d|[-\u2013\u2014])(?:\s|$)", re.IGNORECASE
)
_PERSON = re.compile(r"[A-Z\u00c0-\u00de][\w.'\u2019-]*(?: (?:[a-z]{2,3} )?[A-Z\u00c0-\u00de][\w.'\u2019-]*){1,3}")
_BYLINE_BIT = 1 << BITS.index("word_byline")
_N_LINES_BEFORE, _N_LINES_AFTER = 6, 12
_MAX_SHOWN_CHARS = 150
_SEPARATED = re.compile(r"\s+(?:[|\u2013\u2014\u00b7\u00bb:]|-)\s+")
_MAX_CHARS = 500
_MIN_HEADING_WORDS = 3


@dataclass(frozen=True, slots=True)
class PageFields:
    """What a page says of itself; None where it says nothing."""

    title: str | None
    published: str | None
    author: str | None
    site: str | None


def page_fields(tree: LexborHTMLParser) -> PageFields:
    """The fields of a parsed page. `published` is as the page writes it, cut to the day where it is an ISO date."""
    meta = _meta(tree)
    linked = _article(tree)
    site = _first(meta, _SITE) or _name(linked.get("publisher"))
    title = _heading(tree, _text(linked.get("headline")) or _first(meta, _TITLE) or _shown_title(tree), site)
    published = _text(linked.get("datePublished")) or _first(meta, _PUBLISHED) or _shown_date(tree)
    author = _name(linked.get("author")) or _name(linked.get("creator")) or _first(meta, _AUTHOR) or _shown_author(tree)
    if author and author.startswith(("http://", "https://", "@")):
        author = None
    return PageFields(_without_site(title, site), _day(published), author, site)


def _meta(tree: LexborHTMLParser) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in tree.css("meta[content]"):
        attributes = node.attributes
        content = _text(attributes.get("content"))
        for key in ("property", "name", "itemprop"):
            if content and (name := attributes.get(key)):
                found.setdefault(name.lower(), content)
    return found


def _first(found: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((found[name] for name in names if name in found), None)


def _article(tree: LexborHTMLParser) -> dict[str, Any]:
    """The page's JSON-LD object of an article type; empty where there is none."""
    for node in tree.css('script[type="application/ld+json"]'):
        try:
            written = json.loads(node.text(), strict=False)
        except (ValueError, RecursionError):
            continue
        for thing in _things(written):
            types = thing.get("@type")
            if any(kind in _ARTICLE_TYPES for kind in (types if isinstance(types, list) else [types])):
                return thing
    return {}


def _things(written: object) -> Iterator[dict[str, Any]]:
    todo = [written]
    for _ in range(1000):
        if not todo:
            return
        thing = todo.pop()
        if isinstance(thing, list):
            todo.extend(reversed(thing))
        elif isinstance(thing, dict):
            yield thing
            todo.extend(thing[key] for key in ("mainEntity", "mainEntityOfPage", "@graph") if key in thing)


def _name(value: object) -> str | None:
    """The name of a JSON-LD person or organisation, or several joined with commas."""
    if isinstance(value, list):
        names = dict.fromkeys(filter(None, (_name(each) for each in value[:20] if not isinstance(each, list))))
        return ", ".join(names) or None
    return _text(value.get("name")) if isinstance(value, dict) else _text(value)


def _text(value: object) -> str | None:
    return (" ".join(value.split())[:_MAX_CHARS] or None) if isinstance(value, str) else None


def _shown_title(tree: LexborHTMLParser) -> str | None:
    node = tree.css_first("title")
    return _text(node.text()) if node else None


def _heading(tree: LexborHTMLParser, title: str | None, site: str | None) -> str | None:
    """The page's heading where the title is that and more, such as the site's name; else the title."""
    headings = [text for node in tree.css("h1")[:5] if (text := _text(node.text())) and text != site]
    if title is None:
        return headings[0] if headings else None
    return next((heading for heading in headings if _is_same(heading, title)), title)


def _is_same(heading: str, title: str) -> bool:
    """Whether a heading is the title, cut or put in other words: most of its words are in the title."""
    words = set(_WORD.findall(heading.casefold()))
    return len(words) >= _MIN_HEADING_WORDS and len(words & set(_WORD.findall(title.casefold()))) * 2 > len(words)


def _without_site(title: str | None, site: str | None) -> str | None:
    """The title without the site's name after a bar or a dash."""
    if not title:
        return None
    parts = list(_SEPARATED.finditer(title))
    if parts and site and title[parts[-1].end() :].strip().casefold() == site.casefold():
        return title[: parts[-1].start()].strip() or title
    return title


def _shown_date(tree: LexborHTMLParser) -> str | None:
    node = tree.css_first('[itemprop="datePublished"], time[datetime][pubdate], article time[datetime], time[datetime]')
    return (_text(node.attributes.get("datetime")) or _text(node.attributes.get("content"))) if node else None


def _shown_author(tree: LexborHTMLParser) -> str | None:
    node = tree.css_first('[itemprop="author"], a[rel~="author"], .byline-author, .author-name, .byline a')
    text = _text(node.text()) if node else None
    return text if text and len(text) <= 80 else None


def _day(published: str | None) -> str | None:
    """The date as YYYY-MM-DD where it can be read as one, else as it is written."""
    return (found_date(published) or published) if published else None


def found_date(text: str) -> str | None:
    """The first date in a text, as YYYY-MM-DD. Dates in digits alone are read year first; others have no sure order."""
    for pattern in _DATES:
        found = pattern.search(text)
        if found:
            month = found["month"].casefold()
            number = int(month) if month.isdigit() else _MONTH[month]
            if 1 <= number <= 12 and 1 <= int(found["day"]) <= 31:
                return f"{found['year']}-{number:02}-{int(found['day']):02}"
    return None


def with_shown(fields: PageFields, lines: Sequence[WalkedLine], heading: int) -> PageFields:
    """The fields, with the date and author that the lines around the heading show where the page does not name them."""
    if fields.published and fields.author:
        return fields
    shown = [
        line
        for line in lines[max(0, heading - _N_LINES_BEFORE) : heading + _N_LINES_AFTER]
        if line.n_chars <= _MAX_SHOWN_CHARS
    ]
    texts = [line.text for line in shown]
    names = [line.text for line in shown if line.near & _BYLINE_BIT and _PERSON.fullmatch(line.text)]
    published = fields.published or next(filter(None, map(found_date, texts)), None)
    author = fields.author or next(filter(None, map(_found_author, texts)), None) or next(iter(names), None)
    return PageFields(fields.title, published, author, fields.site)


def _found_author(line: str) -> str | None:
    found = _BY.match(line)
    name = _NAME_END.split(found["name"])[0].strip() if found else ""
    return name if name and name[0].isupper() and len(name.split()) <= 5 else None
