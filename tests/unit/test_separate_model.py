"""The shipped arithmetic against the network it was trained as, and the features against what they say they are."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import ArtifactError
from pipeline.separate.composed import Furniture
from pipeline.separate.features import NAMES, extract, hash_phrases
from pipeline.separate.labelled import LabelledDocument, text_of
from pipeline.separate.model import EMBEDDING_STEP, MAX_ROW_SUM, LineModel

LINES = (
    "The head of the harbour office said Thursday it would reopen the eastern pier after repairs.",
    "“We are glad to see the ferries back,” the director told journalists at the quay on Monday.",
    "More from the harbour",
    "- Ferry Company Orders Two Ships",
    "- Pier Closed After Inspection, 2019",
)


def document(lines: tuple[str, ...]) -> LabelledDocument:
    return LabelledDocument("a", "seed", "a", lines, np.ones(len(lines), np.int8), np.zeros(len(lines), np.int8))


def network_and_model():
    """A network with random weights, its exported twin, and what both read of two documents."""
    torch = pytest.importorskip("torch")
    training = pytest.importorskip("pipeline.train_separator")
    from pathlib import Path

    config = training.Config.load(
        Path(__file__).parents[2] / "configs" / "train_separator.yaml",
        ["training.word_dropout=0", "training.wordless_share=0", "training.hinted_share=0"],
    )
    documents = [document(LINES), document(LINES[:3])]
    features = extract([text_of(d) for d in documents], max_lines=100)
    rng = np.random.default_rng(0)
    keys = np.unique(features.lines.words.hash)
    vectors = rng.integers(-40, 40, (len(keys), config.network.words)).astype(np.int8)
    words = training.Vocabulary(keys, vectors, np.unique(features.phrase_hashes))
    normal = training.normal_of(documents, 100)
    composer = training.Composer(([], [], [], []), Furniture({}, {}, []))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = training._network(config, words).eval()
    batch, _ = training.Batches(documents, composer, words, normal, config).tensors(documents, rng)
    weights, settings = training.weights_of(network, words, normal, config)
    return network, batch, weights, settings, features


def test_the_shipped_arithmetic_gives_what_the_network_gives() -> None:
    network, batch, weights, settings, features = network_and_model()
    answers = [[part.detach().numpy() for part in answer] for answer in network(batch)]
    scores = LineModel.of(weights, settings)(features)
    body = 1 / (1 + np.exp(-np.mean([answer[1] for answer in answers], axis=0)))
    assert np.abs(scores.body - body).max() < 0.02
    assert np.abs(scores.kinds - np.sum([answer[2] for answer in answers], axis=0)).max() < 0.1
    assert scores.body.std() > 0.001


def test_weights_whose_sums_would_not_be_exact_are_refused() -> None:
    _, _, weights, settings, _ = network_and_model()
    weights["members.0.encode.1.weight"] = weights["members.0.encode.1.weight"] + 2 * MAX_ROW_SUM / 10
    with pytest.raises(ArtifactError, match="too large"):
        LineModel.of(weights, settings)


def test_every_feature_has_one_finite_column() -> None:
    features = extract(["\n".join(LINES), "", "\x00\n\ud800", "新闻\n© 2020"], max_lines=100)
    assert len(set(NAMES)) == len(NAMES) == features.dense.shape[1]
    assert np.isfinite(features.dense).all()


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("Click to comment", "cue_comment", 2),
        ("À LIRE AUSSI", "cue_related", 2),
        ("Alle Rechte vorbehalten", "cue_legal", 1),
        ("Ends with a full stop.", "ends_terminal", 1),
        ("“Quoted.”", "ends_terminal", 1),
        ("No stop", "ends_terminal", 0),
        ("- item", "begins_dash", 1),
        ("12 May 2020", "numbers", 2 / 3),
        ("ALL CAPS here", "all_caps", 2 / 3),
        ("新闻", "share_ideograph", 1),
    ],
)
def test_features_say_what_their_names_say(line: str, name: str, value: float) -> None:
    assert extract([line], max_lines=100).dense[0, NAMES.index(name)] == pytest.approx(value)


def test_repetition_and_likeness_to_the_story_are_counted_within_one_document() -> None:
    story = LINES[0] + " " + LINES[1]
    dense = extract(["\n".join([story, "Home", story.replace("head", "chief"), "Home"]), "Home"], max_lines=100).dense
    repeats, in_story = dense[:, NAMES.index("repeats")], dense[:, NAMES.index("in_story")]
    assert repeats.tolist() == pytest.approx([0, np.log(2), 0, np.log(2), 0])
    assert in_story[0] > 0.8 and in_story[1] == 0


def test_words_hash_without_case_and_with_all_digits_alike() -> None:
    same = hash_phrases(["Read Also", "read also"])
    assert same[0] == same[1]
    assert len(set(hash_phrases(["in 2019", "in 2024", "in 20245"]).tolist())) == 2


def test_word_vectors_fit_a_byte_in_the_models_step() -> None:
    assert 127 * EMBEDDING_STEP < 16 / 4
