"""Hashed columns: the words of the analyser, learnt in batches, with answers that are exact, kept and bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from pipeline import classifiers
from pipeline.calibration import CalibrationConfig
from pipeline.classifiers.analysis import WordAnalyzer
from pipeline.classifiers.hashing import HashAnalyzer, StoredCounts
from pipeline.classifiers.task_model import TaskModel
from pipeline.document import Example

TOPICS = {
    "finance": "shares market profit bank quarterly growth investors euro",
    "sport": "match goal striker league coach stadium cup referee",
    "tech": "software chip phone network users device code browser",
}
TEXTS = ["Shares of the bank rose; shares fell.", "", "ΑΣ naïve — don't 日本 x_1", "a I the the the the"]


def articles(n_each: int, seed: int = 0) -> list[Example]:
    rng = np.random.default_rng(seed)
    made = []
    for label, vocabulary in TOPICS.items():
        for i in range(n_each):
            drawn = " ".join(rng.choice([*vocabulary.split(), "the", "said", "today"], size=14))
            made.append(Example(f"{label}-{seed}-{i}", f"{drawn}.", title=drawn.split()[0], labels=(label,)))
    return made


def hashing(**changes: Any) -> Any:
    settings = {
        "kind": "hashing", "field": "all", "window": 0, "min_n": 1, "max_n": 2, "min_chars": 2, "n_bits": 16, "sublinear": True,
        "idf": True, "alpha": 1e-4, "n_epochs": 5, "batch_rows": 7, "class_weight": "balanced", "min_judged": 20, "scratch": None,
    }  # fmt: skip
    return TypeAdapter(classifiers.ClassifierConfig).validate_python(settings | changes)


def calibration(method: Any) -> CalibrationConfig:
    return CalibrationConfig(
        method=method,
        source="folds",
        n_folds=4,
        min_held_out=10,
        coverage=0.9,
        per_class=False,
        threshold="tuned",
        min_positives=4,
        at_least_one=True,
    )


@pytest.mark.parametrize("n", [(1, 1), (1, 2), (2, 2)])
def test_columns_count_what_the_analyser_with_a_vocabulary_counts(n):
    ours, exact = HashAnalyzer(*n, 2, 24), WordAnalyzer(*n, 1, None, 2)
    counts = exact.fit_counts(TEXTS).toarray()
    hashed = ours.counts(TEXTS).toarray()
    for row, expected in zip(hashed, counts, strict=True):  # 24 bits: no two of these few share a column
        assert sorted(row[row > 0]) == sorted(expected[expected > 0])
    columns, starts, ends = ours.positions(TEXTS[0])
    np.testing.assert_array_equal(np.bincount(columns, minlength=ours.n_features), hashed[0])
    assert {TEXTS[0][a:b].lower() for a, b in zip(starts, ends, strict=True)} >= (
        {"shares"} if n[0] == 1 else {"bank rose"}
    )


def test_rows_come_back_from_the_file_in_any_order(tmp_path: Path):
    counts = HashAnalyzer(1, 2, 2, 12).counts([*TEXTS, "the bank"])
    with (tmp_path / "rows").open("w+b") as file:
        stored = StoredCounts(file, counts.shape[1])
        stored.append(counts[:2])
        stored.append(counts[2:])
        rows = np.array([4, 1, 0, 2])
        np.testing.assert_array_equal(stored.take(rows).toarray(), counts[rows].toarray())


@pytest.mark.parametrize("task_kind", ["single", "multi"])
def test_hashed_words_keep_the_contract(task_kind, tmp_path: Path):
    method = calibration("platt" if task_kind == "multi" else "temperature")
    model = TaskModel.fit("topic", task_kind, hashing(), method, articles(12), None, 0)
    new = articles(5, seed=9)
    probabilities = model.predict_proba(new)
    said = np.array(model.labels)[probabilities.argmax(axis=1)]
    assert np.mean(said == [one.labels[0] for one in new]) > 0.9
    np.testing.assert_array_equal(model.predict_proba(new[3:4])[0], probabilities[3])
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(TaskModel.load(tmp_path / "model").predict_proba(new), probabilities)
    again = TaskModel.fit("topic", task_kind, hashing(), method, articles(12), None, 0)
    np.testing.assert_array_equal(again.predict_proba(new), probabilities)


def test_sentence_weights_of_hashed_words_sum_to_the_score():
    train = articles(8)
    model = classifiers.build(hashing(), multi_label=False, seed=0).fit(train, [one.labels[0] for one in train])
    example = Example("x", "The striker scored. Shares fell today.", title="")
    score = float(model.scores([example])[0, 1] - model.intercepts_[1])
    parts = model.sentence_weights(example, [(0, 20), (20, 38)], "sport")
    assert parts.sum() == pytest.approx(score, rel=1e-5) and parts[0] > parts[1]


def test_only_so_many_folds_are_judged_as_are_needed():
    train = articles(20)
    y, folds = [one.labels[0] for one in train], np.arange(60) % 6
    answers = classifiers.build(hashing(min_judged=15), multi_label=False, seed=0).out_of_fold(train, y, folds)
    assert (~np.isnan(answers).any(axis=1)).tolist() == (folds < 2).tolist()
    nothing = classifiers.build(hashing(), multi_label=False, seed=0).out_of_fold(train, y, None)
    assert nothing.shape == (0, 3)


def test_the_memory_of_a_fit_does_not_grow_with_the_examples():
    import tracemalloc

    def peak(n_each: int) -> int:
        short = articles(n_each)
        train = [
            Example(one.id, f"{one.text} {' '.join(f'{i}w{k}' for k in range(300))}") for i, one in enumerate(short)
        ]
        y = [one.labels[0] for one in short]
        model = classifiers.build(hashing(n_bits=10, n_epochs=1, batch_rows=30), multi_label=False, seed=0)
        tracemalloc.start()
        model.fit(train, y)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)  # imports
    few, many = peak(20), peak(120)
    assert many - few < 300 * 300  # a label and a place a row; the text and its hashed row have some thousand bytes
