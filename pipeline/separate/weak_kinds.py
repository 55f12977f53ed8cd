"""A weak kind for each boilerplate line of a page, from the names its author gave and from a few sure phrases.

Only for making training files. A line that no rule is sure of stays without a kind: precision first, since a model learns the rest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from pipeline.document import Kind
from pipeline.separate.html import CUES, HtmlLines
from pipeline.separate.html_cues import scaled_log

_COLUMN = {name: i for i, name in enumerate(CUES)}

_ADVERT = re.compile(
    r"(?:- )?(?:story continues below )?(?:advertisement|advertisements|advertising|advert|ad|ads|sponsored(?: content| links?)?|paid post"
    r"|promoted(?: content)?|anzeige|werbung|publicidad|publicité|реклама)(?:\s*[-:|]?\s*(?:continue reading.*|story continues below.*"
    r"|scroll to continue.*|skip advertisement|article continues below.*))?[.:]?",
    re.IGNORECASE,
)
_LEGAL = re.compile(
    r"©|\(c\) ?\d{4}|copyright|all rights reserved|privacy|terms (?:of|and|&)|cookie|do not sell|your (?:privacy|ad) choices"
    r"|\bccpa\b|accessibility(?: statement| help|$)|legal(?: notice|$)|disclaimer|code of (?:conduct|ethics)|imprint|impressum|datenschutz"
    r"|may not be (?:published|reproduced)|protected by recaptcha|registered (?:trademark|in england)|corrections(?: policy|$)|^terms$"
    r"|affiliate commission|earn a commission|manage (?:consent|preferences)|^ad ?choices?$|terms and conditions",
    re.IGNORECASE,
)
_ENGAGEMENT = re.compile(
    r"^(?:share|tweet|pin|print|email|e-mail|save|like|copy(?: link)?|facebook|twitter|x|linkedin|whatsapp|reddit|pinterest|instagram|youtube"
    r"|telegram|flipboard|tumblr|tiktok|rss|threads|bluesky|messenger|link copied!?|bookmark|comments?|\d+ comments?|reply"
    r"|subscribe(?: now)?|sign ?up|sign ?in|log ?in|log ?out|register|my account|donate(?: now)?|submit|follow(?: us)?)\b[\s\d:!.]*$"
    r"|^(?:share|tweet|pin|post|email|print|save|follow|like|open|click to share) (?:this|on|via|to|us|with|it|by|article|story)\b"
    r"|newsletters?\b|\bsubscri(?:be|ption)|your subscription|sign up|sign in\b|log in\b|create (?:a free |an )?account|leave a (?:comment|reply)|join the (?:conversation"
    r"|discussion)|get the (?:latest|best)|your inbox|follow us|follow @|email address|download (?:the|our) app|post a comment|view comments"
    r"|(?:show|read|see|add|write|load) (?:all |more )?(?:\d+ )?comments|required fields|report an? (?:error|typo)|support (?:our|us)\b|notif"
    r"|thank you for (?:signing|subscribing)|have your say|^(?:reader|user) comments$|^like loading|^create free profile|listen to this",
    re.IGNORECASE,
)
_SIGN_IN = re.compile(r"(?:sign|log) ?in", re.IGNORECASE)
_BYLINE = re.compile(
    r"^(?:by|von|par|por|door|written by|reporting by|story by|editing by|posted by|published by|author)\b.{2,80}$"
    r"|^(?:published|updated:?|posted|last (?:updated|modified)|first published|publication date|date|modified|created)\b.{0,60}\d"
    r"|^\W*(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\W+)?(?:(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? \d{1,2},? \d{4}"
    r"|\d{1,2}(?:st|nd|rd|th)? (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?,? \d{4}|\d{1,4}[-/.]\d{1,2}[-/.]\d{2,4})\b.{0,30}$"
    r"|^\d+ ?(?:min|minute)s?\.? read|^\d+ (?:second|minute|hour|day|week|month|year)s? ago$|^(?:correction|editor's note|clarification)\b",
    re.IGNORECASE,
)
_RELATED = re.compile(
    r"^(?:related|recommended|more (?:from|on|in|stories|news|about)|most (?:read|popular|viewed)|latest|trending|popular|top stories|read (?:more|next|also)"
    r"|see also|you (?:may|might) (?:also )?like|up next|don't miss|editor's picks?|also read|also on|keep reading|what to read next|continue reading"
    r"|recent (?:posts|stories|articles)|from the web|around the web|featured|must read|next (?:article|story)|previous (?:article|story)"
    r"|in case you missed|explore more|further reading|next up)\b.{0,60}$",
    re.IGNORECASE,
)
_NAVIGATION = re.compile(
    r"^(?:skip to|back to top|menu|home|search|close(?: menu)?|toggle|next|previous|prev|more|view all|see all|show more|load more|sections?|site map"
    r"|sitemap|contact(?: us)?|about(?: us)?|help|careers|advertise(?: with us)?|faqs?|topics?:?|tags?:?|filed under:?|categor(?:y|ies):?|jump to"
    r"|table of contents|in this article|expand|collapse|[<>«»‹›→←/|]+)\b[\s\W]*$|^(?:skip to|tags?:|topics?:|filed under|posted in|jump to)\b",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"\bgetty images\b|\(?(?:ap|afp|reuters) photo|^(?:photo|image|picture|pic|credit|photograph|foto|source)s?(?: (?:by|credit|source|courtesy))?\s*[:/]"
    r"|^(?:photo|image|illustration) (?:by|courtesy)|shutterstock|\bvia (?:ap|reuters|getty)\b|image caption|photo credit",
    re.IGNORECASE,
)


class _Marks:
    """A page's cues by name."""

    def __init__(self, cues: np.ndarray):
        self._cues = cues

    def __getitem__(self, name: str) -> np.ndarray:
        return self._cues[:, _COLUMN[name]]

    def any(self, *names: str) -> np.ndarray:
        return np.any([self[name] > 0 for name in names], axis=0)


