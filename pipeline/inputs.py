"""Files of any format in, `Article`s out, one at a time: what `ingest`, `separate` and `score` read.

Text, HTML, JSON lines, CSV, Parquet and WARC; `.gz` and `.zst` around any of them; folders, globs, fsspec URLs and standard
input. Decompression is bounded, a bad row is a `Rejected` value and never ends the batch; a path that cannot be opened
at all raises. Encodings are sniffed: a byte-order mark, then UTF-8, then charset-normalizer.
"""

from __future__ import annotations

import csv
import glob
import gzip
import io
import json
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeAlias, cast

from pydantic import Field

from pipeline.artifacts import content_id
from pipeline.config import Config
from pipeline.document import Article, Rejected
from pipeline.errors import DataError

SUFFIXES = (".txt", ".text", ".md", ".html", ".htm", ".xhtml", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".warc")


class Limits(Config):
    """Bounds on what one input may cost, from `configs/inputs.yaml`."""

    max_article_bytes: int = Field(ge=1)
    max_file_bytes: int = Field(ge=1)
    max_expansion: float = Field(ge=1)
    max_sniffed_bytes: int = Field(ge=1)


Row: TypeAlias = tuple[Article, dict[str, Any]]
"""An article and the other columns of the row it came from: labels, target, split."""


def read_articles(paths: Iterable[str], limits: Limits) -> Iterator[Article | Rejected]:
    """The articles in the files, folders, globs and URLs, in order; `-` is JSON lines on standard input.

    Raises:
        DataError: a path does not exist, cannot be opened, or is a folder without articles.
    """
    for row in read_rows(paths, limits):
        yield row if isinstance(row, Rejected) else row[0]


def read_rows(paths: Iterable[str], limits: Limits) -> Iterator[Row | Rejected]:
    """As `read_articles`, each article with the other columns of its row."""
    for path in paths:
        if path == "-":
            yield from _json_rows(sys.stdin.buffer, "standard input", limits)
            continue
        for name in _expand(path):
            yield from _read_file(name, limits)


def decode(data: bytes, limits: Limits) -> str:
    """The text in bytes of unknown encoding.

    Raises:
        ValueError: the bytes are not text.
    """
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if b"\0" in data[: limits.max_sniffed_bytes] and data[:4096].count(b"\0") > len(data[:4096]) // 20:
        raise ValueError("binary content")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _decode_legacy(data, limits)


def _decode_legacy(data: bytes, limits: Limits) -> str:
    from charset_normalizer import from_bytes

    sample = data[: limits.max_sniffed_bytes]
    controls = sum(byte < 9 or 13 < byte < 32 for byte in sample)
    if controls > len(sample) // 20:
        raise ValueError("binary content")
    # A text that is UTF-8 but for a few bytes is damaged UTF-8; anything else is sniffed, and Western European if in doubt.
    damaged = data.decode("utf-8", "replace")
    if damaged.count("\ufffd") * 50 < sum(map(_is_beyond_ascii, damaged)):
        return damaged
    best = from_bytes(sample, cp_isolation=["cp1252", "cp1251", "cp1250", "gb18030", "shift_jis", "big5", "euc_kr"]).best()
    return data.decode(best.encoding if best else "cp1252", "replace")


def _is_beyond_ascii(character: str) -> bool:
    return character > "\x7f"


def _expand(path: str) -> list[str]:
    if "://" in path:
        return [path]
    if os.path.isdir(path):
        found = sorted(str(p) for p in Path(path).rglob("*") if p.is_file() and _suffix(p.name)[0] and not p.name.startswith("."))
        if not found:
            raise DataError(f"a folder without articles; expected files ending in {', '.join(SUFFIXES)}", file=path)
        return found
    if os.path.exists(path):
        return [path]
    if found := sorted(glob.glob(path, recursive=True)):
        return [name for inner in found for name in _expand(inner)]
    raise DataError("no such file or folder; give a path, a glob, a URL or - for standard input", file=path)


def _suffix(name: str) -> tuple[str, str]:
    """The suffix that tells the format, and that of the compression around it; '' where unknown."""
    suffixes = [s.lower() for s in PurePosixPath(name).suffixes]
    packed = suffixes.pop() if suffixes and suffixes[-1] in (".gz", ".zst") else ""
    return (suffixes[-1] if suffixes and suffixes[-1] in SUFFIXES else ""), packed


def _read_file(name: str, limits: Limits) -> Iterator[Row | Rejected]:
    form, packed = _suffix(name)
    try:
        with _open(name) as raw:
            stream = cast(BinaryIO, _Bounded(raw, packed, limits, name)) if packed else raw
            yield from _read_stream(stream, name, form, limits)
    except _TooLarge as error:
        yield Rejected(name, "too_large", str(error))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield Rejected(name, "truncated", f"{name}: damaged {packed} data ({error}); fetch the file again")
    except OSError as error:
        raise DataError(
            f"cannot be read ({error.strerror or error}); check that it exists and its permissions", file=name
        ) from None


