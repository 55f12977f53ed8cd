"""Training articles composed of real stories and the furniture that scrapers leave around them in flat text.

Pages give long dumps; what people paste is short: a headline, the story, a list of an agency's other headlines. Those are
rare among the labelled lines, so they are made: a story's body lines, other stories' headlines, and the phrases of
`seeds/furniture` in many languages. Every kind is known, because every line's origin is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pipeline.config import read_yaml
from pipeline.document import Kind
from pipeline.errors import DataError
from pipeline.separate.labelled import LabelledDocument, read_rows
from pipeline.separate.model import KINDS

VARIANT = "composed"
MIN_STORY_LINES = 3
MAX_STORY_LINES = 25
MAX_REPEATS = 2  # a line that more fetched articles hold is no story's
SHARED = "_shared"
"""The file of names that stand in the braces of every language's phrases."""
_BULLETS = ("- ", "* ", "• ", "– ", "", "", "", "", "{n}. ")
_SITE_SUFFIX = re.compile(r"\s+[|–—·»-]\s+[^|–—·»]{2,40}$")
_SENTENCE_END = re.compile(r"(?<=[.!?。！？][\"”’»]) +|(?<=[^\s.][^\s.][.!?]) +|(?<=[。！？])(?=.)")
_MONTHS = ("January", "Feb.", "March", "Apr", "May", "June", "Jul", "August", "Sept.", "Oct", "November", "12")
_KINDS = {
    "inline": Kind.RELATED,
    "headline": Kind.RELATED,
    "teaser": Kind.RELATED,
    "bio": Kind.BYLINE,
    "promo": Kind.ENGAGEMENT,
}
"""The kinds of the parts that have no kind's name."""

_SHELF_SHARES = (0.25, 0.3, 0.35, 0.1)
_SOLICITS = re.compile(
    r"subscri|newsletter|sign up|click here|read more|also read|copyright|©|follow (us|@)|advertisement|photo|getty|contributed to this",
    re.IGNORECASE,
)
"""What says that a line of a fetched story may be none of it."""

T = TypeVar("T")
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
    """Phrases by language and part, what stands in their braces, and the headlines of real stories."""

    phrases: dict[str, dict[str, list[str]]]
    shared: dict[str, list[str]]
    headlines: list[str]

    @classmethod
    def load(cls, folder: Path, headlines: Sequence[str]) -> Furniture:
        """The phrases of a folder with a file a language, with the headlines of other stories.

        Raises:
            DataError: the folder holds no file, or a part is not a list of strings.
        """
        files = {path.stem: read_yaml(path) for path in sorted(folder.glob("*.yaml"))}
        if SHARED not in files or len(files) < 2:
            raise DataError(f"expected {SHARED}.yaml and a file for each language", file=folder)
        for name, parts in files.items():
            for part, phrases in parts.items():
                _check(folder / f"{name}.yaml", part, phrases)
        return cls(files, files.pop(SHARED), list(headlines))

    @property
    def stories(self) -> list[Story]:
        """The stories that were written beside the phrases."""
        return [
            Story(f"furniture-{lang}", lang, "", tuple(line for line in text.splitlines() if line.strip()))
            for lang, parts in self.phrases.items()
            for text in parts.get("story", [])
        ]

    def say(self, part: str, lang: str, rng: np.random.Generator) -> str | None:
        """A phrase of a part, in the language where it has one, its braces filled."""
        phrases = self.phrases.get(lang, {}).get(part) or self.phrases["en"].get(part)
        return self.filled(_picked(phrases, rng), lang, rng) if phrases else None

    def headline(self, lang: str, rng: np.random.Generator) -> str:
        """Another story's headline."""
        invented = self.phrases.get(lang, {}).get("headline") or self.phrases["en"]["headline"]
        if self.headlines and rng.random() < (0.5 if lang == "en" else 0.1):
            return _picked(self.headlines, rng)
        return self.filled(_picked(invented, rng), lang, rng)

    def filled(self, phrase: str, lang: str, rng: np.random.Generator) -> str:
        """The phrase with something in its braces."""
        return re.sub(r"\{(\w+)\}", lambda found: self._fill(found[1], lang, rng), phrase)

    def _fill(self, name: str, lang: str, rng: np.random.Generator) -> str:
        match name:
            case "headline":
                return self.headline(lang, rng).replace("{", "").replace("}", "")
            case "date":
                return f"{rng.integers(1, 29)} {_picked(_MONTHS, rng)} {rng.integers(2008, 2027)}"
            case "year":
                return str(rng.integers(2008, 2027))
            case "n":
                return str(rng.integers(2, 60))
        values = self.shared.get(name.rstrip("0123456789"))
        return _picked(values, rng) if values else str(rng.integers(2, 60))


