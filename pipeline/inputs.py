"""Files of any format in, `Article`s out, one at a time: what `ingest`, `separate` and `score` read.

Text, HTML, JSON lines, CSV, Parquet and WARC; `.gz` and `.zst` around any of them; folders, globs, fsspec URLs and standard
input. Decompression is bounded. A bad row or file is a `Rejected` value and never ends the batch; what raises is a path that is
not there, and a text on standard input. Where rows are asked for, to learn from, a file named alone must be readable.
Encodings are sniffed: a byte-order mark, then UTF-8, then charset-normalizer. Links that lead out of a folder are refused.
"""

from __future__ import annotations

import csv
import glob
import gzip
import io
import json
import logging
import os
import re
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeAlias, cast

from pydantic import Field

from pipeline.artifacts import content_id
from pipeline.config import Config
from pipeline.document import Article, Rejected
from pipeline.errors import DataError

log = logging.getLogger(__name__)

SUFFIXES = (
    ".txt",
    ".text",
    ".md",
    ".html",
    ".htm",
    ".xhtml",
    ".jsonl",
    ".ndjson",
    ".json",
    ".csv",
    ".tsv",
    ".parquet",
    ".warc",
)
_EXPECTED = ", ".join(SUFFIXES)


class Limits(Config):
    """Bounds on what one input may cost, from `configs/inputs.yaml`."""

    max_article_bytes: int = Field(ge=1)
    max_file_bytes: int = Field(ge=1)
    max_expansion: float = Field(ge=1)
    max_sniffed_bytes: int = Field(ge=1)


Row: TypeAlias = tuple[Article, dict[str, Any]]
"""An article and the other columns of the row it came from: labels, target, split."""


@dataclass(slots=True)
class Meter:
    """How much of the files was read: `share` is None where their size is not known."""

    n_bytes: int | None = 0
    n_done: int = 0
    _raw: BinaryIO | None = None

    @property
    def share(self) -> float | None:
        """Between 0 and 1."""
        if not self.n_bytes:
            return None
        here = self._raw.tell() if self._raw is not None and not self._raw.closed else 0
        return min(1.0, (self.n_done + here) / self.n_bytes)

    def expect(self, names: Iterable[str | Rejected]) -> None:
        """Learn the size of the files to come; of a URL or a pipe it is not known."""
        for name in names:
            if isinstance(name, Rejected) or self.n_bytes is None:
                continue
            self.n_bytes = self.n_bytes + os.path.getsize(name) if os.path.isfile(name) else None

    def begin(self, raw: BinaryIO) -> None:
        """A file is open."""
        self._raw = raw

    def end(self, name: str) -> None:
        """It was read, or given up."""
        self._raw = None
        self.n_done += os.path.getsize(name) if os.path.isfile(name) else 0


def read_articles(paths: Iterable[str], limits: Limits, meter: Meter | None = None) -> Iterator[Article | Rejected]:
    """The articles in the files, folders, globs and URLs, in order; `-` is JSON lines on standard input.

    Raises:
        DataError: a path does not exist or is a folder without articles; standard input is no JSON lines.
    """
    for row in _rows(list(paths), limits, meter):
        yield row if isinstance(row, Rejected) else row[0]


def read_rows(paths: Iterable[str], limits: Limits) -> Iterator[Row | Rejected]:
    """As `read_articles`, each article with the other columns of its row.

    Raises:
        DataError: as `read_articles`; and a file named alone cannot be opened or has no column of articles.
    """
    given = list(paths)
    for row in _rows(given, limits):
        if isinstance(row, Rejected) and row.reason in ("unreadable", "no_column") and given == [row.id]:
            raise DataError(row.message)
        yield row


def _rows(given: list[str], limits: Limits, meter: Meter | None = None) -> Iterator[Row | Rejected]:
    found = [(path, expand(path)) for path in given if path != "-"]
    meter = meter or Meter()
    for _, names in found:
        meter.expect(names)
    inner = iter(found)
    for path in given:
        if path == "-":
            meter.n_bytes = None
            yield from _stdin_rows(limits)
            continue
        for name in next(inner)[1]:
            if isinstance(name, Rejected):
                yield name
            else:
                yield from _read_file(name, limits, meter)


