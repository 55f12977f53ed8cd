"""Honest probabilities and sets with a stated coverage: arrays in, arrays out.

Single label: one temperature and a share that all labels get alike, since some labels are wrong (ranking kept, so accuracy
cannot change), or an isotonic curve for each class.
Several labels: Platt's sigmoid or an isotonic curve for each. Sets: split conformal, overall or class by class.
References: Guo et al. 2017, On Calibration of Modern Neural Networks; Platt 1999 with the priors of Lin, Lin and Weng 2007;
Sadinle, Lei and Wasserman 2019, Least Ambiguous Set-Valued Classifiers; Yang 2001 (SCutFBR thresholds).
scipy.optimize is imported where something is fitted, since it is a quarter of what a scoring process has to import.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Bounds

from pipeline.config import Config
from pipeline.errors import DataError

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
TINY = 1e-12


class CalibrationConfig(Config):
    """How probabilities are made honest, and what sets promise.

    `source`: on the held-out examples, or out of fold on all examples given (then the final fit learns from all of them).
    `halve_folds_from`: with so many examples half the folds do as well, and cost half.
    `min_positives`: with so many positives a label's own threshold counts as much as the one shared by all labels; with
    `per_class` sets, labels with fewer examples share one.
    `extrapolate`: folds learn from fewer examples than the final fit, whose sets would cover too much; see `extrapolated`.
    """

    method: Literal["temperature", "isotonic", "platt", "none"]
    source: Literal["held_out", "folds"]
    n_folds: int = Bounds(ge=2)
    halve_folds_from: int | None = Bounds(ge=1, default=None)
    min_held_out: int = Bounds(ge=1)
    coverage: float = Bounds(gt=0, lt=1)
    per_class: bool
    threshold: Literal["half", "tuned"]
    min_positives: int = Bounds(ge=1)
    at_least_one: bool
    extrapolate: bool = False

    def folds_for(self, n_examples: int) -> int:
        """How many folds so many examples are dealt into."""
        is_large = self.halve_folds_from is not None and n_examples >= self.halve_folds_from
        return max(2, self.n_folds // 2) if is_large else self.n_folds


@dataclass(slots=True)
class Calibrator:
    """From raw to calibrated probabilities, by `method`; `parameters_` is all it learned."""

    method: Literal["temperature", "isotonic", "platt", "none"]
    multi_label: bool
    parameters_: dict[str, Array] = field(default_factory=dict)

    def fit(self, probabilities: Array, member: Flags) -> Self:
        """Itself, fitted on raw probabilities and who belongs where, both (n, k); rows with NaN are left out.

        Raises:
            DataError: a method that does not suit the kind of task.
        """
        if (self.method == "temperature" and self.multi_label) or (self.method == "platt" and not self.multi_label):
            raise DataError(
                f"calibration '{self.method}' is not for {'several labels' if self.multi_label else 'one label'}"
            )
        if self.method == "temperature":
            kept = ~np.isnan(probabilities).any(axis=1)
            y = member[kept].argmax(axis=1)
            self.parameters_ = {"temperature": np.array(fit_temperature_and_share(probabilities[kept], y))}
        elif self.method == "platt":
            self.parameters_ = {
                "platt": np.stack([fit_platt(p, m) for p, m in zip(probabilities.T, member.T, strict=True)])
            }
        elif self.method == "isotonic":
            for i, (p, m) in enumerate(zip(probabilities.T, member.T, strict=True)):
                self.parameters_[f"x.{i}"], self.parameters_[f"y.{i}"] = fit_isotonic(p, m)
        return self

    def apply(self, probabilities: Array) -> Array:
        """Calibrated probabilities; rows sum to one unless labels are independent."""
        match self.method:
            case "temperature":
                temperature, share = self.parameters_["temperature"].tolist()
                return (1.0 - share) * with_temperature(probabilities, temperature) + share / probabilities.shape[1]
            case "platt":
                slope, offset = self.parameters_["platt"].T
                return _sigmoid(slope * _logit(probabilities) + offset)
            case "isotonic":
                curves = [
                    (self.parameters_[f"x.{i}"], self.parameters_[f"y.{i}"]) for i in range(probabilities.shape[1])
                ]
                bent = np.stack([np.interp(p, x, y) for p, (x, y) in zip(probabilities.T, curves, strict=True)], axis=1)
                return bent if self.multi_label else _normalised(bent, probabilities)
            case "none":
                return probabilities


def fit_temperature(probabilities: Array, y: NDArray[np.int64]) -> float:
    """The temperature that gives the true classes the highest likelihood; 1 where there is nothing to learn from."""
    from scipy.optimize import minimize_scalar

    if not len(y):
        return 1.0
    logs = np.log(np.maximum(probabilities, TINY))

    def loss(log_temperature: float) -> float:
        scaled = logs / np.exp(log_temperature)
        top = scaled.max(axis=1)
        return float(np.mean(np.log(np.exp(scaled - top[:, None]).sum(axis=1)) + top - scaled[np.arange(len(y)), y]))

    found: Any = minimize_scalar(loss, bounds=(-4.0, 4.0), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def fit_temperature_and_share(probabilities: Array, y: NDArray[np.int64]) -> tuple[float, float]:
    """The temperature, and the share given to all classes alike, that give the true classes the highest likelihood."""
    from scipy.optimize import minimize

    began = fit_temperature(probabilities, y)
    if not len(y):
        return began, 0.0
    logs = np.log(np.maximum(probabilities, TINY))
    logs, rows, floor = logs - logs.max(axis=1, keepdims=True), np.arange(len(y)), 1.0 / probabilities.shape[1]

    def loss(parameters: Array) -> float:
        raised = np.exp(logs / np.exp(parameters[0]))
        share = _sigmoid(parameters[1])
        return float(-np.mean(np.log((1.0 - share) * raised[rows, y] / raised.sum(axis=1) + share * floor)))

    bounds = [(-4.0, 4.0), (-12.0, 0.0)]
    found: Any = minimize(loss, np.array([np.log(began), -4.0]), method="L-BFGS-B", bounds=bounds)
    return float(np.exp(found.x[0])), float(_sigmoid(found.x[1]))


def with_temperature(probabilities: Array, temperature: float) -> Array:
    """Probabilities to the power of 1 / temperature, scaled to sum to one."""
    scaled = np.log(np.maximum(probabilities, TINY)) / temperature
    raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def fit_platt(p: Array, member: Flags) -> Array:
    """Slope and offset on the logit that give the labels the highest likelihood; the identity without both classes."""
    from scipy.optimize import minimize

    known = ~np.isnan(p)
    x, m = _logit(p[known]), member[known]
    n_true, n_false = int(m.sum()), int((~m).sum())
    if not n_true or not n_false:
        return np.array([1.0, 0.0])
    aim = np.where(m, (n_true + 1.0) / (n_true + 2.0), 1.0 / (n_false + 2.0))

    def loss(ab: Array) -> tuple[float, Array]:
        z = ab[0] * x + ab[1]
        error = _sigmoid(z) - aim
        return float(np.sum(np.logaddexp(0.0, z) - aim * z)), np.array([np.sum(error * x), np.sum(error)])

    found: Any = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(1e-3, None), (None, None)])
    return np.asarray(found.x, dtype=np.float64)


def fit_isotonic(p: Array, member: Flags) -> tuple[Array, Array]:
    """The knots (x ascending, y never falling) of the monotone curve nearest to the labels; y is kept off 0 and 1."""
    from sklearn.isotonic import IsotonicRegression

    known = ~np.isnan(p)
    if not known.any():
        return np.array([0.0, 1.0]), np.array([0.0, 1.0])
    margin = 1.0 / (known.sum() + 2.0)
    fitted = IsotonicRegression(y_min=margin, y_max=1.0 - margin, out_of_bounds="clip")
    fitted.fit(p[known], member[known].astype(np.float64))
    return np.asarray(fitted.X_thresholds_, dtype=np.float64), np.asarray(fitted.y_thresholds_, dtype=np.float64)


def conformal_threshold(
    probabilities: Array, y: NDArray[np.int64], coverage: float, per_class: bool, min_examples: int = 0
) -> Array:
    """For each class the least probability that puts it into the set, (n_classes,).

    Of new examples like these at least a `coverage` part has its true class in the set; with `per_class` that holds in each
    class with `min_examples`, and in all smaller ones together. Too few examples for the promise give 0: always in the set.
    """
    n_classes = probabilities.shape[1]
    true = probabilities[np.arange(len(y)), y]
    n_of = np.bincount(y, minlength=n_classes)
    small = (n_of < min_examples) if per_class else np.ones(n_classes, dtype=bool)
    shared = _lower_quantile(true[small[y]], coverage)
    return np.array(
        [shared if small[k] else _lower_quantile(true[y == k], coverage) for k in range(n_classes)], dtype=np.float64
    )


def extrapolated(thresholds: Array, at_folds: Array, at_halves: Array, n_folds: int) -> Array:
    """The thresholds that a fit on all examples would have: moved on, as logits, along the line from halves to folds.

    What a fit lacks is taken to fall as 1 / examples: 2 for halves, n / (n - 1) for n folds, 1 for all, so that the last step is
    1 / (n - 2) of the first. `at_folds` and `at_halves` are of the same examples. A threshold of 0 (always in the set) stays.
    References: Barber et al. 2021, Predictive Inference with the Jackknife+ (what refitting costs); measured by benchmarks/topics.py.
    """
    moved = _sigmoid(_logit(thresholds) + (_logit(at_folds) - _logit(at_halves)) / (n_folds - 2))
    return np.where((thresholds > 0) & (at_folds > 0) & (at_halves > 0), moved, thresholds)


def conformal_sets(probabilities: Array, thresholds: Array) -> Flags:
    """Which classes are in the set of each example, (n, n_classes)."""
    return probabilities >= thresholds


def tuned_thresholds(probabilities: Array, member: Flags, min_positives: int) -> Array:
    """For each label the probability from which it is given: between the best for its own F1 and the best for all labels.

    The geometric mean of the two, its own weighted by n / (n + min_positives) for n positives: a rare label has too little
    to tune on (Yang's SCutFBR goes back for the same reason). NaN counts as not given.
    """
    filled = np.where(np.isnan(probabilities), -1.0, probabilities)
    shared = _best_f1_threshold(filled.ravel(), member.ravel(), 0.5)
    own = np.array([_best_f1_threshold(p, m, shared) for p, m in zip(filled.T, member.T, strict=True)])
    n_positives = member.sum(axis=0)
    weight = n_positives / (n_positives + float(min_positives))
    return np.exp(weight * np.log(np.maximum(own, TINY)) + (1.0 - weight) * np.log(max(shared, TINY)))


def _best_f1_threshold(p: Array, member: Flags, otherwise: float) -> float:
    if not member.any():
        return otherwise
    order = np.argsort(-p, kind="stable")
    ordered, hits = p[order], np.cumsum(member[order])
    f1 = 2.0 * hits / (np.arange(1, len(p) + 1) + member.sum())
    f1[:-1][ordered[:-1] == ordered[1:]] = -1.0
    f1[ordered < 0] = -1.0
    best = int(np.argmax(f1))
    below = ordered[best + 1] if best + 1 < len(p) else 0.0
    return float((ordered[best] + max(0.0, below)) / 2.0) if f1[best] > 0 else otherwise


def _lower_quantile(values: Array, coverage: float) -> float:
    """The value that at least a `coverage` part of new values reaches: the floor((n + 1)(1 - coverage))-th smallest."""
    rank = int(np.floor((len(values) + 1) * (1.0 - coverage) + 1e-9))
    return float(np.sort(values)[rank - 1]) if rank >= 1 else 0.0


def _normalised(bent: Array, otherwise: Array) -> Array:
    total = bent.sum(axis=1, keepdims=True)
    return np.where(total > 0, bent / np.maximum(total, TINY), otherwise)


def _logit(p: Array) -> Array:
    kept = np.clip(p, TINY, 1.0 - TINY)
    return np.log(kept) - np.log1p(-kept)


def _sigmoid(z: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-z))
