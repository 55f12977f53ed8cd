"""The champion is replaced by a better model only, can be put back, and its card says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.classifiers.task_model import TaskModel
from pipeline.document import Example
from pipeline.errors import ArtifactError
from pipeline.examples import Examples
from pipeline.home import home
from pipeline.register import Config, Decision, decide, promote, roll_back
from pipeline.report import model_card
from pipeline.task import load_task

CONFIG = Config.load(home() / "configs" / "register.yaml")
TASK = load_task("topic", home() / "configs", ["data.train=x", "calibration.source=folds"])


def example(i: int, *, is_swapped: bool = False) -> Example:
    label = ("sports", "tech")[(i + is_swapped) % 2]
    words = ("match goal team coach", "chip software phone code")[i % 2]
    text = f"The {words} of day {i}."
    return Example(id=f"e{i}", text=text, title="", labels=(label,), target=None, span=None, source=None, date=None, group=f"e{i}")  # fmt: skip


def fitted(folder: Path, *, share_wrong: float = 0.0) -> Path:
    """The folder of a stage's outputs with a model that learnt from labels of which so many are swapped."""
    examples = [example(i, is_swapped=(i // 2) % 10 < 10 * share_wrong) for i in range(120)]
    model = TaskModel.fit("topic", TASK.kind, TASK.classifier, TASK.calibration, examples, None, TASK.seed)
    model.save(folder / "model")
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted(tmp_path_factory.mktemp("bad"), share_wrong=1.0)


TEST = Examples(tuple(example(i) for i in range(200, 260)))


def test_a_planted_worse_model_never_becomes_champion_and_a_better_one_does(good: Path, bad: Path) -> None:
    better, worse = TaskModel.load(good / "model"), TaskModel.load(bad / "model")
    kept = decide(worse, better, TEST, CONFIG)
    assert kept.outcome == "kept" and kept.difference is not None and kept.difference < -0.9
    promoted = decide(better, worse, TEST, CONFIG)
    assert promoted.outcome == "promoted" and promoted.p_value is not None and promoted.p_value < 0.001
    assert "against the champion's 0.0000 on 60 rows" in promoted.reason


def test_a_champion_can_be_rolled_back_and_forth(good: Path, bad: Path, tmp_path: Path) -> None:
    champion = tmp_path / "models" / "topic"
    names = [TaskModel.load(folder / "model").digest for folder in (bad, good)]
    with pytest.raises(ArtifactError, match="no previous champion"):
        roll_back(champion)
    for folder, name in zip((bad, good), names, strict=True):
        promote(folder, champion, Decision("promoted", "", name, None, 1))
    assert roll_back(champion) == names[0] == TaskModel.load(champion).digest
    assert roll_back(champion) == names[1] == TaskModel.load(champion).digest


def test_the_card_leads_with_the_result_and_names_data_digest_and_weakest_label() -> None:
    training = {
        "kind": "single", "labels": ["sports", "tech"], "model": "m" * 64, "data": "d" * 64, "n_train": 1200, "n_held_out": 300,
        "config": TASK.model_dump(mode="json"),
    }  # fmt: skip
    score = {"precision": 0.9, "recall": 0.9, "support": 50}
    metrics = {
        "macro_f1": 0.95, "accuracy": 0.96, "ece": 0.01, "n": 100, "coverage": 0.9, "answered": 0.8, "answered_accuracy": 0.99,
        "intervals": {"macro_f1": [0.9, 0.98]}, "per_label": {"sports": {**score, "f1": 0.99}, "tech|it": {**score, "f1": 0.91}},
        "per_label_intervals": {label: {"f1": [0.8, 1.0]} for label in ("sports", "tech|it")}, "shortcut": {},
    }  # fmt: skip
    decision = {"outcome": "promoted", "reason": "the first champion"}
    card = model_card("topic", training, metrics, decision)
    assert card.splitlines()[2].startswith("Macro-F1 **0.9500** (95 % interval 0.9000 to 0.9800)")
    assert card.index("tech\\|it") < card.index("| sports |")
    assert "d" * 64 in card and "Decision: **promoted**" in card
