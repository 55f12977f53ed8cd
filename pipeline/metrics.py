"""Arrays in, numbers out: how good a model's answers are, how sure that is, and for which articles.

Every number is a function of sums over documents, so one sparse matrix of what each document contributes serves the
estimate and all bootstrap draws: a draw is a vector of how often each document was drawn, times that matrix.

References:
    Efron & Tibshirani (1993), An Introduction to the Bootstrap: percentile intervals.
    Guo et al. (2017), On Calibration of Modern Neural Networks: expected calibration error.
    Wilson (1927): the interval of a share, which is honest at 0 and 1 where the bootstrap's collapses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import sparse

from pipeline.errors import DataError

UNKNOWN = "(unknown to the model)"
SCALARS = ("accuracy", "macro_f1", "micro_f1", "ece", "brier", "log_loss", "coverage")
_IN_ORDER = (
    "macro_f1", "accuracy", "ece", "answered_accuracy", "answered", "coverage", "micro_f1", "brier", "log_loss",
    "mean_set_size", "n",
)  # fmt: skip
_PERCENTILES = (2.5, 97.5)
_Z_95 = 1.959963984540054
_SMALLEST = 1e-15
_WEIGHTS_AT_ONCE = 2_000_000

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class LabelScore:
    """Precision, recall and F1 of one label, 0 where undefined; `support` is how many documents truly have it."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """What `evaluate` prints. Shares are in [0, 1]; `intervals` holds the 95 % bootstrap interval of every scalar.

    `coverage` is the share of documents whose set holds every true label; `answered` the share whose set is exactly
    one label (the others are abstentions), `answered_accuracy` the accuracy on those, 0 where none is answered.
    """

    n: int
    accuracy: float
    macro_f1: float
    micro_f1: float
    ece: float
    brier: float
    log_loss: float
    coverage: float
    answered: float
    answered_accuracy: float
    mean_set_size: float
    per_label: dict[str, LabelScore]
    intervals: dict[str, Interval]
    per_label_intervals: dict[str, dict[str, Interval]]

    def to_json(self) -> dict[str, Any]:
        """The object that `evaluate --format json` prints; intervals are two-element lists."""
        plain = asdict(self)
        plain["intervals"] = {name: list(interval) for name, interval in self.intervals.items()}
        plain["per_label_intervals"] = {
            label: {name: list(interval) for name, interval in intervals.items()}
            for label, intervals in self.per_label_intervals.items()
        }
        return plain

    def flat(self) -> dict[str, float]:
        """MLflow metrics: `test/macro_f1`, `test/macro_f1.ci_low`, `test/f1/<label>`; names hold what MLflow allows.

        The order is that in which a person asks, which is the order that MLflow shows.
        """
        flat = {f"test/{name}": float(getattr(self, name)) for name in _IN_ORDER}
        for name, (low, high) in self.intervals.items():
            flat |= {f"test/{name}.ci_low": low, f"test/{name}.ci_high": high}
        for label, key in metric_names(self.per_label).items():
            low, high = self.per_label_intervals[label]["f1"]
            flat |= {f"test/{name}/{key}": float(value) for name, value in asdict(self.per_label[label]).items()}
            flat |= {f"test/f1/{key}.ci_low": low, f"test/f1/{key}.ci_high": high}
        return flat


@dataclass(frozen=True, slots=True)
class SliceScore:
    """Quality on the documents of one slice: `by` is what was sliced (`source`), `value` which slice of it."""

    by: str
    value: str
    n: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One point of a figure. `n` is how many documents stand behind it."""

    x: float
    y: float
    n: int


@dataclass(frozen=True, slots=True)
class _Rows:
    """What each document contributes; all matrices have one row a document."""

    truth: sparse.csr_array
    predicted: sparse.csr_array
    calibration_gaps: sparse.csr_array
    exact: np.ndarray
    brier: np.ndarray
    log_loss: np.ndarray
    covered: np.ndarray
    n_answers: int


