"""How good a separation is, by the same figures as the project's scorer: arrays and lines in, numbers out."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.separate.labelled import LabelledDocument

_SHINGLE_WORDS = 4
_N_BINS = 15


def shingles(text: str) -> Counter[tuple[str, ...]]:
    """The 4-grams of words of a text, with their counts."""
    words = re.findall(r"\w+", text.lower())
    if not words:
        return Counter()
    return Counter(tuple(words[i : i + _SHINGLE_WORDS]) for i in range(max(1, len(words) - _SHINGLE_WORDS + 1)))


def shingle_counts(body: str, gold: Counter[tuple[str, ...]]) -> tuple[float, float, float]:
    """Hits, surplus and misses of a body's shingles, divided by their sum: each document weighs the same."""
    own = shingles(body)
    hits = sum((gold & own).values())
    surplus, missed = sum(own.values()) - hits, sum(gold.values()) - hits
    total = max(1, hits + surplus + missed)
    return hits / total, surplus / total, missed / total


def f1(hits: float, surplus: float, missed: float) -> float:
    return 2 * hits / (2 * hits + surplus + missed) if hits else 0.0


def macro_f1(is_body: np.ndarray, labels: np.ndarray) -> float:
    """The mean of the F1 of body and of boilerplate, over the lines labelled 1 or 0."""
    known = labels >= 0
    is_body, labels = is_body[known], labels[known] == 1
    both, neither = int((is_body & labels).sum()), int((~is_body & ~labels).sum())
    surplus, missed = int((is_body & ~labels).sum()), int((~is_body & labels).sum())
    return (f1(both, surplus, missed) + f1(neither, missed, surplus)) / 2


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The expected calibration error over the lines labelled 1 or 0, in 15 bins of equal width."""
    known = labels >= 0
    probabilities, labels = probabilities[known], labels[known]
    bins = np.minimum((probabilities * _N_BINS).astype(int), _N_BINS - 1)
    gaps = np.bincount(bins, weights=probabilities - labels, minlength=_N_BINS)
    return float(np.abs(gaps).sum() / max(1, len(labels)))


def figures(
    documents: Sequence[LabelledDocument], probabilities: Sequence[np.ndarray], threshold: float
) -> dict[str, dict[str, float]]:
    """Macro-F1, shingle F1 and ECE of all documents, of each variant and of each source (the id's prefix, where it has one)."""
    members: dict[str, list[int]] = defaultdict(list)
    counts = []
    for i, (document, p) in enumerate(zip(documents, probabilities, strict=True)):
        source, has_source, _ = document.id.partition("-")
        for group in ("all", document.variant, *([f"source {source}"] if has_source else [])):
            members[group].append(i)
        body = "\n".join(line for line, q in zip(document.lines, p, strict=True) if q >= threshold)
        counts.append(shingle_counts(body, shingles(document.gold_body)))
    return {group: _figures(documents, probabilities, counts, rows, threshold) for group, rows in members.items()}


def _figures(
    documents: Sequence[LabelledDocument],
    probabilities: Sequence[np.ndarray],
    counts: Sequence[tuple[float, float, float]],
    rows: Iterable[int],
    threshold: float,
) -> dict[str, float]:
    rows = list(rows)
    p = np.concatenate([probabilities[i] for i in rows])
    labels = np.concatenate([documents[i].body for i in rows])
    hits, surplus, missed = np.array([counts[i] for i in rows]).sum(axis=0)
    return {
        "n_documents": len(rows),
        "macro_f1": round(macro_f1(p >= threshold, labels), 4),
        "shingle_f1": round(f1(hits, surplus, missed), 4),
        "ece": round(calibration_error(p, labels), 4),
    }
