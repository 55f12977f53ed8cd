"""Articles in, documents out: every line labelled body or a kind of boilerplate, with P(body); nothing lost, nothing moved.

Plain text and HTML go the same way: HTML first becomes lines of text with cues, then one model reads both. Batches are read
as arrays (`lines`, `features`, `model`); an article's answer does not depend on its batch.
"""

from __future__ import annotations

import gc
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from pipeline.artifacts import content_id
from pipeline.config import Config as BaseConfig
from pipeline.document import Article, Document, Kind, Line, Rejected
from pipeline.home import home
from pipeline.separate.features import NAMES, Features, extract
from pipeline.separate.html import HtmlLimits, HtmlRejected, parse_html
from pipeline.separate.lines import pieces
from pipeline.separate.model import BOILERPLATE, LineModel


class Guard(BaseConfig):
    """When the prose is kept although the model would cut it."""

    min_kept_share: float = Field(ge=0, le=1)
    min_prose_chars: int = Field(ge=0)


class Limits(BaseConfig):
    """What bounds time and memory for one text."""

    max_batch_chars: int = Field(ge=1000)
    max_text_chars: int = Field(ge=1000)
    max_line_chars: int = Field(ge=100)
    max_segment_lines: int = Field(ge=10)


class Html(BaseConfig):
    """How large a page may be."""

    max_bytes: int = Field(ge=1)
    max_nodes: int = Field(ge=1)
    max_depth: int = Field(ge=1)


class Config(BaseConfig):
    """`configs/separate.yaml`."""

    threshold: float = Field(gt=0, lt=1)
    always_body: list[str]
    always_boilerplate: list[str]
    guard: Guard
    limits: Limits
    html: Html


@dataclass(frozen=True, slots=True)
class _Given:
    """An article on its way: its text, and what its markup told."""

    article: Article
    text: str
    cues: np.ndarray | None = None
    title: str | None = None
    published: str | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    """The lines of one text: spans, P(body), the place of the best boilerplate kind, whether it is prose, and the verdict."""

    start: np.ndarray
    end: np.ndarray
    body: np.ndarray
    kind: np.ndarray
    prose: np.ndarray
    is_article: float


