"""Text is repaired line by line, and every span leads back."""

from __future__ import annotations

import pytest

from pipeline.document import Document, Kind, Line
from pipeline.repair import Alignment, Repair, clean_lines, clean_text, clean_with_span

REPAIR = Repair(fix_encoding=True, normalization="NFC")


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("Itâ€™s here", "It’s here"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("nul\0led", "nulled"),
        ("blank\u00a0and\ttab  ", "blank and tab"),
        ("e\u0301tat", "état"),
        ("\ufeffstart", "start"),
        ("lone \ud800 surrogate", "lone  surrogate"),
        ("“curly” – kept … 中文", "“curly” – kept … 中文"),
        ("", ""),
    ],
)
def test_a_text_is_repaired(given: str, cleaned: str) -> None:
    assert clean_text(given, REPAIR) == cleaned


def test_a_span_leads_back_to_the_text_given() -> None:
    given = "First\r\nIt\u200bâ€™s the second\u00a0line here"
    cleaned = clean_text(given, REPAIR)
    start = cleaned.index("second")
    begin, end = Alignment(given, cleaned).to_given(start, start + len("second"))
    assert given[begin:end] == "second"


def test_spans_lead_back_past_many_repairs_in_one_line() -> None:
    given = "It\u00ad was on FridayÃ©, saidâ€™ he. " * 2000 + "The end e\u0301 came\u200b at last."
    cleaned = clean_text(given, REPAIR)
    for word in ("Friday", "The end", "came", "last"):
        for find in (str.index, str.rindex):
            start = find(cleaned, word)
            begin, end = Alignment(given, cleaned).to_given(start, start + len(word))
            assert given[begin:end] == word
            assert begin == find(given, word)


def test_a_target_span_follows_its_mention() -> None:
    given = "The \u200bKremlinâ€™s   envoy\tmet Russia today"
    at = given.index("Russia")
    text, span = clean_with_span(given, (at, at + 6), REPAIR)
    assert span is not None
    assert text[slice(*span)] == "Russia"


def test_lines_of_a_parsed_page_are_cleaned_and_an_emptied_one_goes() -> None:
    text = "Nul\0led line\n\u200b\nPlain"
    lines = (Line(0, 12, Kind.BODY, 1.0), Line(13, 14, Kind.OTHER, 0.1), Line(15, 20, Kind.BODY, 0.9))
    document = clean_lines(Document("a", text, lines), REPAIR)
    assert document.body == "Nulled line\nPlain"
    assert [line.kind for line in document.lines] == [Kind.BODY, Kind.BODY]
