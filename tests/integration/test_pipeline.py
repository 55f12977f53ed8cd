"""The whole pipeline as `make run` runs it: DVC, real BBC articles, a real MLflow store."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PARTS = (
    "configs",
    "seeds",
    "models/separator",
    "models/stance",
    "dvc.yaml",
    ".dvc/config",
    ".dvc/.gitignore",
    ".gitignore",
    "pipeline",
)


def run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    environment.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, timeout=900, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, its pipeline run once."""
    folder = tmp_path_factory.mktemp("project")
    for part in PARTS:
        source, target = ROOT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    run(folder, "git", "init", "--quiet")
    done = run(folder, "slugline", "run")
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_the_topic_model_is_trained_evaluated_and_promoted(project: Path) -> None:
    metrics = json.loads((project / "artifacts/topic/metrics.json").read_text())
    assert metrics["macro_f1"] > 0.95
    assert metrics["intervals"]["macro_f1"][0] < metrics["macro_f1"] < metrics["intervals"]["macro_f1"][1]
    assert metrics["shortcut"]["flip_rate"] < 0.02
    assert json.loads((project / "artifacts/register/topic/decision.json").read_text())["outcome"] == "promoted"
    assert (project / "models/topic/model.json").is_file()


def test_every_article_is_scored_or_accounted_for(project: Path) -> None:
    n_seeds = len((project / "seeds/articles.jsonl").read_text().splitlines())
    records = [json.loads(line) for line in (project / "artifacts/score/predictions.jsonl").read_text().splitlines()]
    assert len(records) == n_seeds
    assert all(record["predictions"]["topic"] and record["error"] is None for record in records)


def test_no_document_is_lost_between_stages(project: Path) -> None:
    import pyarrow.parquet as pq

    counts = {
        stage: (
            pq.read_metadata(project / f"artifacts/{stage}/{name}.parquet").num_rows,
            len((project / f"artifacts/{stage}/rejected.jsonl").read_text().splitlines()),
        )
        for stage, name in (
            ("ingest", "articles"),
            ("clean", "documents"),
            ("separate", "documents"),
            ("split", "examples"),
        )
    }
    stages = list(counts)
    for before, after in itertools.pairwise(stages):
        assert counts[before][0] == sum(counts[after]), (before, after)


def test_no_group_is_in_two_splits(project: Path) -> None:
    import pyarrow.parquet as pq

    sides: dict[tuple[str, str], set[str]] = {}
    for row in pq.read_table(project / "artifacts/split/examples.parquet").to_pylist():
        sides.setdefault((row["corpus"], row["group"]), set()).add(row["split"])
    assert all(len(side) == 1 for side in sides.values())


def test_a_second_run_runs_no_stage(project: Path) -> None:
    done = run(project, "slugline", "run")
    assert done.returncode == 0
    assert "up to date" in done.stdout
    assert "Running stage" not in done.stdout


def test_training_again_gives_the_same_bytes(project: Path) -> None:
    kept = {
        name: (project / "artifacts/topic" / name).read_bytes()
        for name in ("metrics.json", "predictions.parquet", "model/model.json")
    }
    shutil.rmtree(project / "artifacts/topic")
    for stage in ("train", "evaluate"):
        assert run(project, "slugline", stage, "--task", "topic").returncode == 0
    assert kept == {name: (project / "artifacts/topic" / name).read_bytes() for name in kept}


def test_a_better_champion_stays_and_a_worse_challenger_is_turned_away(project: Path) -> None:
    before = (project / "models/topic/model.json").read_bytes()
    worse = (
        "classifier.spaces=[{field: lead, unit: word, min_n: 1, max_n: 1, min_df: 2, max_features: 300, min_chars: 2, sublinear: true, idf: true, weight: 1.0, window: 60}]",
    )
    for stage in ("train", "evaluate", "register"):
        done = run(
            project,
            "slugline",
            stage,
            "--task",
            "topic",
            *(word for one in worse for word in ("--set", one)),
            "--set",
            "gate.minimum=0.1",
        )
        assert done.returncode == 0, done.stderr
    assert json.loads((project / "artifacts/register/topic/decision.json").read_text())["outcome"] == "kept"
    assert (project / "models/topic/model.json").read_bytes() == before
    done = run(project, "slugline", "register", "--task", "topic", "--set", "gate.minimum=0.99")
    assert done.returncode == 1
    assert "below the gate's 0.99" in done.stderr


def test_the_runs_are_in_mlflow_with_what_one_asks_of_them(project: Path) -> None:
    code = (
        "import mlflow, json; mlflow.set_tracking_uri('sqlite:///mlflow.db'); c = mlflow.MlflowClient();"
        "runs = c.search_runs([c.get_experiment_by_name('slugline').experiment_id], order_by=['attributes.start_time']);"
        "print(json.dumps([{'name': r.info.run_name, 'metrics': r.data.metrics, 'params': r.data.params, 'tags': r.data.tags, 'datasets': [d.dataset.name for d in r.inputs.dataset_inputs], 'artifacts': [a.path for a in c.list_artifacts(r.info.run_id)]} for r in runs]));"
        "print(c.get_model_version_by_alias('slugline-topic', 'champion').version)"
    )
    done = run(project, sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    listed, version = done.stdout.splitlines()[-2:]
    topic = next(one for one in json.loads(listed) if one["tags"].get("task") == "topic")
    assert topic["name"].startswith("topic 0.9") and " · linear · " in topic["name"]
    assert topic["metrics"]["test/macro_f1"] > 0.95
    assert topic["params"]["classifier.kind"] == "linear"
    assert topic["tags"]["mlflow.note.content"].startswith("**macro-F1 0.9")
    assert topic["datasets"] == ["bbc", "bbc"]
    assert {"metrics.json", "predictions.parquet", "training.json"} <= set(topic["artifacts"])
    assert version == "1"
