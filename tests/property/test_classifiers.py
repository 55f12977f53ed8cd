"""The analyser gives scikit-learn's matrix on any text, and a saved model answers with the same bits."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from pipeline.classifiers import analysis
from pipeline.classifiers.analysis import CharAnalyzer, WordAnalyzer, smooth_idf, spaced, tf_idf, words

_TRICKY = [
    "a",
    "I",
    "the",
    "The",
    "don't",
    "“so”",
    "U.S.",
    "naïve",
    "İstanbul",
    "ΑΣ",
    "x_1",
    "²",
    "12",
    "—",
    "\x00",
    "\u2028",
    "日本",
    "e\u0301",
]
_TEXT = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(_TRICKY), max_size=25).map(" ".join),
    st.lists(st.sampled_from(_TRICKY), max_size=12).map("".join),
)
_TEXTS = st.lists(_TEXT, min_size=1, max_size=8)


def _stock(unit: str, n: tuple[int, int], min_df: int, sublinear: bool) -> TfidfVectorizer:
    return TfidfVectorizer(analyzer=unit, ngram_range=n, min_df=min_df, sublinear_tf=sublinear)


@settings(max_examples=300, deadline=None)
@given(
    train=_TEXTS,
    test=_TEXTS,
    unit=st.sampled_from(["word", "char_wb"]),
    n=st.sampled_from([(1, 1), (1, 2), (2, 2)]),
    min_df=st.integers(1, 2),
    sublinear=st.booleans(),
    limits=st.sampled_from([(analysis.MAX_TOKENS_PER_CHUNK, analysis.MOST_KEY), (1, 1)]),
)
def test_the_matrix_is_the_one_scikit_learn_makes(train, test, unit, n, min_df, sublinear, limits):
    with patch.multiple(
        analysis, MAX_TOKENS_PER_CHUNK=limits[0], MOST_KEY=limits[1]
    ):  # one batch, or as many as there are texts
        _compare_with_scikit_learn(train, test, unit, n, min_df, sublinear)


def _compare_with_scikit_learn(train, test, unit, n, min_df, sublinear):
    ours = WordAnalyzer(n[0], n[1], min_df, None, 2) if unit == "word" else CharAnalyzer(n[0], n[1] + 2, min_df, None)
    stock = _stock(unit, n if unit == "word" else (n[0], n[1] + 2), min_df, sublinear)
    counts = ours.fit_counts(train)
    try:
        expected = stock.fit_transform(train)
    except ValueError:  # scikit-learn refuses an empty vocabulary, or min_df above the number of texts
        assert counts.shape[1] == 0
        return
    order = [stock.vocabulary_[name] for name in ours.names()]
    assert sorted(order) == list(range(expected.shape[1]))
    idf = smooth_idf(counts)
    np.testing.assert_allclose(
        tf_idf(counts, idf, sublinear=sublinear).toarray(), expected.toarray()[:, order], rtol=1e-12
    )
    seen = tf_idf(ours.counts(test), idf, sublinear=sublinear).toarray()
    np.testing.assert_allclose(seen, stock.transform(test).toarray()[:, order], rtol=1e-12)


@settings(max_examples=300, deadline=None)
@given(_TEXT)
def test_words_are_those_of_the_token_pattern_and_offsets_are_kept(text):
    import re

    assert words(text, 2) == re.findall(r"(?u)\b\w\w+\b", text.lower())
    assert len(spaced(text)) == len(text)


@settings(max_examples=150, deadline=None)
@given(train=_TEXTS, text=_TEXT, unit=st.sampled_from(["word", "char_wb"]))
def test_positions_count_each_feature_as_often_as_the_matrix_does(train, text, unit):
    ours = WordAnalyzer(1, 2, 1, None, 2) if unit == "word" else CharAnalyzer(2, 4, 1, None)
    ours.fit_counts(train)
    columns, starts, ends = ours.positions(text)
    counted = np.bincount(columns, minlength=ours.n_features) if ours.n_features else np.zeros(0)
    np.testing.assert_array_equal(counted, ours.counts([text]).toarray()[0])
    assert ((starts >= 0) & (starts <= ends) & (ends <= len(text))).all()


@pytest.mark.parametrize("n_kept", [1, 3, 5])
def test_max_features_keeps_the_commonest(n_kept):
    ours = WordAnalyzer(1, 2, 1, n_kept, 2)
    texts = ["red red red red red", "red blue blue blue green green", "blue red green"]
    counts = ours.fit_counts(texts)
    full = WordAnalyzer(1, 2, 1, None, 2)
    sums = np.sort(full.fit_counts(texts).sum(axis=0))[::-1]
    assert counts.shape[1] == n_kept == ours.n_features
    np.testing.assert_array_equal(np.sort(counts.sum(axis=0))[::-1], sums[:n_kept])
    np.testing.assert_array_equal(ours.counts(texts).toarray(), counts.toarray())