def as_article(values: Any, name: str, row: int) -> Article | Rejected:
    """The article of an object with `text` or `html`, or what is wrong with it."""
    outcome = _from_values(values, name, row)
    return outcome if isinstance(outcome, Rejected) else outcome[0]


def decode(data: bytes, limits: Limits) -> str:
    """The text in bytes of unknown encoding.

    Raises:
        ValueError: the bytes are not text.
    """
    return data.decode(_encoding(data, limits), "replace")


_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def _encoding(data: bytes, limits: Limits) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    if b"\0" in data[: limits.max_sniffed_bytes] and data[:4096].count(b"\0") > len(data[:4096]) // 20:
        raise ValueError("binary content")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _legacy_encoding(data, limits)
    return "utf-8"


def _legacy_encoding(data: bytes, limits: Limits) -> str:
    from charset_normalizer import from_bytes

    sample = data[: limits.max_sniffed_bytes]
    controls = sum(byte < 9 or 13 < byte < 32 for byte in sample)
    if controls > len(sample) // 20:
        raise ValueError("binary content")
    # A text that is UTF-8 but for a few bytes is damaged UTF-8; anything else is sniffed, and Western European if in doubt.
    damaged = data.decode("utf-8", "replace")
    if damaged.count("\ufffd") * 50 < sum(map(_is_beyond_ascii, damaged)):
        return "utf-8"
    best = from_bytes(
        sample, cp_isolation=["cp1252", "cp1251", "cp1250", "gb18030", "shift_jis", "big5", "euc_kr"]
    ).best()
    return best.encoding if best else "cp1252"


def _is_beyond_ascii(character: str) -> bool:
    return character > "\x7f"


def expand(path: str) -> list[str | Rejected]:
    """The files that a path, folder, glob or URL stands for, in order; what must not be read is a `Rejected`.

    Raises:
        DataError: there is none.
    """
    if "://" in path:
        return _url_files(path)
    if os.path.isdir(path):
        if found := _folder_files(path):
            return found
        raise DataError(f"a folder without articles; expected files ending in {_EXPECTED}", file=path)
    if os.path.exists(path):
        return [path]
    if matches := sorted(glob.glob(path, recursive=True)):
        return [name for one in matches for name in (_folder_files(one) if os.path.isdir(one) else [one])]
    raise DataError("no such file or folder; give a path, a glob, a URL or - for standard input", file=path)


def _url_files(url: str) -> list[str | Rejected]:
    """The URL, or where it ends in a slash or has wildcards the files it stands for, in order of name."""
    if not url.endswith("/") and not re.search(r"[*\[]", url):
        return [url]
    import fsspec

    try:
        store, path = fsspec.core.url_to_fs(url)
        found = store.find(path) if url.endswith("/") else store.glob(path)
    except Exception as error:  # each kind of store has errors of its own
        raise DataError(f"cannot be listed ({type(error).__name__}: {str(error)[:200]})", file=url) from error
    names = [name for name in sorted(found) if _suffix(name)[0] and not PurePosixPath(name).name.startswith((".", "_"))]
    if not names:
        raise DataError(f"no articles there; expected files ending in {_EXPECTED}", file=url)
    return [str(store.unstrip_protocol(name)) for name in names]


def _folder_files(folder: str) -> list[str | Rejected]:
    """The files with a suffix we know under a folder, in order of name; links out of it and special files are refused."""
    found: list[tuple[str, str | Rejected]] = []

    def unreadable(error: OSError) -> None:
        name = str(error.filename)
        found.append((name, Rejected(name, "unreadable", f"{name}: the folder cannot be read ({error.strerror})")))

    root, skipped = os.path.realpath(folder), Counter[str]()
    for place, _, names in os.walk(folder, onerror=unreadable):
        for name in names:
            path = os.path.join(place, name)
            if _suffix(name)[0] and not name.startswith("."):
                found.append((path, _refusal(path, root) or path))
            elif not name.startswith("."):
                skipped[PurePosixPath(name).suffix.lower() or "none"] += 1
    if found and skipped:
        n, kinds = skipped.total(), ", ".join(sorted(skipped)[:8])
        log.warning("%s: %d %s skipped (%s); expected %s", folder, n, "file" if n == 1 else "files", kinds, _EXPECTED)
    return [one for _, one in sorted(found, key=lambda pair: Path(pair[0]).parts)]


