"""The line model in torch, for training only: the same layers as `pipeline.separate.model`, under the same names."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.separate.model import BOILERPLATE, MAX_STORY_CHARS, N_MARKS


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents one after another: `segment` says which; words as rows of (line, vocabulary row); cues and hints zero where unknown."""

    dense: Tensor
    word_rows: Tensor
    word_offsets: Tensor
    word_share: Tensor
    n_known: Tensor
    has_cues: Tensor
    hints: Tensor
    cues: Tensor
    chars: Tensor
    segment: Tensor
    n_segments: int


class LineNetwork(nn.Module):
    """Logits of P(body) before and after the story is known, of the boilerplate kinds, and of the page being an article."""

    def __init__(self, *, n_dense: int, n_words: int, n_cues: int, embedding: int, width: int, before: list[int], after: list[int], dropout: float):
        super().__init__()
        self.embedding = nn.EmbeddingBag(n_words, embedding, mode="sum")
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.encode = nn.ModuleList([nn.Linear(n_dense + 2 * embedding + N_MARKS + n_cues, width), nn.Linear(width, width)])
        self.before = nn.ModuleList(nn.Linear(3 * width, width) for _ in before)
        self.after = nn.ModuleList(nn.Linear(3 * width, width) for _ in after)
        self.guess, self.body = nn.Linear(width, 1), nn.Linear(width, 1)
        self.story = nn.Linear(3 * width + embedding + 2, width)
        self.kinds = nn.Linear(width, len(BOILERPLATE))
        self.article = nn.Linear(2 * width, 1)
        self.dilations = before, after
        self.dropout = nn.Dropout(dropout)
        for layer in [*self.before, *self.after, self.story]:
            nn.init.normal_(layer.weight, std=0.5 / layer.in_features**0.5)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        any_word, edges = self._lexical(batch)
        h = torch.cat([batch.dense, any_word, edges, batch.word_share, batch.has_cues, batch.hints, batch.cues], dim=1)
        h = self.dropout(functional.relu(self.encode[0](h)))
        h = functional.relu(self.encode[1](h))
        for layer, dilation in zip(self.before, self.dilations[0], strict=True):
            h = h + self._mixed(layer, h, batch.segment, dilation)
        guess = self.guess(h)[:, 0]
        h = h + self._story(h, any_word, guess, batch)
        for layer, dilation in zip(self.after, self.dilations[1], strict=True):
            h = h + self._mixed(layer, h, batch.segment, dilation)
        final = self.dropout(h)
        return guess, self.body(final)[:, 0], self.kinds(final), self._article(h, batch)

    def _lexical(self, batch: Batch) -> tuple[Tensor, Tensor]:
        sums = self.embedding(batch.word_rows, batch.word_offsets).view(len(batch.dense), 2, -1)
        return sums[:, 0] / torch.sqrt(batch.n_known + 1), sums[:, 1]

    def _mixed(self, layer: nn.Module, h: Tensor, segment: Tensor, dilation: int) -> Tensor:
        wide = torch.cat([_shifted(h, segment, -dilation), h, _shifted(h, segment, dilation)], dim=1)
        return self.dropout(functional.relu(layer(wide)))

    def _story(self, h: Tensor, any_word: Tensor, guess: Tensor, batch: Batch) -> Tensor:
        segment, n = batch.segment, batch.n_segments
        mass = torch.sigmoid(guess) * torch.clamp(batch.chars, max=MAX_STORY_CHARS) / 64
        total = torch.zeros(n).index_add_(0, segment, mass)
        whole = torch.clamp(total, min=2.0**-10)
        summed = torch.cumsum(mass.double(), 0)
        first = torch.searchsorted(segment, torch.arange(n))
        before = (summed - mass - (summed - mass)[first][segment]).float()
        after = total[segment] - before - mass
        both = torch.cat([h, any_word], dim=1)
        story = torch.zeros(n, both.shape[1]).index_add_(0, segment, both * mass[:, None]) / whole[:, None]
        size = torch.bincount(segment, minlength=n)[:, None]
        mean = torch.zeros(n, h.shape[1]).index_add_(0, segment, h) / size
        likeness = any_word * story[segment, h.shape[1] :]
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
