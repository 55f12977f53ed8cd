"""What `evaluate` makes of data whose labels have other names than the model's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.document import Example
from pipeline.evaluate import in_words_of, warn_of_unseen_labels
from pipeline.examples import Examples

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


def test_true_labels_that_the_model_can_never_answer_are_named(caplog: pytest.LogCaptureFixture) -> None:
    model: Any = SimpleNamespace(labels=("against", "favour"))
    given = [Example(str(i), "text", labels=(label,)) for i, label in enumerate(("favour", "support", "support"))]
    warn_of_unseen_labels(model, Examples(tuple(given), origin="test.csv"))
    (message,) = caplog.messages
    assert message.startswith(
        "test.csv: labels that the model has not learnt: support (2); they count as wrong; it knows"
    )
    caplog.clear()
    warn_of_unseen_labels(model, Examples(tuple(given[:1])))
    assert not caplog.messages
