"""Cleaning is idempotent, keeps lines, and spans lead back inside the text given."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.repair import Alignment, Repair, clean_text

REPAIR = Repair(fix_encoding=True, normalization="NFC")
TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("\r\n\t \u00a0\u2028â€™Ã©“”")), max_size=200)


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = clean_text(text, REPAIR)
    assert clean_text(once, REPAIR) == once


@given(TEXTS, st.integers(0, 200), st.integers(0, 200))
@settings(max_examples=300, deadline=None)
def test_a_span_leads_back_into_the_text(text: str, one: int, other: int) -> None:
    cleaned = clean_text(text, REPAIR)
    start, end = sorted((min(one, len(cleaned)), min(other, len(cleaned))))
    begin, stop = Alignment(text, cleaned).to_given(start, end)
    assert 0 <= begin <= len(text)
    assert begin <= stop <= len(text) or start == end
