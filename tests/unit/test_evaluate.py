"""What `evaluate` makes of data whose labels have other names than the model's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pipeline.document import Example
from pipeline.evaluate import in_words_of

SYNONYMS = {"negative": "against", "positive": "favour"}


def labels(known: tuple[str, ...], *given: str) -> list[str]:
    model: Any = SimpleNamespace(labels=known)
    return [one.labels[0] for one in in_words_of(model, [Example(g, g, labels=(g,)) for g in given], SYNONYMS)]


def test_a_label_that_the_model_lacks_is_counted_as_its_synonym() -> None:
    assert labels(("against", "favour", "neutral"), "negative", "neutral", "positive") == [
        "against",
        "neutral",
        "favour",
    ]


def test_a_label_that_the_model_has_stays_and_so_does_one_that_no_synonym_helps() -> None:
    assert labels(("negative", "neutral", "positive"), "negative", "positive") == ["negative", "positive"]
    assert labels(("support", "undermine"), "negative", "support") == ["negative", "support"]
