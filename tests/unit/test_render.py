"""A separated document is shown whole, each removed block named, and nothing in it can act."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pipeline.document import Document, Kind, Line
from pipeline.separate.render import to_html, to_terminal

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> &amp; </style><style>*{display:none}</style>"


def document(*lines: tuple[str, Kind, float], **fields) -> Document:
    text, spans = "", []
    for line, kind, body in lines:
        spans.append(Line(len(text), len(text) + len(line), kind, body))
        text += line + "\n"
    return Document("an-id", text, tuple(spans), **fields)


class Elements(HTMLParser):
    """Every tag with its attributes, and the text outside of style."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._in_style = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in_style = tag == "style"

    def handle_endtag(self, tag):
        self._in_style = self._in_style and tag != "style"

    def handle_data(self, data):
        if not self._in_style:
            self.text.append(data)


TYPED = document(
    ("A storm hits the coast", Kind.HEADLINE, 0.1),
    ("The storm came at night.", Kind.BODY, 0.99),
    ("It left by noon.", Kind.BODY, 0.6),
    ("More from the coast", Kind.RELATED, 0.02),
    ("Boats sink", Kind.RELATED, 0.03),
    ("Subscribe", Kind.ENGAGEMENT, 0.01),
)


def test_each_removed_block_is_named_once_with_the_number_of_its_lines():
    page = to_html([TYPED])
    assert page.count('<section class="block removed k-related">') == 1
    assert '<h2>related stories <span class="n">2</span></h2>' in page
    assert "<h2>engagement</h2>" in page


def test_kind_and_probability_are_on_hover():
    titles = [attrs["title"] for tag, attrs in Elements(to_html([TYPED])).tags if tag == "p" and "title" in attrs]
    assert titles[1] == "body · probability of body 0.99"
    assert titles[2] == "body · probability of body 0.60 · unsure"
    assert titles[3] == "related stories · probability of body 0.02"


def test_the_legend_counts_the_lines_of_every_kind_there_is():
    page = to_html([TYPED, TYPED])
    assert "<b>4 of 12 lines kept</b> in 2 articles" in page
    assert re.search(r"related stories <b>4</b>", page)
    assert "advert" not in "".join(Elements(page).text)


def test_nothing_in_an_article_becomes_markup():
    hostile = document(
        (HOSTILE, Kind.HEADLINE, 0.5), (HOSTILE, Kind.BODY, 0.5), title=HOSTILE, author=HOSTILE, published=HOSTILE
    )
    tags = {tag for tag, _ in Elements(to_html([hostile])).tags}
    plain = {tag for tag, _ in Elements(to_html([TYPED])).tags}
    assert tags <= plain | {"span"}
    assert "".join(Elements(to_html([hostile])).text).count("<script>alert(1)</script>") == 6


def test_the_page_forbids_scripts_and_needs_nothing_from_outside():
    page = Elements(to_html([TYPED]))
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    assert not [
        tag
        for tag, attrs in page.tags
        if tag in ("script", "link", "img", "iframe") or "src" in attrs or "style" in attrs
    ]
    assert "url(" not in to_html([TYPED]) and "@import" not in to_html([TYPED])


def test_the_policy_names_the_style_sheet_that_is_there():
    import base64
    import hashlib

    page = to_html([TYPED])
    style = page[page.index("<style>") + 7 : page.index("</style>")]
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in page


def test_a_document_without_lines_says_so():
    assert "No text." in to_html([Document("empty", "")])


def test_low_confidence_is_said():
    assert "low confidence" in to_html([document(("Text.", Kind.BODY, 0.5), low_confidence=True)])


@given(
    st.lists(
        st.tuples(st.text(st.characters(codec=None), min_size=1), st.sampled_from(Kind), st.floats(0, 1)), max_size=8
    )
)
def test_the_page_holds_every_line_and_can_always_be_encoded(lines):
    shown = document(*lines, title="T")
    page = to_html([shown])
    page.encode("utf-8")
    texts = [tag for tag, attrs in Elements(page).tags if tag == "p" and "title" in attrs]
    assert len(texts) == len(lines)
    assert to_html([shown]) == page


def printed(shown: Document, width: int) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"), force_terminal=True)  # noqa: SIM115
    console.print(to_terminal(shown, width))
    return console.export_text()


def test_the_terminal_shows_every_line_and_names_what_was_removed():
    shown = printed(TYPED, 80)
    for line in TYPED.lines:
        assert TYPED.text[line.start : line.end] in shown
    assert "related" in shown and "engagement" in shown and "  body" not in shown


def test_an_article_cannot_steer_the_terminal_or_its_markup():
    shown = printed(document(("a\x1b]0;owned\x07b\x9b31m [red]c[/red] \u202ed", Kind.BODY, 1.0)), 80)
    assert "\x1b" not in shown and "\x07" not in shown and "\x9b" not in shown and "\u202e" not in shown
    assert "[red]c[/red]" in shown
