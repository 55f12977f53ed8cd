"""Composed training articles keep the story whole and in order, and know the kind of every other line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import ROOT

from pipeline.document import Kind
from pipeline.separate.composed import Furniture, Story, compose, headline_of, stories
from pipeline.separate.model import KINDS

ROWS = [json.loads(line) for line in (ROOT / "seeds" / "articles.jsonl").read_text(encoding="utf-8").splitlines()]
STORIES = stories(ROWS)
FURNITURE = Furniture.load(ROOT / "configs" / "furniture.yaml", [story.headline for story in STORIES])


@pytest.mark.parametrize("number", range(40))
def test_the_body_is_the_beginning_of_the_story_and_every_line_has_its_kind(number: int) -> None:
    story = STORIES[number % len(STORIES)]
    made = compose(story, STORIES, FURNITURE, number, np.random.default_rng(number))
    body = [line for line, kind in zip(made.lines, made.kinds, strict=True) if KINDS[kind] == Kind.BODY]
    assert tuple(body) == story.lines[: len(body)] != ()
    assert [int(KINDS[kind] == Kind.BODY) for kind in made.kinds] == made.body.tolist()
    assert not any("{" in line and "}" in line for line in made.lines)


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
