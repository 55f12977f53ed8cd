"""`kind: transformer`: a whole encoder fine-tuned for the labels with the HF Trainer; LoRA where asked for.

Out of fold means one fold here: fine-tuning once a fold is too dear, so the first fold is held out and the model learns from
the others. Early stopping watches a part of those, never the fold that calibration sees. On a CPU texts are read one at a
time, so that no answer depends on its neighbours; on a GPU in batches of like length. Under `torchrun` the processes share
each batch, and all hold the same model at the end.
References: Devlin et al. 2019, BERT; Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Bounds

from pipeline.classifiers.encoder import PACKAGED, encoder_folder
from pipeline.classifiers.head import Array, Flags, softmax
from pipeline.classifiers.header import read_header, write_header
from pipeline.classifiers.labels import Labels, grouped_folds, label_matrix
from pipeline.classifiers.target import Field, view_text
from pipeline.config import Config
from pipeline.document import Example
from pipeline.errors import ConfigError

WEIGHTS = "transformer"


class TransformerConfig(Config):
    """Settings: `model` is `minilm`, a local folder or a hub id; `lora_rank` 0 trains all weights; `checkpoints` a folder or null.

    Of `n_folds` parts of the training examples one is for early stopping, which waits `patience` epochs (0: no stopping).
    """

    kind: Literal["transformer"]
    model: str
    field: Field
    window: int = Bounds(ge=0)
    max_tokens: int = Bounds(ge=8)
    batch_size: int = Bounds(ge=1)
    epochs: int = Bounds(ge=1)
    learning_rate: float = Bounds(gt=0)
    weight_decay: float = Bounds(ge=0)
    warmup: float = Bounds(ge=0, lt=1)
    patience: int = Bounds(ge=0)
    n_folds: int = Bounds(ge=2)
    lora_rank: int = Bounds(ge=0)
    checkpoints: str | None


@dataclass(slots=True)
class TransformerClassifier:
    """A fine-tuned encoder with a classification layer."""

    config: TransformerConfig
    multi_label: bool
    seed: int
    classes_: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, dtype=np.str_))
    model_: Any = field(default=None, repr=False)
    tokenizer_: Any = field(default=None, repr=False)

    def fit(self, examples: Sequence[Example], y: Labels) -> Self:
        """Itself, fine-tuned.

        Raises:
            DataError: nothing to learn from, or one class only.
            ConfigError: the model cannot be had.
        """
        self.classes_, member = label_matrix(y, multi_label=self.multi_label)
        watched = np.zeros(len(examples), dtype=bool)
        if self.config.patience:
            watched = grouped_folds(examples, y, self.config.n_folds, self.seed + 1) == 0
        if watched.all():
            watched[:] = False
        self._train(examples, member, watched)
        return self

    def out_of_fold(self, examples: Sequence[Example], y: Labels, folds: NDArray[np.int64] | None) -> Array:
        """Probabilities of the first fold from a model that learnt from the others, which it keeps; NaN elsewhere."""
        if folds is None:
            self.fit(examples, y)
            return np.empty((0, len(self.classes_)))
        out, rest = (np.flatnonzero(mine).tolist() for mine in (folds == folds.min(), folds != folds.min()))
        self.fit([examples[i] for i in rest], cast(Labels, [y[i] for i in rest]))
        answers = np.full((len(examples), len(self.classes_)), np.nan)
        answers[out] = self.predict_proba([examples[i] for i in out])
        return answers

    def predict_proba(self, examples: Sequence[Example]) -> Array:
        """Raw probabilities, float64 (n, n_classes)."""
        scores = self._scores(examples)
        return 1.0 / (1.0 + np.exp(-scores)) if self.multi_label else softmax(scores)

    def sentence_weights(self, example: Example, spans: Sequence[tuple[int, int]], label: str) -> Array:
        """How far the label's score falls when a span is blanked out: leave-one-out, so the parts need not sum to it."""
        label_id = int(np.flatnonzero(self.classes_ == label)[0])
        blanked = [replace(example, text=example.text[:a] + " " * (b - a) + example.text[b:]) for a, b in spans]
        scores = self._scores([example, *blanked])[:, label_id]
        return scores[0] - scores[1:]

    def save(self, folder: Path) -> None:
        """Writes `classifier.json` and the fine-tuned weights (safetensors) with their tokenizer."""
        folder.mkdir(parents=True, exist_ok=True)
        with _quiet():
            self.model_.save_pretrained(folder / WEIGHTS)
            self.tokenizer_.save_pretrained(folder / WEIGHTS)
        write_header(folder, self)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The classifier that `save` wrote; nothing but its own folder is read."""
        header = read_header(folder)
        config = TransformerConfig.model_validate(header["config"])
        loaded = cls(config, header["multi_label"], header["seed"], header["classes"])
        loaded.tokenizer_, loaded.model_ = _pretrained(str(folder / WEIGHTS), None, multi_label=header["multi_label"])
        return loaded

    def _train(self, examples: Sequence[Example], member: Flags, watched: Flags) -> None:
        import torch

        torch.manual_seed(self.seed)
        self.tokenizer_, model = _pretrained(self.config.model, len(self.classes_), multi_label=self.multi_label)
        if self.config.lora_rank:
            model = _with_lora(model, self.config.lora_rank)
        targets: Any = member.astype(np.float32) if self.multi_label else member.argmax(axis=1)
        rows = [{**one, "labels": target} for one, target in zip(self._tokens(examples), targets, strict=True)]
        learned = [row for row, out in zip(rows, watched, strict=True) if not out]
        judged = [row for row, out in zip(rows, watched, strict=True) if out]
        with self._checkpoints(examples, member) as folder, _quiet():
            model = self._fine_tuned(model, learned, judged, folder)
        if self.config.lora_rank:
            model = model.merge_and_unload()
        self.model_ = model.float().eval()

    def _fine_tuned(self, model: Any, learned: list[Any], judged: list[Any], folder: Path) -> Any:
        from transformers import DataCollatorWithPadding, EarlyStoppingCallback

        from pipeline.classifiers.safe_trainer import SafeTrainer, last_checkpoint

        patience = self.config.patience if judged else 0
        trainer = SafeTrainer(
            model=model,
            args=self._arguments(folder, is_watched=bool(judged)),
            train_dataset=learned,  # pyright: ignore[reportArgumentType]
            eval_dataset=judged or None,  # pyright: ignore[reportArgumentType]
            data_collator=DataCollatorWithPadding(self.tokenizer_),
            callbacks=[EarlyStoppingCallback(patience)] if patience else None,
        )
        trainer.remove_callback(_printer())
        last = last_checkpoint(folder)
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        trainer.accelerator.wait_for_everyone()
        return trainer.accelerator.unwrap_model(trainer.model)

    def _arguments(self, folder: Path, *, is_watched: bool) -> Any:
        import torch
        from transformers import TrainingArguments

        has_gpu, n_processes = torch.cuda.is_available(), int(os.environ.get("WORLD_SIZE", "1"))
        return TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=max(1, self.config.batch_size // n_processes),
            per_device_eval_batch_size=2 * self.config.batch_size,
            num_train_epochs=self.config.epochs,
            learning_rate=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
            warmup_steps=self.config.warmup,
            eval_strategy="epoch" if is_watched else "no",
            save_strategy="epoch",
            save_total_limit=1,
            load_best_model_at_end=is_watched,
            metric_for_best_model="eval_loss" if is_watched else None,
            train_sampling_strategy="group_by_length",
            bf16=has_gpu and torch.cuda.is_bf16_supported(),
            use_cpu=not has_gpu,
            ddp_backend="gloo" if n_processes > 1 and not has_gpu else None,
            average_tokens_across_devices=False,  # else the loss, which is a mean over articles, counts once a process
            seed=self.seed,
            remove_unused_columns=False,
            disable_tqdm=True,
            logging_strategy="no",
            report_to="none",
        )

    @contextmanager
    def _checkpoints(self, examples: Sequence[Example], member: Flags) -> Iterator[Path]:
        """A folder named by what is learnt from what, so that only the same training resumes; gone when it is done."""
        if self.config.checkpoints is None:
            with tempfile.TemporaryDirectory() as scratch:
                yield Path(scratch)
            return
        name = hashlib.sha256(f"{self.config.model_dump_json()}\0{self.seed}\0".encode())
        for example in examples:
            name.update(f"{example.id}\0{example.text}\0".encode("utf-8", "replace"))
        name.update(member.tobytes())
        folder = Path(self.config.checkpoints) / name.hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        if not is_follower():
            shutil.rmtree(folder, ignore_errors=True)

    def _tokens(self, examples: Sequence[Example]) -> list[dict[str, list[int]]]:
        """The ids of each text; of a target (a name, a claim) and the text as a pair."""
        size = 12 * self.config.max_tokens
        texts = [view_text(example, self.config.field, self.config.window)[:size] for example in examples]
        pairs = [
            [example.target[:size], text] if example.target else [text]
            for example, text in zip(examples, texts, strict=True)
        ]
        return [
            dict(
                self.tokenizer_(
                    *pair, truncation="only_second" if len(pair) == 2 else True, max_length=self.config.max_tokens
                )
            )
            for pair in pairs
        ]

    def _scores(self, examples: Sequence[Example]) -> Array:
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        model, tokens = self.model_.to(device), self._tokens(examples)
        size = 2 * self.config.batch_size if device == "cuda" else 1
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]["input_ids"]))
        scores = np.zeros((len(tokens), len(self.classes_)))
        for start in range(0, len(order), size):
            part = order[start : start + size]
            batch = self.tokenizer_.pad([tokens[i] for i in part], return_tensors="pt").to(device)
            with torch.inference_mode():
                scores[part] = model(**batch).logits.float().cpu().numpy()
        return scores


def is_follower() -> bool:
    """Whether another process of the same `torchrun` writes what this one has learnt too."""
    return int(os.environ.get("RANK", "0")) > 0


def _pretrained(name: str, n_labels: int | None, *, multi_label: bool) -> tuple[Any, Any]:
    """Tokenizer and model; with `n_labels` a new classification layer of that width."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    is_local = name in PACKAGED or Path(name).is_dir()
    where = str(encoder_folder(name)) if is_local else name
    settings: dict[str, Any] = {}
    if n_labels is not None:
        problem = "multi_label_classification" if multi_label else "single_label_classification"
        settings = {"num_labels": n_labels, "problem_type": problem, "ignore_mismatched_sizes": True}
    if is_local:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with _quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(where)
            model = AutoModelForSequenceClassification.from_pretrained(where, use_safetensors=True, **settings)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"model '{name}' cannot be had ({str(error).splitlines()[0][:160]}); name {', '.join(PACKAGED)}, a folder or a hub id with safetensors"
            ) from error
    return tokenizer, model


def _with_lora(model: Any, rank: int) -> Any:
    try:
        from peft import LoraConfig, TaskType, get_peft_model
    except ImportError as error:
        raise ConfigError("lora_rank needs peft; pip install 'slugline[transformer]', or set lora_rank: 0") from error
    settings = LoraConfig(
        task_type=TaskType.SEQ_CLS, r=rank, lora_alpha=2 * rank, lora_dropout=0.05, target_modules="all-linear"
    )
    return get_peft_model(model, settings)


def _printer() -> Any:
    from transformers.trainer_callback import PrinterCallback

    return PrinterCallback


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice that a new classification layer should be trained, and without progress bars."""
    from transformers.utils import logging

    before, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if had_bars:
            logging.enable_progress_bar()
