"""The network behind `kind: adapter`: an encoder whose linear maps each learn a change of low rank, and a head; imports torch.

The encoder's own weights stay as they are, but for biases and layer norms; so what is learnt is small, and half of the backward pass
is saved. Reference: Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models (arXiv 2106.09685).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.classifiers.pairs import CLOSE, OPEN, Pair

log = logging.getLogger(__name__)

SORTED_BATCHES = 32  # so many batches are drawn at once and cut by length, so that padding costs little


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast the network learns; see `AdapterConfig`."""

    epochs: int
    batch_size: int
    learning_rate: float
    head_learning_rate: float
    warm_up: float
    weight_decay: float
    label_smoothing: float
    averaging: float
    precision: str
    multi_label: bool
    seed: int


class LowRank(nn.Module):
    """A linear map plus a learned one of low rank, at first zero."""

    def __init__(self, base: nn.Linear, rank: int):
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(rank, base.in_features) / math.sqrt(base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + (x @ self.down.T) @ self.up.T

    def merged(self) -> nn.Linear:
        """The sum as one linear map."""
        with torch.no_grad():
            self.base.weight += self.up @ self.down
        return self.base


class Network(nn.Module):
    """Logits of pairs: a head over the first token, the mean over the target's and the mean over all."""

    def __init__(self, encoder: Any, rank: int, n_labels: int, mark: int, dropout: float):
        super().__init__()
        self.encoder = encoder.requires_grad_(False)
        for layer in encoder.encoder.layer:
            _adapt(layer, rank)
        words = encoder.get_input_embeddings().weight
        self.marks = nn.Parameter(words[[mark, mark]].detach().clone())
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(3 * encoder.config.hidden_size, n_labels)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, ids: Tensor, segments: Tensor, mask: Tensor, on: Tensor) -> Tensor:
        words = self.encoder.get_input_embeddings()(ids.clamp(min=0))
        for mark, number in zip(self.marks, (OPEN, CLOSE), strict=True):
            words = torch.where((ids == number)[..., None], mark, words)
        kinds = segments if self.encoder.config.type_vocab_size > 1 else torch.zeros_like(segments)
        hidden = self.encoder(inputs_embeds=words, token_type_ids=kinds, attention_mask=mask).last_hidden_state.float()
        read = torch.cat([hidden[:, 0], _mean(hidden, on), _mean(hidden, mask)], dim=1)
        return self.head(self.dropout(read))

    def learnt(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        return {name: one for name, one in self.named_parameters() if one.requires_grad}

    def take(self, learnt: Mapping[str, NDArray[np.float16]]) -> None:
        """Go on from what was learnt."""
        with torch.no_grad():
            for name, one in self.learnt().items():
                one.copy_(torch.from_numpy(learnt[name].astype(np.float32)))

    def freeze(self) -> None:
        """Fold the changes into the encoder, ready to answer; it cannot learn on."""
        for parent in list(self.encoder.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, LowRank):
                    setattr(parent, name, child.merged())
        self.requires_grad_(False).eval()


def train(
    network: Network,
    pairs_of: Callable[[int], Sequence[Pair]],
    goals: NDArray[np.float32],
    weights: NDArray[np.float32],
    schedule: Schedule,
) -> dict[str, NDArray[np.float32]]:
    """What the network learns of how each pair of an epoch should be answered, (n, n_labels); `weights` has one number a label."""
    with seeded(schedule.seed):
        _train(network, pairs_of, torch.from_numpy(goals), _loss(weights, schedule), schedule)
    return {name: one.detach().numpy().copy() for name, one in network.learnt().items()}


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """A stretch in which torch draws from this seed; its random state is the old one afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def logits(network: Network, pairs: Sequence[Pair], batch_size: int) -> NDArray[np.float64]:
    """(n, n_labels), in the order of the pairs."""
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i].ids))
    found = np.zeros((len(pairs), network.head.out_features))
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            part = order[start : start + batch_size]
            found[part] = network(*tensors([pairs[i] for i in part])).double().numpy()
    return found


def tensors(pairs: Sequence[Pair]) -> list[Tensor]:
    """Ids, segments, mask and the target's tokens, padded to the longest."""
    longest = max(len(pair.ids) for pair in pairs)
    padded = np.zeros((4, len(pairs), longest), np.int64)
    for row, pair in enumerate(pairs):
        n = len(pair.ids)
        padded[0, row, :n], padded[1, row, :n], padded[2, row, :n] = pair.ids, pair.segments, 1
        padded[3, row, slice(*pair.on)] = 1
    return [torch.from_numpy(one) for one in padded]


def has_fast_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16 by itself."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _loss(weights: NDArray[np.float32], schedule: Schedule) -> nn.Module:
    if schedule.multi_label:
        return nn.BCEWithLogitsLoss(pos_weight=torch.from_numpy(weights))
    return nn.CrossEntropyLoss(torch.from_numpy(weights), label_smoothing=schedule.label_smoothing)


def _train(
    network: Network, pairs_of: Callable[[int], Sequence[Pair]], goals: Tensor, loss_of: nn.Module, schedule: Schedule
) -> None:
    learnt = network.learnt()
    head = [one for name, one in learnt.items() if name.startswith("head.")]
    rest = [one for name, one in learnt.items() if not name.startswith("head.")]
    groups = [{"params": rest, "lr": schedule.learning_rate}, {"params": head, "lr": schedule.head_learning_rate}]
    optimizer = torch.optim.AdamW(groups, weight_decay=schedule.weight_decay)
    n_steps = schedule.epochs * math.ceil(len(goals) / schedule.batch_size)
    n_warm = max(1, round(schedule.warm_up * n_steps))
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min((i + 1) / n_warm, (n_steps - i) / max(1, n_steps - n_warm))
    )
    average = [one.detach().clone() for one in learnt.values()]
    rounded = schedule.precision == "bfloat16" or (schedule.precision == "auto" and has_fast_bfloat16())
    rng = np.random.default_rng(schedule.seed)
    network.train()
    for epoch in range(schedule.epochs):
        losses, pairs = [], pairs_of(epoch)
        for batch in _batches(pairs, schedule.batch_size, rng):
            with torch.autocast("cpu", torch.bfloat16, enabled=rounded):
                answer = network(*tensors([pairs[i] for i in batch]))
            loss = loss_of(answer.float(), goals[batch])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(learnt.values(), 1.0)
            optimizer.step()
            rates.step()
            losses.append(loss.item())
            _follow(average, list(learnt.values()), schedule.averaging, rates.last_epoch)
        log.info("epoch %d of %d: loss %.3f", epoch + 1, schedule.epochs, np.mean(losses))
    with torch.no_grad():
        for one, mean in zip(learnt.values(), average, strict=True):
            one.copy_(mean)


