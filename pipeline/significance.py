"""Is one model better than another on the same rows, by how much, where, and could the rows have told.

The test is McNemar's on the rows where exactly one of the two is right, as mid-p: the exact form is conservative (2-3 %
false alarms at the 5 % level on news-sized test sets), mid-p keeps the level. Where rows come in groups that succeed or
fail together, signs are flipped by group instead, which for groups of one row is the same test.

References:
    McNemar (1947); Fagerland, Lydersen & Laake (2013), The McNemar test for binary matched-pairs data: mid-p.
    Holm (1979), A simple sequentially rejective multiple test procedure.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import sparse
from scipy.stats import binom

from pipeline.errors import DataError
from pipeline.metrics import Interval, as_indicators, beside, bootstrap_sums, macro_f1_of, metric_names, wilson_interval

_LEVEL = 0.05
_POWER = 0.80
_PERCENTILES = (2.5, 97.5)


class Verdict(StrEnum):
    """What the test allows one to say."""

    A_BETTER = "A better"
    B_BETTER = "B better"
    NOT_DISTINGUISHABLE = "not distinguishable"


@dataclass(frozen=True, slots=True)
class Difference:
    """A minus B with its 95 % paired bootstrap interval; `n` is how many rows stand behind it."""

    a: float
    b: float
    difference: float
    interval: Interval
    n: int


@dataclass(frozen=True, slots=True)
class SliceDifference:
    """The difference in accuracy on one slice: `by` is what was sliced (`source`), `value` which slice of it."""

    by: str
    value: str
    accuracy: Difference


@dataclass(frozen=True, slots=True)
class Change:
    """A row that the two models answer differently. For several labels an answer is their names joined with ', '."""

    index: int
    id: str
    true: str
    a: str
    b: str
    a_right: bool
    b_right: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same rows. Differences are A minus B; per-label and per-slice intervals are not corrected.

    `p_value` (mid-p, or sign flips by group: see `test`) decides the verdict once `p_adjusted` (Holm's, the same where
    only two are compared) is below 5 %; `p_value_exact` is McNemar's exact one, for those who want it. `detectable` is
    the difference in accuracy that rows like these reveal in at least 80 of 100 such comparisons.
    """

    n: int
    accuracy: Difference
    macro_f1: Difference
    n_only_a_right: int
    n_only_b_right: int
    test: str
    p_value: float
    p_value_exact: float
    p_adjusted: float
    verdict: Verdict
    detectable: float
    per_label: dict[str, Difference]
    per_slice: list[SliceDifference]
    changed: list[Change]

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        return asdict(self) | {"verdict": str(self.verdict)}

    def flat(self) -> dict[str, float]:
        """MLflow metrics: `compare/accuracy`, its `.ci_low` and `.ci_high`, `compare/p_value`, `compare/f1/<label>`."""
        named = {"accuracy": self.accuracy, "macro_f1": self.macro_f1}
        labels = metric_names(self.per_label)
        named |= {f"f1/{labels[label]}": found for label, found in self.per_label.items()}
        for by in {found.by for found in self.per_slice}:
            values = metric_names([found.value for found in self.per_slice if found.by == by])
            named |= {f"slice/{by}/accuracy/{values[s.value]}": s.accuracy for s in self.per_slice if s.by == by}
        flat = {"compare/accuracy": self.accuracy.difference, "compare/p_value": self.p_value}
        flat |= {"compare/detectable": self.detectable, "compare/n_changed": float(len(self.changed))}
        flat |= {"compare/n": float(self.n), "compare/p_adjusted": self.p_adjusted}
        for name, found in named.items():
            flat[f"compare/{name}"] = found.difference
            flat[f"compare/{name}.ci_low"], flat[f"compare/{name}.ci_high"] = found.interval
        return flat


