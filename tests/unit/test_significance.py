from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from pipeline.errors import DataError
from pipeline.significance import (
    Verdict,
    compare_many,
    compare_predictions,
    detectable_difference,
    holm,
    mcnemar_exact,
    mcnemar_mid_p,
    power,
    sign_flip_mid_p,
)

N_LABELS = 5


def answers(y: np.ndarray, accuracy: float, rng: np.random.Generator) -> np.ndarray:
    """Predictions that are right with that probability, row by row, independently."""
    wrong = (y + rng.integers(1, N_LABELS, len(y))) % N_LABELS
    return np.where(rng.random(len(y)) < accuracy, y, wrong)


def pair(n: int, accuracy: float, difference: float, share: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Truth and two models of which exactly one is right on `share` of the rows, A more often by `difference` of all."""
    y = rng.integers(0, N_LABELS, n)
    wrong = (y + 1) % N_LABELS
    draw, both = rng.random(n), np.where(rng.random(n) < accuracy, y, wrong)
    only_a, only_b = (share + difference) / 2, (share - difference) / 2
    a = np.where(draw < only_a, y, np.where(draw < only_a + only_b, wrong, both))
    b = np.where(draw < only_a, wrong, np.where(draw < only_a + only_b, y, both))
    return [y, a, b]


def test_equally_good_models_are_called_different_in_3_to_6_of_100_comparisons() -> None:
    rng = np.random.default_rng(20)
    alarms = 0
    for _ in range(1000):
        y = rng.integers(0, N_LABELS, 500)
        found = compare_predictions(y, answers(y, 0.9, rng), answers(y, 0.9, rng), n_draws=1, seed=0)
        alarms += found.verdict != Verdict.NOT_DISTINGUISHABLE
    assert 30 <= alarms <= 60


def test_the_difference_reported_as_detectable_is_detected_in_at_least_80_of_100_comparisons() -> None:
    rng = np.random.default_rng(21)
    y, a, b = pair(800, 0.9, 0.0, 0.12, rng)
    difference = compare_predictions(y, a, b, n_draws=1, seed=0).detectable
    assert 0.02 < difference < 0.06
    hits = 0
    for _ in range(500):
        found = compare_predictions(*pair(800, 0.9, difference, 0.12, rng), n_draws=1, seed=0)
        hits += found.verdict == Verdict.A_BETTER
    assert hits >= 400


def test_a_difference_of_5_points_is_named_and_one_of_a_third_of_a_point_is_not() -> None:
    rng = np.random.default_rng(22)
    clear = compare_predictions(*pair(2000, 0.92, -0.05, 0.1, rng), n_draws=1000, seed=0)
    assert clear.verdict == Verdict.B_BETTER and clear.p_value < 0.001
    assert clear.accuracy.interval[1] < 0 and clear.accuracy.difference == pytest.approx(-0.05, abs=0.015)
    slight = compare_predictions(*pair(2000, 0.92, 0.003, 0.1, rng), n_draws=1000, seed=0)
    assert slight.verdict == Verdict.NOT_DISTINGUISHABLE
    assert slight.accuracy.interval[0] < 0 < slight.accuracy.interval[1] and slight.detectable > 0.003


@given(st.integers(0, 60), st.integers(0, 60))
def test_exact_and_mid_p_values_are_those_of_the_binomial_test(a: int, b: int) -> None:
    exact = binomtest(a, a + b, 0.5).pvalue if a + b else 1.0
    assert mcnemar_exact(a, b) == pytest.approx(exact)
    assert mcnemar_mid_p(a, b) <= mcnemar_exact(a, b) + 1e-12
    assert mcnemar_mid_p(a, b) == mcnemar_mid_p(b, a)


def test_swapping_the_models_swaps_the_verdict() -> None:
    y, a, b = pair(1000, 0.9, 0.06, 0.12, np.random.default_rng(23))
    forth, back = (compare_predictions(y, *two, n_draws=200, seed=0) for two in ((a, b), (b, a)))
    assert (forth.verdict, back.verdict) == (Verdict.A_BETTER, Verdict.B_BETTER)
    assert forth.accuracy.difference == -back.accuracy.difference and forth.p_value == back.p_value


def test_identical_models_differ_nowhere() -> None:
    y, a, _ = pair(100, 0.9, 0.0, 0.1, np.random.default_rng(24))
    found = compare_predictions(y, a, a, n_draws=50, seed=0)
    assert found.p_value == found.p_value_exact == 1 and found.changed == []
    assert found.macro_f1.difference == 0 and found.macro_f1.interval == (0, 0)


def test_differences_are_those_of_scikit_learn_with_the_interval_of_a_plain_loop() -> None:
    rng = np.random.default_rng(25)
    y = rng.integers(0, 3, 250)
    a, b = (np.where(rng.random(250) < share, y, (y + 1) % 3) for share in (0.85, 0.75))
    found = compare_predictions(y, a, b, n_draws=2000, seed=0)
    assert found.macro_f1.difference == pytest.approx(f1_score(y, a, average="macro") - f1_score(y, b, average="macro"))
    per_label = f1_score(y, a, average=None) - f1_score(y, b, average=None)
    assert [d.difference for d in found.per_label.values()] == pytest.approx(per_label)
    plain = []
    for _ in range(600):
        i = rng.integers(0, 250, 250)
        plain.append(f1_score(y[i], a[i], average="macro") - f1_score(y[i], b[i], average="macro"))
    np.testing.assert_allclose(found.macro_f1.interval, np.percentile(plain, [2.5, 97.5]), atol=0.015)


def test_slices_changed_rows_and_unknown_labels_are_named() -> None:
    y, a, b = np.array([0, 1, 1, -1]), np.array([0, 1, 0, 0]), np.array([0, 0, 0, 1])
    found = compare_predictions(
        y, a, b, n_draws=20, seed=0, labels=["sport", "tech"], ids=["w", "x", "y", "z"],
        slices={"source": ["bbc", "afp", "afp", None]},
    )  # fmt: skip
    assert [(c.id, c.true, c.a, c.b, c.a_right) for c in found.changed] == [
        ("x", "tech", "tech", "sport", True), ("z", "(unknown to the models)", "sport", "tech", False),
    ]  # fmt: skip
    assert [(s.value, s.accuracy.n, s.accuracy.difference) for s in found.per_slice] == [("afp", 2, 0.5), ("bbc", 1, 0)]
    assert found.accuracy.a == 0.5 and found.accuracy.b == 0.25


def test_multi_label_rows_are_right_when_the_set_is() -> None:
    y = np.array([[1, 0, 1], [0, 1, 0]], dtype=bool)
    b = np.array([[1, 0, 0], [0, 1, 0]], dtype=bool)
    found = compare_predictions(y, y, b, n_draws=20, seed=0, labels=["x", "y", "z"])
    assert (found.n_only_a_right, found.n_only_b_right) == (1, 0)
    assert found.per_label["z"].difference == 1 and found.changed[0].a == "x, z" and found.changed[0].b == "x"


def test_rows_of_one_group_do_not_count_as_independent_witnesses() -> None:
    rng = np.random.default_rng(26)
    alarms = {"alone": 0, "grouped": 0}
    for seed in range(200):
        y, a, b = (np.repeat(part, 8) for part in pair(60, 0.9, 0.0, 0.3, rng))
        groups = np.repeat(np.arange(60), 8).tolist()
        alarms["alone"] += compare_predictions(y, a, b, n_draws=1, seed=0).p_value < 0.05
        alarms["grouped"] += compare_predictions(y, a, b, groups, n_draws=400, seed=seed).p_value < 0.05
    assert alarms["alone"] > 60 and alarms["grouped"] <= 18


def test_grouped_rows_widen_the_interval_and_the_detectable_difference() -> None:
    y, a, b = (np.repeat(part, 8) for part in pair(60, 0.9, 0.0, 0.3, np.random.default_rng(27)))
    groups = np.repeat(np.arange(60), 8).tolist()
    alone = compare_predictions(y, a, b, n_draws=500, seed=0)
    grouped = compare_predictions(y, a, b, groups, n_draws=500, seed=0)
    assert np.ptp(grouped.accuracy.interval) > 2 * np.ptp(alone.accuracy.interval)
    assert grouped.detectable > 1.5 * alone.detectable
    assert grouped.accuracy.difference == alone.accuracy.difference


def test_sign_flips_of_single_rows_agree_with_mcnemar() -> None:
    gains = np.array([1] * 30 + [0] * 7 + [-1] * 14)
    assert sign_flip_mid_p(gains) == pytest.approx(mcnemar_mid_p(30, 14))
    assert sign_flip_mid_p(np.zeros(5, dtype=int)) == 1


def test_sign_flips_of_groups_are_what_trying_all_of_them_gives() -> None:
    gains = np.array([3, -1, 2, 2, 1, -4, 5])
    sums = [abs(gains @ signs) for signs in product((-1, 1), repeat=len(gains))]
    observed = abs(gains.sum())
    assert sign_flip_mid_p(gains) == pytest.approx(
        np.mean([1.0 if s > observed else 0.5 * (s == observed) for s in sums])
    )


def test_power_is_what_a_simulation_finds() -> None:
    rng = np.random.default_rng(28)
    for n, share, difference in ((500, 0.1, 0.04), (30, 0.2, 0.2)):
        m = rng.binomial(n, share, 4000)
        only_a = rng.binomial(m, (1 + difference / share) / 2)
        simulated = np.mean([mcnemar_mid_p(int(x), int(z - x)) < 0.05 for x, z in zip(only_a, m, strict=True)])
        assert power(n, share, difference) == pytest.approx(simulated, abs=0.025)


def test_more_rows_detect_smaller_differences() -> None:
    found = [detectable_difference(n, n // 10) for n in (50, 200, 1000, 5000)]
    assert found == sorted(found, reverse=True) and found[-1] < 0.02
    assert detectable_difference(1, 0) == 1


def test_holm_is_the_textbook_correction() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_several_models_are_compared_with_the_first_and_corrected() -> None:
    rng = np.random.default_rng(29)
    y = rng.integers(0, N_LABELS, 1500)
    predictions = {"base": answers(y, 0.85, rng), "same": answers(y, 0.85, rng), "better": answers(y, 0.93, rng)}
    found = compare_many(y, predictions, n_draws=100, seed=0)
    assert list(found) == ["same", "better"]
    assert found["better"].verdict == Verdict.B_BETTER and found["same"].verdict == Verdict.NOT_DISTINGUISHABLE
    assert found["better"].p_adjusted == pytest.approx(2 * found["better"].p_value)


def test_the_comparison_is_plain_json_the_same_every_time_and_flat_metrics() -> None:
    y, a, b = pair(200, 0.9, 0.02, 0.1, np.random.default_rng(30))
    first, again = (
        json.dumps(compare_predictions(y, a, b, n_draws=100, seed=3, slices={"s": ["a/b"] * 200}).to_json())
        for _ in range(2)
    )
    assert first == again and json.loads(first)["verdict"] in set(Verdict)
    flat = compare_predictions(y, a, b, n_draws=100, seed=3, slices={"s": ["a/b"] * 200}).flat()
    assert {"compare/accuracy.ci_low", "compare/p_value", "compare/f1/0", "compare/slice/s/accuracy/a_b"} <= set(flat)


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="same rows"):
        compare_predictions(np.array([0, 1]), np.array([0]), np.array([0, 1]), n_draws=1, seed=0)
    with pytest.raises(DataError, match="same rows"):
        compare_predictions(np.array([]), np.array([]), np.array([]), n_draws=1, seed=0)
