"""Examples in a file of their own, read when they are asked for: what `fit` takes where a corpus does not fit into memory."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import json_line
from pipeline.document import Example


class StoredExamples(Sequence[Example]):
    """A sequence of which memory holds where each example begins; its file has no name and goes with it."""

    def __init__(self, examples: Iterable[Example], folder: str | None = None):
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (open as long as the sequence lives)
        self._starts: NDArray[np.int64] = np.fromiter(self._written(examples), np.int64)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __iter__(self) -> Iterator[Example]:
        return map(self._read, range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        places = range(len(self))[index]
        return self._read(places) if isinstance(places, int) else [self._read(i) for i in places]

    def _written(self, examples: Iterable[Example]) -> Iterator[int]:
        end = 0
        yield end
        for one in examples:
            end += self._file.write(json_line(astuple(one)))
            yield end
        self._file.flush()

    def _read(self, i: int) -> Example:
        start, end = int(self._starts[i]), int(self._starts[i + 1])
        values: list[Any] = json.loads(os.pread(self._file.fileno(), end - start, start))
        id_, text, title, labels, target, span, *rest = values
        return Example(id_, text, title, tuple(labels), target, None if span is None else (span[0], span[1]), *rest)
