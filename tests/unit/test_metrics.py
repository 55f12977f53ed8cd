from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_recall_fscore_support

from pipeline.errors import DataError
from pipeline.metrics import (
    SCALARS,
    UNKNOWN,
    calibration_curve,
    cost_curve,
    coverage_curve,
    evaluate_multi,
    evaluate_single,
    expected_calibration_error,
    flat_slices,
    metric_names,
    slice_metrics,
    standard_slices,
    wilson_interval,
)

LABELS = ["business", "politics", "sport"]


def sample(n: int = 300, k: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth and probabilities that are calibrated: each truth is drawn from its row of probabilities."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(k, 0.5), n)
    return np.array([rng.choice(k, p=row) for row in probabilities]), probabilities


def multi_sample(n: int = 300, k: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.beta(0.5, 1.5, (n, k))
    return rng.random((n, k)) < probabilities, probabilities


@given(st.integers(2, 60), st.integers(2, 6), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_single_label_scores_are_those_of_scikit_learn(n: int, k: int, seed: int) -> None:
    y, probabilities = sample(n, k, seed)
    predicted = probabilities.argmax(axis=1)
    metrics = evaluate_single(y, probabilities, [f"l{i}" for i in range(k)], n_draws=2, seed=0)
    assert metrics.accuracy == pytest.approx(accuracy_score(y, predicted))
    assert metrics.macro_f1 == pytest.approx(f1_score(y, predicted, average="macro"))
    assert metrics.micro_f1 == pytest.approx(f1_score(y, predicted, average="micro"))
    assert metrics.log_loss == pytest.approx(log_loss(y, probabilities, labels=range(k)))
    assert metrics.brier == pytest.approx(((probabilities - np.eye(k)[y]) ** 2).sum(axis=1).mean())
    expected = precision_recall_fscore_support(y, predicted, labels=range(k), zero_division=0)
    got = [(s.precision, s.recall, s.f1, s.support) for s in metrics.per_label.values()]
    np.testing.assert_allclose(np.array(got).T, np.array(expected))


@given(st.integers(2, 60), st.integers(1, 5), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_multi_label_scores_are_those_of_scikit_learn(n: int, k: int, seed: int) -> None:
    y, probabilities = multi_sample(n, k, seed)
    predicted = probabilities > 0.4
    metrics = evaluate_multi(y, probabilities, predicted, [f"l{i}" for i in range(k)], n_draws=2, seed=0)
    seen = (y | predicted).any(axis=0)
    expected = precision_recall_fscore_support(y, predicted, zero_division=0) if k > 1 else None
    assert metrics.accuracy == pytest.approx((y == predicted).all(axis=1).mean())
    assert metrics.brier == pytest.approx(((y - probabilities) ** 2).mean())
    if expected is not None:
        np.testing.assert_allclose([s.f1 for s in metrics.per_label.values()], expected[2])
        assert metrics.macro_f1 == pytest.approx(np.asarray(expected[2])[seen].mean() if seen.any() else 0.0)
        assert metrics.micro_f1 == pytest.approx(f1_score(y, predicted, average="micro", zero_division=0))


def test_intervals_are_those_of_a_plain_loop_over_resampled_documents() -> None:
    y, probabilities = sample(200)
    predicted = probabilities.argmax(axis=1)
    rng = np.random.default_rng(5)
    draws = []
    for _ in range(500):
        index = rng.integers(0, 200, 200)
        right = predicted[index] == y[index]
        draws.append((right.mean(), f1_score(y[index], predicted[index], average="macro")))
    plain = np.percentile(draws, [2.5, 97.5], axis=0)
    metrics = evaluate_single(y, probabilities, LABELS, n_draws=2000, seed=7)
    np.testing.assert_allclose(metrics.intervals["accuracy"], plain[:, 0], atol=0.015)
    np.testing.assert_allclose(metrics.intervals["macro_f1"], plain[:, 1], atol=0.015)


def test_intervals_hold_the_true_value_about_95_times_in_100() -> None:
    rng = np.random.default_rng(11)
    held = 0
    for seed in range(200):
        right = rng.random(150) < 0.8
        y, probabilities = np.zeros(150, dtype=int), np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
        low, high = evaluate_single(y, probabilities, ["a", "b"], n_draws=200, seed=seed).intervals["accuracy"]
        held += low <= 0.8 <= high
    assert 180 <= held <= 199


def test_a_true_label_the_model_never_saw_counts_as_wrong() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]])
    unnamed = evaluate_single(np.array([0, -1, 1]), probabilities, ["a", "b"], n_draws=50, seed=0)
    assert unnamed.n == 3 and unnamed.accuracy == pytest.approx(2 / 3)
    assert unnamed.per_label[UNKNOWN].support == 1 and unnamed.per_label[UNKNOWN].f1 == 0
    assert unnamed.macro_f1 == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert evaluate_single(np.array([0, 9, 1]), probabilities, ["a", "b"], n_draws=50, seed=0) == unnamed
    named = evaluate_single(np.array([0, 2, 1]), probabilities, ["a", "b", "weather"], n_draws=50, seed=0)
    assert named.per_label["weather"].support == 1 and named.macro_f1 == unnamed.macro_f1
    assert named.coverage == pytest.approx(2 / 3)
    multi = evaluate_multi(
        np.array([[1, 0, 1], [0, 1, 0]]), np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[True, False], [False, True]]),
        ["a", "b", "weather"], n_draws=50, seed=0,
    )  # fmt: skip
    assert multi.accuracy == 0.5 and multi.per_label["weather"].recall == 0


