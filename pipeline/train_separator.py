"""Labelled lines in, the separator's weights out: `weights.safetensors` and `model.json`, and a record of the training.

Whole sites are held out, never single lines: they choose nothing but the calibration, the threshold and the epoch count's
sanity. The last weights are trained on all sites; calibration comes from the run that held sites out, which goes on beside it.

The decision that is not obvious: documents are changed anew in every epoch (`pipeline.separate.augment`) and words and cues
are dropped at random, so that the model leans on form and context where it knows no words.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from safetensors.numpy import save
from sklearn.isotonic import IsotonicRegression
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipeline.artifacts import replacing, write_json
from pipeline.config import Config as BaseConfig
from pipeline.document import Kind, Summary
from pipeline.errors import DataError
from pipeline.home import home
from pipeline.separate import Html
from pipeline.separate.augment import augmented
from pipeline.separate.composed import Composer
from pipeline.separate.features import NAMES, Features, extract
from pipeline.separate.hand_kinds import (
    HandKinds,
    lines_digest,
    read_hand_kinds,
    scraped_articles,
    with_hand_kinds,
)
from pipeline.separate.html import CUES, HtmlLimits
from pipeline.separate.labelled import (
    DRILL,
    PLAIN,
    SCRAPED,
    SEED,
    TO_BLANK,
    UNKNOWN,
    LabelledDocument,
    read_documents,
    read_rows,
    text_of,
)
from pipeline.separate.model import EMBEDDING_STEP, KINDS, MAX_ROW_SUM, LineModel, vocabulary
from pipeline.separate.network import Answer, Batch, LineNetwork, Shape
from pipeline.separate.pages import LabelledPage, read_pages, with_page_kinds
from pipeline.separate.quality import figures
from pipeline.separate.renderings import rendered, renderers
from pipeline.separate.word_vectors import word_vectors

log = logging.getLogger(__name__)

ROW_SUM_BOUND = 0.97 * MAX_ROW_SUM  # leaves room for the rounding of weights
MIN_PROBABILITY = 0.001


class Inputs(BaseConfig):
    """Which labelled lines; a file that is not there is skipped with a warning."""

    lines: list[Path]
    drills: list[Path]
    typed: list[Path]
    typed_split: str
    hand_kinds: list[Path]
    scraped: list[Path]
    hand_weight: float = Field(gt=0)
    pages: list[Path]
    renderings: list[str]
    min_covered: float = Field(ge=0, le=1)
    html: Html


class Training(BaseConfig):
    """How the network is trained."""

    epochs: int = Field(ge=1)
    documents_per_page: int = Field(ge=1)
    lines_per_batch: int = Field(ge=100)
    learning_rate: float = Field(gt=0)
    last_rate: float = Field(ge=0, le=1)
    weight_decay: float = Field(ge=0)
    embedding_decay: float = Field(ge=0)
    averaging: float = Field(ge=0, lt=1)
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
    max_phrases: int = Field(ge=100)
    encoder: str
    word_smoothing: float = Field(gt=0)
    seed_copies: int = Field(ge=1)
    drill_copies: int = Field(ge=1)
    scraped_copies: int = Field(ge=1)
    n_knots: int = Field(ge=2)
    n_composed: int = Field(ge=0)
    max_lines: int = Field(ge=10)
    seed: int
    n_threads: int = Field(ge=1)


class Config(BaseConfig):
    """`configs/train_separator.yaml`."""

    inputs: Inputs
    furniture: Path
    stories: list[Path]
    network: Shape
    training: Training
    augment: dict[str, float]
    holdout_share: float = Field(ge=0, lt=1)


def run(config: Config, output: Path) -> Summary:
    """Train on all labelled lines there are and write the weights; what held-out sites say goes into `training.json`."""
    began = time.monotonic()
    documents = read_inputs(config.inputs)
    scraped = [d for d in documents if d.variant == SCRAPED]
    composer = Composer.load(home() / config.furniture, _there(config.inputs.lines), _there(config.stories), scraped)
    held_out = [d for d in documents if is_held_out(d.site, config.holdout_share)]
    kept = [d for d in documents if not is_held_out(d.site, config.holdout_share)]
    words = build_vocabulary(documents, config.training, config.network.words)
    kept_composer = composer.without(lambda site: is_held_out(site, config.holdout_share))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        of_kept = processes.submit(train, kept, kept_composer, words, config)
        of_all = processes.submit(train, documents, composer, words, config)
        weights, settings = of_kept.result()
        articles = [d for d in held_out if d.is_article and d.variant not in (SEED, DRILL)]
        calibration = calibrated(LineModel.of(weights, settings), articles, config.training.n_knots)
        model = LineModel.of(weights, settings | {"calibration": calibration})
        quality = figures(held_out, predicted(model, held_out), threshold=0.5)
        weights, settings = of_all.result()
    save_model(weights, settings | {"calibration": calibration}, output)
    write_json({"held_out_sites": quality, "config": config.model_dump(mode="json")}, output / "training.json")
    return Summary("train-separator", len(documents), len(documents), {}, time.monotonic() - began)


def read_inputs(inputs: Inputs) -> list[LabelledDocument]:
    """All labelled documents of the files that are there, with kinds given by hand or else from the pages' markup.

    Articles that are there as HTML only come as plain text too.

    Raises:
        DataError: none of the files is there.
    """
    pages = [page for path in _there(inputs.pages) for page in read_pages(path, HtmlLimits(**inputs.html.model_dump()))]
    documents = [document for path in _there(inputs.lines) for document in read_documents(path)]
    documents += [replace(d, variant=DRILL) for path in _there(inputs.drills) for d in read_documents(path)]
    documents += _renderings(inputs, pages, {(document.id, document.variant) for document in documents})
    as_text = {document.id for document in documents}
    for page in (page.document for page in pages):
        documents.append(page)
        if page.is_article and page.id not in as_text:
            documents.append(replace(page, variant=PLAIN, cues=None))
    given = _hand_kinds(inputs)
    by_hand = with_hand_kinds([d for d in documents if d.id in given], given, inputs.hand_weight)
    by_markup = with_page_kinds([d for d in documents if d.id not in given], pages)
    scraped = [one for path in _there(inputs.scraped) for one in scraped_articles(path, given, inputs.hand_weight)]
    if not documents and not scraped:
        wanted = ", ".join(map(str, inputs.lines + inputs.drills + inputs.pages + inputs.scraped))
        raise DataError(f"no labelled lines: none of {wanted} is there")
    return (
        by_hand
        + scraped
        + [replace(d, kind_weight=inputs.hand_weight) if d.variant in (SEED, DRILL) else d for d in by_markup]
    )


def _renderings(
    inputs: Inputs, pages: Sequence[LabelledPage], given: Container[tuple[str, str]]
) -> Iterator[LabelledDocument]:
    """The articles among the pages as other tools render them, where they are not given and the gold body is to be trusted."""
    by_name = renderers(inputs.renderings)
    trusted = {page.document.id for page in pages if _covered(page.document) >= inputs.min_covered}
    for row in (row for path in _there(inputs.pages) for row in read_rows(path)):
        if row["page_type"] == "article" and row["id"] in trusted and not row["gold_doubtful"]:
            yield from rendered(row, {name: r for name, r in by_name.items() if (row["id"], name) not in given})


def _covered(document: LabelledDocument) -> float:
    """The share of the gold body's characters that lines of the page hold."""
    held = sum(len(line) for line, is_body in zip(document.lines, document.body, strict=True) if is_body == 1)
    return held / max(1, len(document.gold_body))


