"""Calibration and conformal sets on simulated probabilities whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.calibration import (
    CalibrationConfig,
    Calibrator,
    conformal_sets,
    conformal_threshold,
    extrapolated,
    fit_platt,
    fit_temperature,
    fit_temperature_and_share,
    tuned_thresholds,
    with_temperature,
)
from pipeline.errors import DataError


def _drawn(n: int, n_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Honest probabilities and labels drawn from them."""
    rng = np.random.default_rng(seed)
    honest = rng.dirichlet(np.full(n_classes, 0.4), size=n)
    y = (honest.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return honest, y


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_the_temperature_that_spoiled_honest_probabilities_is_found_again(temperature):
    honest, y = _drawn(20_000, 4, 0)
    spoiled = with_temperature(honest, 1 / temperature)
    assert fit_temperature(spoiled, y) == pytest.approx(temperature, rel=0.05)


def test_temperature_never_changes_which_class_is_best():
    honest, y = _drawn(500, 5, 1)
    calibrator = Calibrator("temperature", False).fit(honest, np.eye(5, dtype=bool)[y])
    np.testing.assert_array_equal(calibrator.apply(honest).argmax(axis=1), honest.argmax(axis=1))


@pytest.mark.parametrize("method", ["temperature", "isotonic", "none"])
def test_rows_sum_to_one(method):
    honest, y = _drawn(300, 3, 2)
    applied = Calibrator(method, False).fit(honest, np.eye(3, dtype=bool)[y]).apply(honest)
    np.testing.assert_allclose(applied.sum(axis=1), 1.0, atol=1e-12)


def test_platt_undoes_a_slope_and_an_offset():
    rng = np.random.default_rng(3)
    logits = rng.normal(size=50_000)
    member = rng.random(50_000) < 1 / (1 + np.exp(-(2.0 * logits - 1.0)))
    slope, offset = fit_platt(1 / (1 + np.exp(-logits)), member)
    assert slope == pytest.approx(2.0, abs=0.1) and offset == pytest.approx(-1.0, abs=0.05)


def test_platt_without_both_classes_changes_nothing():
    np.testing.assert_array_equal(fit_platt(np.array([0.2, 0.4]), np.array([False, False])), [1.0, 0.0])


@pytest.mark.parametrize(("method", "multi_label"), [("temperature", True), ("platt", False)])
def test_a_method_that_does_not_suit_the_task_is_refused(method, multi_label):
    with pytest.raises(DataError, match=method):
        Calibrator(method, multi_label).fit(np.full((2, 2), 0.5), np.eye(2, dtype=bool))


@pytest.mark.parametrize("per_class", [False, True])
def test_sets_cover_what_they_promise_on_new_examples(per_class):
    probabilities, y = _drawn(20_000, 4, 4)
    thresholds = conformal_threshold(probabilities[:10_000], y[:10_000], 0.9, per_class)
    held = conformal_sets(probabilities[10_000:], thresholds)[np.arange(10_000), y[10_000:]]
    assert 0.89 < held.mean() < 0.91
    if per_class:
        assert all(0.88 < held[y[10_000:] == label_id].mean() < 0.92 for label_id in range(4))


def test_a_class_too_small_for_the_promise_is_always_in_the_set():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    assert conformal_threshold(probabilities, np.array([0, 0, 1]), 0.9, True).tolist() == [0.0, 0.0]


def test_the_tuned_threshold_parts_what_can_be_parted():
    p = np.linspace(0.0, 1.0, 101)[:, None]
    member = p > 0.7
    assert 0.68 < tuned_thresholds(p, member, 1)[0] < 0.72


def test_a_rare_label_keeps_near_the_shared_threshold_and_a_common_one_has_its_own():
    rng = np.random.default_rng(5)
    member = np.zeros((2000, 3), dtype=bool)
    member[:2, 0] = member[:1000, 1] = member[1000:, 2] = True
    p = np.clip(0.1 + 0.3 * member + 0.1 * rng.random((2000, 3)), 0, 1)
    p[:, 2] += 0.4
    p[:2, 0] = 0.9
    rare, common, high = tuned_thresholds(p, member, 10)
    assert 0.2 <= common <= 0.4 and 0.6 <= high <= 0.8
    assert rare < 0.7  # its own would be between 0.2 and 0.9, at 0.55: what two positives say counts a sixth


def test_a_label_without_a_positive_gets_the_shared_threshold():
    p = np.array([[0.9, 0.3], [0.8, 0.3], [0.1, 0.3], [0.2, 0.3]])
    member = np.array([[True, False], [True, False], [False, False], [False, False]])
    assert tuned_thresholds(p, member, 4)[1] == pytest.approx((0.8 + 0.3) / 2)


def test_some_wrong_labels_give_every_class_a_share():
    rng = np.random.default_rng(0)
    sure = rng.dirichlet(np.full(4, 0.05), size=20_000)
    y = np.array([rng.choice(4, p=row) for row in sure])
    wrong = rng.random(len(y)) < 0.08
    y[wrong] = rng.integers(0, 4, size=int(wrong.sum()))
    temperature, share = fit_temperature_and_share(sure, y)
    assert temperature == pytest.approx(1.0, rel=0.1) and share == pytest.approx(0.08, abs=0.02)


def test_small_classes_share_a_threshold():
    probabilities = np.array([[0.9, 0.05, 0.05]] * 40 + [[0.2, 0.5, 0.3]] * 8 + [[0.2, 0.3, 0.5]] * 8)
    y = np.repeat([0, 1, 2], [40, 8, 8])
    assert conformal_threshold(probabilities, y, 0.9, True, 20).tolist() == [0.9, 0.5, 0.5]
    assert conformal_threshold(probabilities, y, 0.9, True).tolist() == [0.9, 0.0, 0.0]


def test_many_examples_need_half_the_folds():
    config = CalibrationConfig(
        method="temperature", source="folds", n_folds=10, halve_folds_from=100, min_held_out=1, coverage=0.9,
        per_class=False, threshold="half", min_positives=1, at_least_one=True,
    )  # fmt: skip
    assert (config.folds_for(99), config.folds_for(100)) == (10, 5)


def test_thresholds_move_on_as_a_fit_on_all_examples_would():
    def lacking(share_missing: float) -> np.ndarray:  # a logit that falls as 1 / examples
        return np.array([1.0, 0.0]) / (1.0 + np.exp(-(2.0 - share_missing)))

    halves, tenths, whole = lacking(2.0), lacking(10 / 9), lacking(1.0)
    np.testing.assert_allclose(extrapolated(tenths, tenths, halves, 10), whole, rtol=1e-9)
    assert extrapolated(tenths, tenths, np.zeros(2), 10).tolist() == tenths.tolist()
