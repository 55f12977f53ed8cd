"""What intervals and comparisons cost, and whether the test that decides a comparison keeps its promises.

Prints as JSON: CPU seconds for the metrics of 10,000 predictions with 1,000 bootstrap draws (single and multi-label, few
and many labels), of slices, of a comparison and of the report; beside them a plain loop over scikit-learn for a few draws,
extrapolated; and, from simulated pairs of models, how often equal ones are called different (at the 5 % level) and how
often the difference reported as detectable is detected (80 % promised).

    python benchmarks/evaluate.py [--n 10000] [--n-draws 1000] [--n-simulations 1000]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np

from pipeline.metrics import evaluate_multi, evaluate_single, slice_metrics, standard_slices
from pipeline.report import Evaluation, ReportRow, evaluation_report
from pipeline.significance import Verdict, compare_predictions


def cpu_seconds(work: Callable[[], object]) -> float:
    """The CPU seconds that the work takes."""
    began = time.process_time()
    work()
    return round(time.process_time() - began, 2)


def costs(n: int, n_draws: int, k: int, rng: np.random.Generator) -> dict[str, float]:
    """CPU seconds by piece of work, for a task of k labels."""
    labels = [f"label {i}" for i in range(k)]
    probabilities = rng.dirichlet(np.full(k, 0.3), n)
    y = (probabilities.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, k - 1)
    predicted = probabilities.argmax(axis=1)
    truths = rng.random((n, k)) < probabilities
    slices = standard_slices(
        sources=[f"source {i % 40}" for i in range(n)],
        dates=[f"{2015 + i % 8}" for i in range(n)],
        lengths=list(range(n)),
    )
    metrics = evaluate_single(y, probabilities, labels, n_draws=2, seed=0)
    rows = [
        ReportRow(f"id-{i}", f"Title {i}", None, None, "Body. " * 300, (), (labels[t],), (labels[p],), float(row[p]))
        for i, (t, p, row) in enumerate(zip(y, predicted, probabilities, strict=True))
    ]
    page = Evaluation("Benchmark", metrics, labels, rows, probabilities, 25)
    other = np.where(rng.random(n) < 0.1, rng.integers(0, k, n), predicted)
    return {
        "evaluate_single": cpu_seconds(lambda: evaluate_single(y, probabilities, labels, n_draws=n_draws, seed=0)),
        "evaluate_multi": cpu_seconds(
            lambda: evaluate_multi(truths, probabilities, probabilities > 0.3, labels, n_draws=n_draws, seed=0)
        ),
        "slice_metrics": cpu_seconds(lambda: slice_metrics(y, predicted, labels, slices, n_draws=n_draws, seed=0)),
        "compare_predictions": cpu_seconds(
            lambda: compare_predictions(y, predicted, other, n_draws=n_draws, seed=0, labels=labels, slices=slices)
        ),
        "evaluation_report": cpu_seconds(lambda: evaluation_report(page)),
        "plain_loop_over_scikit_learn": round(plain_loop(y, predicted) * n_draws, 1),
    }


def plain_loop(y: np.ndarray, predicted: np.ndarray, n_draws: int = 10) -> float:
    """CPU seconds a draw of accuracy and macro-F1 by scikit-learn on resampled rows."""
    from sklearn.metrics import accuracy_score, f1_score

    rng = np.random.default_rng(0)
    began = time.process_time()
    for _ in range(n_draws):
        index = rng.integers(0, len(y), len(y))
        accuracy_score(y[index], predicted[index])
        f1_score(y[index], predicted[index], average="macro")
    return (time.process_time() - began) / n_draws


def promises(n_simulations: int, rng: np.random.Generator) -> dict[str, float]:
    """How often the test alarms for nothing, and how often it sees the difference that it reported as detectable."""
    n, share, k = 800, 0.12, 5

    def pair(difference: float) -> list[np.ndarray]:
        y = rng.integers(0, k, n)
        wrong, draw = (y + 1) % k, rng.random(n)
        both = np.where(rng.random(n) < 0.9, y, wrong)
        only_a, either = (share + difference) / 2, share
        a = np.where(draw < only_a, y, np.where(draw < either, wrong, both))
        b = np.where(draw < only_a, wrong, np.where(draw < either, y, both))
        return [y, a, b]

    detectable = compare_predictions(*pair(0.0), n_draws=1, seed=0).detectable
    verdicts = {
        name: [compare_predictions(*pair(difference), n_draws=1, seed=0).verdict for _ in range(n_simulations)]
        for name, difference in (("equal", 0.0), ("detectable", detectable))
    }
    return {
        "rows": n,
        "false_alarm_rate": round(float(np.mean([v != Verdict.NOT_DISTINGUISHABLE for v in verdicts["equal"]])), 4),
        "detectable_difference": round(detectable, 4),
        "power_at_detectable": round(float(np.mean([v == Verdict.A_BETTER for v in verdicts["detectable"]])), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--n-draws", type=int, default=1_000)
    parser.add_argument("--n-simulations", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    cpu = {f"{k} labels": costs(given.n, given.n_draws, k, rng) for k in (5, 100)}
    print(
        json.dumps(
            {"n": given.n, "n_draws": given.n_draws, "cpu_seconds": cpu, **promises(given.n_simulations, rng)}, indent=2
        )
    )


if __name__ == "__main__":
    main()
