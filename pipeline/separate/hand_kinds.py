"""Kinds given by hand to one rendering of a page, carried over to the page's other renderings; or to articles that came as text.

The file holds no text, only the pages' ids, so that labels may be published where the texts may not: a line of it is
`{"id", "variant", "digest", "runs"}`, where `digest` is of the rendering's lines and `runs` says, as `3 navigation, 1 headline`,
what its non-empty lines are, in order.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Self

import numpy as np

from pipeline.document import Kind
from pipeline.errors import DataError
from pipeline.separate.align import carried_kinds
from pipeline.separate.labelled import SCRAPED, TO_BLANK, UNKNOWN, LabelledDocument, kind_ids, read_rows

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HandKinds:
    """The kinds of the lines of one rendering."""

    id: str
    variant: str
    digest: str
    kinds: tuple[Kind, ...]

    @classmethod
    def of(cls, document: LabelledDocument, kinds: Sequence[Kind]) -> Self:
        """The kinds of a document's lines, one each."""
        return cls(document.id, document.variant, lines_digest(document.lines), tuple(kinds))

    def as_row(self) -> dict[str, str]:
        """The row that `read_hand_kinds` reads."""
        runs = ", ".join(f"{len(list(run))} {kind}" for kind, run in groupby(self.kinds))
        return {"id": self.id, "variant": self.variant, "digest": self.digest, "runs": runs}


def lines_digest(lines: Iterable[str]) -> str:
    """16 hexadecimal digits that name these lines."""
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def read_hand_kinds(path: Path) -> dict[str, HandKinds]:
    """The kinds of a file by page id.

    Raises:
        DataError: a row lacks a field, or a run is not a number and a kind.
    """
    found = {}
    for number, row in enumerate(read_rows(path), 1):
        try:
            runs = (run.split() for run in row["runs"].split(","))
            kinds = tuple(Kind(kind) for n, kind in runs for _ in range(int(n)))
            found[row["id"]] = HandKinds(row["id"], row["variant"], row["digest"], kinds)
        except (KeyError, ValueError, AttributeError) as error:
            raise DataError(f"expected id, variant, digest and runs ({error!r})", file=path, row=number) from None
    return found


def with_hand_kinds(
    documents: Sequence[LabelledDocument], given: dict[str, HandKinds], weight: float
) -> list[LabelledDocument]:
    """The documents, those of the given pages with kinds carried over from the rendering that was labelled.

    Where a hand and the document's own label disagree on a line being body, that line is left out of learning. A rendering
    whose lines have changed since is reported and not used.
    """
    labelled = {(d.id, d.variant): d for d in documents if d.id in given and given[d.id].variant == d.variant}
    out, stale = [], set()
    for document in documents:
        hand = given.get(document.id)
        source = labelled.get((document.id, hand.variant)) if hand else None
        if hand is None or source is None:
            out.append(document)
        elif hand.digest != lines_digest(source.lines) or len(hand.kinds) != len(source.lines):
            stale.add(document.id)
            out.append(document)
        else:
            out.append(_carried(document, source, hand, weight))
    if stale:
        log.warning("%d pages have other lines than when their kinds were given; used without them", len(stale))
    return out


def scraped_articles(path: Path, given: dict[str, HandKinds], weight: float) -> list[LabelledDocument]:
    """The articles of a file of `id text source` whose lines were given kinds: what they are is known by hand alone.

    An article whose lines have changed since is reported and left out, and so is how many were not met.

    Raises:
        DataError: a row lacks its id, text or source.
    """
    out, n_stale = [], 0
    for number, row in enumerate(read_rows(path), 1):
        if not all(isinstance(row.get(name), str) for name in ("id", "text", "source")):
            raise DataError("expected strings 'id', 'text' and 'source'", file=path, row=number)
        hand = given.get(row["id"])
        if hand is None or hand.variant != SCRAPED:
            continue
        lines = tuple(line.translate(TO_BLANK) for line in row["text"].split("\n") if line.strip())
        if hand.digest != lines_digest(lines) or len(hand.kinds) != len(lines):
            n_stale += 1
            continue
        kinds = kind_ids(hand.kinds)
        body = np.array([kind == Kind.BODY for kind in hand.kinds], np.int8)
        kinds[body == 1] = UNKNOWN
        story = "\n".join(line for line, is_body in zip(lines, body, strict=True) if is_body)
        out.append(
            LabelledDocument(
                row["id"], SCRAPED, row["source"], lines, body, kinds, is_article=1, gold_body=story, kind_weight=weight
            )
        )
    n_missed = sum(hand.variant == SCRAPED for hand in given.values()) - len(out) - n_stale
    if n_stale or n_missed:
        log.warning(
            "%s: of the articles whose lines were given kinds %d have other lines now and %d are not there; trained without them",
            path,
            n_stale,
            n_missed,
        )
    return out


def _carried(document: LabelledDocument, source: LabelledDocument, hand: HandKinds, weight: float) -> LabelledDocument:
    kinds = hand.kinds if document is source else carried_kinds(source.lines, hand.kinds, document.lines)
    is_body = np.array([kind == Kind.BODY for kind in kinds])
    known = np.array([kind is not None for kind in kinds])
    doubted = known & (is_body != (document.body == 1)) & (document.body != UNKNOWN)
    body = np.where(doubted, UNKNOWN, document.body).astype(np.int8)
    ids = np.where(is_body, UNKNOWN, kind_ids(kinds)).astype(np.int8)
    return replace(document, body=body, kinds=ids, kind_weight=weight)