def _hand_kinds(inputs: Inputs) -> dict[str, HandKinds]:
    """The kinds given by hand, by page: of the files without texts, and of the typed lines of one split."""
    given: dict[str, HandKinds] = {}
    for path in _there(inputs.hand_kinds):
        given |= read_hand_kinds(path)
    for row in (row for path in _there(inputs.typed) for row in read_rows(path)):
        if row["split"] == inputs.typed_split:
            lines = [line for line in row["lines"] if line["t"].strip()]
            digest = lines_digest(line["t"].translate(TO_BLANK) for line in lines)
            given[row["id"]] = HandKinds(row["id"], row["variant"], digest, tuple(Kind(line["kind"]) for line in lines))
    return given


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


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The hashes of words and of phrases that stand on enough sites, and the vectors of the words (int8)."""

    words: np.ndarray
    vectors: np.ndarray
    phrases: np.ndarray


def build_vocabulary(documents: Sequence[LabelledDocument], settings: Training, n_axes: int) -> Vocabulary:
    """The vocabulary of the documents, what is on most sites first."""
    sites: dict[str, list[str]] = {}
    for document in documents:
        sites.setdefault(document.site, []).append(text_of(document))
    found: dict[int, str] = {}
    n_words: Counter[int] = Counter()
    n_sites, n_phrase_sites = Counter[int](), Counter[int]()
    for texts in sites.values():
        features = extract(texts, max_lines=settings.max_lines)
        words, joined = features.lines.words, "\n".join(texts)
        keys, places, counts = np.unique(words.hash, return_index=True, return_counts=True)
        for key, place, count in zip(keys.tolist(), places.tolist(), counts.tolist(), strict=True):
            if key not in found:
                found[key] = joined[words.start[place] : words.start[place] + words.length[place]].lower()
            n_words[key] += count
        n_sites.update(keys.tolist())
        n_phrase_sites.update(np.unique(features.phrase_hashes).tolist())
    kept = _most(n_sites, settings.min_sites_word, settings.max_words)
    phrases = _most(n_phrase_sites, settings.min_sites_phrase, settings.max_phrases)
    shares = np.array([n_words[key] for key in kept]) / max(1, n_words.total())
    strings = [found[key] for key in kept]
    vectors = word_vectors(strings, shares, n_axes=n_axes, encoder=settings.encoder, smoothing=settings.word_smoothing)
    return Vocabulary(np.array(kept, np.uint64), vectors, np.array(phrases, np.uint64))


def _most(counts: Counter[int], least: int, limit: int) -> list[int]:
    return sorted((key for key, n in counts.items() if n >= least), key=lambda key: (-counts[key], key))[:limit]


def normal_of(documents: Sequence[LabelledDocument], max_lines: int) -> Normal:
    """Mean and inverse deviation of each feature, each document weighing the same."""
    features = extract([text_of(document) for document in documents], max_lines=max_lines)
    weight = 1 / np.diff(features.lines.bounds)[features.lines.segment]
    weight /= weight.sum()
    mean = weight @ features.dense
    deviation = np.sqrt(weight @ (features.dense - mean) ** 2)
    return Normal(mean, 1 / np.maximum(deviation, 0.05))


@dataclass(frozen=True, slots=True)
class Labels:
    """Targets beside a Batch: lines weigh as their documents say."""

    body: torch.Tensor
    kinds: torch.Tensor
    weight: torch.Tensor
    kind_weight: torch.Tensor
    is_article: torch.Tensor


class Batches:
    """Documents, changed anew in every epoch, as batches of tensors."""

    def __init__(
        self,
        documents: Sequence[LabelledDocument],
        composer: Composer,
        words: Vocabulary,
        normal: Normal,
        config: Config,
    ):
        self.words, self.phrases = vocabulary(words.words), vocabulary(words.phrases)
        self.composer, self.normal, self.config = composer, normal, config
        self.pages: dict[str, list[LabelledDocument]] = {}
        for document in documents:
            self.pages.setdefault(f"{document.id}|{document.cues is not None}", []).append(document)
        lenders = [d for d in documents if (d.body == 0).sum() >= 3 and d.cues is None]
        own = [d for d in lenders if d.variant == SEED]
        self.lenders = lenders + own * config.training.seed_copies

    def epoch(self, rng: np.random.Generator) -> Iterator[tuple[Batch, Labels]]:
        return (self.tensors(documents, rng) for documents in self.documents(rng))

    def documents(self, rng: np.random.Generator) -> Iterator[list[LabelledDocument]]:
        """One epoch's documents, some thousand lines at a time."""
        settings = self.config.training
        copies = {SEED: settings.seed_copies, DRILL: settings.drill_copies, SCRAPED: settings.scraped_copies}
        chosen: list[LabelledDocument] = self.composer.documents(settings.n_composed, rng)
        for variants in self.pages.values():
            if variants[0].variant in copies:
                chosen.extend(variants * copies[variants[0].variant])
                continue
            picks = rng.permutation(len(variants))[: settings.documents_per_page]
            chosen.extend(variants[i] for i in picks)
        held: list[LabelledDocument] = []
        n_lines = 0
        for i in rng.permutation(len(chosen)):
            document = augmented(chosen[i], self.lenders, rng, self.config.augment)
            held.append(document)
            n_lines += len(document.lines)
            if n_lines >= settings.lines_per_batch:
                yield held
                held, n_lines = [], 0
        if held:
            yield held

    def tensors(self, documents: list[LabelledDocument], rng: np.random.Generator) -> tuple[Batch, Labels]:
        settings = self.config.training
        documents = [self._hidden(d) if rng.random() < settings.cueless_share else d for d in documents]
        features = extract([text_of(d) for d in documents], max_lines=settings.max_lines)
        lines = features.lines
        wordless = (rng.random(len(documents)) < settings.wordless_share)[lines.text]
        bags = []
        for rows, known in (
            (lines.words.line, self.words[lines.words.hash]),
            (features.phrase_lines, self.phrases[features.phrase_hashes]),
        ):
            kept = (known > 0) & (rng.random(len(known)) >= settings.word_dropout) & ~wordless[rows]
            bags.append(_bag(rows[kept], known[kept], len(lines)))
        labels = self._labels(documents)
        hints = self._hints(labels, lines.text, len(documents), rng)
        batch = _batch(features, bags, self.normal, *self._cues(documents), hints)
        return batch, labels

    def _hints(self, labels: Labels, text: np.ndarray, n_documents: int, rng: np.random.Generator) -> np.ndarray:
        """(n_lines, 2): some lines' labels told outright, as a caller's phrases would."""
        told = (rng.random(n_documents) < self.config.training.hinted_share)[text]
        told &= rng.random(len(text)) < self.config.training.hinted_lines
        body = labels.body.numpy()
        return np.stack([told & (body == 1), told & (body == 0)], axis=1)

    def _hidden(self, document: LabelledDocument) -> LabelledDocument:
        """An HTML page as plain text. What is the body of a page that is no article cannot be told from text alone."""
        if document.cues is None:
            return document
        document = replace(document, cues=None)
        return (
            document if document.is_article else replace(document, body=np.full(len(document.lines), UNKNOWN, np.int8))
        )

    def _cues(self, documents: list[LabelledDocument]) -> tuple[np.ndarray, np.ndarray]:
        empty = [np.zeros((len(d.lines), len(CUES)), np.float32) for d in documents]
        cues = [zeros if d.cues is None else d.cues for d, zeros in zip(documents, empty, strict=True)]
        has = [np.full(len(d.lines), d.cues is not None) for d in documents]
        return np.concatenate(cues), np.concatenate(has)

    def _labels(self, documents: list[LabelledDocument]) -> Labels:
        power = self.config.training.document_power
        weights = [np.full(len(d.lines), d.weight * len(d.lines) ** -power) for d in documents]
        return Labels(
            torch.from_numpy(np.concatenate([d.body for d in documents]).astype(np.float32)),
            torch.from_numpy(np.concatenate([d.kinds for d in documents]).astype(np.int64)),
            torch.from_numpy(np.concatenate(weights).astype(np.float32)),
            torch.from_numpy(
                np.concatenate([w * d.kind_weight for w, d in zip(weights, documents, strict=True)]).astype(np.float32)
            ),
            torch.tensor([float(d.is_article) for d in documents]),
        )


