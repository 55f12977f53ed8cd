"""What `score` writes beside its output, and what `drift` makes of it."""

from __future__ import annotations

import json
from pathlib import Path

from archives import archive, finished, topic_model
from conftest import ROOT

from pipeline.drift import Config, compare
from pipeline.tally import Tally, known_words, tally_words

CONFIG = Config.load(ROOT / "configs" / "drift.yaml")


def counted(n: int, sport: float, abstained: float, unknown: int) -> Tally:
    """The tally of `n` articles."""
    return Tally(
        {
            "articles": n, "t/entries": n, "t/abstained": int(n * abstained), "t/label/sport": int(n * sport),
            "t/label/business": n - int(n * sport), "t/unknown/n": n, "t/unknown/sum": n * unknown,
            "t/unknown/squares": n * unknown * unknown,
        }
    )  # fmt: skip


def test_articles_like_those_of_training_have_not_moved() -> None:
    shifts = list(compare(CONFIG, "t", counted(1000, 0.5, 0.1, 100), counted(10_000, 0.52, 0.11, 101)))
    assert [(one.name, one.has_moved) for one in shifts] == [
        ("labels", False), ("abstained", False), ("unknown words", False)
    ]  # fmt: skip


def test_each_thing_that_has_moved_is_named() -> None:
    before = counted(1000, 0.5, 0.1, 100)
    for name, after in (
        ("labels", counted(1000, 0.9, 0.1, 100)),
        ("abstained", counted(1000, 0.5, 0.4, 100)),
        ("unknown words", counted(1000, 0.5, 0.1, 300)),
    ):
        assert [one.name for one in compare(CONFIG, "t", before, after) if one.has_moved] == [name]


def test_few_articles_prove_nothing() -> None:
    assert not any(
        one.has_moved for one in compare(CONFIG, "t", counted(1000, 0.5, 0.1, 100), counted(4, 0.75, 0.25, 100))
    )


def test_words_met_in_training_are_known() -> None:
    known, once = known_words(["Oil prices rose", "Oil fell"])
    assert (len(known), len(once)) == (4, 3)
    assert tally_words("t", ["OIL fell sharply, prices fell"], known)["t/unknown/sum"] == 200


def test_score_writes_a_profile_that_drift_compares_and_logs(tmp_path: Path) -> None:
    archive(tmp_path / "a.jsonl", 60)
    with (tmp_path / "a.jsonl").open("a", encoding="utf-8") as out:
        out.write('{"id": "none"}\n')
    assert finished(tmp_path, "score", "a.jsonl", "--model", topic_model(), "-o", "o.jsonl")[0] == 0
    profile = json.loads((tmp_path / "o.jsonl.profile.json").read_text(encoding="utf-8"))
    assert (profile["articles"], profile["rejected"]) == (61, {"missing_text": 1})
    assert sum(profile["tasks"]["topic"]["labels"].values()) == 60
    assert 0 < profile["body_share"] <= 1
    assert 0 <= profile["tasks"]["topic"]["unknown_words"] < 0.5
    store = f"sqlite:///{tmp_path}/mlflow.db"
    words = ("drift", "o.jsonl", "--model", topic_model(), "--format", "json")
    code, output, errors = finished(tmp_path, *words, MLFLOW_TRACKING_URI=store)
    assert code == 0, errors
    assert {one["name"] for one in json.loads(output)} == {"labels", "abstained", "unknown words"}
    import mlflow

    mlflow.set_tracking_uri(store)
    runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert "topic · drift" in str(runs[0].info.run_name)  # type: ignore[union-attr]
    assert "drift/labels" in runs[0].data.metrics  # type: ignore[union-attr]


def test_a_profile_of_another_model_is_refused_in_one_line(tmp_path: Path) -> None:
    archive(tmp_path / "a.jsonl", 3)
    assert finished(tmp_path, "score", "a.jsonl", "--model", topic_model(), "-o", "o.jsonl")[0] == 0
    path = tmp_path / "o.jsonl.profile.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"topic": "', '"topic": "0'), encoding="utf-8")
    code, _, errors = finished(tmp_path, "drift", "o.jsonl", "--model", topic_model())
    assert (code, "was scored by model" in errors, errors.count("\n")) == (1, True, 1), errors
    code, _, errors = finished(tmp_path, "drift", "none.jsonl", "--model", topic_model())
    assert (code, "not there" in errors) == (1, True), errors
