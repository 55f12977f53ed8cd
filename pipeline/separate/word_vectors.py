"""Vectors for single words, from a frozen sentence encoder: what lets the model treat words alike that mean alike.

Each word is encoded alone, the vectors' main axes are kept, and common words are weighed down, as model2vec does it.

References: Tulkens & van Dongen, Model2Vec (2024); Arora et al., A simple but tough-to-beat baseline for sentence embeddings (2017).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.classifiers.encoder import Encoder
from pipeline.separate.model import EMBEDDING_STEP


def word_vectors(
    words: Sequence[str], shares: np.ndarray, *, n_axes: int, encoder: str, smoothing: float
) -> np.ndarray:
    """(n, n_axes) int8 in units of EMBEDDING_STEP. `shares` is how often each word stands among all words."""
    vectors = Encoder(encoder, max_tokens=16, max_chunks=1, batch_size=64, cache=None).encode(words).astype(np.float64)
    vectors -= vectors.mean(axis=0)
    _, axes = np.linalg.eigh(vectors.T @ vectors)
    axes = axes[:, ::-1][:, :n_axes]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(n_axes)])
    main = vectors @ axes
    main *= 0.5 / main.std()
    main *= (smoothing / (smoothing + shares))[:, None]
    return np.clip(np.round(main / EMBEDDING_STEP), -127, 127).astype(np.int8)
