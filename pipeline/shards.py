"""A scoring job in shards beside its output, so that each article is answered exactly once through crashes.

A shard is named by its place and by a digest of the articles in it; it is written under a temporary name, synced and
renamed. A rerun reads the input again, keeps every shard whose digest still holds and computes the others. When all are
there they are joined, and the working folder goes. The joined bytes depend on nothing but input, models and settings.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pipeline.artifacts import json_line, read_json, write_json
from pipeline.document import Article, Rejected
from pipeline.errors import ArtifactError, PipelineError

Batch = list[Article | Rejected]
Work = Callable[[Batch], bytes]


def run_job(
    batches: Iterable[Batch],
    output: Path,
    manifest: dict[str, Any],
    *,
    start: Callable[[], Work],
    n_processes: int,
    report: Callable[[int, int], None],
) -> list[Path]:
    """The finished shards of a job in order, old ones kept. `start` makes, in each process, what answers a batch.

    Raises:
        ArtifactError: the folder was begun with other models or settings.
    """
    folder = begin(output, manifest)
    paths: list[Path] = []
    missing = _missing(batches, folder, paths, report)
    if n_processes <= 1:
        _begin_process(start)
        for path, batch in missing:
            report(*_do(path, batch))
        return paths
    with ProcessPoolExecutor(n_processes, get_context("spawn"), _begin_process, (start,)) as pool:
        waiting: deque[Future[tuple[int, int]]] = deque()
        for path, batch in missing:
            waiting.append(pool.submit(_do, path, batch))
            if len(waiting) >= 2 * n_processes:
                report(*waiting.popleft().result())
        for future in waiting:
            report(*future.result())
    return paths


def _missing(
    batches: Iterable[Batch], folder: Path, paths: list[Path], report: Callable[[int, int], None]
) -> Iterator[tuple[Path, Batch]]:
    """The batches that have no shard yet; the path of every batch's shard is added to `paths`."""
    for index, batch in enumerate(batches):
        paths.append(shard_path(folder, index, batch))
        if paths[-1].exists():
            report(len(batch), sum(isinstance(one, Rejected) for one in batch))
        else:
            yield paths[-1], batch


def begin(output: Path, manifest: dict[str, Any]) -> Path:
    """The working folder of a job, new or taken up again."""
    folder = output.with_name(f".{output.name}.work")
    note = folder / "manifest.json"
    if note.is_file():
        old = read_json(note)
        if old != manifest:
            changed = ", ".join(sorted(k for k in {*old, *manifest} if old.get(k) != manifest.get(k)))
            raise ArtifactError(
                f"{output}: a job with other settings ({changed}) was begun here; delete {folder} to start over, or choose another -o"
            )
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    write_json(manifest, note)
    return folder


def shard_path(folder: Path, index: int, batch: Batch) -> Path:
    """Where the answers to a batch go; the name holds a digest of all that the answers depend on."""
    whole = hashlib.sha256()
    for one in batch:
        content = (one.id, one.reason, one.message) if isinstance(one, Rejected) else (one.id, one.text, one.html, one.title)
        whole.update(json.dumps(content).encode())
    return folder / f"{index:08d}-{whole.hexdigest()[:16]}.jsonl"


def write_shard(path: Path, content: bytes) -> None:
    """Write, sync and rename: the shard is there whole or not at all."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def join(paths: Sequence[Path], output: Path) -> None:
    """The shards as one file, in place whole or not at all."""
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as out:
            for path in paths:
                with path.open("rb") as part:
                    shutil.copyfileobj(part, out)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)


def records(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The records in the shards, in order."""
    for path in paths:
        with path.open("rb") as lines:
            for line in lines:
                yield json.loads(line)


_work: Work | None = None


def _begin_process(start: Callable[[], Work]) -> None:
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _work = start()


def _do(path: Path, batch: Batch) -> tuple[int, int]:
    if _work is None:
        raise PipelineError("a scoring process was not started properly")
    write_shard(path, _work(batch))
    return len(batch), sum(isinstance(one, Rejected) for one in batch)


def encode(records: Iterable[dict[str, Any]]) -> bytes:
    """Records as JSON lines."""
    return b"".join(json_line(record) for record in records)
