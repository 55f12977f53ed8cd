"""Labelled lines in, the separator's weights out: `weights.safetensors` and `model.json`, and a record of the training.

Whole sites are held out, never single lines: they choose nothing but the calibration, the threshold and the epoch count's
sanity. The last weights are trained on all sites; calibration comes from the run that held sites out.

The decision that is not obvious: documents are changed anew in every epoch (`pipeline.separate.augment`) and words and cues
are dropped at random, so that the model leans on form and context where it knows no words.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from safetensors.numpy import save
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from pipeline.artifacts import replacing, write_json
from pipeline.config import Config as BaseConfig
from pipeline.document import Summary
from pipeline.errors import DataError
from pipeline.home import home
from pipeline.separate import Html
from pipeline.separate.augment import augmented
from pipeline.separate.features import NAMES, Features, HashTable, extract
from pipeline.separate.html import CUES, HtmlLimits
from pipeline.separate.labelled import LabelledDocument, read_documents, read_rows, text_of, with_kinds
from pipeline.separate.model import EMBEDDING_STEP, KINDS, LineModel
from pipeline.separate.network import Batch, LineNetwork
from pipeline.separate.pages import read_pages, with_page_kinds
from pipeline.separate.quality import figures

log = logging.getLogger(__name__)


class Inputs(BaseConfig):
    """Which labelled lines; a file that is not there is skipped with a warning."""

    lines: list[Path]
    typed: list[Path]
    typed_split: str
    pages: list[Path]
    html: Html


class Network(BaseConfig):
    """The shape of the network."""

    width: int = Field(ge=8, le=512)
    embedding: int = Field(ge=4, le=256)
    dilations_before: list[int]
    dilations_after: list[int]
    dropout: float = Field(ge=0, lt=1)


class Training(BaseConfig):
    """How the network is trained."""

    epochs: int = Field(ge=1)
    documents_per_page: int = Field(ge=1)
    lines_per_batch: int = Field(ge=100)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    embedding_decay: float = Field(ge=0)
    label_smoothing: float = Field(ge=0, lt=0.5)
    guess_weight: float = Field(ge=0)
    kind_weight: float = Field(ge=0)
    article_weight: float = Field(ge=0)
    document_power: float = Field(ge=0, le=1)
    word_dropout: float = Field(ge=0, lt=1)
    wordless_share: float = Field(ge=0, le=1)
    cueless_share: float = Field(ge=0, le=1)
    hinted_share: float = Field(ge=0, le=1)
    hinted_lines: float = Field(ge=0, le=1)
    min_sites_word: int = Field(ge=1)
    min_sites_phrase: int = Field(ge=1)
    max_words: int = Field(ge=100)
    max_lines: int = Field(ge=10)
    seed: int
    n_threads: int = Field(ge=1)


class Config(BaseConfig):
    """`configs/train_separator.yaml`."""

    inputs: Inputs
    network: Network
    training: Training
    augment: dict[str, float]
    holdout_share: float = Field(ge=0, lt=1)


def run(config: Config, output: Path) -> Summary:
    """Train on all labelled lines there are and write the weights; what held-out sites say goes into `training.json`."""
    began = time.monotonic()
    documents = read_inputs(config.inputs)
    n_cues = len(CUES)
    held_out = [d for d in documents if is_held_out(d.site, config.holdout_share)]
    kept = [d for d in documents if not is_held_out(d.site, config.holdout_share)]
    weights, settings = train(kept, config, n_cues)
    calibration = calibrated(LineModel.of(weights, settings), held_out)
    model = LineModel.of(weights, settings | {"calibration": calibration})
    quality = figures(held_out, predicted(model, held_out), threshold=0.5)
    weights, settings = train(documents, config, n_cues)
    save_model(weights, settings | {"calibration": calibration}, output)
    write_json({"held_out_sites": quality, "config": config.model_dump(mode="json")}, output / "training.json")
    return Summary("train-separator", len(documents), len(documents), {}, time.monotonic() - began)


def read_inputs(inputs: Inputs) -> list[LabelledDocument]:
    """All labelled documents of the files that are there, kinds from typed lines first, then from the pages' markup.

    Raises:
        DataError: none of the files is there.
    """
    pages = [page for path in _there(inputs.pages) for page in read_pages(path, HtmlLimits(**inputs.html.model_dump()))]
    documents = [document for path in _there(inputs.lines) for document in read_documents(path)]
    typed = {(row["id"], row["variant"]): row for path in _there(inputs.typed) for row in read_rows(path) if row["split"] == inputs.typed_split}
    documents = with_kinds(documents, {key: [line["kind"] for line in row["lines"]] for key, row in typed.items()})
    documents = with_page_kinds(documents, pages) + [page.document for page in pages]
    if not documents:
        raise DataError(f"no labelled lines: none of {', '.join(map(str, inputs.lines + inputs.pages))} is there")
    return documents


def _there(paths: list[Path]) -> list[Path]:
    found = [home() / path for path in paths]
    for path in found:
        if not path.is_file():
            log.warning("%s is not there: trained without it", path)
    return [path for path in found if path.is_file()]


def is_held_out(site: str, share: float) -> bool:
    """Whether a site is held out: by its name's digest, so that it never depends on what else there is."""
    return int(hashlib.sha256(site.encode()).hexdigest()[:8], 16) < share * 2**32


