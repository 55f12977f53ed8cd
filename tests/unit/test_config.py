"""Settings: a misspelt key, a bad value and a missing file each say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.home import home
from pipeline.split import Config
from pipeline.task import load_task

CONFIGS = home() / "configs"


def test_a_misspelt_key_is_named_with_the_one_meant(tmp_path: Path) -> None:
    path = tmp_path / "split.yaml"
    path.write_text((CONFIGS / "split.yaml").read_text().replace("salt:", "sallt:"))
    with pytest.raises(ConfigError, match=r"split\.yaml"):
        Config.load(path)
    path.write_text((CONFIGS / "split.yaml").read_text() + "\nsallt: x\n")
    with pytest.raises(ConfigError, match="unknown key 'sallt'; did you mean 'salt'"):
        Config.load(path)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("shares.train=7", "shares.train"),
        ("shares", "expected key=value"),
        ("salt.deeper=1", "'salt' is not a group"),
        ("shares.train=0.5", "add up to 1"),
    ],
)
def test_a_bad_override_is_refused(override: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        Config.load(CONFIGS / "split.yaml", [override])


@pytest.mark.parametrize("content", ["- a\n- b\n", "key: [unclosed", ""])
def test_a_file_that_is_not_keys_and_values_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.yaml").write_text(content)
    with pytest.raises(ConfigError, match=r"x\.yaml"):
        Config.load(tmp_path / "x.yaml")


def test_an_unknown_task_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no task 'topics'.*topic"):
        load_task("topics", CONFIGS, [])


@pytest.mark.parametrize("task", sorted(path.stem for path in (CONFIGS / "tasks").glob("[!_]*.yaml")))
def test_every_task_that_ships_loads(task: str) -> None:
    assert load_task(task, CONFIGS, []).kind in ("single", "multi", "target")


def test_a_task_of_three_lines_takes_the_rest_from_its_kind(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine.yaml").write_text("kind: multi\ndata: {train: a.jsonl}\n")
    task = load_task("mine", tmp_path, ["data.test=b.jsonl", "seed=7"])
    assert (task.kind, task.data.train, task.data.test, task.seed) == ("multi", "a.jsonl", "b.jsonl", 7)
    assert task.calibration.threshold == "tuned"