def evaluate_single(
    y_true: np.ndarray,
    probabilities: np.ndarray,
    labels: Sequence[str],
    *,
    n_draws: int,
    seed: int,
    sets: np.ndarray | None = None,
    y_pred: np.ndarray | None = None,
) -> Metrics:
    """The metrics of a task with one label an article.

    `y_true` (n,) indexes `labels`; columns of `probabilities` (n, k) are the first k labels. A true label beyond them,
    or -1, is unknown to the model: it counts, as wrong. `sets` (n, k) are conformal sets, by default the one label
    predicted; `y_pred` (n,) are decisions, by default the most probable label.

    Raises:
        DataError: nothing to evaluate, shapes that do not fit, or probabilities that are not finite.
    """
    probabilities = _checked(probabilities, y_true, labels)
    n, k = probabilities.shape
    decided = probabilities.argmax(axis=1) if y_pred is None else np.asarray(y_pred)
    sets = np.eye(k, dtype=bool)[decided] if sets is None else np.asarray(sets, dtype=bool)
    unnamed = (np.asarray(y_true) < 0) | (np.asarray(y_true) >= len(labels))
    names = [*labels, UNKNOWN] if unnamed.any() else list(labels)
    y_true = np.where(unnamed, len(labels), y_true)
    known = y_true < k
    p_true = np.where(known, probabilities[np.arange(n), np.where(known, y_true, 0)], 0.0)
    confidence, correct = probabilities[np.arange(n), decided], decided == y_true
    rows = _Rows(
        truth=_indicator(y_true, len(names)),
        predicted=_indicator(decided, len(names)),
        calibration_gaps=_gaps(confidence[:, None], correct[:, None], n_bins=15),
        exact=correct,
        brier=(probabilities**2).sum(axis=1) - 2 * p_true + 1,
        log_loss=-np.log(np.maximum(p_true, _SMALLEST)),
        covered=known & sets[np.arange(n), np.where(known, y_true, 0)],
        n_answers=1,
    )
    return _measure(rows, names, sets, n_draws=n_draws, seed=seed)


def evaluate_multi(
    y_true: np.ndarray,
    probabilities: np.ndarray,
    predicted: np.ndarray,
    labels: Sequence[str],
    *,
    n_draws: int,
    seed: int,
) -> Metrics:
    """The metrics of a task with any number of labels an article.

    `accuracy` asks for the exact set; `ece`, `brier` and `log_loss` are over all (document, label) probabilities.
    Columns of `y_true` (n, >= k) beyond those of `probabilities` (n, k) are labels unknown to the model.

    Raises:
        DataError: nothing to evaluate, shapes that do not fit, or probabilities that are not finite.
    """
    y_true = np.asarray(y_true, dtype=bool)
    probabilities = _checked(probabilities, y_true, labels)
    if y_true.ndim != 2 or y_true.shape[1] != len(labels):
        raise DataError(f"truth has shape {y_true.shape}, expected (n, {len(labels)}), one column a label")
    k = probabilities.shape[1]
    decided = np.zeros_like(y_true)
    decided[:, :k] = predicted
    full = np.zeros(y_true.shape)
    full[:, :k] = probabilities
    p_right = np.where(y_true, full, 1 - full)
    rows = _Rows(
        truth=sparse.csr_array(y_true.astype(float)),
        predicted=sparse.csr_array(decided.astype(float)),
        calibration_gaps=_gaps(probabilities, y_true[:, :k], n_bins=15),
        exact=np.all(y_true == decided, axis=1),
        brier=((full - y_true) ** 2).mean(axis=1),
        log_loss=-np.log(np.maximum(p_right, _SMALLEST)).mean(axis=1),
        covered=np.all(decided | ~y_true, axis=1),
        n_answers=k,
    )
    return _measure(rows, list(labels), decided, n_draws=n_draws, seed=seed)


def expected_calibration_error(probabilities: np.ndarray, y_true: np.ndarray, n_bins: int = 15) -> float:
    """How far confidence is from being right, on average, in [0, 1].

    With `y_true` (n,) the confidence is that of the most probable label; with `y_true` (n, k) every label-wise
    probability counts.
    """
    y_true = np.asarray(y_true)
    if y_true.ndim == 2:
        confidence, correct = np.asarray(probabilities), y_true.astype(bool)
    else:
        confidence, correct = (
            np.max(probabilities, axis=1)[:, None],
            (np.argmax(probabilities, axis=1) == y_true)[:, None],
        )
    gaps = _gaps(confidence, correct, n_bins)
    return float(np.abs(gaps.sum(axis=0)).sum() / confidence.size)


def slice_metrics(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    labels: Sequence[str],
    slices: Mapping[str, Sequence[str | None]],
    *,
    n_draws: int,
    seed: int,
    min_size: int = 1,
) -> list[SliceScore]:
    """Quality in every slice of at least `min_size` documents, largest first within each kind of slice.

    `slices` maps what is sliced (`source`, `period`) to one value a document, None where it has none (then it is left
    out). `y_true` and `y_pred` are (n,) indices into `labels`, or (n, k) bool. Accuracy has Wilson's interval.
    """
    truth, predicted = as_indicators(y_true, y_pred, len(labels))
    exact = np.asarray(abs(truth - predicted).sum(axis=1)) == 0
    scores = []
    for by, values in slices.items():
        members = _members(values)
        for value, index in sorted(members.items(), key=lambda member: (-len(member[1]), member[0])):
            if len(index) >= min_size:
                estimate, interval = _macro_f1(truth[index], predicted[index], n_draws=n_draws, seed=seed)
                n_right = int(exact[index].sum())
                right = wilson_interval(n_right, len(index))
                scores.append(SliceScore(by, value, len(index), n_right / len(index), right, estimate, interval))
    return scores


