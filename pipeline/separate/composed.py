"""Training articles composed of real stories and the furniture that scrapers leave around them in flat text.

Pages give long dumps; what people paste is short: a headline, the story, a list of an agency's other headlines. Those are
rare among the labelled lines, so they are made: a story's body lines, other stories' headlines, and the phrases of
`configs/furniture.yaml` in ten languages. Every kind is known, because every line's origin is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import read_yaml
from pipeline.document import Kind
from pipeline.separate.labelled import LabelledDocument
from pipeline.separate.model import KINDS

VARIANT = "composed"
MIN_STORY_LINES = 3
_BULLETS = ("- ", "* ", "• ", "– ", "", "", "", "")
_SITE_SUFFIX = re.compile(r"\s+[|–—·»-]\s+[^|–—·»]{2,40}$")
_PLACES = ("LONDON", "Paris", "BERLIN", "Madrid", "NEW YORK", "Vienna", "Seoul", "Oslo")

Piece = tuple[str, Kind]


@dataclass(frozen=True, slots=True)
class Story:
    """One page's headline and body lines."""

    site: str
    lang: str
    headline: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Furniture:
    """Phrases by language and part, and what stands in their braces."""

    phrases: dict[str, dict[str, list[str]]]
    agencies: list[str]
    names: list[str]
    topics: list[str]
    headlines: list[str]

    @classmethod
    def load(cls, path: Path, headlines: Sequence[str]) -> Furniture:
        """The phrases of a file, with the headlines of other stories."""
        values: dict[str, Any] = read_yaml(path)
        shared = {name: values.pop(name) for name in ("agencies", "names", "topics")}
        return cls(values, shared["agencies"], shared["names"], shared["topics"], list(headlines))

    def say(self, part: str, lang: str, rng: np.random.Generator) -> str | None:
        """A phrase of a part, in the language where it has one, its braces filled."""
        phrases = self.phrases.get(lang, {}).get(part) or (self.phrases["en"].get(part) if rng.random() < 0.5 else None)
        if not phrases:
            return None
        return re.sub(r"\{(\w+)\}", lambda found: self._fill(found[1], rng), _picked(phrases, rng))

    def headline(self, rng: np.random.Generator) -> str:
        """Another story's headline."""
        return _picked(self.headlines, rng)

    def _fill(self, name: str, rng: np.random.Generator) -> str:
        match name:
            case "headline":
                return self.headline(rng)
            case "agency":
                return _picked(self.agencies, rng)
            case "name":
                return _picked(self.names, rng)
            case "topic":
                return _picked(self.topics, rng)
            case "place":
                return _picked(_PLACES, rng)
            case "date":
                return f"{rng.integers(1, 29)} {_picked(('May', 'June', 'October', 'March'), rng)} {rng.integers(2015, 2026)}"
            case "year":
                return str(rng.integers(2012, 2026))
        return str(rng.integers(2, 60))


def stories(rows: Iterable[dict[str, Any]]) -> list[Story]:
    """One story a page: the variant with the most body lines among those with the least else."""
    best: dict[str, tuple[tuple[int, int], Story]] = {}
    for row in rows:
        body = tuple(text for text in map(_body_text, row["lines"]) if text.strip())
        n_else = len(row["lines"]) - len(body)
        if len(body) >= MIN_STORY_LINES:
            story = Story(
                row.get("domain") or row["id"], row.get("lang") or "en", headline_of(row.get("title") or ""), body
            )
            rank = (n_else, -len(body))
            if row["id"] not in best or rank < best[row["id"]][0]:
                best[row["id"]] = (rank, story)
    return [story for _, story in best.values()]


def _body_text(line: dict[str, Any]) -> str:
    is_body = line.get("y") == 1 or line.get("kind") == Kind.BODY
    return str(line.get("t", line.get("text"))) if is_body else ""


def headline_of(title: str) -> str:
    """A page's title without its site's name."""
    return " ".join(_SITE_SUFFIX.sub("", title).split())


