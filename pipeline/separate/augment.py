"""Labelled documents as other scrapers might have left them: cut, with other sites' tails, bulleted, wrapped, merged."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from pipeline.document import Kind
from pipeline.separate.labelled import UNKNOWN, LabelledDocument
from pipeline.separate.lexicon import phrases
from pipeline.separate.model import KINDS

_HEADLINE = KINDS.index(Kind.HEADLINE)
_RELATED = KINDS.index(Kind.RELATED)
_KIND_OF_CUE = {
    cue: KINDS.index(kind)
    for cue, kind in {
        "share": Kind.ENGAGEMENT,
        "subscribe": Kind.ENGAGEMENT,
        "comment": Kind.ENGAGEMENT,
        "legal": Kind.LEGAL,
        "advert": Kind.ADVERT,
        "related": Kind.RELATED,
        "navigation": Kind.NAVIGATION,
    }.items()
}
_PHRASED = ("share", "subscribe", "comment", "legal", "advert", "related", "related", "related", "navigation")
_BULLETS = ("- ", "* ", "• ", "– ", "· ", "> ")
_BULLET = re.compile(r"^\s*[-*•–·>»]\s+")


def augmented(
    document: LabelledDocument, others: Sequence[LabelledDocument], rng: np.random.Generator, rates: dict[str, float]
) -> LabelledDocument:
    """The document after each change whose turn it is, by its rate. `others` lend their boilerplate."""
    changes: dict[str, Callable[[LabelledDocument], LabelledDocument]] = {
        "digest": lambda d: _digested(d, _one_of(others, rng), rng),
        "phrases": lambda d: _phrased(d, _one_of(others, rng), rng),
        "crop": lambda d: _cropped(d, rng),
        "thin": lambda d: _thinned(d, rng),
        "graft": lambda d: _grafted(d, _one_of(others, rng), rng),
        "bullets": lambda d: _bulleted(d, rng),
        "wrap": lambda d: _wrapped(d, rng),
        "merge": lambda d: _merged(d, rng),
        "lower": lambda d: replace(d, lines=tuple(line.lower() for line in d.lines)),
    }
    for name, rate in rates.items():
        if rng.random() < rate:
            changed = changes[name](document)
            if changed.lines:
                document = changed
    return document


def _one_of(others: Sequence[LabelledDocument], rng: np.random.Generator) -> LabelledDocument:
    return others[int(rng.integers(len(others)))]


def _taken(document: LabelledDocument, rows: np.ndarray) -> LabelledDocument:
    return replace(
        document,
        lines=tuple(document.lines[i] for i in rows),
        body=document.body[rows],
        kinds=document.kinds[rows],
        cues=None if document.cues is None else document.cues[rows],
    )


def _cropped(document: LabelledDocument, rng: np.random.Generator) -> LabelledDocument:
    """Without some of its head, or of its tail, or of both."""
    n = len(document.lines)
    body = np.flatnonzero(document.body == 1)
    middle = int(rng.choice(body)) if len(body) else int(rng.integers(n))
    start = int(rng.integers(0, middle + 1)) if rng.random() < 0.6 else 0
    end = int(rng.integers(middle + 1, n + 1)) if rng.random() < 0.6 else n
    return _taken(document, np.arange(start, end))


def _digested(document: LabelledDocument, other: LabelledDocument, rng: np.random.Generator) -> LabelledDocument:
    """A short article: some paragraphs, often under their headline, often with a tail from another document or their own."""
    body = np.flatnonzero(document.body == 1)
    if len(body) < 2 or document.cues is not None:
        return document
    n = min(len(body), int(rng.integers(2, 14)))
    first = int(rng.integers(0, len(body) - n + 1)) if rng.random() < 0.4 else 0
    story = body[first : first + n]
    heads = np.flatnonzero((document.kinds == _HEADLINE) & (document.body == 0))
    head = heads[:1] if rng.random() < 0.6 else heads[:0]
    own = np.arange(story[-1] + 1, len(document.lines))
    own = own[document.body[own] == 0][: int(rng.integers(1, 25))] if rng.random() < 0.3 else own[:0]
    short = _taken(document, np.concatenate([head, story, own]).astype(int))
    return _grafted(short, other, rng, longest=16) if rng.random() < 0.6 and not len(own) else short


def _phrased(document: LabelledDocument, other: LabelledDocument, rng: np.random.Generator) -> LabelledDocument:
    """With some of the lexicon's phrases as lines of their own, in any language; 'read also' and its like with a teaser."""
    if document.cues is not None:
        return document
    teasers = [
        line for line, kind in zip(other.lines, other.kinds, strict=True) if kind == _RELATED and 15 < len(line) < 120
    ]
    lines, kinds = list(document.lines), document.kinds.tolist()
    body = document.body.tolist()
    at = len(lines) if rng.random() < 0.6 else int(rng.integers(0, len(lines) + 1))
    for _ in range(int(rng.integers(1, 7))):
        cue = _PHRASED[rng.integers(len(_PHRASED))]
        choices = phrases(cue)
        text, kind = choices[rng.integers(len(choices))], _KIND_OF_CUE[cue]
        text = text.upper() if rng.random() < 0.2 else text[:1].upper() + text[1:]
        if kind == _RELATED and teasers and rng.random() < 0.7:
            text += (": ", " : ", " - ", " | ")[rng.integers(4)] + teasers[rng.integers(len(teasers))]
        lines.insert(at, text)
        kinds.insert(at, kind)
        body.insert(at, 0)
    return replace(document, lines=tuple(lines), kinds=np.array(kinds, np.int8), body=np.array(body, np.int8))


