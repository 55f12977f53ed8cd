"""Training labels: body by one alignment in order, kinds from a page's own names."""

from __future__ import annotations

from pipeline.document import Kind
from pipeline.separate.align import align_lines, carried_kinds
from pipeline.separate.html import HtmlLimits, parse_html
from pipeline.separate.weak_kinds import weak_kinds

GOLD = "The storm came at night and nobody slept.\n\nBoats sank in the old harbour before dawn.\n\nIt left by noon."


def test_lines_of_the_gold_body_are_body_and_others_are_not():
    lines = [
        "Home",
        "The storm came at night and nobody slept.",
        "Share",
        "Boats sank in the old harbour before dawn.",
        "It left by noon.",
        "Legal",
    ]
    assert align_lines(lines, GOLD) == [0, 1, 0, 1, 1, 0]


def test_a_teaser_that_repeats_a_sentence_of_the_story_is_not_body():
    lines = [*GOLD.split("\n\n"), "More stories", "Boats sank in the old harbour before dawn."]
    assert align_lines(lines, GOLD) == [1, 1, 1, 0, 0]


def test_a_line_half_in_the_body_is_neither_and_one_without_words_is_not_judged():
    assert align_lines(["It left by noon. Subscribe to our letter", "***"], GOLD) == [None, None]


def test_chinese_is_aligned_by_characters():
    assert align_lines(["风暴在夜里来临,无人入睡。", "相关新闻"], "风暴在夜里来临,无人入睡。") == [1, 0]


PAGE = """<nav><a>Home</a><br><a>Sport</a></nav><h1>Storm sinks ten boats</h1><p class=byline>By Jane Doe</p>
<p>The storm came at night and nobody slept.</p><div>Advertisement</div><p>Boats sank in the old harbour before dawn.</p>
<p>It left by noon.</p><div class=share-tools><a>Facebook</a></div>
<div class=related-stories><h3>More from the coast</h3><ul><li><a>A lighthouse keeper looks back on forty years</a></ul></div>
<footer>© 2024 The Herald. All rights reserved.</footer>"""


def test_kinds_come_from_the_names_and_phrases_of_the_page():
    page = parse_html(PAGE, HtmlLimits(100_000, 1000, 100))
    lines = page.text.split("\n")
    kinds = dict(zip(lines, weak_kinds(page, align_lines(lines, GOLD)), strict=True))
    assert kinds["Home"] == Kind.NAVIGATION
    assert kinds["Storm sinks ten boats"] == Kind.HEADLINE
    assert kinds["By Jane Doe"] == Kind.BYLINE
    assert kinds["Advertisement"] == Kind.ADVERT
    assert kinds["Facebook"] == Kind.ENGAGEMENT
    assert kinds["More from the coast"] == kinds["A lighthouse keeper looks back on forty years"] == Kind.RELATED
    assert kinds["© 2024 The Herald. All rights reserved."] == Kind.LEGAL
    assert kinds["It left by noon."] is None


def test_kinds_are_carried_to_another_rendering_of_the_page():
    page = parse_html(PAGE, HtmlLimits(100_000, 1000, 100))
    lines = page.text.split("\n")
    other = [
        "Home Sport",
        "# Storm sinks ten boats",
        "The storm came at night and nobody slept.",
        "[Facebook](x)",
        "Not on the page at all",
    ]
    carried = carried_kinds(lines, weak_kinds(page, align_lines(lines, GOLD)), other)
    assert carried == [Kind.NAVIGATION, Kind.HEADLINE, None, None, None]


def test_a_line_that_mixes_kinds_is_given_none():
    assert carried_kinds(["Home", "Share this"], [Kind.NAVIGATION, Kind.ENGAGEMENT], ["Home Share"]) == [None]