@dataclass(frozen=True, slots=True)
class Normal:
    """What makes each dense feature about standard: (value - mean) * scale."""

    mean: np.ndarray
    scale: np.ndarray


def build_vocabulary(documents: Sequence[LabelledDocument], settings: Training) -> np.ndarray:
    """The hashes (uint64) of words, and of words in a role, that stand on enough sites; most frequent first."""
    sites: dict[str, list[LabelledDocument]] = {}
    for document in documents:
        sites.setdefault(document.site, []).append(document)
    any_word, in_role = [], []
    for own in sites.values():
        features = extract([text_of(d) for d in own], max_lines=settings.max_lines)
        is_role = features.word_lines % 2 == 1
        any_word.append(np.unique(features.word_hashes[~is_role]))
        in_role.append(np.unique(features.word_hashes[is_role]))
    found = []
    for per_site, least in ((any_word, settings.min_sites_word), (in_role, settings.min_sites_phrase)):
        keys, counts = np.unique(np.concatenate(per_site), return_counts=True)
        kept = counts >= least
        found.append((keys[kept], counts[kept]))
    keys, counts = (np.concatenate(part) for part in zip(*found, strict=True))
    return keys[np.lexsort((keys, -counts))][: settings.max_words]


def normal_of(documents: Sequence[LabelledDocument], max_lines: int) -> Normal:
    """Mean and inverse deviation of each feature, each document weighing the same."""
    sums, squares = np.zeros(len(NAMES)), np.zeros(len(NAMES))
    for document in documents:
        dense = extract([text_of(document)], max_lines=max_lines).dense
        sums += dense.mean(axis=0)
        squares += (dense**2).mean(axis=0)
    mean = sums / len(documents)
    deviation = np.sqrt(np.maximum(squares / len(documents) - mean**2, 0))
    return Normal(mean, 1 / np.maximum(deviation, 0.05))


@dataclass(frozen=True, slots=True)
class Labels:
    """Targets beside a Batch: lines weigh as their documents say."""

    body: torch.Tensor
    kinds: torch.Tensor
    weight: torch.Tensor
    is_article: torch.Tensor