@dataclass(frozen=True, slots=True)
class _Bag:
    """Rows of a table for each line: all of them, and where each line's begin."""

    rows: torch.Tensor
    offsets: torch.Tensor
    counts: np.ndarray


def _bag(lines: np.ndarray, known: np.ndarray, n_lines: int) -> _Bag:
    order = np.argsort(lines, kind="stable")
    counts = np.bincount(lines, minlength=n_lines)
    offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return _Bag(torch.from_numpy(known[order].astype(np.int64) - 1), torch.from_numpy(offsets), counts)


def _batch(
    features: Features, bags: Sequence[_Bag], normal: Normal, cues: np.ndarray, has_cues: np.ndarray, hints: np.ndarray
) -> Batch:
    lines, (words, phrases) = features.lines, bags
    n_words = np.maximum(lines.words.to - lines.words.from_, 1)
    dense = np.clip((features.dense - normal.mean) * normal.scale, -4, 4)
    return Batch(
        dense=torch.from_numpy(dense.astype(np.float32)),
        word_rows=words.rows,
        word_offsets=words.offsets,
        phrase_rows=phrases.rows,
        phrase_offsets=phrases.offsets,
        word_share=torch.from_numpy((words.counts / n_words).astype(np.float32))[:, None],
        n_known=torch.from_numpy(words.counts.astype(np.float32))[:, None],
        has_cues=torch.from_numpy(has_cues.astype(np.float32))[:, None],
        hints=torch.from_numpy(hints.astype(np.float32)),
        cues=torch.from_numpy(np.clip(cues, -8, 8).astype(np.float32)),
        chars=torch.from_numpy((lines.last - lines.first + 1).astype(np.float32)),
        segment=torch.from_numpy(lines.segment),
        n_segments=len(lines.bounds) - 1,
    )


