"""The network behind `kind: adapter`: an encoder that is fine-tuned whole, but for its word vectors, and a head; imports torch.

The decision that is not obvious: what is kept of a trained map is its change, in a few bits a weight with one step a row. Trained
whole it learns better than a change of low rank does (Hu et al. 2021, LoRA), in the same time, and a change needs fewer bits than a weight
(Liu et al. 2024, BitDelta, arXiv 2402.10193). Several trainings from one start may be averaged weight by weight before (Wortsman et al.
2022, Model soups, arXiv 2203.05482).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.classifiers.pairs import CLOSE, OPEN, Pair

log = logging.getLogger(__name__)

Weights: TypeAlias = NDArray[np.float32]
STEPS = tuple(round(0.05 * i, 2) for i in range(1, 31))  # tried, in spreads of a row's values
_TINY = 1e-12
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
    consistency: float
    averaging: float
    precision: str
    multi_label: bool
    seed: int

    @property
    def n_readings(self) -> int:
        """How often an example stands in a batch."""
        return 2 if self.consistency and not self.multi_label else 1

    @property
    def n_examples(self) -> int:
        """Examples in a batch."""
        return max(1, self.batch_size // self.n_readings)


class Network(nn.Module):
    """Logits of pairs: a head over the first token, the mean over the target's and the mean over all."""

    def __init__(self, encoder: Any, n_labels: int, mark: int, dropout: float):
        super().__init__()
        self.encoder = encoder.requires_grad_(False)
        self.encoder.encoder.requires_grad_(True)
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

    def values(self) -> dict[str, Weights]:
        """What is trained, as arrays of its own."""
        return {name: one.detach().numpy().copy() for name, one in self.learnt().items()}

    def set(self, values: Mapping[str, Weights]) -> None:
        """Take these values for what is trained."""
        with torch.no_grad():
            for name, one in self.learnt().items():
                one.copy_(torch.from_numpy(values[name]))

    def changes(self, learnt: Mapping[str, Weights], bits: int) -> dict[str, NDArray[Any]]:
        """What `take` makes of this untrained network nearly the one that was learnt: maps as changes of `bits` a weight, the rest in float16."""
        kept = dict[str, NDArray[Any]]()
        for name, own in self.learnt().items():
            if own.ndim == 2 and name.startswith("encoder."):
                kept[f"{name}.codes"], kept[f"{name}.steps"] = in_bits(learnt[name] - own.detach().numpy(), bits)
            else:
                kept[name] = learnt[name].astype(np.float16)
        return kept

    def take(self, changes: Mapping[str, NDArray[Any]], bits: int) -> None:
        """Take what was learnt."""
        with torch.no_grad():
            for name, one in self.learnt().items():
                if name in changes:
                    one.copy_(torch.from_numpy(changes[name].astype(np.float32)))
                else:
                    codes, steps = changes[f"{name}.codes"], changes[f"{name}.steps"]
                    one += torch.from_numpy(out_of_bits(codes, steps, bits, one.shape[1]))


def in_bits(matrix: Weights, bits: int) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    """Codes, packed row by row, and one step a row, that of STEPS with the least squared error: a value is its level times its row's step."""
    most = 2**bits
    spread = matrix.std(axis=1, keepdims=True) + _TINY
    best, error = np.zeros_like(spread), np.full_like(spread, np.inf)
    for share in STEPS:
        step = (share * spread).astype(np.float16).astype(np.float32) + _TINY
        lost = np.square(_levels(_codes(matrix, step, most), most) * step - matrix).sum(axis=1, keepdims=True)
        best, error = np.where(lost < error, step, best), np.minimum(lost, error)
    steps = best.astype(np.float16)
    codes = _codes(matrix, steps.astype(np.float32) + _TINY, most)
    places = np.unpackbits(codes.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :]
    return np.packbits(places.reshape(len(matrix), -1), axis=1), steps[:, 0]


def out_of_bits(codes: NDArray[np.uint8], steps: NDArray[np.float16], bits: int, n_columns: int) -> Weights:
    """The matrix that `in_bits` wrote, nearly."""
    places = np.unpackbits(codes, axis=1)[:, : n_columns * bits].reshape(len(codes), n_columns, bits)
    numbers = places @ (1 << np.arange(bits - 1, -1, -1)).astype(np.uint8)
    return _levels(numbers, 2**bits) * steps.astype(np.float32)[:, None]


def _codes(matrix: Weights, step: Weights, n_levels: int) -> NDArray[np.int64]:
    return np.clip(np.floor(matrix / step) + n_levels // 2, 0, n_levels - 1).astype(np.int64)


def _levels(codes: NDArray[Any], n_levels: int) -> Weights:
    return codes.astype(np.float32) - np.float32((n_levels - 1) / 2)


def train(
    network: Network,
    pairs_of: Callable[[int], Sequence[Sequence[Pair]]],
    goals: NDArray[np.float32],
    weights: NDArray[np.float32],
    schedule: Schedule,
) -> dict[str, Weights]:
    """What the network learns of how an epoch's examples should be answered, (n, n_labels); `weights` has one number a label.

    `pairs_of` gives an epoch's pairs, as many lists as there are readings of an example; `consistency` brings the answers to them together.
    """
    with seeded(schedule.seed):
        _train(network, pairs_of, torch.from_numpy(goals), _loss(weights, schedule), schedule)
    return network.values()


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
    network: Network,
    pairs_of: Callable[[int], Sequence[Sequence[Pair]]],
    goals: Tensor,
    loss_of: nn.Module,
    schedule: Schedule,
) -> None:
    learnt = network.learnt()
    head = [one for name, one in learnt.items() if name.startswith("head.")]
    rest = [one for name, one in learnt.items() if not name.startswith("head.")]
    groups = [{"params": rest, "lr": schedule.learning_rate}, {"params": head, "lr": schedule.head_learning_rate}]
    optimizer = torch.optim.AdamW(groups, weight_decay=schedule.weight_decay)
    n_steps = schedule.epochs * math.ceil(len(goals) / schedule.n_examples)
    n_warm = max(1, round(schedule.warm_up * n_steps))
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min((i + 1) / n_warm, (n_steps - i) / max(1, n_steps - n_warm))
    )
    average = [one.detach().clone() for one in learnt.values()]
    rounded = schedule.precision == "bfloat16" or (schedule.precision == "auto" and has_fast_bfloat16())
    rng = np.random.default_rng(schedule.seed)
    network.train()
    for epoch in range(schedule.epochs):
        losses, readings = [], pairs_of(epoch)
        for batch in _batches(readings[0], schedule.n_examples, rng):
            with torch.autocast("cpu", torch.bfloat16, enabled=rounded):
                answer = network(*tensors([pairs[i] for pairs in readings for i in batch])).float()
            loss = loss_of(answer, goals[batch * schedule.n_readings])
            if schedule.n_readings > 1:
                loss = loss + schedule.consistency * _divergence(*answer.chunk(2))
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


def _divergence(one: Tensor, other: Tensor) -> Tensor:
    """How far two answers to the same examples are apart: the mean of the Kullback-Leibler divergences of both ways (Wu et al. 2021, R-Drop)."""
    p, q = one.log_softmax(1), other.log_softmax(1)
    return ((p.exp() - q.exp()) * (p - q)).sum(1).mean() / 2


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


def _mean(hidden: Tensor, chosen: Tensor) -> Tensor:
    share = chosen[..., None].to(hidden.dtype)
    return (hidden * share).sum(1) / share.sum(1).clamp(min=1.0)