def _batches(pairs: Sequence[Pair], size: int, rng: np.random.Generator) -> list[list[int]]:
    """All pairs once in random order, those of about one length together."""
    order, cut = rng.permutation(len(pairs)).tolist(), []
    for start in range(0, len(order), SORTED_BATCHES * size):
        part = sorted(order[start : start + SORTED_BATCHES * size], key=lambda i: len(pairs[i].ids))
        cut += [part[i : i + size] for i in range(0, len(part), size)]
    return [cut[i] for i in rng.permutation(len(cut)).tolist()]


def _follow(average: list[Tensor], values: Sequence[nn.Parameter], kept: float, n_steps: int) -> None:
    """Move the running mean of the weights towards their values; a young mean forgets faster."""
    kept = min(kept, n_steps / (n_steps + 10))
    with torch.no_grad():
        torch._foreach_lerp_(average, [one.detach() for one in values], 1.0 - kept)


def _adapt(layer: nn.Module, rank: int) -> None:
    for parent in list(layer.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                if child.bias is not None:
                    child.bias.requires_grad_(True)
                setattr(parent, name, LowRank(child, rank))
            elif isinstance(child, nn.LayerNorm):
                child.requires_grad_(True)


def _mean(hidden: Tensor, chosen: Tensor) -> Tensor:
    share = chosen[..., None].to(hidden.dtype)
    return (hidden * share).sum(1) / share.sum(1).clamp(min=1.0)