def loss_of(answers: Sequence[Answer], labels: Labels, settings: Training) -> torch.Tensor:
    """The mean of the members' losses, each on its own: they differ by what they started from and what was dropped."""
    return torch.stack([member_loss(answer, labels, settings) for answer in answers]).mean()


def member_loss(answer: Answer, labels: Labels, settings: Training) -> torch.Tensor:
    """The weighted sum of the losses of the first guess, the body, the kinds and the verdict."""
    guess, body, kinds, article = answer
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
        loss = (
            loss + settings.kind_weight * (per_line * labels.kind_weight[typed]).sum() / labels.kind_weight[typed].sum()
        )
    if settings.article_weight and len(article) == len(labels.is_article):
        loss = loss + settings.article_weight * functional.binary_cross_entropy_with_logits(article, labels.is_article)
    return loss


Weights = tuple[dict[str, np.ndarray], dict[str, Any]]


def train(documents: Sequence[LabelledDocument], composer: Composer, words: Vocabulary, config: Config) -> Weights:
    """Arrays and settings for `LineModel.of`; the same documents, settings and thread count give the same ones."""
    settings = config.training
    torch.set_num_threads(settings.n_threads)
    rng = np.random.default_rng(settings.seed)
    sample = [documents[i] for i in rng.permutation(len(documents))[:300]]
    normal = normal_of(sample, settings.max_lines)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        network = _network(config, words)
        batches = Batches(documents, composer, words, normal, config)
        n_steps = settings.epochs * sum(1 for _ in batches.documents(np.random.default_rng(0)))
        optimizer, schedule = _optimizer(network, settings, n_steps)
        averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(settings.averaging))
        for epoch in range(settings.epochs):
            began = time.monotonic()
            network.train()
            losses = [_step(network, averaged, optimizer, schedule, pair, settings) for pair in batches.epoch(rng)]
            log.info(
                "epoch %d of %d: loss %.4f, %.0f s",
                epoch + 1,
                settings.epochs,
                np.mean(losses),
                time.monotonic() - began,
            )
    return weights_of(averaged.module, words, normal, config)


