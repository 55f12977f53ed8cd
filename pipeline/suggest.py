"""Unlabelled articles in, a sheet of those worth labelling next out: doubted by the model, and unlike each other.

The decision that is not obvious: the sheet is CSV with a byte-order mark and an empty `label` column, because any spreadsheet
opens and saves that; `data.train` takes it back as it is, and rows left without a label are counted as `missing_label`. A
cell that a spreadsheet would run as a formula begins with a blank, which cleaning takes away again.
References: Lewis and Gale 1994, A Sequential Algorithm for Training Text Classifiers; Brinker 2003, Incorporating Diversity in
Active Learning with Support Vector Machines.
"""

from __future__ import annotations

import csv
import io
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline.artifacts import content_id, replacing
from pipeline.classifiers.analysis import WordAnalyzer, smooth_idf, tf_idf
from pipeline.classifiers.task_model import TaskModel
from pipeline.config import Config as BaseConfig
from pipeline.document import Article, Example, Rejected, Summary
from pipeline.errors import DataError
from pipeline.preparation import Prepared, prepare
from pipeline.score import Scorer, as_example, batches

COLUMNS = ("id", "label", "suggested", "probability", "doubt", "title", "text", "source", "date", "url")
BATCH_ARTICLES, BATCH_CHARS = 500, 4_000_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Array = NDArray[np.float64]


class Config(BaseConfig):
    """`configs/suggest.yaml`."""

    n: int = Field(ge=1)
    pool: int = Field(ge=1)
    diversity: float = Field(ge=0, le=1)
    max_chars: int = Field(ge=1)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An article that might be labelled, what the model says of it, and how unsure it is (0 sure, 1 at a loss)."""

    article: Article
    example: Example
    suggested: str
    probability: float
    doubt: float


def run(
    config: Config, model: Path, articles: Iterable[Article | Rejected], known: Iterable[str], output: Path
) -> Summary:
    """Write the sheet of the articles to label next; `known` are texts that have a label already.

    Raises:
        DataError: a task about targets, or no article that is new.
    """
    began = time.monotonic()
    scorer = Scorer.load([model], n_evidence=0)
    (task_model,) = scorer.models
    if task_model.task_kind == "target":
        raise DataError(
            f"task '{task_model.task}' is about targets; suggest works for articles with labels of their own"
        )
    rejected: Counter[str] = Counter()
    seen = {content_id(" ".join(text.split())) for text in known}
    candidates: list[Candidate] = []
    for batch in batches(articles, BATCH_ARTICLES, BATCH_CHARS):
        candidates += _judged(batch, scorer, task_model, seen, rejected)
    if not candidates:
        lost = ", ".join(f"{n} {reason}" for reason, n in rejected.items()) or "none was given"
        raise DataError(f"no article is left to suggest: {lost}")
    chosen = choose(candidates, config.n, config.pool, config.diversity)
    write(chosen, output, config.max_chars)
    n_in = len(candidates) + sum(rejected.values())
    return Summary(f"suggest {task_model.task}", n_in, len(chosen), dict(rejected), time.monotonic() - began)


def doubts(model: TaskModel, probabilities: Array) -> Array:
    """How unsure the model is of each row: how near the two most probable labels are, or the label nearest to its threshold."""
    if model.task_kind == "multi":
        gap = np.abs(probabilities - model.label_thresholds) / np.maximum(
            model.label_thresholds, 1 - model.label_thresholds
        )
        return 1.0 - gap.min(axis=1)
    ordered = np.sort(probabilities, axis=1)
    return 1.0 - (ordered[:, -1] - ordered[:, -2])


def choose(candidates: Sequence[Candidate], n: int, pool: int, diversity: float) -> list[Candidate]:
    """At most `n` candidates, one after another the one with most doubt times unlikeness to those chosen before."""
    order = sorted(range(len(candidates)), key=lambda i: (-candidates[i].doubt, candidates[i].article.id))
    kept = [candidates[i] for i in order[: n * pool]]
    vectors = _vectors([f"{one.example.title}\n{one.example.text}" for one in kept])
    doubt, likeness = np.array([one.doubt for one in kept]), np.zeros(len(kept))
    left, chosen = np.ones(len(kept), dtype=bool), []
    for _ in range(min(n, len(kept))):
        worth = np.where(left, doubt * (1.0 - diversity * likeness), -1.0)
        best = int(worth.argmax())
        left[best] = False
        chosen.append(kept[best])
        likeness = np.maximum(likeness, (vectors @ vectors[[best]].T).toarray().ravel())
    return chosen


def write(chosen: Iterable[Candidate], output: Path, max_chars: int) -> None:
    """Write the sheet, most worth labelling first."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for one in chosen:
        article, content = one.article, one.article.text if one.article.text is not None else one.example.text
        cells = (
            article.id, "", one.suggested, f"{one.probability:.3f}", f"{one.doubt:.3f}", article.title or one.example.title,
            content[:max_chars], article.source, article.date, article.url,
        )  # fmt: skip
        writer.writerow([_harmless(cell or "") for cell in cells])
    with replacing(output) as temporary:
        temporary.write_bytes(text.getvalue().encode("utf-8-sig", "replace"))


def _judged(
    batch: Sequence[Article | Rejected], scorer: Scorer, model: TaskModel, seen: set[str], rejected: Counter[str]
) -> list[Candidate]:
    rejected.update(one.reason for one in batch if isinstance(one, Rejected))
    articles = [one for one in batch if isinstance(one, Article)]
    fresh: list[tuple[Article, Example]] = []
    for article, prepared in zip(articles, prepare(articles, scorer.repair, scorer.separator), strict=True):
        reason = _refused(prepared, seen)
        if isinstance(prepared, Rejected) or reason:
            rejected[reason] += 1
        else:
            fresh.append((article, as_example(prepared)))
    if not fresh:
        return []
    probabilities = model.predict_proba([example for _, example in fresh])
    best = probabilities.argmax(axis=1)
    return [
        Candidate(article, example, model.labels[best[i]], float(probabilities[i, best[i]]), float(doubt))
        for i, ((article, example), doubt) in enumerate(zip(fresh, doubts(model, probabilities), strict=True))
    ]


def _refused(prepared: Prepared | Rejected, seen: set[str]) -> str:
    """Why an article is not a candidate: it cannot be read, has no words, is labelled already or was met before."""
    if isinstance(prepared, Rejected):
        return prepared.reason
    key = content_id(" ".join(prepared.body.split()))
    if key in seen:
        return "known"
    seen.add(key)
    return "" if any(character.isalnum() for character in prepared.body) else "empty"


def _vectors(texts: Sequence[str]):
    counts = WordAnalyzer(1, 1, 1, None, 2).fit_counts(texts)
    return tf_idf(counts, smooth_idf(counts), sublinear=True)


def _harmless(cell: str) -> str:
    return f" {cell}" if cell.startswith(_FORMULA) else cell
