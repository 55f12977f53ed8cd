"""A split is fixed by a hash of the group, keeps groups whole, and fails on a leak."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import GateError
from pipeline.home import home
from pipeline.split import Config, assign, check_gate, find_leaks

CONFIG = Config.load(home() / "configs" / "split.yaml")


def row(name: str, **given: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("source", "date", "split", "group"))
    return {"id": name, "corpus": "c", "text": f"text of {name}", **empty, "group": name, **given}


ROWS = [row(f"d{i}", group=f"g{i // 3}", source=f"s{i // 10}", date=f"2024-01-{1 + i % 28:02d}") for i in range(600)]


@given(st.permutations(ROWS[:60]))
@settings(max_examples=20, deadline=None)
def test_order_never_matters(shuffled: list[dict[str, Any]]) -> None:
    before = dict(zip((one["id"] for one in ROWS[:60]), assign(ROWS[:60], CONFIG), strict=True))
    assert dict(zip((one["id"] for one in shuffled), assign(shuffled, CONFIG), strict=True)) == before


def test_documents_that_come_or_go_move_no_other() -> None:
    assert assign(ROWS[:300], CONFIG) == assign(ROWS, CONFIG)[:300]


@pytest.mark.parametrize("by", ["near_duplicate", "source", "time"])
def test_no_group_is_in_two_splits(by: str) -> None:
    config = CONFIG.model_copy(update={"by": by})
    splits = assign(ROWS, config)
    key = "source" if by == "source" else "group"
    sides: dict[str, set[str]] = {}
    for one, split in zip(ROWS, splits, strict=True):
        sides.setdefault(one[key], set()).add(split)
    assert all(len(side) == 1 for side in sides.values())
    assert set(splits) == {"train", "calibration", "test"}


def test_shares_are_met_on_average() -> None:
    splits = assign([row(f"x{i}") for i in range(4000)], CONFIG)
    assert abs(splits.count("train") / 4000 - CONFIG.shares.train) < 0.03


def test_by_time_the_newest_test() -> None:
    rows = [row(f"t{i}", date=f"{2000 + i}-01-01") for i in range(20)]
    splits = assign(rows, CONFIG.model_copy(update={"by": "time"}))
    assert splits == ["train"] * 12 + ["calibration"] * 3 + ["test"] * 5


def test_a_given_split_is_kept_and_a_leak_across_it_fails_the_stage(tmp_path: Path) -> None:
    rows = [
        row("a", split="train", group="g"),
        row("b", split="test", group="g", text="text of a"),
        row("c", split="test"),
    ]
    splits = assign(rows, CONFIG)
    assert splits == ["train", "test", "test"]
    leaks = find_leaks(rows, splits)
    assert [(leak["sort"], leak["id_a"], leak["id_b"]) for leak in leaks] == [("exact", "b", "a")]
    with pytest.raises(GateError, match="1 exact pairs"):
        check_gate(leaks, CONFIG.gate, tmp_path / "leaks.jsonl")


def test_a_source_or_a_day_on_two_sides_fails_the_stage_where_that_is_asked(tmp_path: Path) -> None:
    rows = [
        row("a", split="train", source="bbc", date="2024-05-01T10:00"),
        row("b", split="test", source="bbc", date="2024-05-02"),
        row("c", split="test", source="afp", date="2024-05-01"),
        row("d", split="test"),
    ]
    splits = assign(rows, CONFIG)
    assert find_leaks(rows, splits, CONFIG.gate.limits()) == []
    gate = CONFIG.gate.model_copy(update={"source": 0, "day": 0})
    leaks = find_leaks(rows, splits, gate.limits())
    assert [(leak["sort"], leak["id_a"], leak["id_b"], leak["value"]) for leak in leaks] == [
        ("source", "b", "a", "bbc"),
        ("day", "c", "a", "2024-05-01"),
    ]
    with pytest.raises(GateError, match=r"1 source pairs.*by: source"):
        check_gate(leaks, gate, tmp_path / "leaks.jsonl")
    check_gate(leaks, gate.model_copy(update={"source": 1, "day": None}), tmp_path / "leaks.jsonl")


def test_splitting_by_source_leaves_no_source_on_two_sides() -> None:
    splits = assign(ROWS, CONFIG.model_copy(update={"by": "source"}))
    assert [leak for leak in find_leaks(ROWS, splits, ("source",)) if leak["sort"] == "source"] == []