def _open(name: str) -> BinaryIO:
    if "://" in name:
        import fsspec

        return fsspec.open(name, "rb").open()  # type: ignore[no-any-return]
    return open(name, "rb")


def _read_stream(stream: BinaryIO, name: str, form: str, limits: Limits) -> Iterator[Row | Rejected]:
    match form:
        case ".jsonl" | ".ndjson":
            yield from _json_rows(stream, name, limits)
        case ".json":
            yield from _json_file(_read_all(stream, limits, name), name, limits)
        case ".csv" | ".tsv":
            yield from _csv_rows(_read_all(stream, limits, name), name, form, limits)
        case ".parquet":
            yield from _parquet_rows(stream, name, limits)
        case ".warc":
            yield from _warc_rows(stream, name, limits)
        case _:
            yield _whole_file(_read_all(stream, limits, name, limits.max_article_bytes), name, form, limits)


def _whole_file(data: bytes, name: str, form: str, limits: Limits) -> Row | Rejected:
    try:
        content = decode(data, limits)
    except ValueError as error:
        return Rejected(name, "binary", f"{name}: {error}; expected text or HTML")
    if not content.strip():
        return Rejected(name, "empty", f"{name}: empty; expected an article")
    is_html = form in (".html", ".htm", ".xhtml") or (not form and _looks_like_html(content))
    return _article({"html" if is_html else "text": content}, name), {}


def _looks_like_html(content: str) -> bool:
    return re.match(r"\s*(<!doctype html|<html[\s>]|<\?xml)", content[:1000], re.IGNORECASE) is not None


def _json_rows(stream: BinaryIO, name: str, limits: Limits) -> Iterator[Row | Rejected]:
    row = 0
    while line := stream.readline(limits.max_article_bytes + 1):
        row += 1
        if len(line) > limits.max_article_bytes:
            while not line.endswith(b"\n") and (line := stream.readline(limits.max_article_bytes)):
                pass
            yield _reject(name, row, "too_large", f"longer than {limits.max_article_bytes:,} bytes (max_article_bytes)")
        elif line.strip():
            yield _json_row(line, name, row)


def _json_row(line: bytes, name: str, row: int) -> Row | Rejected:
    try:
        values = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return _reject(name, row, "invalid_json", f"not a JSON object ({str(error)[:80]})")
    return _from_values(values, name, row)


def _json_file(data: bytes, name: str, limits: Limits) -> Iterator[Row | Rejected]:
    try:
        values = json.loads(decode(data, limits))
    except (ValueError, RecursionError) as error:
        yield Rejected(name, "invalid_json", f"{name}: not JSON ({str(error)[:80]})")
        return
    for row, one in enumerate(values if isinstance(values, list) else [values], start=1):
        yield _from_values(one, name, row)


def _csv_rows(data: bytes, name: str, form: str, limits: Limits) -> Iterator[Row | Rejected]:
    csv.field_size_limit(limits.max_article_bytes)
    try:
        text = decode(data, limits).replace("\0", "")
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if form == ".tsv" else ",")
        missing = not {"text", "html"} & set(rows.fieldnames or ())
    except (ValueError, csv.Error) as error:
        yield Rejected(name, "invalid_csv", f"{name}: not CSV ({error})")
        return
    if missing:
        raise DataError(
            f"no column 'text' or 'html'; the columns are {', '.join(rows.fieldnames or ()) or 'none'}", file=name, row=1
        )
    try:
        for row, values in enumerate(rows, start=2):
            yield _from_values(values, name, row)
    except csv.Error as error:
        yield Rejected(name, "invalid_csv", f"{name}, row {rows.line_num}: {error}")


def _parquet_rows(stream: BinaryIO, name: str, limits: Limits) -> Iterator[Row | Rejected]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(stream if stream.seekable() else io.BytesIO(_read_all(stream, limits, name)))
        names = file.schema_arrow.names
        if not {"text", "html"} & set(names):
            raise DataError(f"no column 'text' or 'html'; the columns are {', '.join(names)}", file=name)
        row = 0
        for batch in file.iter_batches(batch_size=1000):
            for values in batch.to_pylist():
                row += 1
                yield _from_values(values, name, row)
    except (pa.ArrowException, OSError) as error:
        yield Rejected(name, "invalid_parquet", f"{name}: not a whole Parquet file ({str(error)[:120]})")


def _warc_rows(stream: BinaryIO, name: str, limits: Limits) -> Iterator[Row | Rejected]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    records = ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=True)
    for row, record in enumerate(records, start=1):
        uri = str(record.headers.get("WARC-Target-URI") or f"{name}#{row}")
        kind = (record.http_content_type or "").lower() if record.http_headers else ""
        if kind and "html" not in kind and "text" not in kind:
            yield Rejected(uri, "not_html", f"{name}, record {row}: content type {kind}; expected HTML or text")
            continue
        data = record.reader.read(limits.max_article_bytes + 1)
        if len(data) > limits.max_article_bytes:
            yield Rejected(uri, "too_large", f"{name}, record {row}: over {limits.max_article_bytes:,} bytes")
            continue
        yield _warc_article(data, uri, name, row, "plain" in kind, limits)


