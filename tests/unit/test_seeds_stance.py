"""The stance and quotation seeds are well formed, balanced and free of leaks between their splits."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

SEEDS = Path(__file__).parents[2] / "seeds"
LABELS = {"favour", "neutral", "against"}
SPLITS = {"train": 0.70, "validation": 0.15, "test": 0.15}
SPLIT_TOLERANCE = 0.03
MIN_SENTENCES, MIN_PAIRS, MIN_QUOTES = 300, 40, 120
MIN_LABEL_SHARE = 0.28
MAX_SHARED_TRIGRAMS = 0.2
PHENOMENA = {
    "plain",
    "other-target-attacked",
    "praise-rejected",
    "irony",
    "negation",
    "conditional",
    "quoted",
    "swap",
}
QUOTE_MARKS = "\"'“”‘’„«»‚"


def read_seeds(name: str) -> list[dict[str, Any]]:
    """The rows of a file in `seeds/`."""
    return [json.loads(line) for line in (SEEDS / name).read_text(encoding="utf-8").splitlines()]


def trigrams(text: str) -> set[tuple[str, ...]]:
    """The runs of three words in a text, in lower case."""
    words = text.lower().split()
    return {tuple(words[i : i + 3]) for i in range(len(words) - 2)}


def datasheet_counts(heading: str) -> dict[str, int]:
    """The numbers of one table of the datasheet, by the name in the first column."""
    section = (SEEDS / "README.md").read_text(encoding="utf-8").split(f"### {heading}\n")[1].split("\n#")[0]
    return {name: int(n) for name, n in re.findall(r"^\| (.+?) \| (\d+) \|$", section, re.MULTILINE)}


@pytest.fixture(scope="module")
def sentences() -> list[dict[str, Any]]:
    return read_seeds("stance.jsonl")


@pytest.fixture(scope="module")
def passages() -> list[dict[str, Any]]:
    return read_seeds("quotes.jsonl")


def test_every_sentence_has_exactly_the_documented_columns(sentences: list[dict[str, Any]]) -> None:
    columns = {"id", "split", "text", "target", "from", "to", "label", "holder", "phenomenon", "pair"}
    for row in sentences:
        assert set(row) == columns, row["id"]
        assert row["label"] in LABELS and row["phenomenon"] in PHENOMENA and row["split"] in SPLITS, row["id"]


def test_the_span_of_a_target_reads_as_the_target(sentences: list[dict[str, Any]]) -> None:
    for row in sentences:
        assert row["text"][row["from"] : row["to"]] == row["target"] == row["target"].strip() != "", row["id"]


def test_a_holder_is_the_outlet_or_named_in_the_sentence(sentences: list[dict[str, Any]]) -> None:
    for row in sentences:
        assert row["holder"] == "outlet" or row["holder"] in row["text"], row["id"]


def test_ids_and_sentences_with_their_target_are_unique(sentences: list[dict[str, Any]]) -> None:
    assert len(sentences) >= MIN_SENTENCES
    assert len({row["id"] for row in sentences}) == len(sentences)
    assert len({(row["text"], row["from"]) for row in sentences}) == len(sentences)


def test_labels_and_splits_are_balanced(sentences: list[dict[str, Any]]) -> None:
    labels = Counter(row["label"] for row in sentences)
    splits = Counter(row["split"] for row in sentences)
    assert min(labels[label] for label in LABELS) >= MIN_LABEL_SHARE * len(sentences), labels
    for split, share in SPLITS.items():
        assert abs(splits[split] / len(sentences) - share) <= SPLIT_TOLERANCE, splits


def test_every_phenomenon_is_in_every_split(sentences: list[dict[str, Any]]) -> None:
    assert {(row["split"], row["phenomenon"]) for row in sentences} == {(s, p) for s in SPLITS for p in PHENOMENA}


def test_pairs_have_two_rows_in_one_split_and_negation_changes_the_label(sentences: list[dict[str, Any]]) -> None:
    pairs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in sentences:
        if row["pair"] is not None:
            pairs[row["pair"]].append(row)
    assert len(pairs) >= MIN_PAIRS
    for name, rows in pairs.items():
        assert len(rows) == 2 and len({row["split"] for row in rows}) == 1, name
        is_swap = {row["phenomenon"] for row in rows} == {"swap"}
        assert (len({row["label"] for row in rows}) == 1) == is_swap, name
        assert not is_swap or len({row["target"] for row in rows}) == 2, name


def test_no_sentence_is_in_two_splits_nor_nearly_so(sentences: list[dict[str, Any]]) -> None:
    shingles = [(row["split"], trigrams(row["text"]), row["id"]) for row in sentences]
    for (split_a, a, id_a), (split_b, b, id_b) in combinations(shingles, 2):
        if split_a != split_b and a & b:
            assert len(a & b) / len(a | b) <= MAX_SHARED_TRIGRAMS, (id_a, id_b)


def test_two_targets_of_one_sentence_can_differ_in_stance(sentences: list[dict[str, Any]]) -> None:
    by_text: dict[str, set[str]] = defaultdict(set)
    for row in sentences:
        by_text[row["text"]].add(row["label"])
    assert sum(len(labels) > 1 for labels in by_text.values()) >= 30


def test_every_passage_has_exactly_the_documented_columns(passages: list[dict[str, Any]]) -> None:
    for row in passages:
        assert set(row) == {"id", "text", "quotes"} and row["quotes"], row["id"]
        for quote in row["quotes"]:
            assert set(quote) == {"from", "to", "holder", "holder_from", "holder_to"}, row["id"]


def test_quote_spans_lie_in_order_between_quotation_marks(passages: list[dict[str, Any]]) -> None:
    for row in passages:
        for quote in row["quotes"]:
            start, end = quote["from"], quote["to"]
            assert 0 < start < end <= len(row["text"]), row["id"]
            assert row["text"][:start].rstrip()[-1] in QUOTE_MARKS, row["id"]
            assert row["text"][start:end] == row["text"][start:end].strip(), row["id"]
        starts = [quote["from"] for quote in row["quotes"]]
        assert starts == sorted(set(starts)), row["id"]


def test_a_holder_reads_as_its_span_and_stands_outside_its_own_quote(passages: list[dict[str, Any]]) -> None:
    for row in passages:
        for quote in row["quotes"]:
            start, end = quote["holder_from"], quote["holder_to"]
            if quote["holder"] is None:
                assert start is None and end is None, row["id"]
                continue
            assert row["text"][start:end] == quote["holder"], row["id"]
            assert end <= quote["from"] or start >= quote["to"], row["id"]


def test_there_are_enough_quotes_of_every_make(passages: list[dict[str, Any]]) -> None:
    quotes = [quote for row in passages for quote in row["quotes"]]
    marks = Counter(row["text"][: quote["from"]].rstrip()[-1] for row in passages for quote in row["quotes"])
    assert len(quotes) >= MIN_QUOTES
    assert sum(quote["holder"] is None for quote in quotes) >= 10
    assert {'"', "“", "„", "«"} <= set(marks), marks
    assert len({row["id"] for row in passages}) == len({row["text"] for row in passages}) == len(passages)


@pytest.mark.parametrize("column", ["label", "split", "phenomenon"])
def test_the_datasheet_counts_the_sentences_truly(sentences: list[dict[str, Any]], column: str) -> None:
    assert datasheet_counts(f"Sentences by {column}") == Counter(row[column] for row in sentences)


def test_the_datasheet_counts_the_quotes_truly(passages: list[dict[str, Any]]) -> None:
    holders = [quote["holder"] for row in passages for quote in row["quotes"]]
    assert datasheet_counts("Passages and quotes") == {
        "passages": len(passages),
        "quotes": len(holders),
        "quotes of a named holder": sum(holder is not None for holder in holders),
        "quotes that are nobody's statement": holders.count(None),
    }


def test_stances_given_in_news_are_many_of_each_label_and_hold_no_text() -> None:
    rows = read_seeds("news_stance.jsonl")
    assert len({row["id"] for row in rows}) == len(rows) > 4000
    given = [one for row in rows for one in row["says"].split(", ")]
    assert all(re.fullmatch(r"\d+-\d+ \d+-\d+ (against|neutral|favour)", one) for one in given)
    counts = Counter(one.rpartition(" ")[2] for one in given)
    assert len(given) > 15_000 and min(counts.values()) > 0.15 * len(given)
    assert {frozenset(row) for row in rows} == {frozenset({"id", "digest", "says"})}


def test_stances_given_in_news_stand_where_they_say(tmp_path: Path) -> None:
    root = SEEDS.parent
    if not (root.parent / "shared" / "data" / "topics" / "article_bias").is_dir():
        pytest.skip("../shared/data/topics/article_bias is not there")
    output = tmp_path / "rows.jsonl"
    command = [sys.executable, "benchmarks/news_stance.py", "--output", str(output)]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert "0 articles changed, 0 absent" in said and len({row["id"] for row in rows}) == len(rows)
    assert len(rows) == sum(len(row["says"].split(", ")) for row in read_seeds("news_stance.jsonl"))
    for row in rows:
        assert row["text"][row["from"] : row["to"]] == row["target"] == row["target"].strip() != ""
