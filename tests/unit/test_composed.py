"""Composed training articles keep the story whole and in order, and know the kind of every other line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from pipeline.document import Kind
from pipeline.errors import DataError
from pipeline.separate.composed import Composer, Furniture, Story, compose, headline_of, stories
from pipeline.separate.labelled import SCRAPED, LabelledDocument, kind_ids
from pipeline.separate.model import KINDS

ROWS = [json.loads(line) for line in (ROOT / "seeds" / "articles.jsonl").read_text(encoding="utf-8").splitlines()]
STORIES = stories(ROWS)
FURNITURE = Furniture.load(ROOT / "seeds" / "furniture", [story.headline for story in STORIES])


@pytest.mark.parametrize("number", range(40))
def test_the_body_is_of_the_story_in_order_and_every_line_has_its_kind(number: int) -> None:
    story = STORIES[number % len(STORIES)]
    made = compose(story, STORIES, FURNITURE, number, np.random.default_rng(number))
    body = [line for line, kind in zip(made.lines, made.kinds, strict=True) if KINDS[kind] == Kind.BODY]
    words = " ".join(story.lines).split()
    places = [" ".join(words).find(line) for line in body]
    assert places == sorted(places)
    assert -1 not in places
    assert made.is_article == int(bool(body))
    assert [int(KINDS[kind] == Kind.BODY) for kind in made.kinds] == made.body.tolist()
    assert not any("{" in line and "}" in line for line in made.lines)


def test_composed_articles_show_every_kind_and_now_and_then_no_story() -> None:
    rng = np.random.default_rng(1)
    made = [compose(STORIES[n % len(STORIES)], STORIES, FURNITURE, n, rng) for n in range(400)]
    assert {KINDS[kind] for one in made for kind in one.kinds.tolist()} == set(Kind)
    assert 0 < sum(not one.is_article for one in made) < 40


def test_stories_of_sites_left_out_lend_no_line_and_no_headline() -> None:
    composer = Composer((STORIES, [], [], []), FURNITURE).without(lambda site: site != STORIES[0].site)
    (kept, *_) = composer.shelves
    assert {story.site for story in kept} == {STORIES[0].site}
    assert set(composer.furniture.headlines) <= {story.headline for story in kept}
    assert len(composer.documents(5, np.random.default_rng(1))) == 5


def test_a_fetched_articles_own_furniture_is_left_out(tmp_path: Path) -> None:
    text = "Ships sank.\n\nNobody slept.\n\nSign up for our newsletter.\n\nIt left by noon."
    (tmp_path / "news.jsonl").write_text(json.dumps({"text": text, "title": "Storm", "source": "A Paper"}) + "\n")
    _, _, (story,), _ = Composer.load(ROOT / "seeds" / "furniture", [], [tmp_path / "news.jsonl"]).shelves
    assert story == Story("A Paper", "en", "Storm", ("Ships sank.", "Nobody slept.", "It left by noon."))


def test_of_a_labelled_article_only_what_is_known_to_be_body_is_told(tmp_path: Path) -> None:
    lines = ("Ships sank.", "The harbour at dawn.", "Nobody slept.", "It left by noon.")
    row = {"id": "7", "text": "\n".join(lines), "title": "Storm", "source": "A Paper"}
    (tmp_path / "news.jsonl").write_text(json.dumps(row) + "\n")
    body = np.array([1, 0, 1, 1], np.int8)
    known = LabelledDocument("7", SCRAPED, "A Paper", lines, body, kind_ids([None] * 4), is_article=1)
    composer = Composer.load(ROOT / "seeds" / "furniture", [], [tmp_path / "news.jsonl"], [known])
    _, labelled, told, _ = composer.shelves
    assert (
        labelled == [Story("A Paper", "en", "Storm", ("Ships sank.", "Nobody slept.", "It left by noon."))] and not told
    )


def test_a_line_that_many_fetched_articles_hold_is_left_out_of_all(tmp_path: Path) -> None:
    rows = [
        {"text": f"Ship {n} sank.\nNobody slept {n} times.\nMore at ten.\nIt left by {n}.", "title": "", "source": "A"}
        for n in range(3)
    ]
    (tmp_path / "news.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, _, told, _ = Composer.load(ROOT / "seeds" / "furniture", [], [tmp_path / "news.jsonl"]).shelves
    assert [story.lines for story in told] == [
        (f"Ship {n} sank.", f"Nobody slept {n} times.", f"It left by {n}.") for n in range(3)
    ]


def test_a_part_that_is_no_list_of_phrases_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "_shared.yaml").write_text("name: [Ann Lee]\n")
    (tmp_path / "en.yaml").write_text("bio: a line\n")
    with pytest.raises(DataError, match=r"en\.yaml.*'bio'.*list of strings"):
        Furniture.load(tmp_path, [])


def test_the_same_seed_composes_the_same_article() -> None:
    one, other = (compose(STORIES[0], STORIES, FURNITURE, 1, np.random.default_rng(5)) for _ in range(2))
    assert one.lines == other.lines


def test_a_story_comes_from_the_cleanest_variant_of_its_page() -> None:
    body = [{"t": f"Paragraph {i}.", "y": 1} for i in range(4)]
    rows = [
        {"id": "p", "domain": "a.example", "title": "Ship sinks | A Site", "lines": [*body, {"t": "Menu", "y": 0}]},
        {"id": "p", "domain": "a.example", "title": "Ship sinks | A Site", "lines": body[:3]},
    ]
    assert stories(rows) == [Story("a.example", "en", "Ship sinks", ("Paragraph 0.", "Paragraph 1.", "Paragraph 2."))]


@pytest.mark.parametrize(
    ("title", "headline"), [("Ship sinks - The Daily", "Ship sinks"), ("Well-being at work", "Well-being at work")]
)
def test_a_headline_is_a_title_without_its_site(title: str, headline: str) -> None:
    assert headline_of(title) == headline
