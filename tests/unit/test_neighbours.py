"""Neighbours vote by their nearness, answer the same saved or not and in whatever company, and never learn from their own fold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoders import tiny_encoder

from pipeline.classifiers import build, load
from pipeline.classifiers.neighbours import BLOCK, NeighboursClassifier, NeighboursConfig
from pipeline.document import Example
from pipeline.errors import ArtifactError, DataError

TEXTS = (
    "the judge praised Norvania", "Norvania was praised by the judge", "the judge was praised",
    "Tarvia was attacked", "the judge attacked Tarvia", "attacked was Tarvia by the judge",
)  # fmt: skip
TRAIN = [Example(str(i), text, labels=("praise" if i < 3 else "attack",)) for i, text in enumerate(TEXTS)]
GOLD = [one.labels[0] for one in TRAIN]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def config(encoder: Path, **changes: Any) -> NeighboursConfig:
    settings: dict[str, Any] = {
        "kind": "neighbours", "encoder": str(encoder), "field": "text", "window": 0, "max_tokens": 16, "max_chunks": 1, "batch_size": 2,
        "cache": None, "neighbours": 1, "power": 4, "even_share": 0.2,
    }  # fmt: skip
    return NeighboursConfig.model_validate(settings | changes)


@pytest.fixture(scope="module")
def model(encoder: Path) -> NeighboursClassifier:
    return NeighboursClassifier(config(encoder), multi_label=False, seed=1).fit(TRAIN, GOLD)


def test_an_article_is_what_the_nearest_is_and_no_label_is_impossible(model: NeighboursClassifier) -> None:
    found = model.predict_proba(TRAIN)
    assert model.classes_[found.argmax(axis=1)].tolist() == GOLD
    np.testing.assert_allclose(found.max(axis=1), 0.9)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_more_neighbours_are_weighed_by_nearness(encoder: Path) -> None:
    flat, steep = (
        NeighboursClassifier(config(encoder, neighbours=6, power=power), multi_label=False, seed=1).fit(TRAIN, GOLD)
        for power in (0, 64)
    )
    np.testing.assert_allclose(flat.predict_proba(TRAIN), 0.5)
    assert (steep.predict_proba(TRAIN).max(axis=1) > flat.predict_proba(TRAIN).max(axis=1)).all()


def test_out_of_fold_nobody_votes_for_itself(encoder: Path) -> None:
    y = ["praise", "attack", "praise", "attack", "rare", "attack"]
    fitted = NeighboursClassifier(config(encoder), multi_label=False, seed=1)
    found = fitted.out_of_fold(TRAIN, y, np.array([0, 0, 1, 1, 2, 2]))
    rare = fitted.classes_.tolist().index("rare")
    assert np.isnan(found[:, rare]).tolist() == [False, False, False, False, True, True]
    assert fitted.predict_proba(TRAIN)[4].argmax() == rare


def test_an_answer_does_not_depend_on_what_else_is_asked(model: NeighboursClassifier) -> None:
    many = TRAIN * (BLOCK // 4)
    alone = np.concatenate([model.predict_proba([one]) for one in TRAIN])
    np.testing.assert_array_equal(model.predict_proba(many), np.tile(alone, (BLOCK // 4, 1)))


def test_saved_and_loaded_it_answers_with_the_same_bits(model: NeighboursClassifier, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict_proba(TRAIN), model.predict_proba(TRAIN))
    header = tmp_path / "model" / "classifier.json"
    header.write_text(header.read_text(encoding="utf-8").replace(model.encoder_.digest, "f" * 64), encoding="utf-8")
    with pytest.raises(ArtifactError, match="another encoder"):
        load(tmp_path / "model")


def test_several_labels_and_one_alone(encoder: Path) -> None:
    y = [("praise", "norvania"), ("praise", "norvania"), ("praise",), (), (), ()]
    fitted = build(config(encoder), multi_label=True, seed=1).fit(TRAIN, y)
    assert (fitted.predict_proba(TRAIN)[:, 1] > 0.5).tolist() == ["praise" in labels for labels in y]
    with pytest.raises(DataError):
        NeighboursClassifier(config(encoder), multi_label=False, seed=1).fit(TRAIN, ["praise"] * len(TRAIN))


def test_the_part_that_decides_has_the_weight(encoder: Path) -> None:
    fitted = NeighboursClassifier(config(encoder, neighbours=3), multi_label=False, seed=1).fit(TRAIN, GOLD)
    one = Example("a", "Tarvia was attacked. the judge")
    weights = fitted.sentence_weights(one, [(0, 20), (21, 30)], "attack")
    assert weights.argmax() == 0


def test_an_ensemble_takes_it_as_a_member(encoder: Path, tmp_path: Path) -> None:
    from pydantic import TypeAdapter

    from pipeline.classifiers import ClassifierConfig

    nearest = config(encoder).model_dump()
    settings = TypeAdapter(ClassifierConfig).validate_python(
        {"kind": "ensemble", "members": [nearest, nearest | {"neighbours": 2}], "n_folds": 2, "balance": 0.5}
    )
    fitted = build(settings, multi_label=False, seed=1).fit(TRAIN, GOLD)
    fitted.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict_proba(TRAIN), fitted.predict_proba(TRAIN))


@pytest.mark.parametrize("lost", ["neighbours", "classes"])
def test_what_another_version_saved_is_refused_in_one_line(
    model: NeighboursClassifier, tmp_path: Path, lost: str
) -> None:
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "classifier.json"
    path.write_text(path.read_text(encoding="utf-8").replace(f'"{lost}":', f'"former_{lost}":', 1), encoding="utf-8")
    with pytest.raises(
        ArtifactError, match=rf"other settings of kind 'neighbours' \([^)]*{lost}.*train it again"
    ) as refused:
        load(tmp_path / "model")
    assert "\n" not in str(refused.value)