def _refusal(path: str, root: str) -> Rejected | None:
    if os.path.islink(path) and not os.path.realpath(path).startswith(root + os.sep):
        return Rejected(path, "link", f"{path}: a link that leads out of the folder; name its file to read it")
    if not os.path.isfile(path):
        return Rejected(path, "not_a_file", f"{path}: a broken link, a pipe or a device; expected a file")
    return None


def _suffix(name: str) -> tuple[str, str]:
    """The suffix that tells the format, and that of the compression around it; '' where unknown."""
    suffixes = [s.lower() for s in PurePosixPath(name).suffixes]
    packed = suffixes.pop() if suffixes and suffixes[-1] in (".gz", ".zst") else ""
    return (suffixes[-1] if suffixes and suffixes[-1] in SUFFIXES else ""), packed


def _read_file(name: str, limits: Limits, meter: Meter) -> Iterator[Row | Rejected]:
    form, packed = _suffix(name)
    try:
        with _open(name) as raw:
            meter.begin(raw)
            packed = packed or _packing(raw)
            stream = cast(BinaryIO, _Bounded(raw, packed, limits, name)) if packed else raw
            yield from _read_stream(stream, name, form, limits)
    except _TooLarge as error:
        yield Rejected(name, "too_large", str(error))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield Rejected(name, "truncated", f"{name}: damaged {packed} data ({error}); fetch the file again")
    except _NoColumn as error:
        yield Rejected(name, "no_column", f"{name}: {error}")
    except OSError as error:
        message = f"{name}: cannot be read ({error.strerror or error}); check that it exists and its permissions"
        yield Rejected(name, "unreadable", message)
    finally:
        meter.end(name)


def _packing(raw: BinaryIO) -> str:
    """The compression that the first bytes tell, where they can be looked at without being taken."""
    head = raw.peek(4)[:4] if isinstance(raw, io.BufferedReader) else b""
    return ".gz" if head.startswith(b"\x1f\x8b\x08") else ".zst" if head == b"\x28\xb5\x2f\xfd" else ""


def _open(name: str) -> BinaryIO:
    if "://" not in name:
        return open(name, "rb")
    import fsspec

    try:
        return fsspec.open(name, "rb").open()  # type: ignore[no-any-return]
    except OSError:
        raise
    except Exception as error:  # each kind of store has errors of its own
        raise OSError(f"{type(error).__name__}: {str(error)[:200]}") from error


def _read_stream(stream: BinaryIO, name: str, form: str, limits: Limits) -> Iterator[Row | Rejected]:
    match form:
        case ".jsonl" | ".ndjson":
            yield from _json_rows(stream, name, limits)
        case ".json":
            yield from _json_file(_read_all(stream, limits, name), name, limits)
        case ".csv" | ".tsv":
            yield from _csv_rows(stream, name, form, limits)
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


def _stdin_rows(limits: Limits) -> Iterator[Row | Rejected]:
    """The rows on standard input. A text or page there would be one bad row a line: where none of the first rows is JSON, it is refused.

    Raises:
        DataError: standard input is no JSON lines.
    """
    rows = _json_rows(sys.stdin.buffer, "standard input", limits)
    first = list(islice(rows, _N_FIRST_ROWS))
    if first and all(isinstance(row, Rejected) and row.reason == "not_json" for row in first):
        raise DataError(
            'expected JSON lines, {"id": ..., "text": ...} a line; a plain text or HTML page is given as a file',
            file="standard input",
        )
    yield from chain(first, rows)


_N_FIRST_ROWS = 10


