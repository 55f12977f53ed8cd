"""The table of a record: it fits, its columns stand under one another, and quotation marks come once."""

from __future__ import annotations

import io
from typing import Any

from pipeline.table import show


def entry(label: str, target: str | None = None, *, evidence: str = "", unsure: bool = False) -> dict[str, Any]:
    """One answer of a record, as `score` gives it."""
    told = [{"text": evidence, "holder": None}] if evidence else []
    return {
        "label": label,
        "target": target,
        "probability": 0.97,
        "abstained": unsure,
        "set": [],
        "evidence": told,
    }


def shown(**predictions: list[dict[str, Any]]) -> list[str]:
    out = io.StringIO()
    record = {"id": "a", "error": None, "boilerplate_lines": 1, "body_chars": 10, "predictions": predictions}
    show([record], out)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_an_unsure_answer_fits_80_columns_and_no_line_starts_at_the_edge_but_the_id() -> None:
    lines = shown(topic=[entry("entertainment", unsure=True, evidence="word " * 60)])
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if not line.startswith("  ")] == ["a"]
    assert any("unsure" in line for line in lines)


def test_answers_about_several_targets_have_their_labels_under_one_another() -> None:
    lines = shown(stance=[entry("against", "Russia"), entry("against", "United States")])
    assert len({line.index("against") for line in lines if "against" in line}) == 1


def test_a_sentence_that_begins_with_a_quotation_mark_gets_no_second_one() -> None:
    lines = shown(topic=[entry("tech", evidence="“We are back,” she said."), entry("tech", evidence="They left.")])
    assert "    “We are back,” she said." in lines
    assert "    “They left.”" in lines