def _network(config: Config, words: Vocabulary) -> LineNetwork:
    table = torch.from_numpy(words.vectors.astype(np.float32) * EMBEDDING_STEP)
    return LineNetwork(
        words=table, n_dense=len(NAMES), n_phrases=len(words.phrases), n_cues=len(CUES), shape=config.network
    )


def _optimizer(network: LineNetwork, settings: Training, n_steps: int) -> tuple[torch.optim.Optimizer, Any]:
    embedding = list(network.phrases.parameters())
    others = [p for name, p in network.named_parameters() if not name.startswith(("phrases", "words"))]
    optimizer = torch.optim.AdamW(
        [
            {"params": embedding, "weight_decay": settings.embedding_decay},
            {"params": others, "weight_decay": settings.weight_decay},
        ],
        lr=settings.learning_rate,
    )
    return optimizer, torch.optim.lr_scheduler.LambdaLR(
        optimizer, partial(_rate, n_steps=n_steps, last=settings.last_rate)
    )


def _rate(step: int, *, n_steps: int, last: float) -> float:
    """The learning rate's share of its peak: a rise over the first 15 % of the steps, then half a cosine down to `last`."""
    rise = 0.15 * n_steps
    if step < rise:
        return 0.04 + 0.96 * step / rise
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / (n_steps - rise))))