def compare_predictions(
    y_true: np.ndarray,
    pred_a: np.ndarray,
    pred_b: np.ndarray,
    groups: Sequence[Hashable] | None = None,
    *,
    n_draws: int,
    seed: int,
    labels: Sequence[str] | None = None,
    slices: Mapping[str, Sequence[str | None]] | None = None,
    ids: Sequence[str] | None = None,
) -> Comparison:
    """How model A compares with model B on the same rows.

    `y_true` and both predictions are (n,) indices into `labels`, where a truth of -1 or beyond is unknown to both, or
    (n, k) bool. Rows of one group are drawn together and count as one observation in the test.

    Raises:
        DataError: nothing to compare, or arrays that do not fit.
    """
    y_true, pred_a, pred_b = (np.asarray(array) for array in (y_true, pred_a, pred_b))
    if not len(y_true) or y_true.shape != pred_a.shape or y_true.shape != pred_b.shape:
        raise DataError(f"truth {y_true.shape} and predictions {pred_a.shape}, {pred_b.shape}: expected the same rows")
    names = _names(y_true, pred_a, pred_b, labels)
    right_a, right_b = _right(y_true, pred_a), _right(y_true, pred_b)
    rows = _codes(groups) if groups is not None else np.arange(len(y_true))
    gain = right_a.astype(int) - right_b.astype(int)
    n_a, n_b = int((gain > 0).sum()), int((gain < 0).sum())
    by_group = groups is not None and rows.max() + 1 < len(rows)
    p_value = sign_flip_mid_p(_by_group(gain, rows)) if by_group else mcnemar_mid_p(n_a, n_b)
    accuracy, macro_f1, per_label, per_slice = _differences(
        y_true, pred_a, pred_b, right_a, right_b, rows, names, slices or {}, n_draws=n_draws, seed=seed
    )
    return Comparison(
        n=len(y_true),
        accuracy=accuracy,
        macro_f1=macro_f1,
        n_only_a_right=n_a,
        n_only_b_right=n_b,
        test="sign flips by group" if by_group else "McNemar mid-p",
        p_value=p_value,
        p_value_exact=mcnemar_exact(n_a, n_b),
        p_adjusted=p_value,
        verdict=_verdict(p_value, n_a - n_b),
        detectable=_detectable(gain, rows),
        per_label=per_label,
        per_slice=per_slice,
        changed=_changed(y_true, pred_a, pred_b, names, ids),
    )


def compare_many(
    y_true: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    groups: Sequence[Hashable] | None = None,
    *,
    n_draws: int,
    seed: int,
    labels: Sequence[str] | None = None,
    slices: Mapping[str, Sequence[str | None]] | None = None,
    ids: Sequence[str] | None = None,
) -> dict[str, Comparison]:
    """The first model (A) against each other one (B), by the other's name, with p-values corrected by Holm."""
    (_, first), *others = predictions.items()
    found = {
        name: compare_predictions(
            y_true, first, other, groups, n_draws=n_draws, seed=seed, labels=labels, slices=slices, ids=ids
        )
        for name, other in others
    }
    adjusted = holm([comparison.p_value for comparison in found.values()])
    return {
        name: replace(one, p_adjusted=p, verdict=_verdict(p, one.n_only_a_right - one.n_only_b_right))
        for (name, one), p in zip(found.items(), adjusted, strict=True)
    }


def mcnemar_mid_p(n_only_a: int, n_only_b: int) -> float:
    """The two-sided mid-p value that both are right equally often; 1 where they never differ."""
    n, fewer = n_only_a + n_only_b, min(n_only_a, n_only_b)
    return float(min(1.0, 2 * binom.cdf(fewer, n, 0.5) - binom.pmf(fewer, n, 0.5))) if n else 1.0


def mcnemar_exact(n_only_a: int, n_only_b: int) -> float:
    """The two-sided exact p-value, which is conservative."""
    n, fewer = n_only_a + n_only_b, min(n_only_a, n_only_b)
    return float(min(1.0, 2 * binom.cdf(fewer, n, 0.5))) if n else 1.0


