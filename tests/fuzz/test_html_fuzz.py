"""Whatever the bytes, a page is read or refused with a reason; a bounded number of examples, more with --hypothesis-profile."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.separate.html import CUES, HtmlLimits, HtmlLines, HtmlRejected, parse_html

LIMITS = HtmlLimits(max_bytes=200_000, max_nodes=5_000, max_depth=60)
N_EXAMPLES = 300

TAGS = (
    *(
        [
            "div",
            "p",
            "a",
            "b",
            "i",
            "em",
            "font",
            "table",
            "tr",
            "td",
            "th",
            "ul",
            "ol",
            "li",
            "dl",
            "dt",
            "dd",
            "h1",
            "h2",
            "br",
            "hr",
            "span",
            "article",
            "nav",
            "svg",
            "math",
            "path",
            "mi",
            "select",
            "option",
            "form",
        ]
    ),
    *(
        [
            "template",
            "object",
            "script",
            "style",
            "noscript",
            "textarea",
            "title",
            "head",
            "body",
            "html",
            "frameset",
            "iframe",
            "plaintext",
            "button",
            "caption",
            "x-y",
            "ruby",
            "rt",
        ]
    ),
)
names = st.sampled_from(TAGS)
texts = st.text(st.characters(codec=None), max_size=12) | st.sampled_from(
    ["word ", "&amp;", "&#0;", "&#xD800;", "]]>", "\0", "\x1c"]
)
attributes = st.sampled_from(
    [
        "",
        ' class="related-stories ad"',
        " id=x",
        " hidden",
        ' style="display:none"',
        " role=navigation",
        " a=>",
        ' b="',
        " c='<p>'",
        "/",
    ]
)
opened = st.builds(lambda name, attribute: f"<{name}{attribute}>", names, attributes)
closed = st.builds(lambda name: f"</{name}>", names)
odd = st.sampled_from(
    ["<!--", "-->", "<!doctype html>", "<![CDATA[", "<", "</", "<p", "<?xml?>", '<meta charset="utf-16">']
)
linked = st.builds(
    lambda text: f'<script type="application/ld+json">{text}</script>',
    texts | st.sampled_from(["[" * 5000, '{"@type":{}}']),
)
soups = st.lists(opened | closed | texts | odd | linked, max_size=60).map("".join)
repeated = st.builds(lambda part, n: part * n, soups, st.integers(1, 400))


def read(html: str | bytes) -> HtmlLines | HtmlRejected:
    try:
        return parse_html(html, LIMITS)
    except HtmlRejected as refused:
        return refused


def check(html: str | bytes) -> None:
    page = read(html)
    if isinstance(page, HtmlRejected):
        assert page.reason in ("too_large", "too_many_tags", "too_many_attributes", "too_deep") and str(page)
        return
    lines = page.text.split("\n") if page.text else []
    assert page.cues.shape == (len(lines), len(CUES)) and np.isfinite(page.cues).all()
    assert all(line.strip() == line and line and len(line.splitlines()) == 1 for line in lines)
    page.text.encode("utf-8")
    again = read(html)
    assert isinstance(again, HtmlLines) and again.text == page.text and again.cues.tobytes() == page.cues.tobytes()


@settings(max_examples=N_EXAMPLES, deadline=None)
@given(soups | repeated)
def test_tag_soup_is_read_or_refused(html):
    check(html)


@settings(max_examples=N_EXAMPLES, deadline=None)
@given(
    st.binary(max_size=300)
    | soups.map(lambda soup: soup.encode("utf-16", "surrogatepass"))
    | soups.map(lambda soup: soup.encode("cp437", "replace"))
)
def test_bytes_are_read_or_refused(raw):
    check(raw)


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec=None, exclude_characters="<"), max_size=300))
def test_text_without_a_tag_keeps_all_its_words(text):
    page = parse_html(text, LIMITS)
    kept = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text if c != "\0")
    assert page.text.split() == kept.replace("\0", "").split()
