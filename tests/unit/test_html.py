"""A page becomes lines as a reader sees them, with what its markup says; what is too heavy is refused with a reason."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.separate.html import CUES, HtmlLimits, HtmlLines, HtmlRejected, parse_html

LIMITS = HtmlLimits(max_bytes=20_000_000, max_nodes=100_000, max_depth=1000)

PAGE = """<!doctype html><html><head><title>Storm hits coast | The Herald</title>
<meta property="og:site_name" content="The Herald"><meta name="author" content="Jane Doe">
<meta property="article:published_time" content="2024-03-05T10:00:00+01:00"></head><body>
<nav class="main-menu"><ul><li><a href=/>Home</a></li><li><a href=/s>Sport</a></li></ul></nav>
<article><h1>Storm hits coast</h1><p class="byline">By Jane Doe</p>
<p>The storm came at <b>night</b>, and <a href=x>nobody</a> slept.</p><p>It left by noon.<br>Then came calm.</p>
<figure><img src=x alt="no text"><figcaption>A boat. Photo: AP</figcaption></figure></article>
<aside class="related-stories"><ul><li><a href=1>Boats sink in harbour</a></li></ul></aside>
<div style="display:none">Not shown</div>
<script>var x = "<p>no</p>";</script><style>p{}</style><noscript>no</noscript><template><p>no</p></template>
<footer>© The Herald</footer></body></html>"""


def lines(page: HtmlLines) -> list[str]:
    return page.text.split("\n") if page.text else []


def cue(page: HtmlLines, line: str, name: str) -> float:
    return float(page.cues[lines(page).index(line), CUES.index(name)])


def test_blocks_make_lines_and_inline_elements_do_not():
    assert lines(parse_html(PAGE, LIMITS)) == [
        "Home",
        "Sport",
        "Storm hits coast",
        "By Jane Doe",
        "The storm came at night, and nobody slept.",
        "It left by noon.",
        "Then came calm.",
        "A boat. Photo: AP",
        "Boats sink in harbour",
        "Not shown",
        "© The Herald",
    ]


def test_every_line_has_a_row_of_finite_cues():
    page = parse_html(PAGE, LIMITS)
    assert page.cues.shape == (11, len(CUES)) and page.cues.dtype == np.float32
    assert np.isfinite(page.cues).all()
    assert len(set(CUES)) == len(CUES)


def test_cues_say_where_a_line_stands():
    page = parse_html(PAGE, LIMITS)
    assert cue(page, "Home", "in_nav") == 1 and cue(page, "It left by noon.", "in_nav") == 0
    assert cue(page, "Storm hits coast", "tag_h1") == 1 and cue(page, "Storm hits coast", "is_title") == 1
    assert cue(page, "A boat. Photo: AP", "tag_figcaption") == 1
    assert cue(page, "Boats sink in harbour", "part_word_related") == 1
    assert cue(page, "Boats sink in harbour", "is_link") == 1
    assert cue(page, "By Jane Doe", "near_word_byline") == 1
    assert cue(page, "© The Herald", "in_footer") == 1
    assert cue(page, "Not shown", "is_hidden") == 1 and cue(page, "By Jane Doe", "is_hidden") == 0


def test_link_density_is_the_share_of_characters_in_links():
    page = parse_html(PAGE, LIMITS)
    density = cue(page, "The storm came at night, and nobody slept.", "link_density")
    assert 0.1 < density < 0.25
    assert cue(page, "Sport", "link_density") == 1


def test_the_block_that_holds_the_story_is_found():
    page = parse_html(PAGE, LIMITS)
    assert cue(page, "It left by noon.", "in_top") == 1
    assert cue(page, "Home", "in_top") == 0 and cue(page, "© The Herald", "in_top") == 0


def test_title_date_author_and_site_are_read_from_meta_tags():
    page = parse_html(PAGE, LIMITS)
    assert (page.title, page.published, page.author, page.site) == (
        "Storm hits coast",
        "2024-03-05",
        "Jane Doe",
        "The Herald",
    )


def test_linked_data_comes_before_meta_tags_and_damaged_linked_data_is_passed_over():
    linked = (
        '<script type="application/ld+json">{"@graph": [{"@type": "WebPage"}, {"@type": ["NewsArticle"], "headline": "From LD",'
        '"datePublished": "2023-01-02", "author": [{"name": "A"}, {"name": "B"}], "publisher": {"name": "P"}}]}</script>'
    )
    page = parse_html(f'<head><script type="application/ld+json">{{"a": [</script>{linked}</head><p>x</p>', LIMITS)
    assert (page.title, page.published, page.author, page.site) == ("From LD", "2023-01-02", "A, B", "P")


def test_a_row_of_a_table_is_a_line_and_a_cell_with_paragraphs_has_its_own():
    page = parse_html(
        "<table><tr><th>Year<th>Sum</tr><tr><td>2019<td>5</tr><tr><td><p>One.</p><p>Two.</p></td></tr></table>", LIMITS
    )
    assert lines(page) == ["Year Sum", "2019 5", "One.", "Two."]


def test_links_that_touch_are_parted_and_letters_in_markup_are_not():
    page = parse_html("<div><a>Home</a><a>News</a></div><p><b>W</b>hen it rains</p>", LIMITS)
    assert lines(page) == ["Home News", "When it rains"]


def test_white_space_of_every_sort_is_one_space_and_breaks_no_line():
    page = parse_html("<p>one\r\n two\u2028three\u00a0\u000bfour\x85five\tsix</p>", LIMITS)
    assert lines(page) == ["one two three four five six"]


def test_text_without_tags_stays_text():
    page = parse_html("A first line, 1 < 2.\n\nA second & a third: <3", LIMITS)
    assert lines(page) == ["A first line, 1 < 2.", "A second & a third: <3"]


@pytest.mark.parametrize(
    "html", ["", " \n ", "<html></html>", "<p></p>", b"", "<!-- x -->", "<frameset><frame src=x></frameset>"]
)
def test_a_page_without_text_has_no_lines(html):
    page = parse_html(html, LIMITS)
    assert page.text == "" and page.cues.shape == (0, len(CUES))


@pytest.mark.parametrize(
    "raw",
    [
        "<p>Grüße, 東京</p>".encode(),
        "\ufeff<p>Grüße, 東京</p>".encode(),
        "<p>Grüße, 東京</p>".encode("utf-16"),
        b"\xfe\xff" + "<p>Grüße, 東京</p>".encode("utf-16-be"),
        "<p>Grüße, 東京</p>".encode("utf-16-le"),
        '<meta charset="windows-1251"><p>Grüße, 東京</p>'.encode(),
    ],
)
def test_bytes_are_read_by_their_mark_or_as_utf8_whatever_they_declare(raw):
    assert lines(parse_html(raw, LIMITS)) == ["Grüße, 東京"]


def test_other_bytes_are_read_as_they_declare_and_an_unknown_name_is_passed_over():
    cyrillic = "<p>Буря пришла ночью, и никто в городе не спал до самого утра.</p>"
    declared = b'<meta charset="windows-1251">' + cyrillic.encode("cp1251")
    misspelt = b'<meta charset="windoze">' + cyrillic.encode("cp1251")
    assert lines(parse_html(declared, LIMITS)) == [cyrillic[3:-4]]
    assert lines(parse_html(misspelt, LIMITS)) == [cyrillic[3:-4]]


def test_nuls_and_lone_surrogates_do_no_harm():
    page = parse_html("<p>a\0b \ud800 c</p>", LIMITS)
    assert len(lines(page)) == 1
    page.text.encode("utf-8")


def formatting_bomb(n_open: int, n_blocks: int) -> str:
    return "<p>" + "".join(f"<b id={i}>" for i in range(n_open)) + "</p>" + "<p>x" * n_blocks


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ("<div>" * 10**6, "too_many_tags"),
        ("<div>" * 50_000, "too_deep"),
        ("<div>" * 5_000, "too_deep"),
        ("<div></x>" * 9_000, "too_deep"),
        (formatting_bomb(4_900, 4_900), "too_deep"),
        (formatting_bomb(900, 40_000), "too_many_tags"),
        ("<div " + " ".join(f"a{i}" for i in range(10**6)) + ">x</div>", "too_many_attributes"),
        ("<p>" + "x " * 10_000_000, "too_large"),
    ],
)
def test_what_is_too_heavy_is_refused_with_a_reason(html, reason):
    with pytest.raises(HtmlRejected) as refused:
        parse_html(html, LIMITS)
    assert refused.value.reason == reason
    assert isinstance(refused.value, DataError)


def test_a_long_line_and_many_lines_within_the_limits_come_back_whole():
    assert len(parse_html("<p>" + "word " * 1_000_000, LIMITS).text) == 4_999_999
    assert len(parse_html("x<br>" * 30_000, LIMITS).cues) == 30_000


def test_a_tag_begun_many_times_within_itself_is_passed_once():
    html = "<a" * 9_000 + " x" + "y" * 1_000_000  # a search from each of its beginnings would take minutes
    assert parse_html(html + "><p>the story", LIMITS).text == "the story"


def test_a_tag_of_one_attribute_less_than_the_limit_is_read():
    assert parse_html("<p " + "a " * 9_999 + ">the story", LIMITS).text == "the story"


def test_nesting_up_to_the_limit_is_read():
    assert parse_html("<div>" * 900 + "deep" + "</div>" * 900, LIMITS).text == "deep"


def test_the_same_page_gives_the_same_cues_whatever_was_read_before():
    first = parse_html(PAGE, LIMITS)
    parse_html(PAGE.replace("class", "id").replace("related", "comments"), LIMITS)
    again = parse_html(PAGE, LIMITS)
    assert first.text == again.text and first.cues.tobytes() == again.cues.tobytes()