def weak_kinds(page: HtmlLines, labels: Sequence[int | None]) -> list[Kind | None]:
    """The kind of each line that is labelled 0, or None where no rule is sure; None for every other line."""
    lines = page.text.split("\n") if page.text else []
    marks = _Marks(page.cues)
    places = _places(marks)
    body = [number for number, label in enumerate(labels) if label == 1]
    first, last = (body[0], body[-1]) if body else (len(lines), -1)
    kinds: list[Kind | None] = []
    for number, (line, label) in enumerate(zip(lines, labels, strict=True)):
        at = {name for name, column in places.items() if column[number]}
        kinds.append(_kind(line, at, before=number < first, after=number > last) if label == 0 else None)
    return kinds


def _places(marks: _Marks) -> dict[str, np.ndarray]:
    """Where each line stands, by what its markup says."""
    return {
        "title": marks.any("is_title"),
        "heading": marks.any("tag_h1", "tag_h2"),
        "h1": marks.any("tag_h1"),
        "nav": marks.any("part_nav", "part_word_menu"),
        "tags": marks.any("near_word_tags"),
        "header": marks.any("part_header"),
        "footer": marks.any("part_footer") | marks.any("part_word_legal"),
        "aside": marks.any("part_aside", "part_word_sidebar"),
        "related": marks.any("part_word_related", "part_word_popular"),
        "teaser": marks.any("part_word_teaser"),
        "engagement": marks.any("near_word_share", "near_word_signup"),
        "form": marks.any("part_form"),
        "comment": marks.any("part_word_comment"),
        "advert": marks.any("near_word_advert"),
        "figure": marks.any("tag_figcaption", "near_figure"),
        "caption": marks.any("near_word_caption"),
        "byline": marks.any("near_word_byline"),
        "date": marks.any("near_word_date", "inline_time"),
        "link": marks["link_density"] > 0.8,
        "short": marks["chars"] < scaled_log(25),
        "long": marks["chars"] > scaled_log(80),
        "list": marks.any("in_list"),
        "links": (marks["list_link_density"] > 0.7) & (marks["list_n_lines"] > scaled_log(2)) & marks.any("in_list"),
        "shape": marks["shape_count"] > scaled_log(3),
    }