@dataclass(frozen=True, slots=True)
class Composer:
    """Makes articles of stories, which come in shelves: of labelled pages, of labelled news, of other news, and the few in other languages."""

    shelves: tuple[list[Story], ...]
    furniture: Furniture

    @classmethod
    def load(
        cls, furniture: Path, lines: Iterable[Path], news: Iterable[Path], scraped: Iterable[LabelledDocument] = ()
    ) -> Composer:
        """From a folder of phrases, files of labelled lines, and files of articles with `id`, `text`, `title` and `source`.

        Of those articles that are among `scraped` only the lines that are known to be body are told.
        """
        known = {document.id: document for document in scraped}
        pages = stories(row for path in lines for row in read_rows(path))
        rows = [row for path in news for row in read_rows(path)]
        labelled = [story for row in rows if row.get("id") in known for story in _labelled_story(row, known[row["id"]])]
        told = list(_news_stories([row for row in rows if row.get("id") not in known]))
        phrases = Furniture.load(furniture, _headlines([*pages, *labelled, *told]))
        return cls((pages, labelled, told, phrases.stories), phrases)

    def without(self, is_left_out: Callable[[str], bool]) -> Composer:
        """The same without the stories and headlines of some sites."""
        kept = tuple([story for story in shelf if not is_left_out(story.site)] for shelf in self.shelves)
        headlines = _headlines(story for shelf in kept for story in shelf)
        return Composer(kept, replace(self.furniture, headlines=headlines))

    def documents(self, n: int, rng: np.random.Generator) -> list[LabelledDocument]:
        """So many articles, each of a story drawn at random; none where there are no stories."""
        shelves = [shelf for shelf in self.shelves if shelf]
        if not shelves:
            return []
        shares = np.array([share for share, shelf in zip(_SHELF_SHARES, self.shelves, strict=True) if shelf])
        drawn = [shelves[i] for i in rng.choice(len(shelves), n, p=shares / shares.sum())]
        return [compose(_picked(shelf, rng), shelf, self.furniture, i, rng) for i, shelf in enumerate(drawn)]


def stories(rows: Iterable[dict[str, Any]]) -> list[Story]:
    """One story a page: the variant with the most body lines among those with the least else."""
    best: dict[str, tuple[tuple[int, int], Story]] = {}
    for row in rows:
        body = tuple(text for text in map(_body_text, row["lines"]) if text.strip())
        n_else = len(row["lines"]) - len(body)
        if len(body) >= MIN_STORY_LINES:
            site, lang = row.get("domain") or row["id"], (row.get("lang") or "en")[:2]
            story = Story(site, lang, headline_of(row.get("title") or ""), body)
            rank = (n_else, -len(body))
            if row["id"] not in best or rank < best[row["id"]][0]:
                best[row["id"]] = (rank, story)
    return [story for _, story in best.values()]


def _labelled_story(row: dict[str, Any], known: LabelledDocument) -> Iterator[Story]:
    """The story of a fetched article whose lines are labelled, where enough of it is there."""
    body = [" ".join(line.split()) for line, is_body in zip(known.lines, known.body, strict=True) if is_body == 1]
    if len(body) >= MIN_STORY_LINES:
        yield Story(known.site, "en", headline_of(row.get("title") or ""), tuple(body[: 2 * MAX_STORY_LINES]))