def standard_slices(
    *,
    sources: Sequence[str | None],
    dates: Sequence[str | None],
    lengths: Sequence[int],
    languages: Sequence[str | None] | None = None,
) -> dict[str, list[str | None]]:
    """What `slice_metrics` slices by: source, period (the year of an ISO date), length quarter, language."""
    edges = np.quantile(lengths, [0.25, 0.5, 0.75]) if len(lengths) else np.zeros(3)
    quarter = np.searchsorted(edges, lengths, side="left")
    slices: dict[str, list[str | None]] = {
        "source": list(sources),
        "period": [match[0] if (match := re.match(r"\d{4}", date or "")) else None for date in dates],
        "length": [f"q{1 + int(q)}" for q in quarter],
    }
    if languages is not None:
        slices["language"] = list(languages)
    return {by: values for by, values in slices.items() if any(value is not None for value in values)}


def flat_slices(scores: Sequence[SliceScore]) -> dict[str, float]:
    """MLflow metrics of slices: `test/slice/source/accuracy/<value>`, its `.ci_low` and `.ci_high`, macro-F1 and n."""
    names = {by: metric_names([score.value for score in scores if score.by == by]) for by in {s.by for s in scores}}
    flat: dict[str, float] = {}
    for score in scores:
        prefix, value = f"test/slice/{score.by}", names[score.by][score.value]
        flat |= {
            f"{prefix}/accuracy/{value}": score.accuracy,
            f"{prefix}/macro_f1/{value}": score.macro_f1,
            f"{prefix}/n/{value}": float(score.n),
        }
        for name, (low, high) in (("accuracy", score.accuracy_interval), ("macro_f1", score.macro_f1_interval)):
            flat |= {f"{prefix}/{name}/{value}.ci_low": low, f"{prefix}/{name}/{value}.ci_high": high}
    return flat


def flat_curves(confidence: np.ndarray, correct: np.ndarray) -> dict[str, list[tuple[int, float]]]:
    """MLflow metrics of several steps: share right at each stated confidence, accuracy by share answered, cost by price.

    Steps are per cent; MLflow draws each as a line, one a run.
    """
    curves = {
        "right_by_confidence": calibration_curve(confidence, correct),
        "accuracy_by_share_answered": coverage_curve(confidence, correct),
        "cost_by_price_of_a_look": cost_curve(confidence, correct),
    }
    return {
        f"test/curve/{name}": list({round(100 * p.x): p.y for p in found}.items()) for name, found in curves.items()
    }


def calibration_curve(confidence: np.ndarray, correct: np.ndarray, n_bins: int = 15) -> list[CurvePoint]:
    """Mean confidence (x) against share right (y) in each bin of equal width that holds something."""
    confidence, correct = np.ravel(confidence), np.ravel(correct).astype(float)
    bins = _bins(confidence, n_bins)
    counts = np.bincount(bins, minlength=n_bins)
    x, y = np.bincount(bins, confidence, n_bins), np.bincount(bins, correct, n_bins)
    return [CurvePoint(float(x[b] / n), float(y[b] / n), int(n)) for b, n in enumerate(counts) if n]


def coverage_curve(confidence: np.ndarray, correct: np.ndarray, n_points: int = 50) -> list[CurvePoint]:
    """Accuracy (y) when only the most confident share (x) is answered; ties are answered together."""
    order = np.argsort(-confidence, kind="stable")
    right, ordered = np.cumsum(np.asarray(correct)[order]), confidence[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) + 1
    wanted = np.linspace(0, len(order), n_points + 1)[1:]
    kept = np.unique(ends[np.minimum(np.searchsorted(ends, wanted), len(ends) - 1)])
    return [CurvePoint(float(n / len(order)), float(right[n - 1] / n), int(n)) for n in kept]


