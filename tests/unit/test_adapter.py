"""A fine-tuned adapter keeps the classifiers' contract, is small on disk, and reads the target where it is marked."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoders import tiny_encoder

from pipeline.calibration import CalibrationConfig
from pipeline.classifiers import build, load
from pipeline.classifiers.adapted import in_bits, out_of_bits
from pipeline.classifiers.adapter import AdapterClassifier, AdapterConfig
from pipeline.classifiers.encoder import Encoder
from pipeline.classifiers.pairs import CLOSE, OPEN, PairMaker
from pipeline.classifiers.task_model import TaskModel
from pipeline.document import Example
from pipeline.errors import ArtifactError, DataError


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def config(encoder: Path, **changes: Any) -> AdapterConfig:
    settings: dict[str, Any] = {
        "kind": "adapter", "encoder": str(encoder), "bits": 4, "max_tokens": 24, "max_target_tokens": 4, "members": 1, "epochs": 60, "batch_size": 4,
        "learning_rate": 0.01, "head_learning_rate": 0.01, "warm_up": 0.1, "weight_decay": 0.0, "label_smoothing": 0.0, "dropout": 0.0,
        "averaging": 0.5, "balance": 0.5, "precision": "float32",
        "renamed": 0.0, "negated": 0.0,
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


@pytest.fixture(scope="module")
def begun(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a saved task with an adapter."""
    settings = CalibrationConfig(
        method="temperature", source="held_out", n_folds=3, min_held_out=1, coverage=0.9, per_class=False,
        threshold="half", min_positives=4, at_least_one=True,
    )  # fmt: skip
    model = TaskModel.fit("stance", "target", config(encoder), settings, TRAIN, TRAIN, 1)
    folder = tmp_path_factory.mktemp("begun") / "model"
    model.save(folder)
    return folder


def test_started_from_a_saved_model_it_knows_what_that_learnt(encoder: Path, begun: Path, tmp_path: Path) -> None:
    brief = {"epochs": 1, "learning_rate": 1e-5, "head_learning_rate": 1e-5}
    start = TaskModel.load(begun)
    on = AdapterClassifier(config(encoder, start=[begun], max_tokens=32, **brief), multi_label=False, seed=1)
    on.fit(TRAIN, GOLD).save(tmp_path)
    np.testing.assert_allclose(on.predict_proba(TRAIN), start.classifier.predict_proba(TRAIN), atol=0.1)
    assert json.loads((tmp_path / "classifier.json").read_text())["start_digests"] == [start.saved_digest]
    anew = build(config(encoder, **brief), multi_label=False, seed=1).fit(TRAIN, GOLD)
    assert np.abs(anew.predict_proba(TRAIN) - start.classifier.predict_proba(TRAIN)).max() > 0.3


def test_with_consistency_a_name_says_less(encoder: Path) -> None:
    by_name = [
        example(f"The judge saw {name} {when}.", name, label)
        for name, label in (("Norvania", "favour"), ("Tarvia", "against"))
        for when in ("praised", "attacked", "by Norvania", "by Tarvia")
    ]

    def gap(consistency: float) -> float:
        settings = config(encoder, epochs=20, renamed=0.5, consistency=consistency)
        fitted = AdapterClassifier(settings, multi_label=False, seed=1).fit(by_name, [one.labels[0] for one in by_name])
        answers = fitted.predict_proba(by_name)
        return float(np.abs(answers[:4] - answers[4:]).mean())

    assert gap(5.0) < gap(0.0) / 2


def test_with_no_epochs_it_is_the_mean_of_the_models_it_starts_from(encoder: Path, begun: Path) -> None:
    start = TaskModel.load(begun).classifier
    same = build(config(encoder, start=[begun, begun], epochs=0, bits=8), multi_label=False, seed=1).fit(TRAIN, GOLD)
    np.testing.assert_allclose(same.predict_proba(TRAIN), start.predict_proba(TRAIN), atol=0.02)


def test_it_starts_from_no_model_of_other_labels_and_from_no_changed_or_absent_one(
    encoder: Path, begun: Path, tmp_path: Path
) -> None:
    others = [label.upper() for label in GOLD]
    with pytest.raises(ArtifactError, match="knows the labels against, favour by"):
        build(config(encoder, start=[begun]), multi_label=False, seed=1).fit(TRAIN, others)
    with pytest.raises(ArtifactError, match="absent"):
        build(config(encoder, start=[tmp_path / "absent"]), multi_label=False, seed=1).fit(TRAIN, GOLD)
    shutil.copytree(begun, tmp_path / "changed")
    (tmp_path / "changed" / "classifier" / "adapter.safetensors").write_bytes(b"cut")
    with pytest.raises(ArtifactError, match=r"adapter\.safetensors"):
        build(config(encoder, start=[tmp_path / "changed"]), multi_label=False, seed=1).fit(TRAIN, GOLD)


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


