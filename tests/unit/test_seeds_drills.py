"""The drills hold their schema, and nothing of what the separator is measured on."""

from __future__ import annotations

import json

from conftest import ROOT

from pipeline.document import Kind

ROWS = [json.loads(line) for line in (ROOT / "seeds" / "drills" / "articles.jsonl").read_text("utf-8").splitlines()]
CASES = ROOT / "tests" / "fixtures" / "separator_cases.jsonl"
N_WORDS = 12


def runs_of_words(text: str) -> set[tuple[str, ...]]:
    """All runs of twelve words, without case."""
    words = text.lower().split()
    return {tuple(words[i : i + N_WORDS]) for i in range(len(words) - N_WORDS + 1)}


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