def cost_curve(confidence: np.ndarray, correct: np.ndarray, n_points: int = 21) -> list[CurvePoint]:
    """Least cost an article (y) when a person's look costs x and an error 1; `n` is how many the model answers then.

    The threshold is the best in hindsight for each x, so the curve is a lower bound.
    """
    order = np.argsort(-confidence, kind="stable")
    n_wrong = np.concatenate([[0], np.cumsum(~np.asarray(correct, dtype=bool)[order])])
    n_asked = np.arange(len(order), -1, -1)
    points = []
    for price in np.linspace(0, 1, n_points):
        costs = n_wrong + price * n_asked
        best = len(costs) - 1 - int(np.argmin(costs[::-1]))
        points.append(CurvePoint(float(price), float(costs[best] / max(1, len(order))), best))
    return points


def wilson_interval(n_right: int, n: int) -> Interval:
    """The 95 % interval of a share by Wilson's score; (0, 1) for no documents."""
    if n == 0:
        return 0.0, 1.0
    share, z2 = n_right / n, _Z_95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z_95 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def as_indicators(y_true: np.ndarray, y_pred: np.ndarray, k: int) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Truth and decisions as (n, k + 1) matrices of 0 and 1; the last column is a true label unknown to the model."""
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    if y_true.ndim == 2:
        empty = sparse.csr_array((len(y_true), 1))
        return beside(sparse.csr_array(y_true.astype(float)), empty), beside(
            sparse.csr_array(y_pred.astype(float)), empty
        )
    return _indicator(np.where((y_true < 0) | (y_true >= k), k, y_true), k + 1), _indicator(y_pred, k + 1)


def beside(*blocks: sparse.csr_array) -> sparse.csr_array:
    """Matrices with the same rows as one, column after column."""
    return sparse.csr_array(sparse.hstack(blocks, format="csr"))


def bootstrap_sums(columns: sparse.csr_array, *, n_draws: int, seed: int) -> Iterator[np.ndarray]:
    """Column sums (draws, m) of documents drawn with replacement, in batches that together make `n_draws`."""
    rng, transposed = np.random.default_rng(seed), sparse.csr_array(columns.T)
    n = len(columns.indptr) - 1
    left = n_draws
    while left > 0:
        batch = min(left, max(1, _WEIGHTS_AT_ONCE // max(1, n)))
        drawn = rng.integers(0, n, size=(batch, n)) * batch + np.arange(batch)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=n * batch).reshape(n, batch).astype(float)
        yield (transposed @ weights).T
        left -= batch


def macro_f1_of(f1: np.ndarray, n_seen: np.ndarray) -> np.ndarray:
    """Mean F1 (draws,) over the labels that are true or predicted somewhere, as scikit-learn has it; 0 for none."""
    seen = n_seen > 0
    return np.where(seen, f1, 0.0).sum(axis=-1) / np.maximum(1, seen.sum(axis=-1))


def metric_names(names: Sequence[str] | Mapping[str, Any]) -> dict[str, str]:
    """Each name in characters that an MLflow metric may have, without slashes, and no two alike."""
    taken: set[str] = set()
    allowed: dict[str, str] = {}
    for name in names:
        base = re.sub(r"[^\w\-. :]", "_", name)[:150].strip(" .") or "_"
        key, n = base, 1
        while key.casefold() in taken:
            n += 1
            key = f"{base}_{n}"
        taken.add(key.casefold())
        allowed[name] = key
    return allowed


def _measure(rows: _Rows, labels: list[str], sets: np.ndarray, *, n_draws: int, seed: int) -> Metrics:
    k = len(labels)
    columns = _columns(rows)
    point = _statistics(np.asarray(columns.sum(axis=0))[None, :], k, rows.n_answers)
    batches = [_statistics(sums, k, rows.n_answers) for sums in bootstrap_sums(columns, n_draws=n_draws, seed=seed)]
    draws = {name: np.concatenate([batch[name] for batch in batches or [point]]) for name in point}
    spread = {name: np.percentile(values, _PERCENTILES, axis=0) for name, values in draws.items()}
    spread["ece"] = _mirrored(spread["ece"], point["ece"][0])
    supports = np.asarray(rows.truth.sum(axis=0)).astype(int)
    answered = sets.sum(axis=1) == 1
    return Metrics(
        n=len(rows.exact),
        **{name: float(point[name][0]) for name in SCALARS},
        answered=float(answered.mean()),
        answered_accuracy=float(rows.exact[answered].mean()) if answered.any() else 0.0,
        mean_set_size=float(sets.sum(axis=1).mean()),
        per_label={
            label: LabelScore(
                precision=float(point["precision"][0, i]),
                recall=float(point["recall"][0, i]),
                f1=float(point["f1"][0, i]),
                support=int(supports[i]),
            )
            for i, label in enumerate(labels)
        },
        intervals={name: (float(spread[name][0]), float(spread[name][1])) for name in SCALARS},
        per_label_intervals={
            label: {
                name: (float(spread[name][0, i]), float(spread[name][1, i])) for name in ("precision", "recall", "f1")
            }
            for i, label in enumerate(labels)
        },
    )


def _mirrored(spread: np.ndarray, estimate: float) -> np.ndarray:
    """The basic bootstrap interval: resampling adds noise, which only ever raises an absolute gap, so mirror it back."""
    low, high = 2 * estimate - spread[::-1]
    return np.clip([min(low, estimate), max(high, estimate)], 0, 1)


def _columns(rows: _Rows) -> sparse.csr_array:
    scalars = np.column_stack([rows.exact, rows.brier, rows.log_loss, rows.covered, np.ones(len(rows.exact))])
    hits = rows.truth.multiply(rows.predicted)
    return beside(hits, rows.predicted, rows.truth, rows.calibration_gaps, sparse.csr_array(scalars.astype(float)))


def _statistics(sums: np.ndarray, k: int, n_answers: int) -> dict[str, np.ndarray]:
    """Every metric of (draws, m) column sums: scalars as (draws,), per-label ones as (draws, k)."""
    hits, predicted, true, gaps = np.split(sums[:, :-5], [k, 2 * k, 3 * k], axis=1)
    exact, brier, log_loss, covered, n = sums[:, -5:].T
    f1 = 2 * hits / np.maximum(1, predicted + true)
    return {
        "accuracy": exact / n,
        "macro_f1": macro_f1_of(f1, predicted + true),
        "micro_f1": 2 * hits.sum(axis=1) / np.maximum(1, (predicted + true).sum(axis=1)),
        "ece": np.abs(gaps).sum(axis=1) / (n * n_answers),
        "brier": brier / n,
        "log_loss": log_loss / n,
        "coverage": covered / n,
        "precision": hits / np.maximum(1, predicted),
        "recall": hits / np.maximum(1, true),
        "f1": f1,
    }


def _macro_f1(
    truth: sparse.csr_array, predicted: sparse.csr_array, *, n_draws: int, seed: int
) -> tuple[float, Interval]:
    """Macro-F1 and its 95 % bootstrap interval."""
    k = np.asarray(truth.sum(axis=0)).size
    columns = beside(truth.multiply(predicted), predicted + truth)

    def of(sums: np.ndarray) -> np.ndarray:
        return macro_f1_of(2 * sums[:, :k] / np.maximum(1, sums[:, k:]), sums[:, k:])

    estimate = float(of(np.asarray(columns.sum(axis=0))[None, :])[0])
    draws = [of(sums) for sums in bootstrap_sums(columns, n_draws=n_draws, seed=seed)]
    low, high = np.percentile(np.concatenate(draws), _PERCENTILES) if draws else (estimate, estimate)
    return estimate, (float(low), float(high))


def _gaps(confidence: np.ndarray, correct: np.ndarray, n_bins: int) -> sparse.csr_array:
    """(n, n_bins): how much each document's answers (n, a) add to confidence minus share right in each bin."""
    n, n_answers = confidence.shape
    row = np.repeat(np.arange(n), n_answers)
    gap = (confidence - correct).ravel()
    return sparse.coo_array((gap, (row, _bins(confidence.ravel(), n_bins))), shape=(n, n_bins)).tocsr()


