"""`kind: fewshot`: the encoder is first taught which of a few examples belong together, then a head is fitted as for `embedding`.

Every pair of examples in a batch is a lesson, so that 8 examples a label go far: chunks of articles with a common label are drawn
together, others apart. The word embeddings stay as they are; what was learnt is saved, the rest is named by its digest.
References: Khosla et al. 2020, Supervised Contrastive Learning; Tunstall et al. 2022, Efficient Few-Shot Learning Without Prompts (SetFit).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Bounds

from pipeline.classifiers.embedding import EmbeddingClassifier, EmbeddingConfig
from pipeline.classifiers.encoder import Encoder
from pipeline.classifiers.head import Array, Flags, HeadConfig
from pipeline.classifiers.header import read_header, write_header
from pipeline.classifiers.labels import Labels, label_matrix
from pipeline.classifiers.target import Field, view_text
from pipeline.document import Example
from pipeline.errors import ArtifactError

HEAD, WEIGHTS = "head", "encoder.safetensors"


class FewShotConfig(HeadConfig):
    """Settings: those of `embedding`, and `n_steps` of `batch_size` chunks of `train_tokens` each."""

    kind: Literal["fewshot"]
    encoder: str
    field: Field
    window: int = Bounds(ge=0)
    max_tokens: int = Bounds(ge=8)
    max_chunks: int = Bounds(ge=1)
    batch_size: int = Bounds(ge=4)
    n_steps: int = Bounds(ge=0)
    train_tokens: int = Bounds(ge=8)
    learning_rate: float = Bounds(gt=0)
    temperature: float = Bounds(gt=0)

    def embedding(self) -> EmbeddingConfig:
        """The settings of the classifier on top, without a cache: each encoder taught here is its own."""
        shared = self.model_dump(include=set(EmbeddingConfig.model_fields) - {"kind"})
        return EmbeddingConfig.model_validate({**shared, "kind": "embedding", "cache": None})


@dataclass(slots=True)
class FewShotClassifier:
    """A head over the vectors of an encoder that was taught the labels."""

    config: FewShotConfig
    multi_label: bool
    seed: int
    classes_: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, dtype=np.str_))
    inner_: EmbeddingClassifier = field(init=False)

    def __post_init__(self) -> None:
        self.inner_ = EmbeddingClassifier(self.config.embedding(), self.multi_label, self.seed)

    def fit(self, examples: Sequence[Example], y: Labels) -> Self:
        """Itself, fitted.

        Raises:
            DataError: nothing to learn from, or one class only.
        """
        _, member = label_matrix(y, multi_label=self.multi_label)
        self.inner_ = EmbeddingClassifier(self.config.embedding(), self.multi_label, self.seed)
        texts = [view_text(example, self.config.field, self.config.window) for example in examples]
        self.inner_.encoder_.use(taught(self.inner_.encoder_, texts, member, self.config, self.seed))
        self.inner_.fit(examples, y)
        self.classes_ = self.inner_.classes_
        return self

    def out_of_fold(self, examples: Sequence[Example], y: Labels, folds: NDArray[np.int64] | None) -> Array:
        """Probabilities of each example from an encoder and a head that did not learn it; leaves itself fitted on all.

        Folds are merged into `n_folds`, since each teaches an encoder anew.
        """
        everyone, _ = label_matrix(y, multi_label=self.multi_label)
        answers = np.full((len(examples), len(everyone)), np.nan)
        merged = np.empty(0, np.int64) if folds is None else folds % self.config.n_folds
        for fold in np.unique(merged):
            rest, out = (np.flatnonzero(mine).tolist() for mine in (merged != fold, merged == fold))
            labels = cast(Labels, [y[i] for i in rest])
            if len(set(labels)) < 2:
                continue
            self.fit([examples[i] for i in rest], labels)
            known = np.searchsorted(everyone, self.classes_).tolist()
            answers[np.ix_(out, known)] = self.predict_proba([examples[i] for i in out])
        self.fit(examples, y)
        return answers if folds is not None else np.empty((0, len(everyone)))

    def predict_proba(self, examples: Sequence[Example]) -> Array:
        """Raw probabilities, float64 (n, n_classes)."""
        return self.inner_.predict_proba(examples)

    def sentence_weights(self, example: Example, spans: Sequence[tuple[int, int]], label: str) -> Array:
        """How far the label's score falls when a span is blanked out."""
        return self.inner_.sentence_weights(example, spans, label)

    def save(self, folder: Path) -> None:
        """Writes the head, what the encoder learnt, and `classifier.json`."""
        from safetensors.torch import save_file

        self.inner_.save(folder / HEAD)
        _, model = self.inner_.encoder_.loaded()
        learnt = {name: value.contiguous() for name, value in model.state_dict().items() if not _is_frozen(name)}
        save_file(learnt, folder / WEIGHTS)
        write_header(folder, self)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The classifier that `save` wrote.

        Raises:
            ArtifactError: the encoder at hand is not the one that was taught.
        """
        from safetensors.torch import load_file

        header = read_header(folder)
        loaded = cls(FewShotConfig.model_validate(header["config"]), header["multi_label"], header["seed"])
        loaded.inner_ = EmbeddingClassifier.load(folder / HEAD)
        loaded.classes_ = loaded.inner_.classes_
        model = loaded.inner_.encoder_.own_model()
        missing, unexpected = model.load_state_dict(load_file(folder / WEIGHTS), strict=False)
        if unexpected or any(not _is_frozen(name) for name in missing):
            raise ArtifactError(f"{folder}: what its encoder learnt does not fit the encoder at hand; train it again")
        loaded.inner_.encoder_.use(model.eval())
        return loaded


def taught(encoder: Encoder, texts: Sequence[str], member: Flags, config: FewShotConfig, seed: int) -> Any:
    """The encoder's network after `n_steps` of supervised contrastive learning, in evaluation mode on the CPU."""
    import torch

    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = encoder.own_model().to(device).train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not _is_frozen(name))
    ids = [encoder.tokenizer.encode(text[:100_000], add_special_tokens=False).ids for text in texts]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=0.01)
    warmup = max(1, config.n_steps // 10)
    for step in range(config.n_steps):
        rows = drawn(member, config.batch_size, rng)
        chunks = [_chunk(ids[i], config.train_tokens - 2, rng) for i in rows]
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * min(1.0, (step + 1) / warmup) * (1.0 - step / config.n_steps)
        vectors = _vectors(model, chunks, encoder.tokenizer, device)
        loss = contrast(vectors, torch.from_numpy(member[rows].astype(np.float32)).to(device), config.temperature)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
    return model.to("cpu").eval().requires_grad_(False)


def drawn(member: Flags, n: int, rng: np.random.Generator) -> list[int]:
    """`n` rows, two of a label at a time and the labels in turn, so that each row has a partner."""
    labels = [np.flatnonzero(column) for column in member.T if column.any()]
    order = rng.permutation(len(labels))
    rows: list[int] = []
    for turn in range(-(-n // 2)):
        rows += rng.choice(labels[order[turn % len(labels)]], size=2, replace=True).tolist()
    return rows[:n]


def contrast(vectors: Any, member: Any, temperature: float) -> Any:
    """The loss of Khosla et al.: each row should be nearer to those with a common label than to all others."""
    import torch

    likeness = vectors @ vectors.T / temperature
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    partner = (member @ member.T > 0) & ~itself
    logs = likeness - torch.logsumexp(likeness.masked_fill(itself, float("-inf")), dim=1, keepdim=True)
    n_partners = partner.sum(dim=1)
    each = -(logs * partner).sum(dim=1) / n_partners.clamp(min=1)
    return each[n_partners > 0].mean()


def _chunk(ids: list[int], n: int, rng: np.random.Generator) -> list[int]:
    """A part of a text, begun anywhere, so that the same article is not the same lesson twice."""
    start = int(rng.integers(0, max(1, len(ids) - n + 1)))
    return ids[start : start + n]


def _vectors(model: Any, chunks: list[list[int]], tokenizer: Any, device: str) -> Any:
    import torch

    first, last = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    longest = max(map(len, chunks)) + 2
    ids, mask = np.zeros((len(chunks), longest), np.int64), np.zeros((len(chunks), longest), np.int64)
    for row, chunk in enumerate(chunks):
        ids[row, : len(chunk) + 2], mask[row, : len(chunk) + 2] = [first, *chunk, last], 1
    tensor = torch.from_numpy(mask).to(device)
    hidden = model(input_ids=torch.from_numpy(ids).to(device), attention_mask=tensor).last_hidden_state
    mean = (hidden * tensor[..., None]).sum(1) / tensor.sum(1, keepdim=True)
    return torch.nn.functional.normalize(mean, dim=1)


def _is_frozen(name: str) -> bool:
    return name.startswith(("embeddings.", "pooler."))
