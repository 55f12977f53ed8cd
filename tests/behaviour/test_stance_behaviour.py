"""What a stance model must do whatever its accuracy: keep a stance when names are swapped, heed negation, and not catch another's praise.

Asked are the model that ships, `models/stance`, which never saw these sentences, and the `stance` task's own, trained here on the train
sentences; where the latter must generalise, only the others are asked.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.classifiers.task_model import TaskModel
from pipeline.clean import Config as CleanConfig
from pipeline.document import Article, Example, Kind
from pipeline.preparation import Prepared, prepare
from pipeline.separate import Separator
from pipeline.targets import score_targets
from pipeline.task import load_task

ROOT = Path(__file__).parents[2]
OTHER_NAMES = ("Marovia", "Silverline Freight", "the harbour office", "Inga Sollberg")
PRAISE = " Elsewhere {other} won praise for brilliant, honest and generous work."
MIN_SWAPPED, MIN_NOT_LEAKED = 0.95, 0.85
MIN_NEGATED = {"shipped": 0.8, "seeds": 0.5}


def read_seeds(name: str) -> list[dict[str, Any]]:
    """The rows of a file in `seeds/`."""
    return [json.loads(line) for line in (ROOT / "seeds" / name).read_text(encoding="utf-8").splitlines()]


def as_example(row: dict[str, Any]) -> Example:
    return Example(row["id"], row["text"], labels=(row["label"],), target=row["target"], span=(row["from"], row["to"]))


def renamed(example: Example, name: str) -> Example:
    """The example with every mention of its target replaced by another name."""
    start, end = example.span or (0, 0)
    before, after = (part.replace(example.target or "", name) for part in (example.text[:start], example.text[end:]))
    return replace(example, text=before + name + after, target=name, span=(len(before), len(before) + len(name)))


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return read_seeds("stance.jsonl")


@pytest.fixture(scope="module", params=["shipped", "seeds"])
def origin(request: pytest.FixtureRequest) -> str:
    """Where the model comes from."""
    return str(request.param)


@pytest.fixture(scope="module")
def model(origin: str, rows: list[dict[str, Any]]) -> TaskModel:
    if origin == "shipped":
        return TaskModel.load(ROOT / "models" / "stance")
    task = load_task("stance", ROOT / "configs", [])
    train = [replace(as_example(row), group=row["pair"]) for row in rows if row["split"] == "train"]
    return TaskModel.fit("stance", "target", task.classifier, task.calibration, train, None, task.seed)


def labels(model: TaskModel, examples: Sequence[Example]) -> list[str]:
    return [entry.label for (entry,) in model.predict(examples)]


def test_swapping_the_targets_name_keeps_the_stance(model: TaskModel, origin: str, rows: list[dict[str, Any]]) -> None:
    examples = [as_example(row) for row in rows[:: 3 if origin == "shipped" else 1]]  # an encoder takes its time
    before = labels(model, examples)
    kept = [
        old == new
        for name in OTHER_NAMES
        for old, new in zip(before, labels(model, [renamed(example, name) for example in examples]), strict=True)
    ]
    assert sum(kept) / len(kept) >= MIN_SWAPPED


def test_negating_a_sentence_often_turns_its_stance(model: TaskModel, origin: str, rows: list[dict[str, Any]]) -> None:
    pairs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["pair"] and row["phenomenon"] in ("plain", "negation"):
            pairs[row["pair"]].append(row)
    asked = [
        pair
        for pair in pairs.values()
        if len(pair) == 2 and {row["phenomenon"] for row in pair} == {"plain", "negation"}
    ]
    told = [labels(model, [as_example(row) for row in pair]) for pair in asked]
    assert len(asked) >= 30
    assert sum(one != other for one, other in told) / len(told) >= MIN_NEGATED[origin]


def test_praise_of_another_in_the_next_sentence_does_not_leak(model: TaskModel, rows: list[dict[str, Any]]) -> None:
    repair = CleanConfig.load(ROOT / "configs" / "clean.yaml").repair
    sentences = [row for row in rows if row["label"] != "favour" and row["split"] != "train"]
    plain = [Article(row["id"], text=row["text"]) for row in sentences]
    praised = [Article(row["id"], text=row["text"] + PRAISE.format(other="Ylva Stenmark")) for row in sentences]
    answers = [
        [
            score_targets(model, [one], [row["target"]], 3)[0][0].label
            for one, row in zip(prepared(articles, repair), sentences, strict=True)
        ]
        for articles in (plain, praised)
    ]
    same = [old == new for old, new in zip(*answers, strict=True)]
    assert sum(same) / len(same) >= MIN_NOT_LEAKED


def test_removing_the_tail_of_links_changes_no_stance(model: TaskModel) -> None:
    if not (ROOT / "models" / "separator" / "model.json").is_file():
        pytest.skip("the separator's weights are not in models/separator")
    repair, separator = (
        CleanConfig.load(ROOT / "configs" / "clean.yaml").repair,
        Separator.load(ROOT / "models" / "separator"),
    )
    rows = read_seeds("articles.jsonl")
    whole = [row["lines"] for row in rows]
    bare = [lines[: 1 + max(i for i, line in enumerate(lines) if line["kind"] == Kind.BODY)] for lines in whole]
    assert sum(len(one) > len(other) for one, other in zip(whole, bare, strict=True)) >= 30
    answers = []
    for texts in (whole, bare):
        articles = [
            Article(row["id"], text=row["newline"].join(line["text"] for line in lines))
            for row, lines in zip(rows, texts, strict=True)
        ]
        targets = sorted({one["target"] for row in rows for one in row["stances"]})
        found = [one for one in prepare(articles, repair, separator) if isinstance(one, Prepared)]
        wanted = [{one["target"] for one in row["stances"]} for row in rows]
        entries = score_targets(model, found, targets, 0)
        answers.append(
            [[one.label for one in entry if one.target in names] for entry, names in zip(entries, wanted, strict=True)]
        )
    assert answers[0] == answers[1]


def prepared(articles: Sequence[Article], repair: Any) -> list[Prepared]:
    """The articles as a model reads them, without separation."""
    found = prepare(articles, repair, None)
    assert all(isinstance(one, Prepared) for one in found)
    return [one for one in found if isinstance(one, Prepared)]
