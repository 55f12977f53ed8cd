"""What is suggested for labelling is what the model doubts, comes as a sheet, and goes back into training as it is."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Slugline
from pydantic import TypeAdapter

from pipeline.document import Article, Example
from pipeline.suggest import Candidate, choose, write

WORDS = {"finance": "shares market profit bank growth euro", "sport": "match goal league coach cup referee"}


def story(label: str, number: int) -> str:
    drawn = np.random.default_rng([number, len(label)]).choice(WORDS[label].split(), size=12)
    return f"Reporters said on day {number} that the {' '.join(drawn)} was what people spoke about all week long."


def candidate(name: str, text: str, doubt: float) -> Candidate:
    return Candidate(Article(name, text), Example(name, text), "a", 0.5, doubt)


def test_a_copy_of_a_doubted_article_is_not_asked_about_twice() -> None:
    same = "shares market profit bank growth euro"
    found = choose(
        [candidate("1", same, 0.9), candidate("2", same, 0.89), candidate("3", "match goal league coach", 0.5)],
        2,
        10,
        1.0,
    )
    assert [one.article.id for one in found] == ["1", "3"]
    by_doubt = choose([candidate("1", same, 0.2), candidate("2", same, 0.8)], 1, 1, 0.0)
    assert [one.article.id for one in by_doubt] == ["2"]


def test_a_cell_that_a_spreadsheet_would_run_is_text(tmp_path: Path) -> None:
    write([candidate("=1+1", '=HYPERLINK("x")\nsecond line; with "quotes"', 0.9)], tmp_path / "sheet.csv", 100)
    assert (tmp_path / "sheet.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with (tmp_path / "sheet.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["id"] == " =1+1" and row["text"].startswith(" =HYPERLINK") and row["label"] == ""
    assert row["text"].endswith('second line; with "quotes"')


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_filled_sheet_is_trained_on(slugline: Slugline, tmp_path: Path, delimiter: str) -> None:
    rows = [{"text": story(label, i), "label": label} for label in WORDS for i in range(8)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pool = [{"id": f"{label}-{i}", "text": story(label, i)} for label in WORDS for i in range(6, 14)]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pool))
    words = ("--task", "topic", "--set", "data.train=train.jsonl")
    assert slugline("train", *words).returncode == 0
    done = slugline("suggest", "pool.jsonl", *words, "-n", "4", "-o", "sheet.csv")
    assert done.returncode == 0, done.stderr
    assert "4 known" in done.stderr
    with (tmp_path / "sheet.csv").open(encoding="utf-8-sig", newline="") as file:
        sheet = list(csv.DictReader(file))
    assert len(sheet) == 4 and all(int(row["id"].partition("-")[2]) >= 8 for row in sheet)
    for row in sheet[:3]:
        row["label"] = row["id"].partition("-")[0]
    with (tmp_path / "sheet.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, sheet[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(sheet)
    again = slugline("train", "--task", "topic", "--set", "data.train=[train.jsonl, sheet.csv]")
    assert again.returncode == 0, again.stderr
    assert "1 missing_label" in again.stderr
    assert json.loads((tmp_path / "artifacts" / "topic" / "training.json").read_text())["n_train"] == 19


def test_nothing_new_is_one_clear_line(slugline: Slugline, tmp_path: Path) -> None:
    rows = [{"text": story(label, i), "label": label} for label in WORDS for i in range(8)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("--task", "topic", "--set", "data.train=train.jsonl")
    assert slugline("train", *words).returncode == 0
    done = slugline("suggest", "train.jsonl", *words)
    assert done.returncode == 1 and "no article is left to suggest: 16 known" in done.stderr


def test_the_settings_that_ship_are_complete() -> None:
    from pipeline.suggest import Config

    assert TypeAdapter(Config).validate_python(Config.load(ROOT / "configs" / "suggest.yaml")).n > 0
