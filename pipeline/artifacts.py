"""Files in and out: tables through HF `datasets`, JSON lines, digests; outputs appear whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ArtifactError

if TYPE_CHECKING:
    from datasets import Dataset

TABLE_COLUMNS = {
    "id": "string",
    "corpus": "string",
    "text": "large_string",
    "html": "large_string",
    "title": "string",
    "source": "string",
    "date": "string",
    "url": "string",
    "author": "string",
    "labels": "list<string>",
    "target": "string",
    "from": "int64",
    "to": "int64",
    "split": "string",
    "group": "string",
    "boilerplate": "large_string",
    "n_boilerplate_lines": "int64",
    "is_article": "double",
}
"""Every column a stage table may have. A row has the columns that its stage writes, absent values are null."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary sibling of `path` to write to; it takes the name `path` when the block ends well and goes when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    temporary = folder / path.name
    try:
        yield temporary
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_table(rows: Iterable[dict[str, Any]], path: Path, columns: Iterable[str]) -> None:
    """Write rows as one Parquet file with the named columns, in order."""
    import pyarrow as pa
    from datasets import Dataset, disable_progress_bars

    names = list(columns)
    columns_of = {name: [] for name in names}
    for row in rows:
        for name in names:
            columns_of[name].append(row.get(name))
    types = {"list<string>": pa.list_(pa.string()), "large_string": pa.large_string(), "double": pa.float64()}
    schema = pa.schema([(n, types.get(TABLE_COLUMNS[n]) or getattr(pa, TABLE_COLUMNS[n])()) for n in names])
    table = pa.table([pa.array(columns_of[n], type=schema.field(n).type) for n in names], schema=schema)
    disable_progress_bars()
    with replacing(path) as temporary:
        Dataset(table).to_parquet(str(temporary))


def read_table(path: Path) -> Dataset:
    """The table a stage wrote.

    Raises:
        ArtifactError: missing or not Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Dataset

    if not path.exists():
        raise ArtifactError(f"{path}: not there; run the stage that writes it (`slugline run` runs all that is needed)")
    try:
        return Dataset(pq.read_table(path))
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(f"{path}: not a Parquet table ({error}); delete it and run `slugline run`") from error


def write_json(value: Any, path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        ArtifactError: missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path}: not there; run the stage that writes it (`slugline run`)") from None
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: not JSON ({error})") from error


def write_text(text: str, path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_rejected(rejected: Iterable[Any], path: Path) -> dict[str, int]:
    """How many documents were rejected for each reason; the documents themselves are written aside as JSON lines."""
    counts: dict[str, int] = {}
    with replacing(path) as temporary, temporary.open("wb") as out:
        for one in rejected:
            counts[one.reason] = counts.get(one.reason, 0) + 1
            out.write(json_line({"id": one.id, "reason": one.reason, "message": one.message}))
    return counts


def json_line(value: Any) -> bytes:
    """One JSON line in UTF-8; text that UTF-8 cannot hold (lone surrogates) is escaped."""
    line = _AS_IT_IS(value)
    try:
        return line.encode("utf-8") + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value).encode("ascii") + b"\n"


_AS_IT_IS = json.JSONEncoder(ensure_ascii=False).encode


def digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's relative names and files, in hexadecimal."""
    if path.is_dir():
        whole = hashlib.sha256()
        for inner in sorted(p for p in path.rglob("*") if p.is_file()):
            whole.update(f"{inner.relative_to(path).as_posix()}\0{digest(inner)}\n".encode())
        return whole.hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_id(content: str) -> str:
    """The id of an article that brings none: the first 16 hexadecimal digits of its content's SHA-256."""
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def table_digest(ids_and_labels: Iterable[str]) -> str:
    """A digest of the rows of a data set, from their ids, texts and labels in order."""
    whole = hashlib.sha256()
    for one in ids_and_labels:
        whole.update(one.encode("utf-8", "surrogatepass") + b"\0")
    return whole.hexdigest()
