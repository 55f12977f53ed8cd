"""A sweep looks for better settings on the train part alone, and shows each trial as a child of one run."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from conftest import ROOT, Slugline

from pipeline.errors import ConfigError
from pipeline.sweep import Config, laid
from pipeline.task import load_task

pytest.importorskip("optuna", reason="the extra [sweep] is not installed")

SWEEP = """
n_trials: 3
seed: 1
metric: macro_f1
settings:
  classifier.c: {low: 0.01, high: 1.0, log: true}
  classifier.class_weight: {choices: [balanced, none]}
  classifier.spaces.1.weight: {low: 0.1, high: 1.0}
"""


def test_a_setting_that_the_task_lacks_is_named() -> None:
    task = load_task("topic", ROOT / "configs", [])
    assert laid(task, {"classifier.spaces.1.weight": 0.25}).model_dump()["classifier"]["spaces"][1]["weight"] == 0.25
    with pytest.raises(ConfigError, match=r"no setting 'classifier\.d'"):
        laid(task, {"classifier.d": 1})
    with pytest.raises(ConfigError, match=r"classifier\.linear\.c"):
        laid(task, {"classifier.c": "x"})


def test_the_sweep_that_ships_fits_the_task_that_ships() -> None:
    config = Config.load(ROOT / "configs" / "sweeps" / "linear.yaml")
    task = load_task("topic", ROOT / "configs", [])
    laid(task, {key: one.choices[0] if one.choices else one.high for key, one in config.settings.items()})


def test_a_sweep_in_several_processes_is_refused(slugline: Slugline, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    done = slugline("train", "--task", "topic", "--sweep", "sweep.yaml", WORLD_SIZE="2")
    assert done.returncode == 1 and "without torchrun" in done.stderr and "Traceback" not in done.stderr


def test_trials_are_children_of_one_run_and_the_best_is_trained(slugline: Slugline, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    words = {"finance": "shares market profit bank growth euro", "sport": "match goal league coach cup referee"}
    rng = random.Random(0)
    rows = [
        {"text": " ".join(rng.choices([*text.split(), "day", "week", "said"], k=8)) + f" {i}", "label": label}
        for label, text in words.items()
        for i in range(15)
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    done = slugline("train", "--task", "topic", "--set", "data.train=train.jsonl", "--sweep", "sweep.yaml")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "artifacts/topic/sweep.json").read_text())
    assert len(found["trials"]) == 3 and found["trials"][0]["settings"] == {}
    assert found["best"]["macro_f1"] == max(one["macro_f1"] for one in found["trials"])
    assert (tmp_path / "artifacts/topic/model/model.json").is_file()
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    parents = [run.data.tags.get("mlflow.parentRunId") for run in runs]
    children = [one for one in parents if one]
    assert len(children) == 3 and len(set(children)) == 1
