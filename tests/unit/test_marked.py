"""A classifier that reads the target in a frozen encoder answers the same saved or not, and by the mention it is asked about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from encoders import tiny_encoder

from pipeline.classifiers import load
from pipeline.classifiers.marked import MarkedClassifier, MarkedConfig
from pipeline.document import Example


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def config(encoder: Path) -> MarkedConfig:
    return MarkedConfig(
        kind="marked", encoder=str(encoder), layers=(1, 2), context_layer=1, window=2, max_tokens=16, batch_size=2, cache=None,
        loss="squared_hinge", c=(1.0,), n_folds=2, class_weight="balanced", max_iterations=1000, tolerance=1e-4,
    )  # fmt: skip


def example(text: str, target: str, label: str) -> Example:
    start = text.index(target)
    return Example(f"{text}/{target}", text, labels=(label,), target=target, span=(start, start + len(target)))


TRAIN = [
    example("The judge praised Norvania.", "Norvania", "favour"),
    example("Norvania was praised, Tarvia was attacked.", "Norvania", "favour"),
    example("Norvania was praised, Tarvia was attacked.", "Tarvia", "against"),
    example("The judge attacked Tarvia.", "Tarvia", "against"),
]


def fitted(config: MarkedConfig) -> MarkedClassifier:
    return MarkedClassifier(config, multi_label=False, seed=1).fit(TRAIN, [one.labels[0] for one in TRAIN])


def test_two_targets_of_one_sentence_are_told_apart(config: MarkedConfig) -> None:
    model = fitted(config)
    said = model.classes_[model.predict_proba(TRAIN).argmax(axis=1)]
    assert said.tolist() == [one.labels[0] for one in TRAIN]


def test_saved_and_loaded_it_answers_the_same(config: MarkedConfig, tmp_path: Path) -> None:
    model = fitted(config)
    model.save(tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").predict_proba(TRAIN), model.predict_proba(TRAIN))


def test_an_answer_does_not_depend_on_what_else_is_asked(config: MarkedConfig) -> None:
    model = fitted(config)
    alone = np.concatenate([model.predict_proba([one]) for one in TRAIN])
    assert np.allclose(alone, model.predict_proba(TRAIN), atol=1e-3)


def test_a_cache_gives_what_the_encoder_gave(config: MarkedConfig, tmp_path: Path) -> None:
    cached = config.model_copy(update={"cache": str(tmp_path / "vectors.sqlite")})
    first, second = fitted(cached).predict_proba(TRAIN), fitted(cached).predict_proba(TRAIN)
    assert np.array_equal(first, second)
    assert np.allclose(first, fitted(config).predict_proba(TRAIN), atol=1e-3)


@pytest.mark.parametrize("text", ["", "Norvania " * 100, "…", "日本語"])
def test_odd_texts_get_probabilities(config: MarkedConfig, text: str) -> None:
    answer = fitted(config).predict_proba([Example("a", text, target="Norvania")])
    assert answer.sum() == pytest.approx(1.0)
