"""Where an article names a target: by its name, an alias, an abbreviation or a short form that the article introduces.

Names are literal, never patterns. A name that is written with capitals is not found in lower case; a capital city stands for its country
only where it acts ('Moscow denied'), not where it is a place ('in Moscow'). Deliberately missed: pronouns and descriptions.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

_MAX_ABBREVIATION = 4
_PLACE = re.compile(
    r"\b(?:in|at|from|to|near|outside|around|across|through|visit(?:ed|s|ing)?|downtown|greater)\s+(?:the\s+)?$",
    re.IGNORECASE,
)
_SMALL = frozenset(
    (
        "of",
        "the",
        "and",
        "for",
        "in",
        "on",
        "de",
        "del",
        "la",
        "le",
        "les",
        "des",
        "du",
        "der",
        "die",
        "das",
        "für",
        "et",
        "y",
    )
)
_CAPITALISED_BEFORE = re.compile(r"(?P<name>[A-ZÀ-Þ][\w'’-]*)\s+$")
_TITLES = frozenset(
    (
        "Mr",
        "Mrs",
        "Ms",
        "Dr",
        "President",
        "Minister",
        "Senator",
        "Chancellor",
        "Director",
        "The",
        "But",
        "And",
        "Herr",
        "Frau",
    )
)


class Alias(Protocol):
    """Names that mean the same, the people that belong to it, and the seats that stand for it."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def people(self) -> tuple[str, ...]: ...
    @property
    def seats(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Mention:
    """A span that names the target; `is_name` is false for its people, its seat and for short forms."""

    start: int
    end: int
    is_name: bool = True


@dataclass(frozen=True, slots=True)
class Forms:
    """All the ways in which one article may name a target."""

    names: tuple[str, ...]
    people: tuple[str, ...] = ()
    seats: tuple[str, ...] = ()
    short: tuple[str, ...] = ()


def forms_of(target: str, text: str, aliases: Sequence[Alias], generic: Collection[str]) -> Forms:
    """The forms by which an article names a target: itself, its aliases, and what the article introduces in its place."""
    folded = text.casefold()
    known = next((one for one in aliases if target.casefold() in _folded(one.names)), None)
    names = tuple(dict.fromkeys((target, *(known.names if known else ()))))
    is_there = target.split()[-1].casefold() in folded
    introduced = tuple(_introduced(target, text)) if is_there or " " in target else ()
    short = tuple(_short_forms(target, generic)) if is_there and (introduced or _pattern(target).search(text)) else ()
    forms = ((*names, *introduced), known.people if known else (), known.seats if known else (), short)
    return Forms(*(tuple(one for one in group if one.split()[0].casefold() in folded) for group in forms))


def mentions(text: str, forms: Forms) -> list[Mention]:
    """The mentions in order, the longest where several overlap."""
    found = [Mention(*at.span()) for name in forms.names for at in _pattern(name).finditer(text)]
    for name in (*forms.people, *forms.seats, *forms.short):
        for at in _pattern(name).finditer(text):
            is_place = name in forms.seats and _is_place(text, *at.span())
            if not is_place and not (name in forms.short and _is_other(text, at.start(), name)):
                found.append(Mention(*at.span(), is_name=False))
    kept: list[Mention] = []
    for one in sorted(found, key=lambda one: (one.start, -one.end, not one.is_name)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


@lru_cache(maxsize=4096)
def _folded(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.casefold() for name in names)


@lru_cache(maxsize=4096)
def _pattern(name: str) -> re.Pattern[str]:
    """The name as whole words. In capitals and short ('US') it keeps its case, so that it is not found in 'us'."""
    words = r"\s+".join(map(re.escape, name.split()))
    keeps_case = name.isupper() and len(name.replace(".", "")) <= _MAX_ABBREVIATION
    begins_upper = name[:1].isupper() and " " not in name
    lead = "" if keeps_case or not begins_upper else f"(?-i:{re.escape(name[0])})"
    body = lead + re.escape(name[1:]) if lead else words
    tail = r"(?!\w)" if name[-1:].isalnum() else ""
    return re.compile(r"(?<!\w)" + body + tail, re.NOFLAG if keeps_case else re.IGNORECASE)


def _introduced(target: str, text: str) -> Iterator[str]:
    """'Federal Security Service (FSB)' gives FSB for the name, and the name for FSB; initials need no introduction."""
    yield from _bracketed(target, text)
    words = target.split()
    capitals = [word for word in words if word.casefold() not in _SMALL]
    if len(capitals) >= 3 and all(word[0].isupper() for word in capitals):
        yield "".join(word[0] for word in capitals)
    if len(words) == 1 and _is_abbreviation(target):
        for at in re.finditer(r"\s*\(" + re.escape(target) + r"\)", text):
            if full := _spelt_out(text[: at.start()], target):
                yield full


def _bracketed(target: str, text: str) -> list[str]:
    pattern = re.compile(r"(?:['’]s)?\s*[(\[]([A-Z][\w.&-]{1,9})[)\],;]")
    found = [pattern.match(text, at.end()) for at in _pattern(target).finditer(text)]
    return list(dict.fromkeys(one[1] for one in found if one and _is_abbreviation(one[1])))


def _is_abbreviation(word: str) -> bool:
    return sum(letter.isupper() for letter in word) >= 2


def _spelt_out(before: str, abbreviation: str) -> str | None:
    """The words that end a text and whose initials make up an abbreviation."""
    words = re.split(r"\s+", before.rsplit("\n", 1)[-1])
    letters = [letter for letter in abbreviation.casefold() if letter.isalpha()]
    for n in range(len(letters), min(len(words), 2 * len(letters) + 1) + 1):
        part = words[-n:]
        initials = [word[0].casefold() for word in part if word and word.casefold() not in _SMALL]
        if initials == letters and part[0][:1].isupper():
            return " ".join(part)
    # In another language's letters ('FSB'): the capitalised words before it, if they begin with the same one.
    run = re.search(
        r"(?:[A-ZÀ-Þ][\w'’-]*\s+(?:(?:of|for|and)\s+)?)+$", " ".join(words[1:] if words[0] in _TITLES else words) + " "
    )
    full = run[0].strip() if run else ""
    return full if " " in full and full[:1].casefold() == letters[0] else None


def _short_forms(target: str, generic: Collection[str]) -> Iterator[str]:
    """A person's last name; of a body 'the commission' or the words before its generic one."""
    words = target.split()
    if words and words[0].casefold() in ("the", "der", "die", "das", "le", "la"):
        words = words[1:]
    capitals = [word for word in words if word[0].isupper()]
    if len(words) < 2 or len(capitals) < 2 or len(words) > 5:
        return
    last = words[-1]
    if last.casefold() in generic:
        yield f"the {last.lower()}"
        if len(words) == 2:
            yield words[0]
    elif len(words) <= 3 and last[0].isupper():
        yield last


def _is_place(text: str, start: int, end: int) -> bool:
    return (
        _PLACE.search(text[max(0, start - 20) : start]) is not None
        or re.match(r",\s+[A-Z\d(]|\s+\(", text[end : end + 4]) is not None
    )


def _is_other(text: str, start: int, name: str) -> bool:
    """Whether a short form is part of another name: 'Marisol Pike' is not Owen Pike."""
    before = _CAPITALISED_BEFORE.search(text[max(0, start - 30) : start])
    return name[0].isupper() and before is not None and before["name"].rstrip(".") not in _TITLES
