"""The line model in plain numpy: weights in, P(body) and kinds of every line out.

Lines are encoded from their features and words, mixed with their neighbours by dilated convolutions, and compared with the
document's story, which is the mean of its lines weighted by a first guess of P(body); then neighbours are mixed again.

The decision that is not obvious: all weights and activations are rounded to binary fractions, and every layer's weights are
bounded, such that every product and sum is exact in float32. The order of additions then changes nothing, so the answer for a
text does not depend on the batch it came in, on threads or on the machine's linear algebra. A few small networks (`members`)
read the same features; their logits are averaged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from scipy.sparse import csr_matrix

from pipeline.document import Kind
from pipeline.errors import ArtifactError
from pipeline.separate.features import NAMES, Features, HashTable

KINDS = tuple(Kind)
BOILERPLATE = KINDS[1:]
ACTIVATION_STEP = 2.0**-6
WEIGHT_STEP = 2.0**-9
EMBEDDING_STEP = 2.0**-6
MAX_ACTIVATION = 16.0
MAX_ROW_SUM = 2.0**24 * ACTIVATION_STEP * WEIGHT_STEP / MAX_ACTIVATION
"""The sum of a row's absolute weights up to which float32 holds every partial sum exactly."""
MAX_STORY_CHARS = 500
_PARTS = (".before", ".own", ".after")
"""What a convolution makes of the line before, of the line itself and of the line after."""
N_MARKS = 4
"""Columns between the words and the cues: share of known words, whether there are cues, two hints."""


@dataclass(frozen=True, slots=True)
class LineScores:
    """P(body) (n,), calibrated; the logits of the boilerplate kinds (n, 10); per segment what tells articles from other pages."""

    body: np.ndarray
    kinds: np.ndarray
    is_article: np.ndarray