def test_coverage_and_abstention_are_read_from_the_sets() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.4, 0.5, 0.1], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3]])
    sets = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 0]], dtype=bool)
    metrics = evaluate_single(np.array([0, 0, 2, 0]), probabilities, LABELS, n_draws=10, seed=0, sets=sets)
    assert metrics.coverage == 0.75
    assert metrics.answered == 0.75
    assert metrics.answered_accuracy == pytest.approx(2 / 3)
    assert metrics.mean_set_size == 1.25


def test_decisions_may_differ_from_the_most_probable_label() -> None:
    probabilities = np.array([[0.6, 0.4], [0.6, 0.4]])
    metrics = evaluate_single(
        np.array([1, 1]), probabilities, ["a", "b"], n_draws=10, seed=0, y_pred=np.array([1, 0])
    )  # fmt: skip
    assert metrics.accuracy == 0.5


def test_calibration_error_is_small_for_calibrated_and_large_for_boastful_probabilities() -> None:
    y, probabilities = sample(20_000)
    assert expected_calibration_error(probabilities, y) < 0.015
    boastful = np.eye(3)[probabilities.argmax(axis=1)]
    assert expected_calibration_error(boastful, y) == pytest.approx((probabilities.argmax(axis=1) != y).mean())
    truth, multi = multi_sample(20_000)
    assert expected_calibration_error(multi, truth) < 0.01


def test_the_calibration_interval_holds_its_estimate_and_is_not_pushed_up_by_resampling_noise() -> None:
    lows = []
    for seed in range(20):
        y, probabilities = sample(150, seed=seed)
        metrics = evaluate_single(y, probabilities, LABELS, n_draws=200, seed=0)
        low, high = metrics.intervals["ece"]
        assert low <= metrics.ece <= high
        lows.append(low)
    assert np.mean(lows) < 0.03


def test_same_seed_gives_the_same_bytes_and_another_seed_other_intervals() -> None:
    y, probabilities = sample()
    first, again, other = (evaluate_single(y, probabilities, LABELS, n_draws=100, seed=seed) for seed in (3, 3, 4))
    assert json.dumps(first.to_json()) == json.dumps(again.to_json())
    assert first.intervals != other.intervals and first.accuracy == other.accuracy


def test_batches_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    y, probabilities = sample()
    whole = evaluate_single(y, probabilities, LABELS, n_draws=50, seed=3)
    monkeypatch.setattr("pipeline.metrics._WEIGHTS_AT_ONCE", 700)
    assert evaluate_single(y, probabilities, LABELS, n_draws=50, seed=3) == whole


def test_json_has_the_keys_of_the_contract_and_plain_numbers() -> None:
    y, probabilities = sample()
    printed = json.loads(json.dumps(evaluate_single(y, probabilities, LABELS, n_draws=20, seed=0).to_json()))
    assert set(SCALARS) | {"n", "per_label", "intervals"} <= set(printed)
    assert all(isinstance(printed[name], float) and len(printed["intervals"][name]) == 2 for name in SCALARS)
    assert set(printed["per_label"]["sport"]) == {"precision", "recall", "f1", "support"}


def test_flat_names_are_what_mlflow_accepts_even_for_awkward_labels() -> None:
    y, probabilities = sample(k=5)
    labels = ["arts/culture", "arts&culture", "..", "Ünïted Kingdom?", "x" * 400]
    flat = evaluate_single(y, probabilities, labels, n_draws=20, seed=0).flat()
    assert {"test/macro_f1", "test/macro_f1.ci_low", "test/macro_f1.ci_high", "test/f1/arts_culture"} <= set(flat)
    assert "test/f1/arts_culture_2" in flat
    assert sum(name.startswith("test/f1/") and ".ci_" not in name for name in flat) == 5
    for name, value in flat.items():
        assert re.fullmatch(r"[/\w.\- :]+", name) and len(name) <= 250 and np.isfinite(value)
        assert all(part.strip(".") for part in name.split("/"))


