"""Labels that are paths: parents score at least as much as their children, and a slash alone makes no hierarchy."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.classifiers.hierarchy import ancestors, coherent, expanded, parents, with_parents


def test_a_slash_alone_makes_no_hierarchy() -> None:
    assert ancestors("a/b/c") == ("a/b", "a") and ancestors("/b") == () and ancestors("a") == ()
    assert parents(("Sci/Tech", "World", "Sports")) == ()
    assert parents(("world/europe", "world/asia", "science")) == ("world",)
    assert parents(("world", "world/europe")) == ("world",)
    assert expanded(("world/europe/france", "science")) == ("science", "world", "world/europe", "world/europe/france")


def test_a_parent_scores_at_least_its_children() -> None:
    labels = ("world", "world/asia", "world/asia/japan")
    raised = coherent(np.array([[0.1, 0.3, 0.8], [0.9, 0.2, 0.1]]), labels)
    assert raised.tolist() == [[0.8, 0.8, 0.8], [0.9, 0.2, 0.1]]
    assert with_parents({"world/europe": 0.5, "world/asia": 0.3, "science": 0.2}) == pytest.approx(
        {"world/europe": 0.5, "world/asia": 0.3, "science": 0.2, "world": 0.8}
    )