def _news_stories(rows: Sequence[dict[str, Any]]) -> Iterator[Story]:
    """The stories of fetched articles, the lines that may be furniture left out; of those where enough is left."""
    told = [[" ".join(line.split()) for line in str(row["text"]).splitlines() if line.strip()] for row in rows]
    n_articles = Counter(line for lines in told for line in set(lines))
    for row, lines in zip(rows, told, strict=True):
        kept = [line for line in lines if n_articles[line] <= MAX_REPEATS and not _solicits(line)]
        if len(kept) >= MIN_STORY_LINES:
            headline = headline_of(row.get("title") or "")
            yield Story(str(row["source"]), "en", headline, tuple(kept[: 2 * MAX_STORY_LINES]))


def _solicits(line: str) -> bool:
    return len(line) < 250 and _SOLICITS.search(line) is not None


def headline_of(title: str) -> str:
    """A page's title without its site's name."""
    return " ".join(_SITE_SUFFIX.sub("", title).split())


def compose(
    story: Story, others: Sequence[Story], furniture: Furniture, number: int, rng: np.random.Generator
) -> LabelledDocument:
    """One article: the story, or the beginning of it, with furniture before, within and behind; now and then with none.

    A few have no story at all, only a tail.
    """
    lang = story.lang if rng.random() < 0.96 else _picked(tuple(furniture.phrases), rng)
    desk = _Desk(furniture, others, lang, rng)
    told = _retold(story.lines, rng)
    body = list(told[: _story_length(len(told), rng)])
    pieces: list[Piece] = [] if rng.random() < 0.12 else desk.above(story.headline)
    pieces += desk.with_intrusions(body)
    if not pieces or not body or rng.random() > 0.1:
        pieces += desk.below()
    pieces = pieces or [(told[0], Kind.BODY)]
    kinds = np.array([KINDS.index(kind) for _, kind in pieces], np.int8)
    return LabelledDocument(
        id=f"composed-{number}",
        variant=VARIANT,
        site=story.site,
        lines=tuple(" ".join(line.split()) for line, _ in pieces),
        body=(kinds == KINDS.index(Kind.BODY)).astype(np.int8),
        kinds=kinds,
        is_article=int(bool(body)),
        gold_body="\n".join(body),
    )


def _retold(lines: Sequence[str], rng: np.random.Generator) -> Sequence[str]:
    """The paragraphs as they are, or as agencies write them, of a sentence or two each."""
    drawn = rng.random()
    if drawn < 0.35:
        return lines
    sentences = [_SENTENCE_END.split(line) for line in lines]
    if drawn < 0.5:
        return [" ".join(some[:2]) for some in sentences]
    if drawn < 0.65:
        return [some[0] for some in sentences]
    return [sentence for some in sentences for sentence in some]


def _story_length(n_lines: int, rng: np.random.Generator) -> int:
    """Mostly some paragraphs, sometimes one or two, rarely none."""
    drawn = rng.random()
    if drawn < 0.03:
        return 0
    if drawn < 0.12:
        return int(rng.integers(1, 3))
    return int(rng.integers(MIN_STORY_LINES, max(MIN_STORY_LINES, min(n_lines, MAX_STORY_LINES)) + 1))


