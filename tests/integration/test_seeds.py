"""`evaluate --seeds` trains anew with each seed and shows mean and spread on a run whose children they are."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from conftest import Slugline

from pipeline.seeds import spread_of


def news(n: int, seed: int) -> str:
    """Rows of two topics whose words overlap, so that no model is always right."""
    words = {"finance": "shares market profit bank growth euro", "sport": "match goal league coach cup referee"}
    rng = random.Random(seed)
    common = ["day", "week", "said", "city", "people", "year"]
    rows = [
        {"text": " ".join(rng.choices([*text.split(), *common * 3], k=9)) + f" {seed} {i}", "label": label}
        for label, text in words.items()
        for i in range(n)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_the_spread_is_that_of_the_values() -> None:
    spread = spread_of([0.9, 0.8, 0.7])
    assert (spread.mean, spread.sd, spread.least, spread.greatest) == pytest.approx((0.8, 0.1, 0.7, 0.9))
    assert spread_of([0.5]).sd == 0.0


def test_seeds_are_children_of_a_run_with_their_mean_and_spread(slugline: Slugline, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    (tmp_path / "train.jsonl").write_text(news(40, seed=1))
    (tmp_path / "test.jsonl").write_text(news(25, seed=2))
    given = ("--task", "topic", "--set", "data.train=train.jsonl", "--set", "data.test=test.jsonl")
    done = slugline("evaluate", *given, "--seeds", 3, "--format", "json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)["macro_f1"]
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId")]
    (parent,) = (run for run in runs if not run.data.tags.get("mlflow.parentRunId"))
    reached = [run.data.metrics["test/macro_f1"] for run in children]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert len({run.data.params["seed"] for run in children}) == 3
    assert parent.data.metrics["seeds/macro_f1.mean"] == pytest.approx(sum(reached) / 3, abs=1e-4)
    assert parent.data.metrics["seeds/macro_f1.mean"] == pytest.approx(shown["mean"], abs=1e-4)
    assert shown["least"] <= shown["mean"] <= shown["greatest"]
    assert "3 seeds" in parent.info.run_name