def _bins(confidence: np.ndarray, n_bins: int) -> np.ndarray:
    return np.clip((confidence * n_bins).astype(int), 0, n_bins - 1)


def _indicator(index: np.ndarray, k: int) -> sparse.csr_array:
    """(n, k) with a 1 in the column that `index` (n,) names."""
    n = len(index)
    return sparse.csr_array((np.ones(n), np.asarray(index, dtype=np.int64), np.arange(n + 1)), shape=(n, k))


def _members(values: Sequence[str | None]) -> dict[str, np.ndarray]:
    members: dict[str, list[int]] = {}
    for i, value in enumerate(values):
        if value is not None and value != "":
            members.setdefault(value, []).append(i)
    return {value: np.array(index) for value, index in members.items()}


def _checked(probabilities: np.ndarray, y_true: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    probabilities = np.asarray(probabilities, dtype=float)
    if len(y_true) == 0:
        raise DataError("no examples to evaluate; is the test split empty?")
    if probabilities.ndim != 2 or len(probabilities) != len(y_true) or probabilities.shape[1] > len(labels):
        raise DataError(
            f"probabilities have shape {probabilities.shape}, expected {len(y_true)} rows and at most {len(labels)} columns"
        )
    if not np.isfinite(probabilities).all():
        row = int(np.flatnonzero(~np.isfinite(probabilities).all(axis=1))[0])
        raise DataError("a probability is not a finite number", row=row + 1)
    return probabilities
