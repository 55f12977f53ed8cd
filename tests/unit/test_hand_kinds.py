"""Kinds given by hand to one rendering of a page reach the others, and never where the lines have changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from pipeline.document import Kind
from pipeline.errors import DataError
from pipeline.separate.hand_kinds import HandKinds, lines_digest, read_hand_kinds, scraped_articles, with_hand_kinds
from pipeline.separate.labelled import SCRAPED, UNKNOWN, LabelledDocument
from pipeline.separate.model import KINDS

LINES = (
    "Storm sinks ten boats in the old harbour",
    "By Jane Doe, our reporter in Lisbon",
    "The storm came at night and nobody slept.",
    "Boats at anchor before the storm of Monday.",
    "Most of them sank before dawn on Tuesday.",
)
GIVEN = (Kind.HEADLINE, Kind.BYLINE, Kind.BODY, Kind.CAPTION, Kind.BODY)


def document(variant: str, lines: tuple[str, ...], body: list[int]) -> LabelledDocument:
    return LabelledDocument(
        "page", variant, "a.example", lines, np.array(body, np.int8), np.full(len(lines), UNKNOWN, np.int8)
    )


DUMP = document("dump", LINES, [0, 0, 1, 1, 1])


def test_kinds_are_carried_by_the_words_of_the_lines() -> None:
    other = document("other", (LINES[1], "More stories", *LINES[2:]), [0, 0, 1, 0, 1])
    given = {"page": HandKinds.of(DUMP, GIVEN)}
    _, carried = with_hand_kinds([DUMP, other], given, weight=3.0)
    kinds = [None if kind == UNKNOWN else KINDS[kind] for kind in carried.kinds]
    assert kinds == [Kind.BYLINE, None, None, Kind.CAPTION, None]
    assert carried.body.tolist() == [0, 0, 1, 0, 1]
    assert carried.kind_weight == 3.0


def test_a_line_that_hand_and_label_disagree_on_is_left_out_of_learning() -> None:
    (labelled,) = with_hand_kinds([DUMP], {"page": HandKinds.of(DUMP, GIVEN)}, weight=1.0)
    assert labelled.body.tolist() == [0, 0, 1, UNKNOWN, 1]


def test_kinds_of_lines_that_have_changed_are_not_used(caplog: pytest.LogCaptureFixture) -> None:
    changed = replace(DUMP, lines=(*LINES[:-1], "Most of them sank."))
    (kept,) = with_hand_kinds([changed], {"page": HandKinds.of(DUMP, GIVEN)}, weight=1.0)
    assert kept is changed
    assert "1 pages have other lines" in caplog.text


def scraped(tmp_path: Path, *texts: str) -> Path:
    path = tmp_path / "articles.jsonl"
    rows = [{"id": f"a{i}", "text": text, "source": "A Paper"} for i, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_an_article_that_came_as_text_is_labelled_by_hand_alone(tmp_path: Path) -> None:
    path = scraped(tmp_path, "\n\n".join(LINES), "Nobody labelled this.")
    given = {"a0": HandKinds("a0", SCRAPED, lines_digest(LINES), GIVEN)}
    (article,) = scraped_articles(path, given, weight=2.0)
    assert (article.lines, article.site, article.is_article, article.kind_weight) == (LINES, "A Paper", 1, 2.0)
    assert article.body.tolist() == [0, 0, 1, 0, 1]
    kinds = [None if kind == UNKNOWN else KINDS[kind] for kind in article.kinds]
    assert kinds == [Kind.HEADLINE, Kind.BYLINE, None, Kind.CAPTION, None]
    assert article.gold_body == f"{LINES[2]}\n{LINES[4]}"


def test_an_article_whose_lines_have_changed_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = scraped(tmp_path, "\n".join(LINES[:-1]))
    assert scraped_articles(path, {"a0": HandKinds("a0", SCRAPED, lines_digest(LINES), GIVEN)}, 1.0) == []
    assert "1 have other lines now and 0 are not there" in caplog.text


def test_a_row_comes_back_as_it_was_written(tmp_path: Path) -> None:
    hand = HandKinds.of(DUMP, GIVEN)
    (tmp_path / "kinds.jsonl").write_text(json.dumps(hand.as_row()) + "\n")
    assert read_hand_kinds(tmp_path / "kinds.jsonl") == {"page": hand}


def test_a_run_of_an_unknown_kind_is_refused_by_row(tmp_path: Path) -> None:
    row = HandKinds.of(DUMP, GIVEN).as_row() | {"runs": "3 story"}
    (tmp_path / "kinds.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"kinds\.jsonl.*row 1.*id, variant, digest and runs"):
        read_hand_kinds(tmp_path / "kinds.jsonl")


def test_the_kinds_that_ship_name_pages_and_hold_no_text() -> None:
    path = ROOT / "seeds" / "page_kinds.jsonl"
    assert len(read_hand_kinds(path)) > 500
    assert all(set(json.loads(row)) == {"id", "variant", "digest", "runs"} for row in path.read_text().splitlines())


def test_the_articles_kinds_that_ship_can_be_read_and_hold_no_text() -> None:
    path = ROOT / "seeds" / "article_kinds.jsonl"
    given = read_hand_kinds(path)
    assert len(given) > 1000 and {one.variant for one in given.values()} == {SCRAPED}
    kinds = [kind for one in given.values() for kind in one.kinds]
    assert 0.7 < kinds.count(Kind.BODY) / len(kinds) < 0.95 and set(kinds) == set(Kind)
    assert {len(json.loads(row)) for row in path.read_text("utf-8").splitlines()} == {4}


def test_the_articles_kinds_that_ship_are_of_lines_that_are_there() -> None:
    path = ROOT.parent / "shared" / "data" / "topics" / "article_bias" / "article_bias.jsonl.zst"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    given = read_hand_kinds(ROOT / "seeds" / "article_kinds.jsonl")
    assert len(scraped_articles(path, given, weight=1.0)) == len(given)
