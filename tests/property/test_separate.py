"""What holds of a separation whatever the text: nothing lost, nothing moved, nothing that depends on the batch."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.document import Article, Document, Kind
from pipeline.separate import Separator
from pipeline.separate.characters import LINE_BREAKS
from pipeline.separate.lines import find_lines, pieces

ANY_CHARACTER = st.characters(codec=None)
PROSE = "The minister said on Tuesday that the bridge would be closed until the end of the month, after cracks had been found."
LINE = st.one_of(
    st.text(ANY_CHARACTER, max_size=40),
    st.sampled_from(
        [
            PROSE,
            "More from AFP",
            "- Bridge Closed, Ministry Says",
            "Click to comment",
            "",
            "   ",
            "©",
            "新闻",
            "Ещё по теме",
        ]
    ),
)
BREAK = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\u2028", "\x85", "\x0c"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Lines of any characters, some of them likely ones, with any breaks between them."""
    return "".join(part for line in draw(st.lists(LINE, max_size=12)) for part in (line, draw(BREAK)))


@cache
def separator() -> Separator:
    return Separator.load()


def documents_of(given_texts: list[str]) -> list[Document]:
    found = separator().separate_batch([Article(id=str(i), text=text) for i, text in enumerate(given_texts)])
    return [document for document in found if isinstance(document, Document)]


@given(texts())
@settings(max_examples=200, deadline=None)
def test_every_character_that_is_no_white_space_is_in_exactly_one_line_and_no_line_spans_a_break(text: str) -> None:
    document = separator().separate(text)
    assert document.text == text
    covered = [i for line in document.lines for i in range(line.start, line.end)]
    assert covered == sorted(set(covered))
    assert {i for i, character in enumerate(text) if not character.isspace()} <= set(covered)
    for line in document.lines:
        given_line = text[line.start : line.end]
        assert given_line.strip()
        assert not set(given_line) & set(LINE_BREAKS)


@given(texts())
@settings(max_examples=100, deadline=None)
def test_body_and_boilerplate_rebuild_the_text_apart_from_blank_lines(text: str) -> None:
    document = separator().separate(text)
    lines = [line for line in text.translate({ord(mark): "\n" for mark in LINE_BREAKS}).split("\n") if line.strip()]
    assert [text[line.start : line.end] for line in document.lines] == lines
    assert document.body == "\n".join(
        line for line, judged in zip(lines, document.lines, strict=True) if judged.kind == Kind.BODY
    )


@given(st.lists(texts(), min_size=1, max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_document_is_the_same_alone_in_any_batch_and_in_any_order(given_texts: list[str], random) -> None:
    together = documents_of(given_texts)
    shuffled = list(range(len(given_texts)))
    random.shuffle(shuffled)
    again = documents_of([given_texts[i] for i in shuffled])
    for place, i in enumerate(shuffled):
        alone = documents_of([given_texts[i]])[0]
        assert alone.lines == together[i].lines == again[place].lines
        assert alone.is_article == together[i].is_article == again[place].is_article


@given(texts())
@settings(max_examples=100, deadline=None)
def test_probabilities_are_between_0_and_1_with_four_digits(text: str) -> None:
    document = separator().separate(text)
    assert all(0 <= line.body <= 1 and round(line.body, 4) == line.body for line in document.lines)
    assert 0 <= document.is_article <= 1


@given(texts(), st.integers(min_value=1, max_value=60))
@settings(max_examples=100, deadline=None)
def test_a_text_read_in_pieces_has_the_same_lines(text: str, max_chars: int) -> None:
    whole = find_lines([text], max_lines=1000)
    spans = [span for _, spans in pieces(text, max_chars, max_line_chars=20) for span in spans]
    assert spans == list(zip(whole.start.tolist(), whole.end.tolist(), strict=True))


@pytest.mark.parametrize("mark", [*list(LINE_BREAKS), "\r\n"])
def test_every_kind_of_line_break_gives_the_same_kinds(mark: str) -> None:
    lines = [PROSE] * 4 + ["More from AFP", "- Bridge Closed, Ministry Says"]
    plain, other = separator().separate("\n".join(lines)), separator().separate(mark.join(lines))
    assert [(line.kind, line.body) for line in plain.lines] == [(line.kind, line.body) for line in other.lines]
