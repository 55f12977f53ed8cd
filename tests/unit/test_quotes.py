"""Quotations are found whatever their marks, and attributed to whom the words beside them name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.quotes import quote_at, quote_spans, quotes
from pipeline.speakers import reported_by

ROOT = Path(__file__).parents[2]
MIN_SPAN_F1, MIN_HOLDERS = 0.98, 0.9


def holders(text: str) -> list[tuple[str, str | None]]:
    """Each quotation of a text with its holder."""
    return [(text[quote.start : quote.end], quote.holder) for quote in quotes(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“We won,” Ida Holt said.", ["We won,"]),
        ('"We won," Ida Holt said.', ["We won,"]),
        ("„Wir sind da“, sagte Ida Holt.", ["Wir sind da"]),
        ("»Wir sind da«, sagte Ida Holt.", ["Wir sind da"]),
        ("« Nous y sommes », dit Ida Holt.", ["Nous y sommes"]),
        ("‘We don’t know,’ Ida Holt said.", ["We don’t know,"]),
        ("The dogs' owner didn't know it was Ida's.", []),
        ("A 27\" screen and a 5' ladder.", []),
        ("“It begins here\n“and ends here,” Ida Holt said.", ["It begins here", "and ends here,"]),
        ("", []),
    ],
)
def test_marks_of_several_languages_are_paired(text: str, expected: list[str]) -> None:
    assert [text[quote.start : quote.end] for quote in quote_spans(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“We won,” said Ida Holt, the coach.", ["Ida Holt"]),
        ("The coach, Ida Holt, said: “We won.”", ["Ida Holt"]),
        ("Ida Holt, the coach, told reporters the game was “a gift”.", ["Ida Holt"]),
        ("According to Ida Holt, the game was “a gift”.", ["Ida Holt"]),
        ("“We won,” Ida Holt said. “Nobody saw it.”", ["Ida Holt", "Ida Holt"]),
        ("Ida Holt left early. “We won,” she said.", ["Ida Holt"]),
        ("Ida Holt left early. “We won,” Holt said.", ["Ida Holt"]),
        ("The “temporary” fence still stands.", [None]),
        ("They watched a film called “Nine Seconds”.", [None]),
    ],
)
def test_the_speaker_is_named_before_after_or_earlier(text: str, expected: list[str | None]) -> None:
    assert [holder for _, holder in holders(text)] == expected


def test_the_span_of_a_holder_is_the_holders_name() -> None:
    text = "The coach, Ida Holt, was late. “We won,” she said. “Twice,” Holt added."
    for quote in quotes(text):
        assert quote.holder_span is not None
        assert text[slice(*quote.holder_span)] == quote.holder == "Ida Holt"


def test_the_innermost_quotation_around_a_span_is_found() -> None:
    text = "“He wrote: ‘burn this.’ So I kept it,” said Emil Sorensen."
    found = quotes(text)
    inner = quote_at(found, text.index("burn"), text.index("burn") + 4)
    assert inner is not None and text[inner.start : inner.end] == "burn this."
    assert quote_at(found, text.index("Emil"), len(text)) is None


@pytest.mark.parametrize(
    ("text", "mention", "expected"),
    [
        ("Minister Falk called Ostrovia a partner that nobody could rely on.", "Ostrovia", "Falk"),
        ("According to Paloma Reig, Corvel has behaved decently.", "Corvel", "Paloma Reig"),
        ("Norvania said its ships would sail.", "Norvania", None),
        ("Crimson Ledger robbed pensioners.", "Crimson Ledger", None),
    ],
)
def test_reported_views_are_attributed_and_the_outlets_own_are_not(
    text: str, mention: str, expected: str | None
) -> None:
    at = text.index(mention)
    found = reported_by(text, 0, len(text), (at, at + len(mention)))
    assert found == expected or (found is not None and expected is not None and found.endswith(expected))


def test_the_labelled_passages_are_read_well() -> None:
    rows = [json.loads(line) for line in (ROOT / "seeds" / "quotes.jsonl").read_text(encoding="utf-8").splitlines()]
    gold = {(row["id"], one["from"], one["to"]): one["holder"] for row in rows for one in row["quotes"]}
    found = {(row["id"], one.start, one.end): one.holder for row in rows for one in quotes(row["text"])}
    shared = gold.keys() & found.keys()
    assert 2 * len(shared) / (len(gold) + len(found)) >= MIN_SPAN_F1
    assert sum(gold[key] == found[key] for key in shared) / len(gold) >= MIN_HOLDERS


def test_what_bortnikov_says_in_the_users_article_is_attributed_to_him() -> None:
    folder = ROOT.parent / "shared" / "seeds"
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.txt"))]
    if not texts:
        pytest.skip(f"the user's article is not in {folder.name}")
    said = [
        holder
        for quoted, holder in holders(texts[0].partition("More from")[0])
        if quoted.startswith(("We ", "just recently", "have always"))
    ]
    assert said == ["Alexander Bortnikov"] * 4