def _thinned(document: LabelledDocument, rng: np.random.Generator) -> LabelledDocument:
    """Without most runs of boilerplate, as an extractor that lets a few through."""
    change = np.flatnonzero(np.diff(document.body, prepend=document.body[0]) != 0)
    runs = np.split(np.arange(len(document.body)), change)
    share = rng.random() * 0.7
    kept = [run for run in _shortened(runs, rng) if len(run) and (document.body[run[0]] != 0 or rng.random() < share)]
    return _taken(document, np.concatenate(kept)) if kept else document


def _shortened(runs: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """The runs cut at random places, so that parts of a long one may go."""
    out: list[np.ndarray] = []
    for run in runs:
        n_cuts = min(len(run) // 6, 6)
        out.extend(np.split(run, np.sort(rng.integers(0, len(run), n_cuts))) if n_cuts else [run])
    return out


def _grafted(
    document: LabelledDocument, other: LabelledDocument, rng: np.random.Generator, longest: int = 30
) -> LabelledDocument:
    """With a stretch of another document's boilerplate behind it, before it, or within it."""
    rows = np.flatnonzero(other.body == 0)
    if len(rows) == 0 or document.cues is not None:
        return document
    n = min(len(rows), int(rng.integers(1, longest)))
    first = int(rng.integers(0, len(rows) - n + 1)) if rng.random() < 0.5 else len(rows) - n
    lent = rows[first : first + n]
    at = [len(document.lines), 0, int(rng.integers(0, len(document.lines) + 1))][rng.choice(3, p=[0.65, 0.15, 0.2])]
    return replace(
        document,
        lines=(*document.lines[:at], *(other.lines[i] for i in lent), *document.lines[at:]),
        body=np.concatenate([document.body[:at], other.body[lent], document.body[at:]]),
        kinds=np.concatenate([document.kinds[:at], other.kinds[lent], document.kinds[at:]]),
    )


def _bulleted(document: LabelledDocument, rng: np.random.Generator) -> LabelledDocument:
    """With bullets taken from all lines, or put before all short lines in runs of boilerplate."""
    bare = tuple(_BULLET.sub("", line) or line for line in document.lines)
    if rng.random() < 0.5:
        return replace(document, lines=bare)
    bullet = _BULLETS[rng.integers(len(_BULLETS))]
    rate = rng.random()
    hit = (document.body == 0) & (rng.random(len(bare)) < rate)
    return replace(
        document,
        lines=tuple(bullet + line if h and len(line) < 120 else line for line, h in zip(bare, hit, strict=True)),
    )


def _wrapped(document: LabelledDocument, rng: np.random.Generator) -> LabelledDocument:
    """With long lines broken: at a width, or at the ends of sentences."""
    if document.cues is not None:
        return document
    width = int(rng.integers(60, 100))
    by_sentence = rng.random() < 0.6
    lines: list[str] = []
    rows: list[int] = []
    for i, line in enumerate(document.lines):
        parts = re.split(r"(?<=[.!?])\s+", line) if by_sentence else textwrap.wrap(line, width)
        parts = [part for part in parts if part.strip()] or [line]
        lines.extend(parts)
        rows.extend([i] * len(parts))
    return replace(document, lines=tuple(lines), body=document.body[rows], kinds=document.kinds[rows])


def _merged(document: LabelledDocument, rng: np.random.Generator) -> LabelledDocument:
    """With some neighbours of one label joined into one line."""
    if document.cues is not None:
        return document
    rate = rng.random() * 0.4
    lines: list[str] = []
    rows: list[int] = []
    for i, line in enumerate(document.lines):
        joins = (
            lines
            and document.body[i] == document.body[rows[-1]] != UNKNOWN
            and document.kinds[i] == document.kinds[rows[-1]]
        )
        if joins and rng.random() < rate:
            lines[-1] += " " + line
        else:
            lines.append(line)
            rows.append(i)
    return replace(document, lines=tuple(lines), body=document.body[rows], kinds=document.kinds[rows])
