"""Files of any format give articles; what is damaged gives a reason."""

from __future__ import annotations

import gzip
import io
import json
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.artifacts import content_id
from pipeline.document import Article, Rejected
from pipeline.errors import DataError
from pipeline.home import home
from pipeline.inputs import Limits, decode, read_articles, read_rows

LIMITS = Limits.load(home() / "configs" / "inputs.yaml")
SMALL = LIMITS.model_copy(update={"max_article_bytes": 1000, "max_expansion": 10})


def articles(*paths: Path, limits: Limits = LIMITS) -> list[Article | Rejected]:
    return list(read_articles([str(path) for path in paths], limits))


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def reasons(found: list[Article | Rejected]) -> list[str]:
    return [one.reason if isinstance(one, Rejected) else "read" for one in found]


def test_a_text_file_is_one_article_named_by_its_content(tmp_path: Path) -> None:
    assert articles(written(tmp_path / "a.txt", "Story.\n")) == [Article(id=content_id("Story.\n"), text="Story.\n")]


def test_html_is_kept_as_it_came(tmp_path: Path) -> None:
    page = "<html><body><p>Story.</p></body></html>"
    assert articles(written(tmp_path / "a.html", page))[0].html == page  # type: ignore[union-attr]
    assert articles(written(tmp_path / "no_suffix", page))[0].html == page  # type: ignore[union-attr]


def test_json_lines_keep_ids_order_and_other_columns(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", '{"id": "b", "text": "B", "label": "x"}\n\n{"id": 7, "html": "<p>A"}\n')
    first, second = read_rows([str(path)], LIMITS)
    assert first == (Article(id="b", text="B"), {"label": "x"})
    assert second == (Article(id="7", html="<p>A"), {})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "invalid_json"),
        ("[1]", "invalid_row"),
        ('{"id": "a"}', "missing_text"),
        ('{"text": 3}', "invalid_row"),
        ('{"text": "  "}', "empty"),
        ('{"text": "' + "x" * 2000 + '"}', "too_large"),
        ("[" * 100_000, "too_large"),
    ],
)
def test_a_bad_row_says_why_and_the_next_is_read(tmp_path: Path, line: str, reason: str) -> None:
    path = written(tmp_path / "a.jsonl", f'{line}\n{{"text": "Story."}}\n')
    found = articles(path, limits=SMALL)
    assert reasons(found) == [reason, "read"]
    assert isinstance(found[0], Rejected)
    assert "a.jsonl, row 1" in found[0].message


def test_csv_and_parquet_rows_are_read_with_their_labels(tmp_path: Path) -> None:
    table = pa.table({"text": ["One.", "Two."], "label": ["a", "b"]})
    pq.write_table(table, tmp_path / "a.parquet")
    written(tmp_path / "a.csv", 'text,label\n"One.",a\nTwo.,b\n')
    for name in ("a.parquet", "a.csv"):
        rows = [row for row in read_rows([str(tmp_path / name)], LIMITS) if not isinstance(row, Rejected)]
        assert [(article.text, extra["label"]) for article, extra in rows] == [("One.", "a"), ("Two.", "b")]


def test_a_table_without_a_text_column_is_one_record_and_no_file_to_learn_from(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "words\nhello\n")
    pq.write_table(pa.table({"words": ["hello"]}), tmp_path / "a.parquet")
    alone, in_company = articles(path), articles(path, tmp_path / "a.parquet")
    assert reasons(alone) == ["no_column"] and reasons(in_company) == ["no_column", "no_column"]
    assert alone[0] == in_company[0]
    with pytest.raises(DataError, match=r"a\.csv: no column 'text'.* words; rename .* to 'text'"):
        list(read_rows([str(path)], LIMITS))


def test_json_lines_with_other_names_say_what_to_rename(tmp_path: Path) -> None:
    (found,) = articles(written(tmp_path / "a.jsonl", '{"id": "a", "body": "Story."}\n'))
    assert isinstance(found, Rejected) and found.reason == "missing_text"
    assert "the fields are id, body; rename the one with the article to 'text'" in found.message


