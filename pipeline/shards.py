"""A scoring job in shards beside its output, so that each article is answered exactly once through crashes.

A shard is named by its place and by a digest of the articles in it and of the job's settings; it is written under a temporary
name, synced and renamed. A rerun reads the input again, keeps every shard whose name still holds and computes the others. When
all are there they are joined, and the working folder goes. The joined bytes depend on nothing but input, models and settings.

Who computes is a `Pool`: this process, several (`pipeline.crew`), or a Ray cluster (`pipeline.ray_engine`).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias

from pipeline.artifacts import json_line, read_json, write_json
from pipeline.document import Article, Rejected
from pipeline.errors import ArtifactError
from pipeline.progress import Progress
from pipeline.tally import Tally

Batch: TypeAlias = list[Article | Rejected]
Work: TypeAlias = Callable[[Batch], bytes]
"""Answers a batch: a JSON line with its tally, then one an article, in order."""


class Place(Protocol):
    """Where the answers to a batch go."""

    def write(self, content: bytes) -> None:
        """Write them, whole or not at all."""
        ...

    def tally(self) -> Tally:
        """The counts of what was written."""
        ...


Task: TypeAlias = tuple[Place, Batch]
Pool: TypeAlias = Callable[[Iterable[Task]], Iterator[Place]]
"""Writes the answers of every task to its place, in any order; yields the places that are done."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A place on this machine."""

    path: Path

    def write(self, content: bytes) -> None:
        """Write, sync and rename."""
        write_shard(self.path, content)

    def tally(self) -> Tally:
        """The counts in its first line."""
        with self.path.open("rb") as lines:
            return Tally(json.loads(lines.readline()))


@dataclass(frozen=True, slots=True)
class Job:
    """A working folder that this process holds, and the digest of the settings it was begun with."""

    folder: Path
    digest: str

    def fill(self, batches: Iterable[Batch], pool: Pool, progress: Progress) -> list[Path]:
        """The shards of all batches in order, old ones kept, the others computed by `pool`."""
        paths: list[Path] = []
        for done in pool(self._missing(batches, paths, progress)):
            progress.add(done.tally())
        return paths

    def publish(self, output: Path, write: Callable[[IO[bytes]], None]) -> None:
        """What `write` writes stands at `output`, whole or not at all, and the working folder is gone."""
        temporary = self.folder / "whole.tmp"
        with temporary.open("wb") as out:
            write(out)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, output)
        _sync_folder(output.parent)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _missing(self, batches: Iterable[Batch], paths: list[Path], progress: Progress) -> Iterator[Task]:
        for index, batch in enumerate(batches):
            paths.append(self.folder / f"{index:08d}-{batch_digest(batch, self.digest)}.jsonl")
            if paths[-1].exists():
                progress.keep(Shard(paths[-1]).tally())
            else:
                yield Shard(paths[-1]), batch


@contextmanager
def begun(output: Path, manifest: dict[str, Any]) -> Iterator[Job]:
    """The job that writes `output`, new or taken up again, held against other processes while the block runs.

    Raises:
        ArtifactError: another process works on it, or it was begun with other models or settings.
    """
    folder = output.with_name(f".{output.name}.work")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArtifactError(
                f"{output}: another job is writing it; wait for that one, or choose another -o"
            ) from None
        _check_manifest(output, folder, manifest)
        yield Job(folder, settings_digest(manifest))


def settings_digest(manifest: dict[str, Any]) -> str:
    """What stands for the settings of a job in the names of its shards."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _check_manifest(output: Path, folder: Path, manifest: dict[str, Any]) -> None:
    note = folder / "manifest.json"
    if not note.is_file():
        write_json(manifest, note)
        return
    old = read_json(note)
    if old != manifest:
        changed = ", ".join(sorted(k for k in {*old, *manifest} if old.get(k) != manifest.get(k)))
        raise ArtifactError(
            f"{output}: a job with other settings ({changed}) was begun here; delete {folder} to start over, or choose another -o"
        )


def batch_digest(batch: Batch, settings: str) -> str:
    """16 hexadecimal digits that stand for all that the answers to a batch depend on."""
    whole = hashlib.sha256(settings.encode())
    for one in batch:
        if isinstance(one, Rejected):
            content: tuple[str | None, ...] = ("rejected", one.id, one.reason, one.message)
        else:
            content = (one.id, one.text, one.html, one.title, one.source, one.date, one.url, one.author)
        encoded = [None if part is None else part.encode("utf-8", "surrogatepass") for part in content]
        whole.update(b"".join([b"-" if part is None else b"%d:%b" % (len(part), part) for part in encoded]))
    return whole.hexdigest()[:16]


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


def encode(counts: Tally, records: Iterable[dict[str, Any]]) -> bytes:
    """The content of a shard."""
    return b"".join([json_line(dict(sorted((+counts).items()))), *map(json_line, records)])


def merged(parts: Sequence[bytes]) -> bytes:
    """The content of the shard of a batch, of those of its parts in order."""
    counts, lines = Tally(), list[bytes]()
    for part in parts:
        head, _, rest = part.partition(b"\n")
        counts.update(json.loads(head))
        lines.append(rest)
    return encode(counts, ()) + b"".join(lines)


def join(paths: Iterable[Path], out: IO[bytes]) -> None:
    """The records of the shards one after another."""
    for path in paths:
        with path.open("rb") as part:
            part.readline()
            shutil.copyfileobj(part, out, 1 << 20)


def records(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The records in the shards, in order."""
    for path in paths:
        with path.open("rb") as lines:
            lines.readline()
            yield from map(json.loads, lines)


def here(start: Callable[[], Work]) -> Pool:
    """The pool that is this process. `start` makes what answers a batch, when the first one comes."""

    def answered(tasks: Iterable[Task]) -> Iterator[Place]:
        work: Work | None = None
        for place, batch in tasks:
            work = work or start()
            place.write(work(batch))
            yield place

    return answered


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder last, where the file system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