@dataclass(frozen=True, slots=True)
class _Desk:
    """Says furniture in one language, and tells of other stories."""

    furniture: Furniture
    others: Sequence[Story]
    lang: str
    rng: np.random.Generator

    def above(self, headline: str) -> list[Piece]:
        """What stands before a story: a menu or nothing, the headline, who wrote it and when, a picture's caption."""
        pieces: list[Piece] = []
        for _ in range(int(self.rng.choice((0, 1, 3, 12), p=(0.6, 0.2, 0.12, 0.08)))):
            pieces += self.said("navigation", 0.9)
        pieces += self.some(("advert", 0.05), ("engagement", 0.1), ("legal", 0.04), ("promo", 0.04))
        if self.rng.random() < 0.08:
            pieces += self.list()
        if self.rng.random() < 0.8:
            pieces.append((headline or self.furniture.headline(self.lang, self.rng), Kind.HEADLINE))
        pieces += self.some(
            ("byline", 0.5), ("byline", 0.35), ("byline", 0.1), ("engagement", 0.12), ("engagement", 0.06)
        )
        return pieces + self.some(("caption", 0.3), ("caption", 0.06), ("advert", 0.05))

    def with_intrusions(self, body: Sequence[str]) -> list[Piece]:
        """The story's lines with what interrupts them; how often, differs from story to story."""
        busy = float(self.rng.choice((0.0, 0.5, 1.0, 3.0)))
        pieces: list[Piece] = []
        for i, line in enumerate(body):
            if i:
                pieces += self.some(
                    ("caption", 0.035 * busy),
                    ("inline", 0.03 * busy),
                    ("advert", 0.015 * busy),
                    ("promo", 0.012 * busy),
                    ("engagement", 0.012 * busy),
                    ("teaser", 0.006 * busy),
                    ("other", 0.006 * busy),
                )
            pieces.append((line, Kind.BODY))
        return pieces

    def below(self) -> list[Piece]:
        """What stands behind a story: its author, its tags, lists of other stories, comments, small print, in some order."""
        blocks = [self.some(("byline", 0.1), ("bio", 0.2), ("bio", 0.05), ("caption", 0.03), ("navigation", 0.2))]
        rest = [self.list() for _ in range(int(self.rng.choice(4, p=(0.2, 0.4, 0.3, 0.1))))]
        rest.append(self.some(("engagement", 0.4), ("engagement", 0.25), ("promo", 0.25), ("promo", 0.06)))
        rest.append(self.some(("advert", 0.1), ("other", 0.08)))
        if self.rng.random() < 0.12:
            rest.append(self.some(("engagement", 0.5), *[("comments", 1.0)] * int(self.rng.integers(1, 9))))
        if self.rng.random() < 0.05:
            rest.append(_second(_picked(self.others, self.rng), self.rng))
        self.rng.shuffle(rest)  # type: ignore[arg-type]
        end = self.some(
            ("engagement", 0.15), ("legal", 0.35), ("legal", 0.1), *[("navigation", 0.15)] * 3, ("legal", 0.06)
        )
        return [piece for block in (*blocks, *rest, end) for piece in block]

    def list(self) -> list[Piece]:
        """Headlines of other stories under a heading, or without one; some with a date, some with a sentence."""
        pieces = self.said("related", 0.88)
        bullet = _picked(_BULLETS, self.rng)
        dated, told = self.rng.random() < 0.12, self.rng.random() < 0.2
        for n in range(int(self.rng.integers(1, 10))):
            pieces.append(
                (bullet.replace("{n}", str(n + 1)) + self.furniture.headline(self.lang, self.rng), Kind.RELATED)
            )
            pieces += self.teaser() if told else []
            if dated:
                pieces.append((self.furniture.filled("{date}", self.lang, self.rng), Kind.RELATED))
        return pieces

    def teaser(self) -> list[Piece]:
        """A sentence of summary: one that was written, or the first of another story."""
        if self.rng.random() < 0.5:
            return self.said("teaser", 0.8)
        return [(_SENTENCE_END.split(_picked(self.others, self.rng).lines[0])[0], Kind.RELATED)]

    def some(self, *parts: tuple[str, float]) -> list[Piece]:
        return [piece for part, share in parts for piece in self.said(part, share)]

    def said(self, part: str, share: float) -> list[Piece]:
        """A phrase of the part, or with the rest of the share nothing."""
        if self.rng.random() >= share or not (line := self.furniture.say(part, self.lang, self.rng)):
            return []
        return [(line, _KINDS.get(part) or Kind(part))]


def _second(story: Story, rng: np.random.Generator) -> list[Piece]:
    """The beginning of the next story, where a page goes on without end."""
    lines = (story.headline, *story.lines[: int(rng.integers(1, 6))])
    return [(line, Kind.RELATED) for line in lines if line]


def _headlines(stories: Iterable[Story]) -> list[str]:
    return [story.headline for story in stories if story.headline]


def _body_text(line: dict[str, Any]) -> str:
    is_body = line.get("y") == 1 or line.get("kind") == Kind.BODY
    return str(line.get("t", line.get("text"))) if is_body else ""


def _picked(values: Sequence[T], rng: np.random.Generator) -> T:
    return values[int(rng.integers(len(values)))]


def _check(path: Path, part: str, phrases: object) -> None:
    if not isinstance(phrases, list) or not phrases or not all(isinstance(phrase, str) for phrase in phrases):
        raise DataError(f"'{part}': expected a list of strings", file=path)