def _json_rows(stream: BinaryIO, name: str, limits: Limits) -> Iterator[Row | Rejected]:
    row = 0
    while line := stream.readline(limits.max_article_bytes + 1):
        row += 1
        if row == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff")):
            text = decode(line + _read_all(stream, limits, name), limits)
            yield from _json_rows(io.BytesIO(text.encode("utf-8", "surrogatepass")), name, limits)
            return
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
        reason = "invalid_json" if line.lstrip(b"\xef\xbb\xbf \t").startswith(b"{") else "not_json"
        return _reject(name, row, reason, f"not a JSON object ({str(error)[:80]})")
    return _from_values(values, name, row)


def _json_file(data: bytes, name: str, limits: Limits) -> Iterator[Row | Rejected]:
    """The rows of a JSON array or object; of JSON lines too, since many name them `.json`."""
    if len(data) > limits.max_article_bytes and (data.count(b"[") + data.count(b"{")) * _MIN_BYTES_A_VALUE > len(data):
        yield Rejected(name, "too_large", f"{name}: more values than text; expected articles")
        return
    try:
        values = json.loads(decode(data, limits))
    except (ValueError, RecursionError) as error:
        if str(error).startswith("Extra data"):
            yield from _json_rows(io.BytesIO(data), name, limits)
        else:
            yield Rejected(name, "invalid_json", f"{name}: not JSON ({str(error)[:80]})")
        return
    for row, one in enumerate(values if isinstance(values, list) else [values], start=1):
        yield _from_values(one, name, row)


_MIN_BYTES_A_VALUE = 16  # a file with more brackets than that would take many times its size in memory


def _csv_rows(stream: BinaryIO, name: str, form: str, limits: Limits) -> Iterator[Row | Rejected]:
    csv.field_size_limit(limits.max_article_bytes)
    try:
        lines = _text_lines(stream, name, limits)
        head = next(lines, "")
        delimiter = (
            "\t" if form == ".tsv" else ";" if head.count(";") > head.count(",") else ","
        )  # as spreadsheets save it
        rows = csv.DictReader(chain([head], lines), restkey="", delimiter=delimiter, strict=True)
        columns = rows.fieldnames or ()
    except (ValueError, csv.Error) as error:
        yield Rejected(name, "invalid_csv", f"{name}: not CSV ({error})")
        return
    if not {"text", "html"} & set(columns):
        raise _NoColumn(_unnamed("column", columns))
    while True:
        row = rows.line_num + 1
        try:
            values = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield _reject(name, row, "invalid_csv", f"not CSV ({error})")
            continue
        if "" in values and "" not in columns:
            yield _reject(name, row, "invalid_csv", "more fields than columns; quote the fields that hold commas")
        else:
            yield _from_values(values, name, row)


def _text_lines(stream: BinaryIO, name: str, limits: Limits) -> Iterator[str]:
    """The lines of a text of unknown encoding, NULs dropped; the encoding is told by the beginning."""
    sample = stream.read(limits.max_sniffed_bytes)
    if sample.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):
        yield from io.StringIO(decode(sample + _read_all(stream, limits, name), limits), newline="")
        return
    sample += stream.readline(limits.max_article_bytes)
    encoding = _encoding(sample, limits)
    more = iter(lambda: stream.readline(limits.max_article_bytes), b"")
    for number, line in enumerate(chain(sample.splitlines(keepends=True), more)):
        try:
            text = line.decode(encoding if number == 0 else encoding.removesuffix("-sig"))
        except UnicodeDecodeError:
            text = line.decode(encoding, "replace")
        yield text.replace("\0", "")


def _parquet_rows(stream: BinaryIO, name: str, limits: Limits) -> Iterator[Row | Rejected]:
    import pyarrow as pa

    try:
        whole = stream if stream.seekable() else io.BytesIO(_read_all(stream, limits, name))
        row = 0
        for batch in _parquet_batches(whole, name, limits):
            for i in range(len(batch)):
                row += 1
                yield _parquet_row(batch, i, name, row, limits)
    except (pa.ArrowException, ValueError, OSError) as error:
        yield Rejected(name, "invalid_parquet", f"{name}: not a whole Parquet file ({str(error)[:120]})")


