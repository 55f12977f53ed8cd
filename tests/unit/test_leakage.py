from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.leakage import count_by_kind, jaccard, label_conflicts, leaks, near_duplicate_groups

SETTINGS = {"n_permutations": 256, "threshold": 0.5, "shingle_words": 2, "seed": 1}
BBC = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "topics" / "bbc" / "bbc.jsonl.zst"
VOCABULARY = [f"word{i}" for i in range(5000)]


def article(rng: np.random.Generator, n_words: int = 200) -> str:
    """A made-up article with news-like repetition: a few words are very common."""
    return " ".join(VOCABULARY[i] for i in np.minimum(rng.zipf(1.3, n_words), 4999))


def changed(text: str, share: float, rng: np.random.Generator) -> str:
    words = text.split()
    for place in rng.choice(len(words), round(len(words) * share), replace=False):
        words[place] = VOCABULARY[rng.integers(5000)]
    return " ".join(words)


def same_grouping(a: list[int], b: list[int]) -> bool:
    return len(set(a)) == len(set(b)) == len(set(zip(a, b, strict=True)))


def test_planted_copies_are_found_and_strangers_are_not() -> None:
    rng = np.random.default_rng(0)
    originals = [article(rng, int(rng.integers(60, 400))) for _ in range(400)]
    near = [changed(text, 0.1, rng) for text in originals[:200]]
    exact = [f"  {text.upper()}!\n" for text in originals[200:300]]
    groups = near_duplicate_groups(originals + near + exact, **SETTINGS)
    assert groups[:400] == list(range(400))
    assert np.mean(np.array(groups[400:600]) == np.arange(200)) >= 0.98
    assert groups[600:] == list(range(200, 300))


@given(st.permutations(range(24)), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_order_never_changes_which_texts_belong_together(order: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    texts = [article(rng, 40) for _ in range(8)]
    texts += [changed(text, 0.1, rng) for text in texts] + [changed(text, 0.25, rng) for text in texts]
    straight = near_duplicate_groups(texts, **SETTINGS)
    shuffled = near_duplicate_groups([texts[i] for i in order], **SETTINGS)
    assert same_grouping([straight[i] for i in order], shuffled)
    assert all(group <= i and shuffled[group] == group for i, group in enumerate(shuffled))


def test_a_crowd_of_copies_of_one_template_is_one_group() -> None:
    rng = np.random.default_rng(2)
    template = article(rng, 150)
    groups = near_duplicate_groups([f"{template} edition{i}" for i in range(500)], **SETTINGS)
    assert set(groups) == {0}


def test_a_chain_of_revisions_is_one_group_though_its_ends_differ() -> None:
    rng = np.random.default_rng(3)
    chain = [article(rng)]
    for _ in range(8):
        chain.append(changed(chain[-1], 0.12, rng))
    assert jaccard(chain[0], chain[-1], shingle_words=2) < 0.5
    assert set(near_duplicate_groups(chain, **SETTINGS)) == {0}


@pytest.mark.parametrize("texts", [[], [""], ["", "", "—"], ["one"], ["ein", "zwei", "ein"]])
def test_few_short_and_empty_texts_are_grouped_without_fuss(texts: list[str]) -> None:
    groups = near_duplicate_groups(texts, **SETTINGS)
    assert groups == [texts.index(text) if any(c.isalnum() for c in text) else i for i, text in enumerate(texts)]


def test_scripts_without_spaces_are_compared_by_character() -> None:
    first = "北京时间周三，中国人民银行宣布下调存款准备金率零点五个百分点，以支持实体经济发展。"
    second = "北京时间周四，中国人民银行宣布下调存款准备金率零点五个百分点，以支持实体经济增长。"
    other = "法国足球队在昨晚的比赛中以三比一战胜对手，成功晋级下一轮，球迷们走上街头庆祝胜利。"
    assert near_duplicate_groups([first, other, second], **SETTINGS) == [0, 1, 0]


@given(st.lists(st.text(max_size=30), max_size=6))
def test_any_text_at_all_is_grouped(texts: list[str]) -> None:
    groups = near_duplicate_groups(texts, **SETTINGS)
    assert len(groups) == len(texts)


def test_similarity_is_the_share_of_shingles_in_common() -> None:
    assert jaccard("a b c d", "A, b c e!", shingle_words=2) == pytest.approx(2 / 4)
    assert jaccard("a b c d", "a b c d", shingle_words=3) == 1
    assert jaccard("", "a", shingle_words=2) == 0


def test_leaks_name_the_pair_the_splits_and_the_kind() -> None:
    rng = np.random.default_rng(4)
    story, other = article(rng), article(rng)
    texts = [story, other, changed(story, 0.1, rng), other, article(rng), story]
    splits = ["train", "train", "validation", "test", "test", "test"]
    found = leaks(texts, splits, **SETTINGS)
    assert [(leak.kind, leak.first, leak.second) for leak in found] == [
        ("near-duplicate", 0, 2), ("exact", 1, 3), ("exact", 0, 5), ("near-duplicate", 2, 5),
    ]  # fmt: skip
    assert (found[0].first_split, found[0].second_split) == ("train", "validation")
    assert 0.5 <= found[0].similarity < 1 and found[1].similarity == 1
    assert count_by_kind(found) == {"exact": 2, "near-duplicate": 2}


def test_copies_within_one_split_are_no_leak() -> None:
    text = article(np.random.default_rng(5))
    assert leaks([text, text], ["train", "train"], **SETTINGS) == []


def test_shared_sources_and_days_are_leaks_where_configured() -> None:
    rng = np.random.default_rng(6)
    texts, splits = [article(rng) for _ in range(5)], ["train", "train", "test", "test", "test"]
    attributes = {"source": ["bbc", None, "bbc", "bbc", "afp"], "day": [None, "2023-01-01", "", None, "2023-01-01"]}
    found = leaks(texts, splits, **SETTINGS, attributes=attributes)
    assert [(leak.kind, leak.value, leak.first, leak.second, leak.n) for leak in found] == [
        ("source", "bbc", 0, 2, 2), ("day", "2023-01-01", 1, 4, 1),
    ]  # fmt: skip
    assert count_by_kind(found) == {"day": 1, "source": 2}


def test_copies_with_different_labels_are_listed() -> None:
    assert label_conflicts([0, 1, 0, 1, 4], ["sport", "tech", "politics", "tech", "sport"]) == [[0, 2]]


def test_exact_copies_in_bbc_news_are_all_found() -> None:
    if not BBC.is_file():
        pytest.skip(f"{BBC} is not there")
    zstandard = pytest.importorskip("zstandard")
    with BBC.open("rb") as raw:
        stream = zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(raw)
        rows = [json.loads(line) for line in io.TextIOWrapper(stream, encoding="utf-8")]
    place = {row["id"]: i for i, row in enumerate(rows)}
    copies = [(i, place[row["dup_of"]]) for i, row in enumerate(rows) if row.get("dup_of")]
    groups = near_duplicate_groups([row["text"] for row in rows], **SETTINGS)
    assert len(copies) > 50
    assert all(groups[i] == groups[original] for i, original in copies)
