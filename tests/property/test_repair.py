"""Cleaning is idempotent, keeps lines, and spans lead back inside the text given."""

from __future__ import annotations

from typing import Literal

from ftfy.badness import BADNESS_RE
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.repair import _LINE_BREAK, _SUSPECT, Alignment, Repair, clean_line, clean_text

REPAIR = Repair(fix_encoding=True, normalization="NFC")
TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("\r\n\t \u00a0\u2028â€™Ã©“”")), max_size=200)


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = clean_text(text, REPAIR)
    assert clean_text(once, REPAIR) == once


@given(TEXTS, st.sampled_from(["NFC", "NFKC"]))
@settings(max_examples=300, deadline=None)
def test_the_glance_at_the_whole_text_agrees_with_the_look_at_each_line(
    text: str, form: Literal["NFC", "NFKC"]
) -> None:
    repair = Repair(fix_encoding=True, normalization=form)
    assert clean_text(text, repair) == "\n".join(clean_line(line, repair) for line in _LINE_BREAK.split(text))


@given(st.from_regex(BADNESS_RE))
@settings(max_examples=500, deadline=None)
def test_what_ftfy_calls_bad_is_looked_at(text: str) -> None:
    assert _SUSPECT.search(text)


@given(TEXTS, st.integers(0, 200), st.integers(0, 200))
@settings(max_examples=300, deadline=None)
def test_a_span_leads_back_into_the_text(text: str, one: int, other: int) -> None:
    cleaned = clean_text(text, REPAIR)
    start, end = sorted((min(one, len(cleaned)), min(other, len(cleaned))))
    begin, stop = Alignment(text, cleaned).to_given(start, end)
    assert 0 <= begin <= len(text)
    assert begin <= stop <= len(text) or start == end
