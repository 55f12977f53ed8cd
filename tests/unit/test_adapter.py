"""A fine-tuned adapter keeps the classifiers' contract, is small on disk, and reads the target where it is marked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoders import tiny_encoder

from pipeline.classifiers import build, load
from pipeline.classifiers.adapter import AdapterClassifier, AdapterConfig
from pipeline.classifiers.encoder import Encoder
from pipeline.classifiers.pairs import CLOSE, OPEN, PairMaker
from pipeline.document import Example
from pipeline.errors import ArtifactError, DataError


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def config(encoder: Path, **changes: Any) -> AdapterConfig:
    settings: dict[str, Any] = {
        "kind": "adapter", "encoder": str(encoder), "rank": 4, "max_tokens": 24, "max_target_tokens": 4, "epochs": 60, "batch_size": 4,
        "learning_rate": 0.01, "head_learning_rate": 0.01, "warm_up": 0.1, "weight_decay": 0.0, "label_smoothing": 0.0, "dropout": 0.0,
        "averaging": 0.5, "balance": 0.5, "precision": "float32",
        "stand_in": None, "stand_in_shares": [1.0], "negated": 0.0, "never_negated": None,
    }  # fmt: skip
    return AdapterConfig.model_validate(settings | changes)


def example(text: str, target: str, label: str) -> Example:
    start = text.index(target)
    return Example(f"{text}/{target}", text, labels=(label,), target=target, span=(start, start + len(target)))


TRAIN = [
    example("The judge praised Norvania.", "Norvania", "favour"),
    example("Norvania was praised, Tarvia was attacked.", "Norvania", "favour"),
    example("Norvania was praised, Tarvia was attacked.", "Tarvia", "against"),
    example("The judge attacked Tarvia.", "Tarvia", "against"),
    example("Tarvia was praised by the judge.", "Tarvia", "favour"),
    example("Norvania was attacked by the judge.", "Norvania", "against"),
]
GOLD = [one.labels[0] for one in TRAIN]


@pytest.fixture(scope="module")
def model(encoder: Path) -> AdapterClassifier:
    return AdapterClassifier(config(encoder), multi_label=False, seed=1).fit(TRAIN, GOLD)


def test_two_targets_of_one_sentence_are_told_apart(model: AdapterClassifier) -> None:
    assert model.classes_[model.predict_proba(TRAIN).argmax(axis=1)].tolist() == GOLD


def test_saved_and_loaded_it_answers_with_the_same_bits_from_a_small_file(
    model: AdapterClassifier, tmp_path: Path
) -> None:
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict_proba(TRAIN), model.predict_proba(TRAIN))
    assert {file.name for file in (tmp_path / "model").iterdir()} == {"adapter.safetensors", "classifier.json"}


def test_trained_again_with_the_same_seed_it_is_the_same(model: AdapterClassifier, encoder: Path) -> None:
    again = build(config(encoder), multi_label=False, seed=1).fit(TRAIN, GOLD)
    np.testing.assert_array_equal(again.predict_proba(TRAIN), model.predict_proba(TRAIN))
    other = build(config(encoder), multi_label=False, seed=2).fit(TRAIN, GOLD)
    assert not np.array_equal(other.predict_proba(TRAIN), model.predict_proba(TRAIN))


def test_training_leaves_torchs_random_state_alone(encoder: Path) -> None:
    import torch

    before = torch.random.get_rng_state()
    AdapterClassifier(config(encoder, epochs=1), multi_label=False, seed=1).fit(TRAIN, GOLD).predict_proba(TRAIN)
    assert torch.equal(before, torch.random.get_rng_state())


def test_an_answer_does_not_depend_on_what_else_is_asked(model: AdapterClassifier) -> None:
    alone = np.concatenate([model.predict_proba([one]) for one in TRAIN])
    np.testing.assert_allclose(alone, model.predict_proba(TRAIN), atol=1e-4)


def test_calibration_costs_one_fold_not_one_training_a_fold(encoder: Path) -> None:
    fitted = AdapterClassifier(config(encoder, epochs=1), multi_label=False, seed=1)
    answer = fitted.out_of_fold(TRAIN, GOLD, np.array([0, 0, 1, 1, 2, 2]))
    assert np.isnan(answer).all(axis=1).tolist() == [False, False, True, True, True, True]
    np.testing.assert_array_equal(answer[:2], fitted.predict_proba(TRAIN)[:2])


def test_a_fold_without_which_a_label_is_lost_is_not_set_aside(encoder: Path) -> None:
    fitted = AdapterClassifier(config(encoder, epochs=1), multi_label=False, seed=1)
    answer = fitted.out_of_fold(TRAIN[:4], ["rare", "a", "b", "a"], np.array([0, 1, 0, 1]))
    assert np.isnan(answer).all(axis=1).tolist() == [True, True, True, True] or not np.isnan(answer[1]).any()
    assert fitted.classes_.tolist() == ["a", "b", "rare"]


def test_several_labels_are_learnt_side_by_side(encoder: Path) -> None:
    y = [("praise", "norvania"), ("praise",), (), (), ("praise",), ("norvania",)]
    fitted = AdapterClassifier(config(encoder), multi_label=True, seed=1).fit(TRAIN, y)
    assert fitted.classes_.tolist() == ["norvania", "praise"]
    assert (fitted.predict_proba(TRAIN) > 0.5)[:, 1].tolist() == ["praise" in labels for labels in y]


def test_one_label_alone_is_refused(encoder: Path) -> None:
    with pytest.raises(DataError):
        AdapterClassifier(config(encoder), multi_label=False, seed=1).fit(TRAIN, ["favour"] * len(TRAIN))


def test_an_adapter_of_another_encoder_is_refused(model: AdapterClassifier, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    header = tmp_path / "model" / "classifier.json"
    header.write_text(header.read_text(encoding="utf-8").replace(model.encoder_.digest, "f" * 64), encoding="utf-8")
    with pytest.raises(ArtifactError):
        load(tmp_path / "model")


def test_the_sentence_that_names_the_target_has_the_weight(model: AdapterClassifier) -> None:
    one = example("The judge praised Norvania. The judge was by Tarvia.", "Norvania", "favour")
    weights = model.sentence_weights(one, [(0, 27), (28, 52)], "favour")
    assert weights[0] == model.scores([one])[0, 1]


@pytest.mark.parametrize("text", ["", "Norvania " * 100, "…", "日本語", "\x00"])
@pytest.mark.parametrize("target", ["Norvania", "", None, "the judge " * 50, "(["])
def test_odd_texts_and_targets_get_probabilities(model: AdapterClassifier, text: str, target: str | None) -> None:
    assert model.predict_proba([Example("a", text, target=target)]).sum() == pytest.approx(1.0)


def test_the_target_stands_first_and_is_marked_in_its_place(encoder: Path) -> None:
    makes = PairMaker(Encoder(str(encoder), 24, 1, 4, None).tokenizer, 24, 4)
    pair = makes.pair(TRAIN[0])
    first, last, name = pair.ids[0], pair.ids[-1], pair.ids[1]
    assert pair.ids[:3] == (first, name, last) and pair.ids[pair.on[0] : pair.on[1]] == (OPEN, name, CLOSE)
    assert pair.segments == (0,) * 3 + (1,) * (len(pair.ids) - 3)


def test_a_long_text_keeps_the_words_around_the_target(encoder: Path) -> None:
    makes = PairMaker(Encoder(str(encoder), 24, 1, 4, None).tokenizer, 24, 4)
    text = "the judge " * 40 + "Norvania" + " was praised" * 40
    pair = makes.pair(replace(TRAIN[0], text=text, span=(400, 408)))
    assert len(pair.ids) == 24 and OPEN in pair.ids and CLOSE in pair.ids
    assert abs(pair.on[0] - 3 - (24 - 1 - pair.on[1])) <= 1


def test_a_claim_that_the_text_does_not_name_is_read_at_its_own_words(encoder: Path) -> None:
    makes = PairMaker(Encoder(str(encoder), 24, 1, 4, None).tokenizer, 24, 4)
    pair = makes.pair(Example("c", "The judge was attacked by Tarvia.", target="Tarvia praised the judge"))
    assert pair.on == (1, 5) and OPEN not in pair.ids


def test_with_a_stand_in_the_name_says_nothing_wherever_it_stands(encoder: Path) -> None:
    fitted = AdapterClassifier(config(encoder, epochs=2, stand_in="judge"), multi_label=False, seed=1).fit(TRAIN, GOLD)
    one = example("Norvania was praised by Norvania.", "Norvania", "favour")
    other = example("Tarvia was praised by Tarvia.", "Tarvia", "favour")
    np.testing.assert_array_equal(fitted.scores([one]), fitted.scores([other]))


def test_a_pronoun_names_nobody_and_stays(encoder: Path) -> None:
    tokenizer = Encoder(str(encoder), 24, 1, 4, None).tokenizer
    by_itself, replaced = PairMaker(tokenizer, 24, 4), PairMaker(tokenizer, 24, 4, "judge")
    one = example("The judge said he was praised.", "he", "favour")
    assert replaced.pair(one) == by_itself.pair(one)


def test_what_is_denied_is_learnt_as_another_label(encoder: Path) -> None:
    denied = example("Tarvia was by no means praised by the judge.", "Tarvia", "favour")
    for never, wanted in ((None, "against"), ("favour", "favour")):
        settings = config(encoder, negated=1.0, never_negated=never)
        fitted = AdapterClassifier(settings, multi_label=False, seed=1).fit(TRAIN, GOLD)
        assert fitted.classes_[fitted.predict_proba([denied])[0].argmax()] == wanted


def test_an_adapter_saved_with_earlier_settings_is_still_read(model: AdapterClassifier, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "classifier.json"
    header = json.loads(path.read_text(encoding="utf-8"))
    for name in ("stand_in_shares", "negated", "never_negated"):
        del header["config"][name]
    header["config"] |= {"stand_in_epochs": 0, "stand_in_learning_rate": 0.0003}
    path.write_text(json.dumps(header), encoding="utf-8")
    np.testing.assert_array_equal(load(tmp_path / "model").predict_proba(TRAIN), model.predict_proba(TRAIN))