def test_another_name_stands_wherever_the_target_is_named(encoder: Path) -> None:
    makes = PairMaker(Encoder(str(encoder), 24, 1, 4, None).tokenizer, 24, 4, "judge")
    one = example("Norvania was praised by Norvania.", "Norvania", "favour")
    other = example("Tarvia was praised by Tarvia.", "Tarvia", "favour")
    assert makes.pair(one) == makes.pair(other)


def test_learnt_under_other_names_the_own_one_says_less(encoder: Path) -> None:
    """Norvania is praised and Tarvia attacked in all that is learnt; of a new verb, only the names could tell."""
    told = [example(f"{name} was {verb} by the judge.", name, label) for name, verb, label in
            (("Norvania", "praised", "favour"), ("Tarvia", "attacked", "against"))]  # fmt: skip
    asked = [example(f"{name} was {verb} by the judge.", name, "") for name, verb in (("Tarvia", "praised"), ("Norvania", "attacked"))]  # fmt: skip
    wrong = {}
    for share in (0.0, 1.0):
        fitted = AdapterClassifier(config(encoder, renamed=share), multi_label=False, seed=1)
        wrong[share] = fitted.fit(told * 4, ["favour", "against"] * 4).predict_proba(asked)[[0, 1], [0, 1]].mean()
    assert wrong[1.0] < 0.2 < wrong[0.0]


def test_what_is_kept_is_the_change_in_few_bits(encoder: Path) -> None:
    coarse, fine = (
        AdapterClassifier(config(encoder, bits=bits), multi_label=False, seed=1).fit(TRAIN, GOLD) for bits in (2, 8)
    )
    changed = {name.rpartition(".")[0] for name in fine.adapter_ if name.endswith(".codes")}
    assert changed and all(
        fine.adapter_[f"{one}.codes"].nbytes == 4 * coarse.adapter_[f"{one}.codes"].nbytes for one in changed
    )
    for fitted in (coarse, fine):
        assert fitted.classes_[fitted.predict_proba(TRAIN).argmax(axis=1)].tolist() == GOLD


@pytest.mark.parametrize(("bits", "lost"), [(2, 0.13), (3, 0.045), (8, 0.0005)])
def test_bits_keep_what_a_uniform_quantiser_can(bits: int, lost: float) -> None:
    """Max 1960, Quantizing for minimum distortion: 0.119 and 0.037 of a Gaussian's variance are lost in two and three bits."""
    matrix = np.random.default_rng(0).normal(size=(50, 401)).astype(np.float32) * np.float32(0.003)
    matrix[7] = 0.0
    codes, steps = in_bits(matrix, bits)
    assert codes.nbytes == 50 * -(-401 * bits // 8)
    again = out_of_bits(codes, steps, bits, 401)
    assert np.square(again - matrix).sum() / np.square(matrix).sum() < lost
    assert np.abs(again[7]).max() < 1e-6


def test_members_are_averaged_from_one_start(encoder: Path) -> None:
    """Weights averaged over members of unlike starts would answer at random."""
    one, two = (
        AdapterClassifier(config(encoder, members=n), multi_label=False, seed=1).fit(TRAIN, GOLD) for n in (1, 2)
    )
    assert any(not np.array_equal(one.adapter_[name], two.adapter_[name]) for name in one.adapter_)
    assert two.classes_[two.predict_proba(TRAIN).argmax(axis=1)].tolist() == GOLD


def test_a_pronoun_names_nobody_and_stays(encoder: Path) -> None:
    tokenizer = Encoder(str(encoder), 24, 1, 4, None).tokenizer
    by_itself, replaced = PairMaker(tokenizer, 24, 4), PairMaker(tokenizer, 24, 4, "judge")
    one = example("The judge said he was praised.", "he", "favour")
    assert replaced.pair(one) == by_itself.pair(one)


def test_what_is_denied_is_learnt_as_another_label(encoder: Path) -> None:
    denied = example("Tarvia was by no means praised by the judge.", "Tarvia", "favour")
    for share, wanted in ((0.0, "favour"), (1.0, "against")):
        fitted = AdapterClassifier(config(encoder, negated=share), multi_label=False, seed=1).fit(TRAIN, GOLD)
        assert fitted.classes_[fitted.predict_proba([denied])[0].argmax()] == wanted
