"""A denial changes the verb of the clause that names the target, keeps its mention in place, and is not guessed."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.classifiers.negation import denials, denied
from pipeline.document import Example

VOCABULARY = frozenset(("praise", "stop", "visit", "carry", "like"))


def sentence(text: str, target: str) -> Example:
    start = text.index(target)
    return Example("a", text, target=target, span=(start, start + len(target)))


def first(example: Example) -> str:
    change = denials(example.text, example.span, VOCABULARY)[0]
    return example.text[: change.start] + change.words.replace("{not}", "not") + example.text[change.end :]


@pytest.mark.parametrize(
    ("text", "target", "wanted"),
    [
        ("The mayor said that Norvania is a friend.", "Norvania", "The mayor said that Norvania is not a friend."),
        ("Norvania stopped the war.", "Norvania", "Norvania did not stop the war."),
        ("Critics praised Norvania for it.", "Norvania", "Critics did not praise Norvania for it."),
        ("Norvania visited us, but Tarvia carried on.", "Tarvia", "Norvania visited us, but Tarvia did not carry on."),
        ("Norvania kept its word.", "Norvania", "Norvania did not keep its word."),
    ],
)
def test_the_verb_of_the_targets_clause_is_negated(text: str, target: str, wanted: str) -> None:
    assert first(sentence(text, target)) == wanted


@pytest.mark.parametrize("text", ["Norvania did not help.", "A view of Norvania at dusk.", ""])
def test_what_is_negated_already_or_has_no_sure_verb_is_left_alone(text: str) -> None:
    one = sentence(text, "Norvania") if text else Example("a", "", target="")
    assert denied(one, VOCABULARY, np.random.default_rng(0)) is None


def test_the_mention_stays_where_the_target_stands() -> None:
    one = sentence("The senators have praised Norvania, and Norvania was a disaster.", "Norvania")
    for seed in range(8):
        other = denied(one, VOCABULARY, np.random.default_rng(seed))
        assert other is not None and other.span is not None and other.text != one.text
        assert other.text[slice(*other.span)] == "Norvania"


def test_a_claim_is_denied_itself() -> None:
    one = Example("a", "It harms the poor.", target="Taxes should rise")
    other = denied(one, VOCABULARY, np.random.default_rng(1))
    assert other is not None and other.text == one.text
    assert other.target is not None and other.target.startswith("Taxes should ") and other.target != one.target