def _parquet_batches(stream: BinaryIO, name: str, limits: Limits) -> Iterator[Any]:
    """The rows in batches; strings stay dictionaries, so that one long string told a million times stays small."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain = pq.ParquetFile(stream)
    schema = plain.schema_arrow
    if not {"text", "html"} & set(schema.names):
        raise _NoColumn(_unnamed("column", schema.names))
    groups = [plain.metadata.row_group(i) for i in range(plain.num_row_groups)]
    packed = sum(group.column(i).total_compressed_size for group in groups for i in range(group.num_columns))
    if sum(group.total_byte_size for group in groups) > max(limits.max_file_bytes, packed * limits.max_expansion):
        raise _TooLarge(f"{name}: expands over {limits.max_expansion:g} times (max_expansion): a decompression bomb?")
    strings = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
    stream.seek(0)
    yield from pq.ParquetFile(stream, read_dictionary=strings, buffer_size=1 << 20).iter_batches(batch_size=1000)


def _parquet_row(batch: Any, i: int, name: str, row: int, limits: Limits) -> Row | Rejected:
    try:
        values = {column: array[i].as_py() for column, array in zip(batch.schema.names, batch.columns, strict=True)}
    except ValueError as error:
        return _reject(name, row, "invalid_row", f"not UTF-8 ({str(error)[:80]})")
    if any(isinstance(one, str) and len(one) > limits.max_article_bytes for one in values.values()):
        return _reject(name, row, "too_large", f"over {limits.max_article_bytes:,} characters (max_article_bytes)")
    return _from_values(values, name, row)


def _warc_rows(stream: BinaryIO, name: str, limits: Limits) -> Iterator[Row | Rejected]:
    records: Iterator[Any] | None = None
    source = _UntilDamage(stream)
    row = 0
    while True:
        row += 1
        try:
            records = records or _warc_records(source)
            record = next(records, None)
            outcome = None if record is None else _warc_row(record, name, row, limits)
        except (KeyboardInterrupt, SystemExit, _TooLarge):
            raise
        except BaseException as error:  # a panic of its Rust code is no Exception
            yield _reject(name, row, "invalid_warc", f"damaged from this record on ({str(error)[:120]})")
            return
        if outcome is None:
            break
        yield outcome
    if source.damage:
        yield _reject(name, row, "truncated", f"damaged from here on ({source.damage}); fetch the file again")


def _warc_records(stream: Any) -> Iterator[Any]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    kinds = WarcRecordType.response | WarcRecordType.conversion
    return ArchiveIterator(stream, record_types=kinds, parse_http=True, auto_decode="all", stream_detect=False)


def _warc_row(record: Any, name: str, row: int, limits: Limits) -> Row | Rejected:
    uri = str(record.headers.get("WARC-Target-URI") or f"{name}#{row}")
    status = record.http_headers.status_code if record.http_headers else None
    if status is not None and not 200 <= status < 300:
        return Rejected(uri, "http_status", f"{name}, record {row}: HTTP status {status}; expected a page")
    kind = str(record.http_content_type or "") if record.http_headers else "text/plain"
    if kind and "html" not in kind.lower() and "text" not in kind.lower():
        return Rejected(uri, "not_html", f"{name}, record {row}: content type {kind[:80]}; expected HTML or text")
    data = record.reader.read(limits.max_article_bytes + 1)
    if len(data) > limits.max_article_bytes:
        return Rejected(uri, "too_large", f"{name}, record {row}: over {limits.max_article_bytes:,} bytes")
    is_packed = record.http_headers and (
        record.http_headers.get("Content-Encoding") or record.http_headers.get("Transfer-Encoding")
    )
    if len(data) < record.content_length and not is_packed:
        return Rejected(
            uri,
            "truncated",
            f"{name}, record {row}: {len(data):,} of {record.content_length:,} bytes; fetch the file again",
        )
    return _warc_article(data, uri, name, row, "plain" in kind.lower(), limits)


def _warc_article(data: bytes, uri: str, name: str, row: int, is_text: bool, limits: Limits) -> Row | Rejected:
    try:
        content = decode(data, limits)
    except ValueError as error:
        return Rejected(uri, "binary", f"{name}, record {row}: {error}")
    if not content.strip():
        return Rejected(uri, "empty", f"{name}, record {row}: empty")
    return _article({"text" if is_text else "html": content, "id": content_id(content), "url": uri}, name), {}


_SCALARS = str | int | float | date
_ARTICLE_COLUMNS = ("id", "text", "html", "title", "source", "date", "url", "author")


def _from_values(values: Any, name: str, row: int) -> Row | Rejected:
    if not isinstance(values, dict):
        return _reject(
            name, row, "invalid_row", f"expected an object with 'text' or 'html', got {type(values).__name__}"
        )
    given_id = values.get("id")
    if not isinstance(given_id, _SCALARS | None):
        return _reject(name, row, "invalid_row", f"'id' is {type(given_id).__name__}; expected a string")
    known = {k: values[k] for k in _ARTICLE_COLUMNS if values.get(k) is not None}
    known = {k: v for k, v in known.items() if k in ("text", "html") or isinstance(v, _SCALARS)}
    label = str(given_id) if given_id is not None else ""
    if "text" not in known and "html" not in known and isinstance(values.get("lines"), list):
        known["text"] = _joined_lines(values)
    if "text" not in known and "html" not in known:
        return _reject(name, row, "missing_text", _unnamed("field", map(str, values)), label)
    if wrong := next((k for k in ("text", "html") if k in known and not isinstance(known[k], str)), None):
        return _reject(
            name, row, "invalid_row", f"'{wrong}' is {type(known[wrong]).__name__}; expected a string", label
        )
    if "text" in known:
        known.pop("html", None)
    if not str(known.get("text") or known.get("html") or "").strip():
        return _reject(name, row, "empty", "the text is empty", label)
    return _article(known, name), {k: v for k, v in values.items() if k not in _ARTICLE_COLUMNS}


def _unnamed(what: str, names: Iterable[str]) -> str:
    """What to do where no column or field is named as the article's text."""
    there = ", ".join(names)[:200] or "none"
    return f"no {what} 'text' or 'html'; the {what}s are {there}; rename the one with the article to 'text'"


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