def _warc_article(data: bytes, uri: str, name: str, row: int, is_text: bool, limits: Limits) -> Row | Rejected:
    try:
        content = decode(data, limits)
    except ValueError as error:
        return Rejected(uri, "binary", f"{name}, record {row}: {error}")
    if not content.strip():
        return Rejected(uri, "empty", f"{name}, record {row}: empty")
    return _article({"text" if is_text else "html": content, "id": content_id(content), "url": uri}, name), {}


_ARTICLE_COLUMNS = ("id", "text", "html", "title", "source", "date", "url", "author")


def _from_values(values: Any, name: str, row: int) -> Row | Rejected:
    if not isinstance(values, dict):
        return _reject(name, row, "invalid_row", f"expected an object with 'text' or 'html', got {type(values).__name__}")
    given_id = values.get("id")
    known = {k: values[k] for k in _ARTICLE_COLUMNS if values.get(k) is not None}
    label = str(given_id) if given_id is not None else ""
    if "text" not in known and "html" not in known and isinstance(values.get("lines"), list):
        known["text"] = _joined_lines(values)
    if "text" not in known and "html" not in known:
        return _reject(name, row, "missing_text", "neither 'text' nor 'html'; expected one of them", label)
    if wrong := next((k for k in ("text", "html") if k in known and not isinstance(known[k], str)), None):
        return _reject(name, row, "invalid_row", f"'{wrong}' is {type(known[wrong]).__name__}; expected a string", label)
    if "text" in known:
        known.pop("html", None)
    if not (known.get("text") or known.get("html") or "").strip():
        return _reject(name, row, "empty", "the text is empty", label)
    return _article(known, name), {k: v for k, v in values.items() if k not in _ARTICLE_COLUMNS}


def _joined_lines(values: dict[str, Any]) -> str:
    """The text of a row in the format of labelled lines: `lines` of `{"t"}` or `{"text"}`."""
    lines = [line for line in values["lines"] if isinstance(line, dict)]
    return str(values.get("newline") or "\n").join(str(line.get("text", line.get("t", ""))) for line in lines)


def _article(values: dict[str, Any], name: str) -> Article:
    content = values.get("text") or values.get("html") or ""
    strings = {k: v if isinstance(v, str) else str(v) for k, v in values.items()}
    return Article(**{**strings, "id": strings.get("id") or content_id(content)})


def _reject(name: str, row: int, reason: str, message: str, given_id: str = "") -> Rejected:
    return Rejected(given_id or f"{name}#{row}", reason, f"{name}, row {row}: {message}")


class _TooLarge(Exception):
    pass


def _read_all(stream: BinaryIO, limits: Limits, name: str, limit: int | None = None) -> bytes:
    bound = limit or limits.max_file_bytes
    data = stream.read(bound + 1)
    if len(data) > bound:
        raise _TooLarge(f"{name}: over {bound:,} bytes; raise the limit in configs/inputs.yaml if it is meant to be that large")
    return data


class _Bounded(io.RawIOBase):
    """A decompressing stream that refuses to grow beyond a multiple of the compressed bytes."""

    def __init__(self, raw: BinaryIO, packed: str, limits: Limits, name: str):
        self._raw, self._limits, self._name = raw, limits, name
        self._counter = _Counter(raw)
        if packed == ".gz":
            self._inner: Any = gzip.GzipFile(fileobj=self._counter, mode="rb")  # type: ignore[arg-type]
        else:
            import pyarrow as pa  # its reader notices a truncated stream, which zstandard's does not

            self._inner = io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(self._counter, "r"), "zstd"))  # type: ignore[arg-type]
        self._n_out = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        chunks, wanted = [], size if size >= 0 else sys.maxsize
        while wanted > 0 and (chunk := self._checked(self._unpack(self._inner.read, min(wanted, 1 << 20)))):
            chunks.append(chunk)
            wanted -= len(chunk)
        return b"".join(chunks)

    def readline(self, size: int | None = -1) -> bytes:  # type: ignore[override]
        return self._checked(self._unpack(self._inner.readline, -1 if size is None else size))

    @staticmethod
    def _unpack(read: Callable[[int], bytes], size: int) -> bytes:
        try:
            return read(size)
        except gzip.BadGzipFile:
            raise
        except OSError as error:  # pyarrow's word for damaged and truncated streams
            raise EOFError(str(error)[:120]) from error

    def _checked(self, data: bytes) -> bytes:
        self._n_out += len(data)
        allowed = max(self._limits.max_article_bytes, self._counter.n_in * self._limits.max_expansion)
        if self._n_out > allowed:
            raise _TooLarge(
                f"{self._name}: expands over {self._limits.max_expansion:g} times (max_expansion): a decompression bomb?"
            )
        return data


class _Counter(io.RawIOBase):
    def __init__(self, raw: BinaryIO):
        self._raw, self.n_in = raw, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._raw.read(size)
        self.n_in += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self.n_in += len(data)
        return len(data)
