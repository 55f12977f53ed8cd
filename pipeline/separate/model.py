"""The line model in plain numpy: weights in, P(body) and kinds of every line out.

Lines are encoded from their features and words, mixed with their neighbours by dilated convolutions, and compared with the
document's story, which is the mean of its lines weighted by a first guess of P(body); then neighbours are mixed again.

The decision that is not obvious: all weights and activations are rounded to binary fractions small enough that every product
and sum is exact in float64. The order of additions then changes nothing, so the answer for a text does not depend on the
batch it came in, on threads or on the machine's linear algebra.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from scipy.sparse import csr_matrix

from pipeline.document import Kind
from pipeline.errors import ArtifactError
from pipeline.separate.features import NAMES, Features, HashTable

KINDS = tuple(Kind)
BOILERPLATE = KINDS[1:]
ACTIVATION_STEP = 2.0**-10
WEIGHT_STEP = 2.0**-12
EMBEDDING_STEP = 2.0**-6
MAX_ACTIVATION = 64.0
MAX_STORY_CHARS = 500
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
    settings: dict[str, object]

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
    def of(cls, weights: dict[str, np.ndarray], settings: dict[str, object]) -> LineModel:
        """The model of such weights, all rounded to what the arithmetic holds exactly."""
        keys = weights["vocabulary"].astype(np.uint64)
        words = HashTable.of(keys, np.arange(1, len(keys) + 1, dtype=np.int32), bits=18)
        kept = {name: values for name, values in weights.items() if name not in ("vocabulary", "embedding")}
        rounded = {name: _rounded(values.astype(np.float64), WEIGHT_STEP) for name, values in kept.items()}
        for name in ("dense.mean", "dense.scale"):
            rounded[name] = weights[name].astype(np.float64)
        rounded["embedding"] = np.vstack([np.zeros((1, weights["embedding"].shape[1])), weights["embedding"]]).astype(np.float32)
        return cls(rounded, words, settings)

    def __call__(
        self,
        features: Features,
        *,
        cues: np.ndarray | None = None,
        has_cues: np.ndarray | None = None,
        hints: np.ndarray | None = None,
    ) -> LineScores:
        """The scores of every line. `cues` (n, n_cues) are zero where `has_cues` (n,) is; `hints` (n, 2): known body, known not."""
        w, lines = self.weights, features.lines
        dense = np.clip((features.dense - w["dense.mean"]) * w["dense.scale"], -4, 4)
        any_word, edge_words, n_known = self._lexical(features)
        n_cues = w["encode.0.weight"].shape[1] - dense.shape[1] - 2 * any_word.shape[1] - N_MARKS
        shown = np.zeros((len(dense), n_cues)) if cues is None else cues
        has = np.zeros((len(dense), 1)) if has_cues is None else has_cues[:, None].astype(float)
        told = np.zeros((len(dense), 2)) if hints is None else hints
        h = _rounded(np.hstack([dense, any_word, edge_words, n_known, has, told, np.clip(shown, -8, 8)]), ACTIVATION_STEP)
        h = self._relu("encode.1", self._relu("encode.0", h))
        neighbours = _Neighbours(lines.segment)
        for i, dilation in enumerate(self.settings["dilations_before"]):  # type: ignore[arg-type]
            h = self._mix(f"before.{i}", h, neighbours, dilation)
        h = self._add_story(h, features, any_word)
        for i, dilation in enumerate(self.settings["dilations_after"]):  # type: ignore[arg-type]
            h = self._mix(f"after.{i}", h, neighbours, dilation)
        return LineScores(self._calibrated(self._linear("body", h)[:, 0]), self._linear("kinds", h), self._verdict(h, features))

    def _lexical(self, features: Features) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n = len(features.lines)
        known = self.words[features.word_hashes]
        hit = np.flatnonzero(known)
        rows, columns = features.word_lines[hit], known[hit]
        table = self.weights["embedding"]
        ones = np.ones(len(hit), np.float32)
        counts = csr_matrix((ones, (rows, columns)), shape=(2 * n, len(table)))
        n_known = np.bincount(rows, minlength=2 * n).reshape(n, 2)[:, :1].astype(float)
        sums = (counts @ table).astype(np.float64).reshape(n, 2, -1) * EMBEDDING_STEP
        words = features.lines.words
        share = n_known / np.maximum(words.to - words.from_, 1)[:, None]
        any_word = _rounded(sums[:, 0] / np.sqrt(n_known + 1), ACTIVATION_STEP)
        return any_word, np.clip(sums[:, 1], -MAX_ACTIVATION, MAX_ACTIVATION), share

    def _linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _relu(self, name: str, x: np.ndarray) -> np.ndarray:
        return _rounded(np.clip(self._linear(name, x), 0, MAX_ACTIVATION), ACTIVATION_STEP)

    def _mix(self, name: str, h: np.ndarray, neighbours: _Neighbours, dilation: int) -> np.ndarray:
        wide = np.hstack([neighbours.at(h, -dilation), h, neighbours.at(h, dilation)])
        return np.minimum(h + self._relu(name, wide), MAX_ACTIVATION)

    def _add_story(self, h: np.ndarray, features: Features, any_word: np.ndarray) -> np.ndarray:
        lines = features.lines
        bounds, segment = lines.bounds, lines.segment
        guess = _rounded(_sigmoid(self._linear("guess", h)[:, 0]), ACTIVATION_STEP)
        chars = np.minimum(lines.last - lines.first + 1, MAX_STORY_CHARS) / 64
        mass = guess * chars
        total = np.add.reduceat(mass, bounds[:-1])
        summed = np.concatenate([[0.0], np.cumsum(mass)])
        before = summed[:-1] - summed[bounds[segment]]
        whole = np.maximum(total, ACTIVATION_STEP)
        around = np.stack([before / whole[segment], (total[segment] - before - mass) / whole[segment]], axis=1)
        both = np.hstack([h, any_word])
        story = np.add.reduceat(both * mass[:, None], bounds[:-1], axis=0) / whole[:, None]
        mean = np.add.reduceat(h, bounds[:-1], axis=0) / np.diff(bounds)[:, None]
        likeness = any_word * story[segment, h.shape[1] :]
        context = np.hstack([h, story[segment, : h.shape[1]], mean[segment], likeness, around])
        return np.minimum(h + self._relu("story", _rounded(context, ACTIVATION_STEP)), MAX_ACTIVATION)

    def _calibrated(self, logits: np.ndarray) -> np.ndarray:
        scale, shift = self.settings["calibration"]  # type: ignore[misc]
        return np.round(_sigmoid(logits * scale + shift), 4)

    def _verdict(self, h: np.ndarray, features: Features) -> np.ndarray:
        """(n_segments,) P(article), from the mean and the greatest activation of each unit over the lines."""
        bounds = features.lines.bounds
        mean = np.add.reduceat(h, bounds[:-1], axis=0) / np.diff(bounds)[:, None]
        most = np.maximum.reduceat(h, bounds[:-1], axis=0)
        pooled = _rounded(np.hstack([mean, most]), ACTIVATION_STEP)
        return np.round(_sigmoid(self._linear("article", pooled)[:, 0]), 4)


class _Neighbours:
    """Rows shifted by some lines within their segment; beyond its ends there are zeros."""

    def __init__(self, segment: np.ndarray):
        self.segment = segment

    def at(self, h: np.ndarray, shift: int) -> np.ndarray:
        out = np.zeros_like(h)
        distance = abs(shift)
        if distance >= len(h):
            return out
        same = self.segment[distance:] == self.segment[:-distance]
        if shift > 0:
            out[:-distance] = h[distance:] * same[:, None]
        else:
            out[distance:] = h[:-distance] * same[:, None]
        return out


def _rounded(values: np.ndarray, step: float) -> np.ndarray:
    return np.round(values / step) * step


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))