class _NoColumn(Exception):
    pass


def _read_all(stream: BinaryIO, limits: Limits, name: str, limit: int | None = None) -> bytes:
    bound = limit or limits.max_file_bytes
    data = stream.read(bound + 1)
    while len(data) <= bound and (more := stream.read(bound + 1 - len(data))):
        data += more  # a damaged stream gives what it has first, and raises when asked for more
    if len(data) > bound:
        raise _TooLarge(
            f"{name}: over {bound:,} bytes; raise the limit in configs/inputs.yaml if it is meant to be that large"
        )
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

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Where the stream stands, which is all that fastwarc asks for; it cannot be moved."""
        if (offset, whence) != (0, io.SEEK_CUR):
            raise io.UnsupportedOperation("seek")
        return self._n_out

    def tell(self) -> int:
        return self._n_out

    def read(self, size: int = -1) -> bytes:
        chunks, wanted = list[bytes](), size if size >= 0 else sys.maxsize
        try:
            while wanted > 0 and (chunk := self._checked(self._unpack(self._inner.read1, min(wanted, 1 << 20)))):
                chunks.append(chunk)
                wanted -= len(chunk)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            if not chunks:
                raise
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


class _UntilDamage:
    """A stream that ends where its data are damaged, for a reader that would lose what it has read ahead."""

    def __init__(self, stream: BinaryIO):
        self._stream, self.damage = stream, ""

    def read(self, size: int = -1) -> bytes:
        try:
            return b"" if self.damage else self._stream.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile, _TooLarge) as error:
            self.damage = str(error)[:120]
            return b""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


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
