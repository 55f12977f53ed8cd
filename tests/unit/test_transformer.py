"""Fine-tuning keeps the contract of the classifiers, resumes after a crash as if there had been none, and writes no pickle."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from pydantic import TypeAdapter

from pipeline import classifiers
from pipeline.calibration import CalibrationConfig
from pipeline.classifiers.task_model import TaskModel
from pipeline.document import Example
from pipeline.errors import ConfigError

pytest.importorskip("accelerate", reason="the extra [transformer] is not installed")

TOPICS = {
    "finance": "shares market profit bank",
    "sport": "match goal league coach",
    "tech": "software chip phone code",
}
CALIBRATION = CalibrationConfig(
    method="temperature", source="folds", n_folds=3, min_held_out=10, coverage=0.9, per_class=False,
    threshold="half", min_positives=4, at_least_one=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny BERT of random weights and a tokenizer of whole words."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *" ".join(TOPICS.values()).split(), "the", "new", ".", ","]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    settings = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, max_position_embeddings=32
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(settings).save_pretrained(folder)
    return folder


def config(encoder: Path | str, **changes: Any) -> classifiers.ClassifierConfig:
    settings: dict[str, Any] = {
        "kind": "transformer", "model": str(encoder), "field": "all", "window": 0, "max_tokens": 16, "batch_size": 4, "epochs": 20,
        "learning_rate": 0.01, "weight_decay": 0.01, "warmup": 0.1, "patience": 3, "n_folds": 6, "lora_rank": 0, "checkpoints": None,
    }  # fmt: skip
    return TypeAdapter(classifiers.ClassifierConfig).validate_python(settings | changes)


def articles(n_each: int, seed: int = 0) -> list[Example]:
    rng = np.random.default_rng(seed)
    return [
        Example(f"{label}-{seed}-{i}", " ".join(rng.choice([*words.split(), "the", "new"], size=6 + i % 3)), labels=(label,))
        for label, words in TOPICS.items()
        for i in range(n_each)
    ]  # fmt: skip


def test_a_fine_tuned_model_keeps_the_contract(encoder: Path, tmp_path: Path) -> None:
    model = TaskModel.fit("topic", "single", config(encoder), CALIBRATION, articles(12), None, 0)
    new = articles(4, seed=5)
    probabilities = model.predict_proba(new)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert np.mean(np.array(model.labels)[probabilities.argmax(axis=1)] == [one.labels[0] for one in new]) > 0.8
    alone = np.concatenate([model.predict_proba([one]) for one in new])
    np.testing.assert_array_equal(alone, probabilities)
    model.save(tmp_path / "model")
    loaded = TaskModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(new), probabilities)
    assert loaded.digest == model.digest
    example = Example("x", "match goal coach. the new code")
    assert model.sentence_weights(example, [(0, 17), (18, 30)], "sport").argmax() == 0
    assert not [path for path in (tmp_path / "model").rglob("*") if path.suffix in (".bin", ".pt", ".pth", ".pkl")]


def test_several_labels_are_independent(encoder: Path) -> None:
    train = [Example(f"{a.id}+{b.id}", f"{a.text} {b.text}", labels=(a.labels[0], b.labels[0])) for a, b in zip(articles(6), articles(6, 1)[::-1], strict=True) if a.labels != b.labels]  # fmt: skip
    train += articles(6, 2)
    classifier = classifiers.build(config(encoder), multi_label=True, seed=0)
    classifier.fit(train, [one.labels for one in train])
    probabilities = classifier.predict_proba([Example("x", "match goal chip phone")])
    assert probabilities.shape == (1, 3) and ((probabilities > 0) & (probabilities < 1)).all()


def test_lora_trains_few_weights_and_saves_a_whole_model(encoder: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="peft is not installed")
    train = articles(6)
    classifier = classifiers.build(config(encoder, lora_rank=2, epochs=2), multi_label=False, seed=0)
    classifier.fit(train, [one.labels[0] for one in train])
    classifier.save(tmp_path / "saved")
    loaded = classifiers.load(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.predict_proba(train), classifier.predict_proba(train))


def test_training_resumes_after_a_crash_as_if_there_had_been_none(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.classifiers.safe_trainer import SafeTrainer

    train = articles(6)
    y = [one.labels[0] for one in train]
    settings = config(encoder, patience=0, epochs=3, checkpoints=str(tmp_path / "checkpoints"))
    undisturbed = classifiers.build(settings, multi_label=False, seed=0).fit(train, y).predict_proba(train)
    step, done = SafeTrainer.training_step, []

    def crashing(self: Any, *words: Any, **more: Any) -> Any:
        done.append(1)
        if len(done) == 8:
            raise RuntimeError("the machine went away")
        return step(self, *words, **more)

    monkeypatch.setattr(SafeTrainer, "training_step", crashing)
    with pytest.raises(RuntimeError, match="went away"):
        classifiers.build(settings, multi_label=False, seed=0).fit(train, y)
    left = [path for path in (tmp_path / "checkpoints").rglob("*") if path.is_file()]
    assert left and not [path for path in left if path.suffix in (".bin", ".pt", ".pth", ".pkl")]
    resumed = classifiers.build(settings, multi_label=False, seed=0).fit(train, y).predict_proba(train)
    np.testing.assert_array_equal(resumed, undisturbed)
    assert len(done) < 8 + 15  # what the checkpoint held was not trained again
    assert not [path for path in (tmp_path / "checkpoints").rglob("*") if path.is_file()]


def test_processes_of_torchrun_learn_one_model_that_the_first_of_them_writes(encoder: Path, tmp_path: Path) -> None:
    rows = [{"text": one.text, "label": one.labels[0]} for one in articles(14)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {
        "data.train": "train.jsonl", "data.separate": "false", "classifier.model": encoder, "classifier.max_tokens": 16,
        "classifier.batch_size": 4, "classifier.epochs": 20, "classifier.learning_rate": 0.01, "classifier.patience": 0,
    }  # fmt: skip
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    store = f"sqlite:///{tmp_path}/mlflow.db"
    done = subprocess.run(
        [*torchrun, "-m", "pipeline", "train", "--task", "topic_transformer", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": store},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("train topic_transformer: 42 in, 42 out") == 1
    model, new = TaskModel.load(tmp_path / "artifacts" / "topic_transformer" / "model"), articles(4, seed=5)
    found = np.array(model.labels)[model.predict_proba(new).argmax(axis=1)]
    assert np.mean(found == [one.labels[0] for one in new]) > 0.8
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert database.execute("select count(*) from runs").fetchall() == [(1,)]


def test_a_model_that_is_not_there_is_named(encoder: Path, tmp_path: Path) -> None:
    train = articles(3)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="empty"):
        classifiers.build(config(tmp_path / "empty"), multi_label=False, seed=0).fit(
            train, [e.labels[0] for e in train]
        )
