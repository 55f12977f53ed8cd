"""The line model in torch, for training only: the same layers as `pipeline.separate.model`, under the same names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipeline.config import Config as BaseConfig
from pipeline.separate.model import ACTIVATION_STEP, BOILERPLATE, MAX_STORY_CHARS, N_MARKS


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents one after another: `segment` says which; words and phrases as rows of their tables, with where each line's begin; cues and hints zero where unknown."""

    dense: Tensor
    word_rows: Tensor
    word_offsets: Tensor
    phrase_rows: Tensor
    phrase_offsets: Tensor
    word_share: Tensor
    n_known: Tensor
    has_cues: Tensor
    hints: Tensor
    cues: Tensor
    chars: Tensor
    segment: Tensor
    n_segments: int


class Answer(NamedTuple):
    """A member's logits: the first guess of P(body) and the last, the boilerplate kinds, and the verdicts."""

    guess: Tensor
    body: Tensor
    kinds: Tensor
    article: Tensor


class Shape(BaseConfig):
    """The shape of the network."""

    members: int = Field(ge=1, le=8)
    width: int = Field(ge=8, le=512)
    words: int = Field(ge=4, le=384)
    embedding: int = Field(ge=4, le=256)
    dilations_before: list[int]
    dilations_after: list[int]
    dropout: float = Field(ge=0, lt=1)


class LineNetwork(nn.Module):
    """Some members that read the same features and share the phrases' vectors; each has its own answers."""

    def __init__(self, *, words: Tensor, n_dense: int, n_phrases: int, n_cues: int, shape: Shape):
        super().__init__()
        self.words = nn.EmbeddingBag.from_pretrained(words, freeze=True, mode="sum")
        self.phrases = nn.EmbeddingBag(n_phrases, shape.embedding, mode="sum")
        nn.init.normal_(self.phrases.weight, std=0.02)
        n_inputs = n_dense + words.shape[1] + shape.embedding + N_MARKS + n_cues
        self.members = nn.ModuleList(Member(n_inputs, words.shape[1], shape) for _ in range(shape.members))
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, batch: Batch) -> list[Answer]:
        words = self.words(batch.word_rows, batch.word_offsets) / torch.sqrt(batch.n_known + 1)
        phrases = self.phrases(batch.phrase_rows, batch.phrase_offsets)
        answers = []
        for member in self.members:
            known = [
                batch.dense,
                words,
                self.dropout(phrases),
                batch.word_share,
                batch.has_cues,
                batch.hints,
                batch.cues,
            ]
            answers.append(member(torch.cat(known, dim=1), words, batch))
        return answers


class Member(nn.Module):
    """Logits of P(body) before and after the story is known, of the boilerplate kinds, and of the page being an article."""

    def __init__(self, n_inputs: int, n_words: int, shape: Shape):
        super().__init__()
        width = shape.width
        self.encode = nn.ModuleList([nn.Linear(n_inputs, width), nn.Linear(width, width)])
        self.before = nn.ModuleList(nn.Linear(3 * width, width) for _ in shape.dilations_before)
        self.after = nn.ModuleList(nn.Linear(3 * width, width) for _ in shape.dilations_after)
        self.guess, self.body = nn.Linear(width, 1), nn.Linear(width, 1)
        self.story = nn.Linear(3 * width + n_words + 2, width)
        self.kinds = nn.Linear(width, len(BOILERPLATE))
        self.article = nn.Linear(2 * width, 1)
        self.dilations = shape.dilations_before, shape.dilations_after
        self.dropout = nn.Dropout(shape.dropout)
        for layer in [*self.before, *self.after, self.story]:
            nn.init.normal_(layer.weight, std=0.5 / layer.in_features**0.5)

    def forward(self, x: Tensor, words: Tensor, batch: Batch) -> Answer:
        h = self.dropout(functional.relu(self.encode[0](x)))
        h = functional.relu(self.encode[1](h))
        for layer, dilation in zip(self.before, self.dilations[0], strict=True):
            h = h + self._mixed(layer, h, batch.segment, dilation)
        guess = self.guess(h)[:, 0]
        h = h + self._story(h, words, guess, batch)
        for layer, dilation in zip(self.after, self.dilations[1], strict=True):
            h = h + self._mixed(layer, h, batch.segment, dilation)
        final = self.dropout(h)
        return Answer(guess, self.body(final)[:, 0], self.kinds(final), self._article(h, batch))

    def _mixed(self, layer: nn.Module, h: Tensor, segment: Tensor, dilation: int) -> Tensor:
        wide = torch.cat([_shifted(h, segment, -dilation), h, _shifted(h, segment, dilation)], dim=1)
        return self.dropout(functional.relu(layer(wide)))

    def _story(self, h: Tensor, words: Tensor, guess: Tensor, batch: Batch) -> Tensor:
        segment, n = batch.segment, batch.n_segments
        mass = torch.sigmoid(guess) * torch.clamp(batch.chars, max=MAX_STORY_CHARS) / 64
        total = torch.zeros(n).index_add_(0, segment, mass)
        whole = torch.clamp(total, min=ACTIVATION_STEP)
        summed = torch.cumsum(mass.double(), 0)
        first = torch.searchsorted(segment, torch.arange(n))
        before = (summed - mass - (summed - mass)[first][segment]).float()
        after = total[segment] - before - mass
        both = torch.cat([h, words], dim=1)
        story = torch.zeros(n, both.shape[1]).index_add_(0, segment, both * mass[:, None]) / whole[:, None]
        size = torch.bincount(segment, minlength=n)[:, None]
        mean = torch.zeros(n, h.shape[1]).index_add_(0, segment, h) / size
        likeness = words * story[segment, h.shape[1] :]
        around = torch.stack([before / whole[segment], after / whole[segment]], dim=1)
        context = torch.cat([h, story[segment, : h.shape[1]], mean[segment], likeness, around], dim=1)
        return self.dropout(functional.relu(self.story(context)))

    def _article(self, h: Tensor, batch: Batch) -> Tensor:
        n, width = batch.n_segments, h.shape[1]
        h = h.detach()
        size = torch.bincount(batch.segment, minlength=n)[:, None]
        mean = torch.zeros(n, width).index_add_(0, batch.segment, h) / size
        most = torch.zeros(n, width).scatter_reduce_(0, batch.segment[:, None].expand_as(h), h, "amax")
        return self.article(torch.cat([mean, most], dim=1))[:, 0]


def _shifted(h: Tensor, segment: Tensor, shift: int) -> Tensor:
    distance = abs(shift)
    if distance >= len(h):
        return torch.zeros_like(h)
    same = (segment[distance:] == segment[:-distance])[:, None]
    gap = h.new_zeros(distance, h.shape[1])
    return torch.cat([h[distance:] * same, gap]) if shift > 0 else torch.cat([gap, h[:-distance] * same])