@dataclass(frozen=True, slots=True)
class Separator:
    """Separates articles; `load` makes one."""

    model: LineModel
    config: Config

    @classmethod
    def load(cls, folder: Path | None = None, config: Config | None = None) -> Separator:
        """The separator with the weights in `folder`, by default those that ship.

        Raises:
            ArtifactError: the weights are missing or damaged.
            ConfigError: `configs/separate.yaml` is missing or wrong.
        """
        config = config or Config.load(home() / "configs" / "separate.yaml")
        return cls(LineModel.load(folder or home() / "models" / "separator"), config)

    def separate(self, text: str) -> Document:
        """The document of a plain text. `separate_batch` is the faster way to many."""
        document = self.separate_batch([Article(id=content_id(text), text=text)])[0]
        assert isinstance(document, Document)  # only HTML is ever refused
        return document

    def separate_batch(self, articles: Sequence[Article]) -> list[Document | Rejected]:
        """The document of each article, in order; HTML too large to read gives a Rejected."""
        with _collector_at_rest():
            given = [self._given(article) for article in articles]
            readable = [one for one in given if isinstance(one, _Given)]
            documents = iter(
                [self._document(one, answer) for one, answer in zip(readable, self._answers(readable), strict=True)]
            )
            return [next(documents) if isinstance(one, _Given) else one for one in given]

    def _given(self, article: Article) -> _Given | Rejected:
        if article.html is None:
            return _Given(article, article.text or "", None, article.title, article.date, article.author)
        try:
            page = parse_html(article.html, HtmlLimits(**self.config.html.model_dump()))
        except HtmlRejected as refused:
            return Rejected(article.id, refused.reason, str(refused))
        title, published, author = (
            page.title or article.title,
            page.published or article.date,
            page.author or article.author,
        )
        return _Given(article, page.text, page.cues, title, published, author)

    def _answers(self, given: Sequence[_Given]) -> Iterator[_Answer]:
        held: list[_Given] = []
        n_chars = 0
        for one in given:
            size = len(one.text) + 1
            if held and n_chars + size > self.config.limits.max_batch_chars:
                yield from self._batch([(g.text, g.cues) for g in held])
                held, n_chars = [], 0
            if size > self.config.limits.max_text_chars:
                yield self._long(one)
            else:
                held.append(one)
                n_chars += size
        if held:
            yield from self._batch([(g.text, g.cues) for g in held])

    def _long(self, one: _Given) -> _Answer:
        """The answer for a text that is read in pieces."""
        limits = self.config.limits
        parts: list[_Answer] = []
        n_seen = 0
        for text, spans in pieces(one.text, limits.max_text_chars, limits.max_line_chars):
            cues = None if one.cues is None else one.cues[n_seen : n_seen + len(spans)]
            n_seen += len(spans)
            answer = next(self._batch([(text, cues)]))
            start, end = np.array(spans, np.int64).T
            parts.append(_Answer(start, end, answer.body, answer.kind, answer.prose, answer.is_article))
        return _joined(parts)

    def _batch(self, texts: Sequence[tuple[str, np.ndarray | None]]) -> Iterator[_Answer]:
        features = extract([text for text, _ in texts], max_lines=self.config.limits.max_segment_lines)
        lines = features.lines
        first = np.searchsorted(lines.text, np.arange(len(texts) + 1))
        if len(lines) == 0:
            yield from (_joined([]) for _ in texts)
            return
        cues, has_cues = _stacked([cues for _, cues in texts], first)
        hints = self._hints("\n".join(text for text, _ in texts), features)
        scores = self.model(features, cues=cues, has_cues=has_cues, hints=hints)
        body = np.where(hints[:, 0] > 0, 1.0, np.where(hints[:, 1] > 0, 0.0, scores.body))
        kind, prose = scores.kinds.argmax(axis=1), features.dense[:, NAMES.index("is_prose")] > 0
        for i, (begin, end) in enumerate(itertools.pairwise(first)):
            rows = slice(begin, end)
            offset = lines.offset[i]
            verdict = _verdict(scores.is_article, lines.segment[rows])
            yield _Answer(
                lines.start[rows] - offset, lines.end[rows] - offset, body[rows], kind[rows], prose[rows], verdict
            )

    def _hints(self, joined: str, features: Features) -> np.ndarray:
        """(n_lines, 2): which lines the caller's phrases make body, and which boilerplate."""
        hints = np.zeros((len(features.lines), 2))
        for column, phrases in enumerate((self.config.always_body, self.config.always_boilerplate)):
            if phrases:
                at = [found.start() for found in _pattern(phrases).finditer(joined)]
                hints[np.searchsorted(features.lines.start, at, side="right") - 1, column] = 1
        hints[hints[:, 0] > 0, 1] = 0
        return hints

    def _document(self, given: _Given, answer: _Answer) -> Document:
        is_body = answer.body >= self.config.threshold
        kept, low_confidence = self._guarded(is_body, answer)
        kinds = map(_KINDS.__getitem__, np.where(kept, 0, answer.kind + 1).tolist())
        return Document(
            id=given.article.id,
            text=given.text,
            lines=tuple(map(Line, answer.start.tolist(), answer.end.tolist(), kinds, answer.body.tolist())),
            is_article=answer.is_article,
            title=given.title,
            published=given.published,
            author=given.author,
            low_confidence=low_confidence,
        )

    def _guarded(self, is_body: np.ndarray, answer: _Answer) -> tuple[np.ndarray, bool]:
        """Which lines are body, and whether that is the guard's doing: prose is kept when nearly all of it would be cut."""
        guard = self.config.guard
        prose_chars = (answer.end - answer.start) * (answer.prose & (answer.body > 0))
        total = int(prose_chars.sum())
        if total < guard.min_prose_chars or prose_chars[is_body].sum() >= guard.min_kept_share * total:
            return is_body, False
        return is_body | (prose_chars > 0), True


_KINDS = (Kind.BODY, *BOILERPLATE)


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """The collector of cycles rests meanwhile: lines and documents make none, and it would look through all of them again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _pattern(phrases: Sequence[str]) -> re.Pattern[str]:
    spaced = (r"[^\S\n]+".join(map(re.escape, phrase.split())) for phrase in phrases if phrase.strip())
    return re.compile(rf"(?<!\w)(?:{'|'.join(spaced)})(?!\w)", re.IGNORECASE)


def _stacked(cues: Sequence[np.ndarray | None], first: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The cues of all lines, zeros where a text has none, and which lines have them; nothing when no text has."""
    width = next((one.shape[1] for one in cues if one is not None), None)
    if width is None:
        return None, None
    stacked, has = np.zeros((first[-1], width), np.float32), np.zeros(first[-1])
    for one, begin, end in zip(cues, first[:-1], first[1:], strict=True):
        if one is not None:
            stacked[begin:end], has[begin:end] = one, 1
    return stacked, has


def _verdict(is_article: np.ndarray, segment: np.ndarray) -> float:
    """The verdict on a text, its segments weighing as many lines as they have; no article has no lines."""
    return round(float(is_article[segment].mean()), 4) if len(segment) else 0.0


def _joined(parts: Sequence[_Answer]) -> _Answer:
    if not parts:
        none = np.zeros(0, np.int64)
        return _Answer(none, none, none.astype(float), none, none.astype(bool), 0.0)
    n_lines = np.array([len(part.start) for part in parts])
    verdict = float((np.array([part.is_article for part in parts]) * n_lines).sum() / n_lines.sum())
    start, end, body, kind, prose = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("start", "end", "body", "kind", "prose")
    )
    return _Answer(start, end, body, kind, prose, round(verdict, 4))