def test_a_file_that_cannot_be_opened_is_one_record(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as special:
        special.bind(str(tmp_path / "a.txt"))  # root, too, gets an error for a socket
        assert reasons(articles(tmp_path / "a.txt")) == ["unreadable"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('{"text": "A."}\nnoise\n{"text": "B."}\n', ["read", "not_json", "read"]),
        ('noise\n{"text": "A."}\n', ["not_json", "read"]),
        ("{broken\n", ["invalid_json"]),
        ("", []),
    ],
)
def test_each_row_on_standard_input_is_answered(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: list[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
    assert reasons(list(read_articles(["-"], LIMITS))) == expected


@pytest.mark.parametrize("given", ["A story.\n\nIt goes on.\n", "<!doctype html>\n<p>A story.</p>\n" * 50])
def test_a_text_on_standard_input_is_refused_once(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
    with pytest.raises(DataError, match=r"standard input: expected JSON lines.* given as a file"):
        list(read_articles(["-"], LIMITS))


def test_compressed_files_are_read(tmp_path: Path) -> None:
    line = b'{"text": "Story."}\n'
    written(tmp_path / "a.jsonl.gz", gzip.compress(line))
    written(tmp_path / "a.jsonl.zst", zstandard.compress(line))
    assert reasons(articles(tmp_path / "a.jsonl.gz", tmp_path / "a.jsonl.zst")) == ["read", "read"]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_decompression_bomb_is_refused(tmp_path: Path, suffix: str) -> None:
    content = b"a" * 5_000_000
    packed = gzip.compress(content) if suffix == ".gz" else zstandard.compress(content)
    assert reasons(articles(written(tmp_path / f"a.txt{suffix}", packed), limits=SMALL)) == ["too_large"]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_damaged_compressed_data_is_refused(tmp_path: Path, suffix: str) -> None:
    content = bytes(range(256)) * 200
    packed = gzip.compress(content) if suffix == ".gz" else zstandard.compress(content)
    assert reasons(articles(written(tmp_path / f"a.txt{suffix}", packed[: len(packed) // 2]))) == ["truncated"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_are_sniffed(encoding: str) -> None:
    text = "Präsident Müller sagte am Dienstag, die Regierung wolle künftig mehr für Bürger tun. " * 3
    assert decode(text.encode(encoding), LIMITS) == text


def test_cyrillic_without_a_mark_is_sniffed() -> None:
    text = "Глава службы безопасности сообщил журналистам о восстановлении сотрудничества. " * 5
    assert decode(text.encode("cp1251"), LIMITS) == text


@pytest.mark.parametrize(
    ("name", "content", "reason"), [("e.txt", b"", "empty"), ("b.txt", b"\x00\x01\x02\xff" * 400, "binary")]
)
def test_empty_and_binary_files_are_refused(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    assert reasons(articles(written(tmp_path / name, content))) == [reason]


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt"):
        written(tmp_path / name, name)
    assert [one.text for one in articles(tmp_path)] == ["a.txt", "b.txt"]  # type: ignore[union-attr]


def test_files_that_a_folder_is_not_read_for_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.txt", "b.PDF", "c.pdf", "LICENSE", ".hidden"):
        written(tmp_path / name, name)
    assert len(articles(tmp_path)) == 1
    (line,) = caplog.messages
    assert line.startswith(f"{tmp_path}: 3 files skipped (.pdf, none); expected .txt, ")


@pytest.mark.parametrize("make_folder", [True, False])
def test_a_folder_without_articles_and_a_missing_path_are_errors(tmp_path: Path, make_folder: bool) -> None:
    path = tmp_path / "nothing"
    if make_folder:
        path.mkdir()
    with pytest.raises(DataError, match="nothing"):
        articles(path)


def test_warc_responses_are_read(tmp_path: Path) -> None:
    from fastwarc.warc import WarcRecord, WarcRecordType

    stream = io.BytesIO()
    for content_type in ("text/html", "image/png"):
        record = WarcRecord()
        body = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n<html><p>Story.</p></html>".encode()
        record.init_headers(WarcRecordType.response)
        record.headers["Content-Type"] = "application/http; msgtype=response"
        record.headers["WARC-Target-URI"] = "https://news.example/1"
        record.set_bytes_content(body)
        record.write(stream)
    found = articles(written(tmp_path / "a.warc", stream.getvalue()))
    assert reasons(found) == ["read", "not_html"]
    assert found[0].html == "<html><p>Story.</p></html>"  # type: ignore[union-attr]


def test_labelled_lines_are_joined_to_a_text(tmp_path: Path) -> None:
    row = {"id": "a", "newline": "\r\n", "lines": [{"text": "One."}, {"text": ""}, {"t": "Two."}]}
    assert articles(written(tmp_path / "a.jsonl", json.dumps(row)))[0].text == "One.\r\n\r\nTwo."  # type: ignore[union-attr]