def test_mlflow_itself_accepts_the_flat_names() -> None:
    validation = pytest.importorskip("mlflow.utils.validation")
    y, probabilities = sample(k=3)
    for name in evaluate_single(y, probabilities, ["a/b", "..", "naïve: «x»"], n_draws=2, seed=0).flat():
        validation._validate_metric_name(name)


@given(st.lists(st.text(max_size=20), unique=True, max_size=8))
def test_no_two_labels_share_a_metric_name(labels: list[str]) -> None:
    names = metric_names(labels)
    assert len({name.casefold() for name in names.values()}) == len(labels)


def test_slices_are_counted_scored_and_ordered_by_size() -> None:
    y, predicted = np.array([0, 0, 1, 1, 2, -1]), np.array([0, 0, 1, 0, 2, 2])
    slices = {"source": ["bbc", "bbc", "afp", "afp", "afp", None], "period": ["2023"] * 6}
    scores = slice_metrics(y, predicted, LABELS, slices, n_draws=100, seed=0)
    assert [(s.by, s.value, s.n) for s in scores] == [("source", "afp", 3), ("source", "bbc", 2), ("period", "2023", 6)]
    assert scores[0].accuracy == pytest.approx(2 / 3)
    assert scores[0].macro_f1 == pytest.approx(f1_score(y[2:5], predicted[2:5], average="macro"))
    assert scores[1].accuracy == 1 and scores[1].accuracy_interval[0] < 0.4
    assert scores[2].accuracy == pytest.approx(4 / 6)
    assert len(slice_metrics(y, predicted, LABELS, slices, n_draws=10, seed=0, min_size=3)) == 2
    assert flat_slices(scores)["test/slice/source/accuracy/afp"] == pytest.approx(2 / 3)


def test_slices_of_a_multi_label_task_ask_for_the_exact_set() -> None:
    y, probabilities = multi_sample(50)
    predicted = probabilities > 0.4
    (score,) = slice_metrics(y, predicted, list("abcd"), {"language": ["en"] * 50}, n_draws=20, seed=0)
    assert score.accuracy == pytest.approx((y == predicted).all(axis=1).mean())


def test_standard_slices_read_the_year_and_cut_lengths_in_quarters() -> None:
    slices = standard_slices(sources=["a", None], dates=["2021-05-03T10:00", "yesterday"], lengths=[10, 900])
    assert slices == {"source": ["a", None], "period": ["2021", None], "length": ["q1", "q4"]}
    assert "language" in standard_slices(sources=["a"], dates=[None], lengths=[1], languages=["en"])


def test_curves_read_as_a_person_would_draw_them() -> None:
    confidence, correct = np.array([0.9, 0.9, 0.6, 0.4]), np.array([True, True, False, True])
    answered = coverage_curve(confidence, correct, n_points=4)
    assert [(p.x, round(p.y, 3), p.n) for p in answered] == [(0.5, 1.0, 2), (0.75, 0.667, 3), (1.0, 0.75, 4)]
    calibration = calibration_curve(confidence, correct, n_bins=10)
    assert [(round(p.x, 3), p.y, p.n) for p in calibration] == [(0.4, 1.0, 1), (0.6, 0.0, 1), (0.9, 1.0, 2)]
    costs = cost_curve(confidence, correct, n_points=3)
    assert [(p.x, p.y, p.n) for p in costs] == [(0.0, 0.0, 2), (0.5, 0.25, 4), (1.0, 0.25, 4)]


def test_wilson_is_not_sure_of_three_right_out_of_three() -> None:
    low, high = wilson_interval(3, 3)
    assert low == pytest.approx(0.4385, abs=1e-3) and high == 1.0
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_nothing_to_evaluate_and_broken_probabilities_are_refused_with_a_reason() -> None:
    with pytest.raises(DataError, match="no examples"):
        evaluate_single(np.array([]), np.zeros((0, 3)), LABELS, n_draws=1, seed=0)
    with pytest.raises(DataError, match="row 2: a probability is not a finite number"):
        evaluate_single(np.array([0, 1]), np.array([[1.0, 0], [np.nan, 0]]), ["a", "b"], n_draws=1, seed=0)
    with pytest.raises(DataError, match="shape"):
        evaluate_multi(np.ones((2, 3)), np.ones((2, 2)), np.ones((2, 2)), ["a", "b"], n_draws=1, seed=0)