def _step(
    network: LineNetwork,
    averaged: AveragedModel,
    optimizer: torch.optim.Optimizer,
    schedule: Any,
    pair: tuple[Batch, Labels],
    settings: Training,
) -> float:
    batch, labels = pair
    loss = loss_of(network(batch), labels, settings)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    bound_rows(network)
    schedule.step()
    averaged.update_parameters(network)
    return loss.item()


@torch.no_grad()
def bound_rows(network: torch.nn.Module) -> None:
    """Scale down each row of weights whose sum of absolute values is too large for the exact arithmetic of `LineModel`."""
    for name, weight in network.named_parameters():
        if name.endswith(".weight") and name.startswith("members."):
            total = weight.abs().sum(dim=1, keepdim=True)
            weight.mul_(torch.clamp(ROW_SUM_BOUND / torch.clamp(total, min=1e-9), max=1.0))


def predicted(model: LineModel, documents: Sequence[LabelledDocument]) -> list[np.ndarray]:
    """P(body) of every line of each document."""
    out = []
    for document in documents:
        features = extract([text_of(document)], max_lines=5000)
        has_cues = None if document.cues is None else np.ones(len(document.lines))
        out.append(model(features, cues=document.cues, has_cues=has_cues).body)
    return out


def calibrated(model: LineModel, documents: Sequence[LabelledDocument], n_knots: int) -> dict[str, list[float]]:
    """The rising broken line from P(body) to the share of body lines, over as many stretches of equally many lines."""
    p = np.concatenate(predicted(model, documents))
    labels = np.concatenate([document.body for document in documents])
    p, labels = p[labels >= 0], labels[labels >= 0]
    order = np.argsort(p, kind="stable")
    stretches = [rows for rows in np.array_split(order, n_knots) if len(rows)]
    raw = np.array([p[rows].mean() for rows in stretches])
    share = IsotonicRegression().fit_transform(raw, [labels[rows].mean() for rows in stretches])
    keep = np.concatenate([[True], np.diff(raw) > 1e-6])
    raw, share = [0.0, *raw[keep], 1.0], [MIN_PROBABILITY, *share[keep], 1 - MIN_PROBABILITY]
    return {
        "raw": np.round(raw, 5).tolist(),
        "calibrated": np.round(np.clip(share, MIN_PROBABILITY, 1 - MIN_PROBABILITY), 5).tolist(),
    }


def save_model(weights: dict[str, np.ndarray], settings: dict[str, Any], folder: Path) -> None:
    """Write the weights and settings that `LineModel.load` reads."""
    with replacing(folder / "weights.safetensors") as temporary:
        temporary.write_bytes(save(weights))
    write_json(settings, folder / "model.json")


def weights_of(network: torch.nn.Module, words: Vocabulary, normal: Normal, config: Config) -> Weights:
    """The arrays and settings that `LineModel.of` takes and `models/separator` holds."""
    weights: dict[str, np.ndarray] = {
        name: p.detach().numpy().astype(np.float32) for name, p in network.named_parameters()
    }
    del weights["words.weight"]
    table = weights.pop("phrases.weight")
    weights["phrases.table"] = np.clip(np.round(table / EMBEDDING_STEP), -127, 127).astype(np.int8)
    weights["words.table"] = words.vectors
    weights["words.keys"], weights["phrases.keys"] = words.words, words.phrases
    weights["dense.mean"], weights["dense.scale"] = normal.mean.astype(np.float32), normal.scale.astype(np.float32)
    settings = {
        "features": list(NAMES),
        "kinds": [str(kind) for kind in KINDS],
        "members": config.network.members,
        "dilations_before": config.network.dilations_before,
        "dilations_after": config.network.dilations_after,
        "calibration": {"raw": [0.0, 1.0], "calibrated": [0.0, 1.0]},
    }
    return weights, settings
