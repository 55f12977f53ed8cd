"""A parsed page in, its title, date, author and site out: JSON-LD first, then meta tags, then what the page shows.

Read directly, since the libraries that know more heuristics cost more than the rest of the path together; DECISIONS.md has the figures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from selectolax.lexbor import LexborHTMLParser

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
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SEPARATED = re.compile(r"\s+(?:[|\u2013\u2014\u00b7\u00bb:]|-)\s+")
_MAX_CHARS = 500


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
    title = _text(linked.get("headline")) or _first(meta, _TITLE) or _heading(tree, site)
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


def _heading(tree: LexborHTMLParser, site: str | None) -> str | None:
    headings = [text for node in tree.css("h1")[:5] if (text := _text(node.text()))]
    title = tree.css_first("title")
    shown = _text(title.text()) if title else None
    if shown:
        return next((heading for heading in headings if heading in shown and heading != site), shown)
    return headings[0] if headings else None


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
    found = _DATE.match(published) if published else None
    return found.group() if found else published
