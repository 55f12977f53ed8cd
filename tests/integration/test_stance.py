"""The stance model that ships: small, asked for any target from a fresh checkout, with a clear answer or error for odd ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import ROOT, SHARED, Slugline

from pipeline.classifiers.task_model import TaskModel

MODEL = ROOT / "models" / "stance"
MAX_BYTES = 5_000_000
STORY = "Norvania betrayed its farmers on Monday.\nThe harbour office won praise for honest, generous work.\n"


def records(stdout: str) -> list[dict]:
    return [json.loads(line) for line in stdout.splitlines()]


def test_the_model_that_ships_is_small_and_has_a_card() -> None:
    assert sum(path.stat().st_size for path in MODEL.rglob("*")) < MAX_BYTES
    card = (MODEL / "README.md").read_text(encoding="utf-8")
    assert "NewsMTSC" in card and "slugline train" in card
    assert set(TaskModel.load(MODEL).labels) == {"against", "favour", "neutral"}


def test_it_is_what_score_asks_about_a_target(slugline: Slugline, tmp_path: Path) -> None:
    (tmp_path / "story.txt").write_text(STORY, encoding="utf-8")
    done = slugline(
        "score",
        "story.txt",
        "--model",
        MODEL,
        "--target",
        "Norvania",
        "--target",
        "harbour office",
        "--format",
        "jsonl",
    )
    assert done.returncode == 0, done.stderr
    (record,) = records(done.stdout)
    against, favour = record["predictions"]["stance"]
    assert (against["target"], against["label"]) == ("Norvania", "against")
    assert (favour["target"], favour["label"]) == ("harbour office", "favour")
    for entry in (against, favour):
        assert sum(entry["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)
        assert entry["evidence"] and all(STORY[one["start"] : one["end"]] == one["text"] for one in entry["evidence"])


def test_a_watch_list_is_answered_in_its_order_and_unknown_names_are_unrelated(
    slugline: Slugline, tmp_path: Path
) -> None:
    (tmp_path / "story.txt").write_text(STORY, encoding="utf-8")
    names = ["Atlantis", ".*", "(a|b", "Norvania", "東京", "x" * 199]
    (tmp_path / "names.txt").write_text("\n\n".join(names) + "\n", encoding="utf-8")
    done = slugline("score", "story.txt", "--model", MODEL, "--target", "@names.txt", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    (record,) = records(done.stdout)
    labels = {entry["target"]: entry["label"] for entry in record["predictions"]["stance"]}
    assert list(labels) == names
    assert {name for name, label in labels.items() if label != "unrelated"} == {"Norvania"}


@pytest.mark.parametrize(
    ("target", "problem"),
    [("", "empty --target"), (" \t", "empty --target"), ("a" * 500, "500 characters"), ("@nowhere.txt", "watch list")],
)
def test_an_empty_or_endless_target_is_refused_in_one_line(
    slugline: Slugline, tmp_path: Path, target: str, problem: str
) -> None:
    (tmp_path / "story.txt").write_text(STORY, encoding="utf-8")
    done = slugline("score", "story.txt", "--model", MODEL, "--target", target)
    assert done.returncode == 1 and problem in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "text", ["", "...", "12 34", "Статья о погоде в Париже.", "日本語の記事です。", "\u202e\u0000 Norvania"]
)
def test_an_article_without_sentences_or_in_another_language_gets_a_record(
    slugline: Slugline, tmp_path: Path, text: str
) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": "a", "text": text}) + "\n", encoding="utf-8")
    done = slugline("score", "a.jsonl", "--model", MODEL, "--target", "Russia", "--format", "jsonl")
    (record,) = records(done.stdout)
    assert record["error"] or [entry["label"] for entry in record["predictions"]["stance"]] == ["unrelated"]


def test_the_users_article_says_whose_stance_it_is(slugline: Slugline) -> None:
    articles = sorted((SHARED / "seeds").glob("000_*.txt"))
    if not articles:
        pytest.skip("the user's article is not on this machine")
    names = ("Russia", "United States", "Britain")
    words = [word for name in names for word in ("--target", name)]
    done = slugline("score", articles[0], "--model", MODEL, *words, "--format", "jsonl")
    (record,) = records(done.stdout)
    entries = {entry["target"]: entry for entry in record["predictions"]["stance"]}
    assert list(entries) == list(names)
    assert all(entry["evidence"] or entry["label"] == "unrelated" for entry in entries.values())
    text = articles[0].read_text(encoding="utf-8")
    for entry in entries.values():
        assert all(text[one["start"] : one["end"]] == one["text"] for one in entry["evidence"])
