"""The cues of stance are words about the target: the same under another name, changed by negation, side and overlap."""

from __future__ import annotations

import pytest

from pipeline.classifiers import claim_cues, denial_cues, stance_cues
from pipeline.classifiers.target import CLAIM_FIELDS, CUE_FIELDS, Field, view_text
from pipeline.document import Example

BODY = "Police denied on Monday that a crocodile lives in the lake. The story was a hoax, they said.\nTourists came anyway."


def sentence(text: str, target: str) -> Example:
    start = text.index(target)
    return Example("a", text, target=target, span=(start, start + len(target)))


@pytest.mark.parametrize("field", sorted(CUE_FIELDS))
def test_cues_are_the_same_under_another_name(field: Field) -> None:
    one = sentence("Critics say that Norvania betrayed its farmers.", "Norvania")
    other = sentence("Critics say that Ostrovia betrayed its farmers.", "Ostrovia")
    assert view_text(one, field, 0) == view_text(other, field, 0) != ""


@pytest.mark.parametrize("field", sorted(CLAIM_FIELDS))
def test_claims_are_read_only_where_the_target_is_not_named(field: Field) -> None:
    claim = Example("a", BODY, target="Crocodile seen in the lake")
    assert view_text(claim, field, 0) != ""
    assert view_text(sentence("Norvania won.", "Norvania"), field, 0) == ""


def test_other_names_say_nothing() -> None:
    words, at = stance_cues.tokens("Yesterday Ida Holt praised ", "mask", " in Rome.")
    assert words == ("Yesterday", "othername", "praised", "mask", "in", "othername", ".") and at == 3


def test_negation_turns_a_favourable_word() -> None:
    plain = stance_cues.cues("", "Corvel", "Corvel", " was honest with us.").split()
    negated = stance_cues.cues("", "Corvel", "Corvel", " was not honest with us.").split()
    assert "posr" in plain and "negr" not in plain
    assert "negr" in negated and "posr" not in negated and "negation_r" in negated


def test_a_clause_ends_at_marks_and_conjunctions() -> None:
    words, at = stance_cues.tokens("They failed, but ", "mask", " never lied, however late.")
    assert stance_cues.clause(words, at) == "mask never not_lied"


def test_the_passages_of_a_claim_are_the_sentences_that_repeat_it() -> None:
    assert claim_cues.passages("Crocodile lives in lake", BODY).startswith("Police denied")
    assert claim_cues.passages("Mayor resigns over budget", BODY) == ""


def test_an_unrelated_text_shows_no_attitude() -> None:
    related = claim_cues.cues("Crocodile lives in lake", "", BODY).split()
    unrelated = claim_cues.cues("Mayor resigns over budget", "", BODY).split()
    assert any(word.startswith("refutes_best") for word in related)
    assert not any("_" in word for word in unrelated)


def test_every_known_word_has_a_polarity_in_its_range() -> None:
    known = stance_cues.polarities()
    assert known["betrayed"] < 0 < known["praised"]
    assert all(-4 <= value <= 4 for value in known.values())


@pytest.mark.parametrize("text", ["", " ", "…", "\ud800", "日本語", "'" * 50, "A" * 5000])
def test_odd_texts_have_cues_too(text: str) -> None:
    for field in sorted(CUE_FIELDS | CLAIM_FIELDS):
        assert isinstance(view_text(Example("a", text, target="Norvania"), field, 0), str)
        assert isinstance(view_text(Example("a", text + "Norvania", target="Norvania"), field, 0), str)


def test_a_denial_counts_by_whether_the_claim_doubts_too() -> None:
    told = denial_cues.cues("Crocodile lives in lake", BODY).split()
    doubted = denial_cues.cues("Crocodile in lake is a hoax", BODY).split()
    assert {"near_denied", "near0_denied", "core011", "lead_hoax"} <= set(told)
    assert {"near_denied", "near1_denied", "hs_hoax"} <= set(doubted) and "near0_denied" not in doubted


def test_a_denial_of_something_else_is_not_near_the_claim() -> None:
    text = "A crocodile lives in the lake. Tourists came. The mayor denied taking bribes."
    found = denial_cues.cues("Crocodile lives in lake", text).split()
    assert "any_denied" in found and "near_denied" not in found
    assert denial_cues.cues("Mayor resigns over budget", BODY) == ""