class Batches:
    """Documents, changed anew in every epoch, as batches of tensors."""

    def __init__(self, documents: Sequence[LabelledDocument], words: HashTable, normal: Normal, n_cues: int, config: Config):
        self.documents, self.words, self.normal, self.n_cues, self.config = documents, words, normal, n_cues, config
        self.pages: dict[str, list[LabelledDocument]] = {}
        for document in documents:
            self.pages.setdefault(f"{document.id}|{document.cues is not None}", []).append(document)
        self.lenders = [d for d in documents if (d.body == 0).sum() >= 3 and d.cues is None]

    def epoch(self, rng: np.random.Generator) -> Iterator[tuple[Batch, Labels]]:
        settings = self.config.training
        chosen: list[LabelledDocument] = []
        for variants in self.pages.values():
            picks = rng.permutation(len(variants))[: settings.documents_per_page]
            chosen.extend(variants[i] for i in picks)
        held: list[LabelledDocument] = []
        n_lines = 0
        for i in rng.permutation(len(chosen)):
            document = augmented(chosen[i], self.lenders, rng, self.config.augment)
            held.append(document)
            n_lines += len(document.lines)
            if n_lines >= settings.lines_per_batch:
                yield self.tensors(held, rng)
                held, n_lines = [], 0
        if held:
            yield self.tensors(held, rng)

    def tensors(self, documents: list[LabelledDocument], rng: np.random.Generator) -> tuple[Batch, Labels]:
        settings = self.config.training
        features = extract([text_of(d) for d in documents], max_lines=settings.max_lines)
        lines = features.lines
        known = self.words[features.word_hashes]
        wordless = rng.random(len(documents)) < settings.wordless_share
        kept = (known > 0) & (rng.random(len(known)) >= settings.word_dropout)
        kept &= ~wordless[lines.text[features.word_lines // 2]]
        labels = self._labels(documents)
        hints = self._hints(labels, lines.text, len(documents), rng)
        batch = _batch(features, known, kept, self.normal, *self._cues(documents, rng), hints)
        return batch, labels

    def _hints(self, labels: Labels, text: np.ndarray, n_documents: int, rng: np.random.Generator) -> np.ndarray:
        """(n_lines, 2): some lines' labels told outright, as a caller's phrases would."""
        told = (rng.random(n_documents) < self.config.training.hinted_share)[text]
        told &= rng.random(len(text)) < self.config.training.hinted_lines
        body = labels.body.numpy()
        return np.stack([told & (body == 1), told & (body == 0)], axis=1)

    def _cues(self, documents: list[LabelledDocument], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        hidden = rng.random(len(documents)) < self.config.training.cueless_share
        cues, has = [], []
        for document, hide in zip(documents, hidden, strict=True):
            shown = document.cues if document.cues is not None and not hide else None
            cues.append(np.zeros((len(document.lines), self.n_cues), np.float32) if shown is None else shown)
            has.append(np.full(len(document.lines), shown is not None))
        return np.concatenate(cues), np.concatenate(has)

    def _labels(self, documents: list[LabelledDocument]) -> Labels:
        power = self.config.training.document_power
        weights = [np.full(len(d.lines), d.weight * len(d.lines) ** -power) for d in documents]
        return Labels(
            torch.from_numpy(np.concatenate([d.body for d in documents]).astype(np.float32)),
            torch.from_numpy(np.concatenate([d.kinds for d in documents]).astype(np.int64)),
            torch.from_numpy(np.concatenate(weights).astype(np.float32)),
            torch.tensor([float(d.is_article) for d in documents]),
        )


def _batch(features: Features, known: np.ndarray, kept: np.ndarray, normal: Normal, cues: np.ndarray, has_cues: np.ndarray, hints: np.ndarray) -> Batch:
    lines, n = features.lines, len(features.lines)
    rows = features.word_lines[kept]
    order = np.argsort(rows, kind="stable")
    counts = np.bincount(rows, minlength=2 * n)
    offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
    n_known = counts.reshape(n, 2)[:, 0]
    n_words = np.maximum(lines.words.to - lines.words.from_, 1)
    dense = np.clip((features.dense - normal.mean) * normal.scale, -4, 4)
    return Batch(
        dense=torch.from_numpy(dense.astype(np.float32)),
        word_rows=torch.from_numpy(known[kept][order].astype(np.int64) - 1),
        word_offsets=torch.from_numpy(offsets),
        word_share=torch.from_numpy((n_known / n_words).astype(np.float32))[:, None],
        n_known=torch.from_numpy(n_known.astype(np.float32))[:, None],
        has_cues=torch.from_numpy(has_cues.astype(np.float32))[:, None],
        hints=torch.from_numpy(hints.astype(np.float32)),
        cues=torch.from_numpy(np.clip(cues, -8, 8).astype(np.float32)),
        chars=torch.from_numpy((lines.last - lines.first + 1).astype(np.float32)),
        segment=torch.from_numpy(lines.segment),
        n_segments=len(lines.bounds) - 1,
    )


def loss_of(outputs: tuple[torch.Tensor, ...], labels: Labels, settings: Training) -> torch.Tensor:
    """The weighted sum of the losses of the first guess, the body, the kinds and the verdict."""
    guess, body, kinds, article = outputs
    known = labels.body >= 0
    target = torch.clamp(labels.body, 0, 1) * (1 - 2 * settings.label_smoothing) + settings.label_smoothing
    weight = labels.weight * known
    total = weight.sum()
    loss = (functional.binary_cross_entropy_with_logits(body, target, reduction="none") * weight).sum() / total
    early = (functional.binary_cross_entropy_with_logits(guess, target, reduction="none") * weight).sum() / total
    loss = loss + settings.guess_weight * early
    typed = labels.kinds > 0
    if typed.any():
        per_line = functional.cross_entropy(kinds[typed], labels.kinds[typed] - 1, reduction="none")
        loss = loss + settings.kind_weight * (per_line * labels.weight[typed]).sum() / labels.weight[typed].sum()
    if settings.article_weight and len(article) == len(labels.is_article):
        loss = loss + settings.article_weight * functional.binary_cross_entropy_with_logits(article, labels.is_article)
    return loss


Weights = tuple[dict[str, np.ndarray], dict[str, Any]]


def train(documents: Sequence[LabelledDocument], config: Config, n_cues: int, after_epoch: Any = None) -> Weights:
    """Arrays and settings for `LineModel.of`; the same documents, settings and thread count give the same ones."""
    settings = config.training
    torch.set_num_threads(settings.n_threads)
    vocabulary = build_vocabulary(documents, settings)
    words = HashTable.of(vocabulary, np.arange(1, len(vocabulary) + 1, dtype=np.int32), bits=18)
    rng = np.random.default_rng(settings.seed)
    sample = [documents[i] for i in rng.permutation(len(documents))[:800]]
    normal = normal_of(sample, settings.max_lines)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        network = _network(config, len(vocabulary), n_cues)
        batches = Batches(documents, words, normal, n_cues, config)
        n_steps = settings.epochs * sum(1 for _ in batches.epoch(np.random.default_rng(0)))
        optimizer, schedule = _optimizer(network, settings, n_steps)
        for epoch in range(settings.epochs):
            began = time.monotonic()
            network.train()
            losses = [_step(network, optimizer, schedule, pair, settings) for pair in batches.epoch(rng)]
            log.info("epoch %d of %d: loss %.4f, %.0f s", epoch + 1, settings.epochs, np.mean(losses), time.monotonic() - began)
            if after_epoch is not None:
                after_epoch(epoch, LineModel.of(*weights_of(network, vocabulary, normal, config)))
    return weights_of(network, vocabulary, normal, config)


def _network(config: Config, n_words: int, n_cues: int) -> LineNetwork:
    shape = config.network
    return LineNetwork(
        n_dense=len(NAMES),
        n_words=n_words,
        n_cues=n_cues,
        embedding=shape.embedding,
        width=shape.width,
        before=shape.dilations_before,
        after=shape.dilations_after,
        dropout=shape.dropout,
    )


def _optimizer(network: LineNetwork, settings: Training, n_steps: int) -> tuple[torch.optim.Optimizer, Any]:
    embedding = list(network.embedding.parameters())
    others = [p for name, p in network.named_parameters() if not name.startswith("embedding")]
    optimizer = torch.optim.AdamW(
        [
            {"params": embedding, "weight_decay": settings.embedding_decay},
            {"params": others, "weight_decay": settings.weight_decay},
        ],
        lr=settings.learning_rate,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=n_steps + 50, pct_start=0.15)
    return optimizer, schedule


def _step(network: LineNetwork, optimizer: torch.optim.Optimizer, schedule: Any, pair: tuple[Batch, Labels], settings: Training) -> float:
    batch, labels = pair
    loss = loss_of(network(batch), labels, settings)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    return loss.item()


def predicted(model: LineModel, documents: Sequence[LabelledDocument]) -> list[np.ndarray]:
    """P(body) of every line of each document."""
    out = []
    for document in documents:
        features = extract([text_of(document)], max_lines=5000)
        has_cues = None if document.cues is None else np.ones(len(document.lines))
        out.append(model(features, cues=document.cues, has_cues=has_cues).body)
    return out


def calibrated(model: LineModel, documents: Sequence[LabelledDocument]) -> list[float]:
    """Scale and shift of the body logit that minimise the log loss over the lines of held-out documents."""
    p = np.clip(np.concatenate(predicted(model, documents)), 1e-4, 1 - 1e-4)
    labels = np.concatenate([document.body for document in documents])
    logit, known = np.log(p / (1 - p)), labels >= 0
    fitted = LogisticRegression(C=np.inf).fit(logit[known, None], labels[known])
    return [round(float(fitted.coef_[0, 0]), 4), round(float(fitted.intercept_[0]), 4)]


def save_model(weights: dict[str, np.ndarray], settings: dict[str, Any], folder: Path) -> None:
    """Write the weights and settings that `LineModel.load` reads."""
    with replacing(folder / "weights.safetensors") as temporary:
        temporary.write_bytes(save(weights))
    write_json(settings, folder / "model.json")


def weights_of(network: LineNetwork, vocabulary: np.ndarray, normal: Normal, config: Config) -> Weights:
    """The arrays and settings that `LineModel.of` takes and `models/separator` holds."""
    weights = {name: p.detach().numpy().astype(np.float32) for name, p in network.named_parameters()}
    table = weights.pop("embedding.weight")
    weights["embedding"] = np.clip(np.round(table / EMBEDDING_STEP), -127, 127).astype(np.int8)
    weights["vocabulary"] = vocabulary
    weights["dense.mean"], weights["dense.scale"] = normal.mean.astype(np.float32), normal.scale.astype(np.float32)
    settings = {
        "features": list(NAMES),
        "kinds": [str(kind) for kind in KINDS],
        "dilations_before": config.network.dilations_before,
        "dilations_after": config.network.dilations_after,
        "calibration": [1.0, 0.0],
    }
    return weights, settings


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    print(run(Config.load(home() / "configs" / "train_separator.yaml", sys.argv[1:]), home() / "models" / "separator"), file=sys.stderr)
