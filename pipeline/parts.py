"""A scoring job whose output is a folder of Parquet parts, on this machine or on any store that fsspec reaches.

The parts take the place of shards: each is named by its place and by a digest of the articles in it and of the job's settings, and appears
whole or not at all; so a rerun keeps those that still hold and there is nothing to join. Read in the order of their names they are the
records in input order. `_job.json` says with what the job was begun, `_profile.json` that it ended.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ArtifactError
from pipeline.progress import Progress
from pipeline.records import parquet_row, parquet_schema
from pipeline.shards import Batch, Pool, Task, batch_digest, settings_digest
from pipeline.tally import Tally

PART = re.compile(r"part-[0-9]{8}-[0-9a-f]{16}\.parquet")
LEFT = re.compile(r"part-[0-9]{8}-[0-9a-f]{16}\.(parquet|[0-9]+\.tmp)$")
JOB, PROFILE = "_job.json", "_profile.json"


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet file of the output."""

    url: str

    def write(self, content: bytes) -> None:
        """Write the content of a shard; its tally goes into the file's metadata."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        head, _, rest = content.partition(b"\n")
        schema = parquet_schema().with_metadata({"tally": head})
        table = pa.Table.from_pylist([parquet_row(json.loads(line)) for line in rest.splitlines()], schema)
        out = pa.BufferOutputStream()
        pq.write_table(table, out)
        put(self.url, out.getvalue().to_pybytes())

    def tally(self) -> Tally:
        """The counts of the part."""
        import pyarrow.parquet as pq

        store, path = opened(self.url)
        with store.open(path, "rb") as file:
            return Tally(json.loads(pq.read_schema(file).metadata[b"tally"]))


def score_to_parts(
    url: str, batches: Iterable[Batch], pool: Pool, manifest: dict[str, Any], progress: Progress
) -> None:
    """Score the batches into the parts of a folder, those of an interrupted job kept.

    Raises:
        ArtifactError: the folder holds other files, or a job with other models or settings was begun in it.
    """
    folder = url.rstrip("/")
    there = _begin(folder, manifest)
    settings, wanted = settings_digest(manifest), set[str]()

    def missing() -> Iterator[Task]:
        for index, batch in enumerate(batches):
            name = f"part-{index:08d}-{batch_digest(batch, settings)}.parquet"
            wanted.add(name)
            part = Part(f"{folder}/{name}")
            if name in there:
                progress.keep(part.tally())
            else:
                yield part, batch

    for part in pool(missing()):
        progress.add(part.tally())
    store, root = opened(folder)
    store.invalidate_cache()
    for path in store.ls(root, detail=False):  # parts of articles that have changed since, and half-written ones
        name = path.rpartition("/")[2]
        if LEFT.match(name) and name not in wanted:
            store.rm_file(path)


def finish(url: str, profile: bytes) -> None:
    """Say that the job has ended."""
    put(f"{url.rstrip('/')}/{PROFILE}", profile)


def opened(url: str) -> tuple[Any, str]:
    """The store behind a URL or path, and the path in it.

    Raises:
        ArtifactError: no such kind of store.
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise ArtifactError(f"{url}: cannot be written to ({str(error)[:200]})") from None


def put(url: str, content: bytes) -> None:
    """Write a file that appears whole or not at all: stores of objects do so by themselves, here it is renamed."""
    store, path = opened(url)
    if "file" not in store.protocol:
        store.pipe_file(path, content)
        return
    from pathlib import Path

    from pipeline.shards import write_shard

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_shard(Path(path), content)


def _begin(folder: str, manifest: dict[str, Any]) -> set[str]:
    """The names of the parts that an interrupted job has left."""
    store, root = opened(folder)
    store.invalidate_cache()
    names = {path.rpartition("/")[2] for path in store.ls(root, detail=False)} if store.isdir(root) else set[str]()
    if JOB not in names:
        if foreign := sorted(name for name in names if not name.endswith(".tmp")):
            raise ArtifactError(f"{folder}: holds other files ({', '.join(foreign[:3])}); give -o a new folder")
        put(f"{folder}/{JOB}", json.dumps(manifest, sort_keys=True).encode())
        return set()
    old = json.loads(store.cat_file(f"{root}/{JOB}"))
    if changed := ", ".join(sorted(k for k in {*old, *manifest} if old.get(k) != manifest.get(k))):
        raise ArtifactError(f"{folder}: a job with other settings ({changed}) was begun here; give -o a new folder")
    return {name for name in names if PART.fullmatch(name)}


def is_parts(output: str) -> bool:
    """Whether an output is a folder of parts: a URL, or a path that ends in a slash."""
    return "://" in output or output.endswith("/")