def _kind(line: str, at: set[str], *, before: bool, after: bool) -> Kind | None:
    """The kind that the first rule to match gives; phrases before places."""
    if _ADVERT.fullmatch(line):
        return Kind.ADVERT
    if _is_headline(at, before=before):
        return Kind.HEADLINE
    if "comment" in at and "long" in at and "link" not in at:
        return Kind.COMMENTS if after else None
    by_words = _by_words(line, at)
    if by_words is not None:
        return by_words
    return _by_place(at, before=before, after=after)


def _is_headline(at: set[str], *, before: bool) -> bool:
    return before and "link" not in at and ("title" in at or ("h1" in at and not at & {"nav", "related", "teaser"}))


def _by_words(line: str, at: set[str]) -> Kind | None:
    n_words = line.count(" ") + 1
    teases = bool(at & {"related", "teaser", "aside"})
    if n_words <= 60 and _LEGAL.search(line) and (n_words <= 6 or at & {"footer", "form", "engagement"} or "©" in line):
        return Kind.LEGAL
    if "nav" in at and _SIGN_IN.fullmatch(line):
        return Kind.NAVIGATION
    if (
        n_words <= 40
        and _ENGAGEMENT.search(line)
        and (
            n_words <= 4
            or ("nav" not in at and n_words <= 12)
            or at & {"engagement", "form", "comment"}
            or "link" in at
        )
    ):
        return Kind.ENGAGEMENT
    if _CREDIT.search(line) and n_words <= 40 and "link" not in at:
        return Kind.CAPTION
    if _BYLINE.search(line) and n_words <= 15 and not at & {"nav", "comment"}:
        return Kind.RELATED if teases or "links" in at or (line.endswith("ago") and "shape" in at) else Kind.BYLINE
    if _RELATED.search(line) and n_words <= 8 and not at & {"nav", "footer"}:
        return Kind.RELATED
    if _NAVIGATION.search(line) and n_words <= 8 and not at & {"related"}:
        return Kind.NAVIGATION
    return None


def _is_picture(at: set[str]) -> bool:
    return bool(at & {"figure", "caption"}) and "link" not in at


def _by_place(at: set[str], *, before: bool, after: bool) -> Kind | None:
    if "nav" in at and "long" not in at and "related" not in at:
        return Kind.NAVIGATION
    if "figure" in at and "link" not in at and not at & {"related", "teaser"}:
        return Kind.CAPTION
    if (
        "related" in at
        and not at & {"engagement", "form", "footer", "byline"}
        and (at & {"link", "links"} or "shape" in at)
        and not _is_picture(at)
    ):
        return Kind.RELATED
    if (
        "teaser" in at
        and at & {"link", "aside"}
        and not at & {"footer", "byline", "engagement"}
        and not _is_picture(at)
    ):
        return Kind.RELATED
    if at & {"footer"} and "link" in at and "short" in at:
        return Kind.NAVIGATION
    if at & {"engagement"} and not at & {"related", "teaser"}:
        return Kind.ENGAGEMENT
    if at & {"byline", "date"} and "short" in at and not at & {"related", "teaser", "aside", "links"} and not after:
        return Kind.BYLINE
    if "tags" in at and "link" in at and "short" in at:
        return Kind.NAVIGATION
    if "header" in at and "link" in at and "short" in at:
        return Kind.NAVIGATION
    if after and "link" in at and "short" not in at and "footer" not in at:
        return Kind.RELATED
    if before and "link" in at and "short" in at and "links" in at:
        return Kind.NAVIGATION
    return None