@dataclass(frozen=True, slots=True)
class LineModel:
    """Weights by name, as `pipeline.separate.network` names them, and the words they know."""

    weights: dict[str, np.ndarray]
    words: HashTable
    phrases: HashTable
    settings: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> LineModel:
        """The model in a folder of `weights.safetensors` and `model.json`.

        Raises:
            ArtifactError: a file is missing or damaged, or the weights are for other features.
        """
        try:
            settings = json.loads((folder / "model.json").read_text(encoding="utf-8"))
            weights = load_file(folder / "weights.safetensors")
        except (OSError, ValueError, SafetensorError) as error:
            raise ArtifactError(f"{folder}: no separator weights ({error}); run `slugline train-separator`") from None
        if settings.get("features") != list(NAMES):
            raise ArtifactError(f"{folder}: the weights are for other features; run `slugline train-separator`")
        return cls.of(weights, settings)

    @classmethod
    def of(cls, weights: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> LineModel:
        """The model of such weights, all rounded to what the arithmetic holds exactly."""
        rounded: dict[str, np.ndarray] = {}
        for name, values in weights.items():
            if name in ("dense.mean", "dense.scale"):
                rounded[name] = values.astype(np.float64)
            elif name.endswith(".table"):
                rounded[name] = np.vstack([np.zeros((1, values.shape[1])), values]).astype(np.float32)
            elif not name.endswith(".keys"):
                rounded[name] = (np.round(values / WEIGHT_STEP) * WEIGHT_STEP).astype(np.float32)
        for name in [n for n in rounded if ".before." in n or ".after." in n]:
            if name.endswith(".weight"):
                for part, third in zip(_PARTS, np.split(rounded[name].T, 3, axis=0), strict=True):
                    rounded[name.replace(".weight", part)] = third.copy()
        too_large = [
            n for n, v in rounded.items() if n.endswith(".weight") and np.abs(v).sum(axis=1).max() > MAX_ROW_SUM
        ]
        if too_large:
            raise ArtifactError(
                f"separator weights too large for exact sums: {', '.join(too_large)}; raise training.weight_decay"
            )
        return cls(rounded, vocabulary(weights["words.keys"]), vocabulary(weights["phrases.keys"]), settings)

    def __call__(
        self,
        features: Features,
        *,
        cues: np.ndarray | None = None,
        has_cues: np.ndarray | None = None,
        hints: np.ndarray | None = None,
    ) -> LineScores:
        """The scores of every line. `cues` (n, n_cues) are zero where `has_cues` (n,) is; `hints` (n, 2): known body, known not."""
        x, words = self._inputs(features, cues, has_cues, hints)
        n, n_segments = len(x), len(features.lines.bounds) - 1
        scores = LineScores(np.zeros(n), np.zeros((n, len(BOILERPLATE))), np.zeros(n_segments))
        chars = np.minimum(features.lines.last - features.lines.first + 1, MAX_STORY_CHARS) / 64
        n_members = int(self.settings["members"])
        for first, last in _chunks(features.lines.bounds):
            bounds = features.lines.bounds[first : last + 1]
            rows = slice(bounds[0], bounds[-1])
            stretch = _Stretch(features.lines.segment[rows] - first, bounds - bounds[0])
            for member in range(n_members):
                h = self._encoded(f"members.{member}.", x[rows], words[rows], chars[rows], stretch)
                scores.body[rows] += self._linear(f"members.{member}.body", h)[:, 0]
                scores.kinds[rows] += self._linear(f"members.{member}.kinds", h)
                scores.is_article[first:last] += self._linear(f"members.{member}.article", stretch.pooled(h))[:, 0]
        calibration = self.settings["calibration"]
        body = np.interp(_sigmoid(scores.body / n_members), calibration["raw"], calibration["calibrated"])
        body = np.round(body, 4)
        return LineScores(body, scores.kinds, np.round(_sigmoid(scores.is_article / n_members), 4))

    def _inputs(
        self, features: Features, cues: np.ndarray | None, has_cues: np.ndarray | None, hints: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the first layer reads of each line; without cues their columns are left out. And the mean of its words."""
        w = self.weights
        words, phrases, n_known = self._lexical(features)
        n, n_dense, n_lexical = len(features.dense), features.dense.shape[1], words.shape[1] + phrases.shape[1]
        n_columns = n_dense + n_lexical + N_MARKS
        x = np.zeros((n, n_columns if cues is None else w["members.0.encode.0.weight"].shape[1]), np.float32)
        dense = features.dense.T - w["dense.mean"][:, None]
        dense *= w["dense.scale"][:, None]
        x[:, :n_dense] = np.clip(dense, -4, 4, out=dense).T
        x[:, n_dense : n_dense + words.shape[1]] = words
        x[:, n_dense + words.shape[1] : n_dense + n_lexical] = phrases
        x[:, n_columns - 4] = n_known
        if has_cues is not None:
            x[:, n_columns - 3] = has_cues
        if hints is not None:
            x[:, n_columns - 2 : n_columns] = hints
        if cues is not None:
            x[:, n_columns:] = np.clip(cues, -8, 8)
        return _round(x), words

    def _encoded(self, name: str, x: np.ndarray, words: np.ndarray, chars: np.ndarray, stretch: _Stretch) -> np.ndarray:
        """A member's last hidden state of each line."""
        first = self.weights[f"{name}encode.0.weight"][:, : x.shape[1]]
        h = self._relu(f"{name}encode.1", _positive(x @ first.T, self.weights[f"{name}encode.0.bias"]))
        for i, dilation in enumerate(self.settings["dilations_before"]):
            self._mix(f"{name}before.{i}", h, stretch, dilation)
        self._add_story(name, h, words, chars, stretch)
        for i, dilation in enumerate(self.settings["dilations_after"]):
            self._mix(f"{name}after.{i}", h, stretch, dilation)
        return h

    def _lexical(self, features: Features) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The mean of each line's words and the sum of its phrases, as vectors, and the share of its words that are known."""
        lines, n = features.lines, len(features.lines)
        words, n_known = self._sums("words", lines.words.line, self.words[lines.words.hash], n)
        phrases, _ = self._sums("phrases", features.phrase_lines, self.phrases[features.phrase_hashes], n)
        words = np.clip(words / np.sqrt(n_known + 1)[:, None], -MAX_ACTIVATION, MAX_ACTIVATION)
        return (
            _round(words),
            np.clip(phrases, -MAX_ACTIVATION, MAX_ACTIVATION),
            n_known / np.maximum(lines.words.to - lines.words.from_, 1),
        )

    def _sums(self, name: str, rows: np.ndarray, columns: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """(n, width) sums of the table's rows, and how many each line has; whole numbers, so exact in float32."""
        hit = np.flatnonzero(columns)
        rows, table = rows[hit], self.weights[f"{name}.table"]
        counts = csr_matrix((np.ones(len(hit), np.float32), (rows, columns[hit])), shape=(n, len(table)))
        return (counts @ table).astype(np.float64) * EMBEDDING_STEP, np.bincount(rows, minlength=n).astype(float)

    def _linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _relu(self, name: str, x: np.ndarray) -> np.ndarray:
        return _positive(x @ self.weights[f"{name}.weight"].T, self.weights[f"{name}.bias"])

    def _mix(self, name: str, h: np.ndarray, stretch: _Stretch, dilation: int) -> None:
        """Add to each line what it makes of itself and of the lines `dilation` before and after."""
        before, out, after = (h @ self.weights[name + part] for part in _PARTS)
        if dilation < len(h):
            stretch.add_from_before(out, before, dilation)
            stretch.add_from_after(out, after, dilation)
        h += _positive(out, self.weights[f"{name}.bias"])
        np.minimum(h, MAX_ACTIVATION, out=h)

    def _add_story(self, name: str, h: np.ndarray, words: np.ndarray, chars: np.ndarray, stretch: _Stretch) -> None:
        """Add what each line makes of the story: the lines' mean, weighted by a first guess of P(body) and length."""
        segment = stretch.segment
        mass = _round(_sigmoid(self._linear(f"{name}guess", h)[:, 0])) * chars
        total = stretch.sums(mass)
        summed = np.concatenate([[0.0], np.cumsum(mass)])
        before = summed[:-1] - summed[stretch.bounds[segment]]
        whole = np.maximum(total, ACTIVATION_STEP)
        both = np.hstack([h, words])
        story = (stretch.sums(both * mass[:, None]) / whole[:, None]).astype(np.float32)
        context = np.empty((len(h), 3 * h.shape[1] + words.shape[1] + 2), np.float32)
        own, told, mean, likeness, around = np.split(context, np.cumsum([h.shape[1]] * 3 + [words.shape[1]]), axis=1)
        own[:], told[:], mean[:] = h, story[segment, : h.shape[1]], stretch.means(h)[segment]
        np.multiply(words, story[segment, h.shape[1] :], out=likeness)
        np.clip(likeness, -MAX_ACTIVATION, MAX_ACTIVATION, out=likeness)
        around[:, 0], around[:, 1] = before / whole[segment], (total[segment] - before - mass) / whole[segment]
        h += self._relu(f"{name}story", _round(context))
        np.minimum(h, MAX_ACTIVATION, out=h)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Some whole segments: which one each line is in, counted from 0, and where they begin and end."""

    segment: np.ndarray
    bounds: np.ndarray
    borders: dict[int, np.ndarray] = field(default_factory=dict)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Exact float64 sums of the values of each segment."""
        return np.add.reduceat(values, self.bounds[:-1], axis=0, dtype=np.float64)

    def means(self, values: np.ndarray) -> np.ndarray:
        return self.sums(values) / np.diff(self.bounds)[:, None]

    def pooled(self, values: np.ndarray) -> np.ndarray:
        """The mean and the greatest of each column, side by side."""
        return _round(np.hstack([self.means(values), np.maximum.reduceat(values, self.bounds[:-1], axis=0)]))

    def add_from_before(self, out: np.ndarray, values: np.ndarray, distance: int) -> None:
        """Add to each row that of `distance` rows before, within a segment. Exact, so what crossed a border is taken back."""
        out[distance:] += values[:-distance]
        crossed = self.crossed(distance)
        out[crossed + distance] -= values[crossed]

    def add_from_after(self, out: np.ndarray, values: np.ndarray, distance: int) -> None:
        """Likewise that of `distance` rows after."""
        out[:-distance] += values[distance:]
        crossed = self.crossed(distance)
        out[crossed] -= values[crossed + distance]

    def crossed(self, distance: int) -> np.ndarray:
        """The rows whose row `distance` on is in another segment."""
        if distance not in self.borders:
            differs = self.segment[distance:] != self.segment[:-distance]
            self.borders[distance] = np.flatnonzero(differs)
        return self.borders[distance]


def vocabulary(keys: np.ndarray) -> HashTable:
    """For each of the hashes its place, counted from 1."""
    return HashTable.of(keys.astype(np.uint64), np.arange(1, len(keys) + 1, dtype=np.int32), bits=18)


def _chunks(bounds: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges of segments with some hundred lines: arrays of that size stay in the processor's cache."""
    first = 0
    while first < len(bounds) - 1:
        last = max(first + 1, int(np.searchsorted(bounds, bounds[first] + _CHUNK_LINES, side="right")) - 1)
        yield first, last
        first = last


_CHUNK_LINES = 768
_ROUNDERS = {
    np.dtype(kind): kind(1.5 * 2.0**n_digits * ACTIVATION_STEP)
    for kind, n_digits in ((np.float32, 23), (np.float64, 52))
}


def _round(values: np.ndarray) -> np.ndarray:
    """The same array, in place, with its values rounded to ACTIVATION_STEP: the sum with a large number has no finer digits."""
    rounder = _ROUNDERS[values.dtype]
    values += rounder
    values -= rounder
    return values


def _positive(values: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The same array, in place, plus the bias, cut at 0 and MAX_ACTIVATION, rounded."""
    values += bias
    np.clip(values, 0, MAX_ACTIVATION, out=values)
    return _round(values)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))
