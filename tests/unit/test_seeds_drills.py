"""The drills hold their schema, and nothing of what the separator and the stance model are measured on."""

from __future__ import annotations

import json

from conftest import ROOT

from pipeline.document import Kind

ROWS = [json.loads(line) for line in (ROOT / "seeds" / "drills" / "articles.jsonl").read_text("utf-8").splitlines()]
SENTENCES = [json.loads(row) for row in (ROOT / "seeds" / "drills" / "stance.jsonl").read_text("utf-8").splitlines()]
CASES = ROOT / "tests" / "fixtures" / "separator_cases.jsonl"
N_WORDS = 12


def runs_of_words(text: str, n: int = N_WORDS) -> set[tuple[str, ...]]:
    """All runs of `n` words, without case."""
    words = text.lower().split()
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def test_every_line_has_a_text_and_a_kind_and_every_id_is_unique() -> None:
    assert len({row["id"] for row in ROWS}) == len(ROWS) > 500
    for row in ROWS:
        assert set(row) == {"id", "title", "lang", "lines"}, row["id"]
        assert row["lines"], row["id"]
        for line in row["lines"]:
            assert set(line) == {"text", "kind"} and line["text"].strip() and Kind(line["kind"]), row["id"]


def test_story_and_boilerplate_face_each_other_in_most_drills() -> None:
    mixed = [row for row in ROWS if 0 < sum(line["kind"] == "body" for line in row["lines"]) < len(row["lines"])]
    assert len(mixed) > 0.85 * len(ROWS)


def test_no_drill_shares_a_sentence_with_the_adversarial_cases() -> None:
    drilled = set().union(*(runs_of_words(line["text"]) for row in ROWS for line in row["lines"]))
    cases = [json.loads(row) for row in CASES.read_text("utf-8").splitlines()]
    for case in cases:
        shared = [line["text"] for line in case["lines"] if runs_of_words(line["text"]) & drilled]
        assert not shared, f"{case['case']}: {shared}"


def test_stance_drills_come_in_pairs_whose_targets_stand_where_they_say() -> None:
    by_pair: dict[str, list[dict[str, str]]] = {}
    for row in SENTENCES:
        assert set(row) == {"id", "split", "text", "target", "from", "to", "label", "phenomenon"}, row["id"]
        assert row["text"][row["from"] : row["to"]] == row["target"].strip() != "", row["id"]
        assert row["label"] in {"against", "neutral", "favour"} and row["split"] == "train", row["id"]
        by_pair.setdefault(row["id"].rpartition("-")[0], []).append(row)
    assert len(by_pair) > 1000 and {len(pair) for pair in by_pair.values()} == {2}
    for name, pair in by_pair.items():
        labels = {row["label"] for row in pair}
        assert len(labels) == 2 or pair[1]["phenomenon"] != "negation", name
        assert len(labels) == 1 or pair[1]["phenomenon"] != "unmoved", name


def test_no_stance_drill_shares_eight_words_with_the_sentences_that_measure() -> None:
    measured = [json.loads(row) for row in (ROOT / "seeds" / "stance.jsonl").read_text("utf-8").splitlines()]
    drilled = set().union(*(runs_of_words(row["text"], 8) for row in SENTENCES))
    shared = [row["id"] for row in measured if runs_of_words(row["text"], 8) & drilled]
    assert not shared