def compose(
    story: Story, others: Sequence[Story], furniture: Furniture, number: int, rng: np.random.Generator
) -> LabelledDocument:
    """One article: the story, or the beginning of it, with furniture before, within and behind; now and then with none."""
    lang = story.lang if rng.random() < 0.7 else _picked(tuple(furniture.phrases), rng)
    body = list(
        story.lines[: int(rng.integers(MIN_STORY_LINES, max(MIN_STORY_LINES + 1, min(len(story.lines), 25) + 1)))]
    )
    pieces: list[Piece] = [] if rng.random() < 0.1 else _above(story, furniture, lang, rng)
    pieces += _with_intrusions(body, furniture, lang, rng)
    if rng.random() > 0.1:
        pieces += _below(others, furniture, lang, rng)
    lines = tuple(line for line, _ in pieces)
    kinds = np.array([KINDS.index(kind) for _, kind in pieces], np.int8)
    return LabelledDocument(
        id=f"composed-{number}",
        variant=VARIANT,
        site=story.site,
        lines=lines,
        body=(kinds == KINDS.index(Kind.BODY)).astype(np.int8),
        kinds=kinds,
        is_article=1,
        gold_body="\n".join(body),
    )


def _above(story: Story, furniture: Furniture, lang: str, rng: np.random.Generator) -> list[Piece]:
    pieces: list[Piece] = []
    for part, share in (("navigation", 0.15), ("advert", 0.05), ("engagement", 0.1), ("legal", 0.04)):
        pieces += _said(part, share, furniture, lang, rng)
    if rng.random() < 0.08:
        pieces += _list(furniture, lang, rng)
    if story.headline and rng.random() < 0.75:
        pieces.append((story.headline, Kind.HEADLINE))
    for part, share in (("byline", 0.5), ("byline", 0.3), ("caption", 0.15), ("engagement", 0.1)):
        pieces += _said(part, share, furniture, lang, rng)
    return pieces


def _with_intrusions(body: Sequence[str], furniture: Furniture, lang: str, rng: np.random.Generator) -> list[Piece]:
    pieces: list[Piece] = []
    for i, line in enumerate(body):
        if i:
            for part, share in (
                ("inline", 0.04),
                ("advert", 0.02),
                ("caption", 0.025),
                ("engagement", 0.015),
                ("navigation", 0.003),
            ):
                pieces += _said(part, share, furniture, lang, rng)
        pieces.append((line, Kind.BODY))
    return pieces


def _below(others: Sequence[Story], furniture: Furniture, lang: str, rng: np.random.Generator) -> list[Piece]:
    pieces: list[Piece] = []
    for part, share in (("bio", 0.2), ("byline", 0.1), ("navigation", 0.2), ("engagement", 0.3), ("caption", 0.03)):
        pieces += _said(part, share, furniture, lang, rng)
    for _ in range(int(rng.choice(4, p=(0.2, 0.4, 0.3, 0.1)))):
        pieces += _list(furniture, lang, rng)
    if rng.random() < 0.1:
        pieces += [
            (line, Kind.COMMENTS)
            for line in (furniture.say("comments", lang, rng) for _ in range(int(rng.integers(1, 6))))
            if line
        ]
    if rng.random() < 0.06:
        second = others[int(rng.integers(len(others)))]
        pieces += [(line, Kind.RELATED) for line in (second.headline, *second.lines[: int(rng.integers(1, 6))]) if line]
    for part, share in (("engagement", 0.4), ("engagement", 0.2), ("legal", 0.3), ("navigation", 0.1)):
        pieces += _said(part, share, furniture, lang, rng)
    return pieces


def _list(furniture: Furniture, lang: str, rng: np.random.Generator) -> list[Piece]:
    """Headlines of other stories under a heading, or without one; some with a date, some as teasers with a sentence."""
    pieces = _said("related", 0.88, furniture, lang, rng)
    bullet = _picked((*_BULLETS, "{n}. "), rng)
    teasers = rng.random() < 0.12
    for n in range(int(rng.integers(1, 10))):
        pieces.append((bullet.replace("{n}", str(n + 1)) + furniture.headline(rng), Kind.RELATED))
        if teasers and rng.random() < 0.7 and (date := furniture.say("byline", "en", rng)):
            pieces.append((date, Kind.RELATED))
    return pieces


def _said(part: str, share: float, furniture: Furniture, lang: str, rng: np.random.Generator) -> list[Piece]:
    kinds = {"inline": Kind.RELATED, "bio": Kind.BYLINE}
    if rng.random() >= share or not (line := furniture.say(part, lang, rng)):
        return []
    return [(line, kinds.get(part) or Kind(part))]


def _picked(values: Sequence[str], rng: np.random.Generator) -> str:
    return values[int(rng.integers(len(values)))]