def sign_flip_mid_p(gains: np.ndarray) -> float:
    """The two-sided mid-p value that the sum of `gains` is as far from 0 if A and B were swapped at random in each group.

    `gains` are whole numbers, one a group: how many more rows A has right. Exact: the distribution of the sum is built
    from one binomial for each size of gain. With gains of one it is McNemar's mid-p.
    """
    chances, total = np.ones(1), int(np.abs(gains).sum())
    for size, n in zip(*np.unique(np.abs(gains[gains != 0]), return_counts=True), strict=True):
        spread = np.zeros(2 * int(size) * int(n) + 1)
        spread[:: 2 * int(size)] = binom.pmf(np.arange(n + 1), n, 0.5)
        chances = np.convolve(chances, spread)
    distance, observed = np.abs(np.arange(-total, total + 1)), abs(int(gains.sum()))
    if observed == 0:
        return 1.0
    return float(min(1.0, chances[distance > observed].sum() + 0.5 * chances[distance == observed].sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values, in their order, corrected so that any false alarm among them stays at the level."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


@lru_cache(maxsize=4096)
def detectable_difference(n: int, n_discordant: int) -> float:
    """The smallest difference in accuracy that the mid-p test on `n` rows reveals with 80 % power, at most 1.

    How often the models differ is itself an estimate, so its upper 97.5 % bound is used.
    """
    share = wilson_interval(min(n_discordant, n), n)[1]
    low, high = 0.0, 1.0
    for _ in range(18):
        middle = (low + high) / 2
        low, high = (low, middle) if power(n, max(share, middle), middle) >= _POWER else (middle, high)
    return high


def power(n: int, share_discordant: float, difference: float) -> float:
    """The probability that the mid-p test at 5 % tells two models apart, exact up to rare numbers of discordant rows."""
    low, high = binom.ppf((1e-6, 1 - 1e-6), n, share_discordant)
    m = np.arange(max(1, int(low)), int(high) + 1)
    critical = binom.ppf(_LEVEL / 2, m, 0.5) + 1
    for _ in range(3):
        mid_p = 2 * binom.cdf(critical, m, 0.5) - binom.pmf(critical, m, 0.5)
        critical = np.where((mid_p >= _LEVEL) | (critical * 2 >= m), critical - 1, critical)
    p_a = (1 + difference / share_discordant) / 2
    rejects = np.where(critical >= 0, binom.cdf(critical, m, p_a) + binom.sf(m - critical - 1, m, p_a), 0.0)
    return float((binom.pmf(m, n, share_discordant) * rejects).sum())


def _differences(
    y_true: np.ndarray,
    pred_a: np.ndarray,
    pred_b: np.ndarray,
    right_a: np.ndarray,
    right_b: np.ndarray,
    rows: np.ndarray,
    names: list[str],
    slices: Mapping[str, Sequence[str | None]],
    *,
    n_draws: int,
    seed: int,
) -> tuple[Difference, Difference, dict[str, Difference], list[SliceDifference]]:
    """Accuracy, macro-F1, F1 by label and accuracy by slice, all from the same draws of whole groups."""
    truth, answers_a = as_indicators(y_true, pred_a, len(names))
    _, answers_b = as_indicators(y_true, pred_b, len(names))
    k = len(names) + 1
    keys, members = _slice_columns(slices, len(y_true))
    right = np.column_stack([right_a, right_b]).astype(float)
    columns = beside(
        *(truth.multiply(answers_a), answers_a, truth.multiply(answers_b), answers_b, truth),
        *(members.multiply(right[:, [0]]), members.multiply(right[:, [1]]), members),
    )
    grouped = sparse.csr_array(
        sparse.coo_array((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(rows.max() + 1, len(rows)))
        @ columns
    )

    def of(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        hits_a, said_a, hits_b, said_b, true = (sums[:, i * k : (i + 1) * k] for i in range(5))
        in_slice = np.split(sums[:, 5 * k :], 3, axis=1)
        f1_a, f1_b = 2 * hits_a / np.maximum(1, said_a + true), 2 * hits_b / np.maximum(1, said_b + true)
        macro = [macro_f1_of(f1, said + true) for f1, said in ((f1_a, said_a), (f1_b, said_b))]
        right_share = [part / np.maximum(1, in_slice[2]) for part in in_slice[:2]]
        a = np.column_stack([macro[0], f1_a, right_share[0]])
        b = np.column_stack([macro[1], f1_b, right_share[1]])
        return a, b, true, in_slice[2]

    a, b, true, n_in_slice = (part[0] for part in of(np.asarray(columns.sum(axis=0))[None, :]))
    draws = [np.subtract(*of(sums)[:2]) for sums in bootstrap_sums(grouped, n_draws=n_draws, seed=seed)]
    spread = np.percentile(np.concatenate(draws or [(a - b)[None, :]]), _PERCENTILES, axis=0)

    def at(i: int, n: float) -> Difference:
        interval = float(spread[0, i]), float(spread[1, i])
        return Difference(float(a[i]), float(b[i]), float(a[i] - b[i]), interval, int(n))

    per_label = {name: at(1 + i, true[i]) for i, name in enumerate(names)}
    by_slice = [at(1 + k + i, n) for i, n in enumerate(n_in_slice)]
    per_slice = [SliceDifference(*key, found) for key, found in zip(keys, by_slice[1:], strict=True)]
    return by_slice[0], at(0, len(y_true)), per_label, per_slice


def _slice_columns(
    slices: Mapping[str, Sequence[str | None]], n: int
) -> tuple[list[tuple[str, str]], sparse.csr_array]:
    """The slices, and (n, 1 + slices): a first column for all rows, then which rows are in each."""
    keys = sorted({(by, value) for by, values in slices.items() for value in values if value})
    column = {key: 1 + i for i, key in enumerate(keys)}
    places = [(i, 0) for i in range(n)]
    places += [(i, column[by, value]) for by, values in slices.items() for i, value in enumerate(values) if value]
    at = np.array(places).T
    return keys, sparse.csr_array(sparse.coo_array((np.ones(len(places)), at), shape=(n, 1 + len(keys))))


def _verdict(p_value: float, gain: float) -> Verdict:
    if p_value >= _LEVEL or gain == 0:
        return Verdict.NOT_DISTINGUISHABLE
    return Verdict.A_BETTER if gain > 0 else Verdict.B_BETTER


def _detectable(gain: np.ndarray, rows: np.ndarray) -> float:
    """The detectable difference on as many independent rows as the groups are worth."""
    n, n_discordant = len(gain), int((gain != 0).sum())
    centred = gain - gain.mean()
    alone = float((centred**2).sum())
    together = float((np.bincount(rows, centred) ** 2).sum())
    worth = min(1.0, alone / together) if together > 0 else 1.0
    return detectable_difference(max(1, round(n * worth)), round(n_discordant * worth))


def _by_group(gain: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.bincount(rows, gain).astype(int)


def _right(y_true: np.ndarray, answers: np.ndarray) -> np.ndarray:
    same = y_true == answers
    return same.all(axis=1) if same.ndim == 2 else same


def _names(y_true: np.ndarray, pred_a: np.ndarray, pred_b: np.ndarray, labels: Sequence[str] | None) -> list[str]:
    if labels is not None:
        return list(labels)
    k = y_true.shape[1] if y_true.ndim == 2 else 1 + int(max(0, y_true.max(), pred_a.max(), pred_b.max()))
    return [str(i) for i in range(k)]


def _codes(groups: Sequence[Hashable]) -> np.ndarray:
    codes: dict[Hashable, int] = {}
    return np.array([codes.setdefault(group, len(codes)) for group in groups])


def _changed(
    y_true: np.ndarray, pred_a: np.ndarray, pred_b: np.ndarray, names: list[str], ids: Sequence[str] | None
) -> list[Change]:
    def said(answer: Any) -> str:
        if np.ndim(answer):
            return ", ".join(name for name, has in zip(names, answer, strict=True) if has)
        return names[int(answer)] if 0 <= answer < len(names) else "(unknown to the models)"

    differs = pred_a != pred_b
    right_a, right_b = _right(y_true, pred_a), _right(y_true, pred_b)
    return [
        Change(i, ids[i] if ids is not None else str(i), said(y_true[i]), said(pred_a[i]), said(pred_b[i]),
               bool(right_a[i]), bool(right_b[i]))
        for i in np.flatnonzero(differs.any(axis=1) if differs.ndim == 2 else differs).tolist()
    ]  # fmt: skip
