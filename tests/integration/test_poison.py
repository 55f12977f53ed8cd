"""An archive of good articles among bad ones of more than forty kinds: every good one is scored, every bad one has a reason."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from archives import article, topic_model
from conftest import ROOT

MAX_MEMORY_BYTES = 1_500_000_000
IN_LINES, PACKED, UTF16 = range(4960), range(4960, 4980), range(4980, 5000)
"""The numbers of the good articles, in the order of the files that they stand in: one among bad lines, gzip members, UTF-16."""
OUTSIDE = "what no article says"


def line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def good_line(number: int) -> bytes:
    return line(article(number))


BAD_LINES: dict[str, bytes] = {
    "not_json": b"this is no JSON\n",
    "cut_json": good_line(1)[:80] + b"\n",
    "single_quotes": b"{'id': 'a', 'text': 'b'}\n",
    "array": b"[1, 2]\n",
    "number": b"7\n",
    "null": b"null\n",
    "string": b'"text"\n',
    "no_text": line({"id": "x"}),
    "empty_object": b"{}\n",
    "empty_text": line({"id": "x", "text": ""}),
    "blank_text": line({"id": "x", "text": " \n\t\u00a0"}),
    "null_text": line({"id": "x", "text": None}),
    "number_text": line({"id": "x", "text": 5}),
    "list_text": line({"id": "x", "text": ["a", "b"]}),
    "object_text": line({"id": "x", "text": {"a": "b"}}),
    "bool_html": line({"id": "x", "html": True}),
    "list_id": line({"id": ["x"], "text": "A story."}),
    "nested_id": b'{"text": "A story.", "id": ' + b"[" * 900 + b"]" * 900 + b"}\n",
    "deep_array": b"[" * 500_000 + b"\n",
    "deep_object": b'{"a":' * 200_000 + b"\n",
    "huge_number": b'{"text": ' + b"9" * 10_000 + b"}\n",
    "latin1_bytes": '{"text": "Präsident"}\n'.encode("latin-1"),
    "utf8_surrogates": b'{"text": "\xed\xa0\x80"}\n',
    "raw_nul": b'{"text": "a\x00b"}\n',
    "raw_control": b'{"text": "a\x01\x02b"}\n',
    "binary_line": bytes(range(128, 256)) * 10 + b"\n",
    "long_line": b'{"id": "x", "text": "' + b"x" * 50_000_000 + b'"}\n',
    "long_rubbish": b"y" * 50_000_000 + b"\n",
    "python_nan_text": b'{"text": NaN}\n',
    "two_objects": b'{"text": "a"} {"text": "b"}\n',
    "deep_html": line({"id": "x", "html": "<html><body>" + "<div>" * 200_000 + "story"}),
    "formatting_bomb": line({"id": "x", "html": "<html><body><p>" + "<b><i><u>" * 60_000 + "story"}),
}
"""Lines of JSON lines, each of which gives exactly one record with an error."""

ODD_LINES: dict[str, bytes] = {
    "lone_surrogate": b'{"id": "odd-surrogate", "text": "The minister \\ud800 spoke on Friday."}\n',
    "escaped_nul": b'{"id": "odd-nul", "text": "The minister \\u0000 spoke on Friday."}\n',
    "duplicate_key": b'{"id": "first", "id": "odd-key", "text": "The minister spoke on Friday."}\n',
    "mark": b'\xef\xbb\xbf{"id": "odd-mark", "text": "The minister spoke on Friday."}\n',
    "number_id": b'{"id": 1e999, "text": "The minister spoke on Friday."}\n',
    "parent_id": b'{"id": "../../etc/passwd", "text": "The minister spoke on Friday."}\n',
    "newline_id": b'{"id": "a\\nb", "text": "The minister spoke on Friday."}\n',
    "object_title": b'{"id": "odd-title", "title": {"a": 1}, "text": "The minister spoke on Friday."}\n',
    "entities": line(
        {"id": "odd-entities", "html": "<html><p>" + "&lt;&amp;&#x10ffff;&notanentity;" * 20_000 + "</p></html>"}
    ),
    "entity_bomb": line(
        {
            "id": "odd-bomb",
            "html": '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><html><p>&b; said the minister.</p>',
        }
    ),
    "script": line(
        {"id": "odd-script", "html": "<html><script>while(1);</script><p>The minister spoke on Friday.</p></html>"}
    ),
    "marks_only": line({"id": "odd-marks", "text": "\u0301" * 5000}),
    "one_line": line({"id": "odd-line", "text": "word " * 100_000}),
    "many_lines": line({"id": "odd-lines", "text": "word\n" * 100_000}),
    "repaired": line({"id": "odd-repaired", "text": "The minister\u00ad spoke on FridayÃ©. " * 300}),
    "no_space": line({"id": "odd-nospace", "text": "x" * 300_000}),
}
"""Lines that look bad and are articles all the same."""


def packed_csv(rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def parquet(folder: Path, table: pa.Table, **options: Any) -> bytes:
    pq.write_table(table, folder / "made.parquet", **options)
    content = (folder / "made.parquet").read_bytes()
    (folder / "made.parquet").unlink()
    return content


def warc(content: bytes, header: str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n") -> bytes:
    from fastwarc.warc import WarcRecord, WarcRecordType

    stream = io.BytesIO()
    record = WarcRecord()
    record.init_headers(WarcRecordType.response)
    record.headers["Content-Type"] = "application/http; msgtype=response"
    record.headers["WARC-Target-URI"] = "https://news.example/1"
    record.set_bytes_content(header.encode() + b"\r\n" + content)
    record.write(stream)
    return stream.getvalue()


def bad_files(scratch: Path) -> dict[str, bytes]:
    """Files by name, each of which gives exactly one record with an error."""
    table = pa.table({"text": [article(i)["text"] for i in range(50)]})
    whole = parquet(scratch, table)
    invalid = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\3\0\0\0"), pa.py_buffer(b"\xff\xfe\xfd")]
    )
    noise = os.urandom(20_000)
    return {
        "bomb.txt.gz": gzip.compress(b"a" * 100_000_000),
        "bomb.txt.zst": zstandard.compress(b"a" * 300_000_000),
        "bomb.html.gz": gzip.compress(b"<p>" * 20_000_000),
        "bomb.parquet.gz": gzip.compress(b"PAR1" * 75_000_000),
        "cut.txt.gz": gzip.compress(noise)[:-9],
        "cut.txt.zst": zstandard.compress(noise)[:-9],
        "crc.txt.gz": gzip.compress(b"story " * 100)[:-8] + b"\0" * 8,
        "no.txt.gz": b"this is no gzip",
        "no.jsonl.zst": b"this is no zstd",
        "empty.txt": b"",
        "blank.html": b" \n\t\n",
        "binary.txt": noise,
        "picture.html": b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" * 1000,
        "large.txt": b"x" * 50_000_000,
        "large.html": b"<p>x</p>" * 4_000_000,
        "empty.parquet.gz": gzip.compress(b""),
        "cut.parquet": whole[: len(whole) // 2],
        "flipped.parquet": whole[:4] + bytes(64) + whole[68:],
        "text.parquet": b"this is no parquet",
        "names.parquet": parquet(scratch, pa.table({"body": ["a story"]})),
        "numbers.parquet": parquet(scratch, pa.table({"text": [1]})),
        "nulls.parquet": parquet(scratch, pa.table({"text": pa.array([None], pa.string())})),
        "invalid.parquet": parquet(scratch, pa.table({"text": invalid})),
        "cut.json": b'[{"text": "a',
        "deep.json": b"[" * 300_000,
        "dense.json": b"[" + b"[]," * 6_000_000 + b"[]]",
        "names.csv": b"headline,body\na,b\n",
        "quote.csv": b'id,text\n1,"never closed\n'
        + packed_csv([[str(i), article(i)["text"]] for i in range(20)]).replace(b'"', b""),
        "commas.csv": b"id,text\n1,one, two, three\n",
        "empty.csv": b"",
        "status.warc": warc(b"<p>not found</p>", "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n"),
        "picture.warc": warc(b"\x89PNG", "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"),
        "empty.warc.gz": gzip.compress(warc(b"")),
        "bomb.warc": warc(
            gzip.compress(b"a" * 100_000_000),
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n",
        ),
    }


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds every kind of bad article, and good ones before, between and behind them."""
    scratch = tmp_path_factory.mktemp("poison")
    folder = scratch / "archive"
    folder.mkdir()
    number, files = 0, bad_files(scratch)
    (scratch / "bad.json").write_text(json.dumps(list(files)), encoding="utf-8")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    lines = []
    for bad in [*BAD_LINES.values(), *ODD_LINES.values()]:
        lines += [good_line(number), bad]
        number += 1
    lines += [good_line(i) for i in IN_LINES[number:]]
    (folder / "lines.jsonl").write_bytes(b"".join(lines))
    (folder / "utf16.jsonl").write_bytes("".join(good_line(i).decode() for i in UTF16).encode("utf-16"))
    (folder / "packed.jsonl.gz").write_bytes(b"".join(gzip.compress(good_line(i)) for i in PACKED))
    (folder / "latin1.csv").write_bytes(
        b"id,text\n7,Der Pr\xe4sident sprach am Freitag mit M\xfcller \xfcber die Lage.\n"
    )
    (folder / "sub").mkdir()
    (folder / "sub" / "good.txt").write_text(article(2)["text"], encoding="utf-8")
    os.mkfifo(folder / "pipe.txt")
    (folder / "broken.txt").symlink_to("nowhere")
    (folder / "loop.txt").symlink_to("loop.txt")
    (folder / "passwd.txt").symlink_to("/etc/passwd")
    (folder / "up.txt").symlink_to("../outside.txt")
    (folder / "loop").symlink_to(".")
    (scratch / "outside.txt").write_text(OUTSIDE, encoding="utf-8")
    listening = socket.socket(socket.AF_UNIX)
    place = os.getcwd()
    try:
        os.chdir(folder)
        listening.bind("socket.txt")
    finally:
        os.chdir(place)
        listening.close()
    return scratch


def score(scratch: Path, *words: str) -> tuple[list[dict[str, Any]], int, str]:
    """The records of the archive, the peak memory of the job in bytes, and its standard error."""
    code = (
        "import resource, runpy, sys\n"
        "try:\n    runpy.run_module('pipeline', run_name='__main__')\n"
        "finally:\n    open('peak', 'w').write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "score", "archive", "--model", str(topic_model()), "-o", "out.jsonl", *words],
        cwd=scratch,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    records = [json.loads(one) for one in (scratch / "out.jsonl").open(encoding="utf-8")]
    return records, int((scratch / "peak").read_text()), done.stderr


def test_a_poisoned_archive_is_scored_but_for_its_poison(poisoned: Path) -> None:
    records, peak, errors = score(poisoned, "--processes", "1", "--evidence", "1")
    errors_by_name = {Path(one["id"].partition("#")[0]).name: one["error"] for one in records if one["error"]}
    for name in json.loads((poisoned / "bad.json").read_text(encoding="utf-8")):
        if not name.endswith(".warc") and name not in ("empty.warc.gz",):
            assert name in errors_by_name, name
            assert errors_by_name[name]["reason"] != "failed", errors_by_name[name]
    for name in ("pipe.txt", "broken.txt", "loop.txt", "passwd.txt", "up.txt", "socket.txt"):
        assert errors_by_name[name]["reason"] in ("link", "not_a_file"), name
    good = [record for record in records if record["id"].startswith("a0") and not record["error"]]
    assert [record["id"] for record in good] == [f"a{i:06d}" for i in (*IN_LINES, *PACKED, *UTF16)]
    assert all(record["predictions"]["topic"] for record in good)
    n_bad_lines = sum(
        "lines.jsonl" in (one["error"] or {"message": ""})["message"] or one["id"] == "x" for one in records
    )
    assert n_bad_lines >= len(BAD_LINES)
    failed = [
        one["error"]["message"] for one in records if one["error"] and one["error"]["reason"] in ("failed", "crashed")
    ]
    assert failed == []
    odd = {record["id"]: record["error"] for record in records if record["id"].startswith("odd-")}
    assert {name for name, error in odd.items() if error} <= {"odd-marks"}
    assert len(odd) == sum(b'"id": "odd-' in one for one in ODD_LINES.values())
    assert OUTSIDE not in (poisoned / "out.jsonl").read_text(encoding="utf-8")
    assert peak < MAX_MEMORY_BYTES, f"{peak:,} bytes"
    assert "Traceback" not in errors


@pytest.mark.parametrize("kind", BAD_LINES)
def test_each_bad_line_gives_one_record_with_its_reason(kind: str, tmp_path: Path) -> None:
    from pipeline.document import Rejected
    from pipeline.inputs import Limits, read_articles

    (tmp_path / "a.jsonl").write_bytes(good_line(1) + BAD_LINES[kind] + good_line(2))
    found = list(read_articles([str(tmp_path / "a.jsonl")], Limits.load(ROOT / "configs" / "inputs.yaml")))
    assert [one.id for one in (found[0], found[-1])] == ["a000001", "a000002"]
    assert len(found) == 3
    assert isinstance(found[1], Rejected) or kind in ("deep_html", "formatting_bomb")


def test_a_bad_batch_costs_only_its_bad_article() -> None:
    from pipeline.document import Article
    from pipeline.score import Scorer
    from pipeline.scoring import answers

    class Fragile:
        """Separates as ever, but fails on one article."""

        def __init__(self, real: Any):
            self.real = real

        def separate_batch(self, articles: list[Article]) -> Any:
            if any(one.id == "fatal" for one in articles):
                raise ZeroDivisionError("fatal")
            return self.real.separate_batch(articles)

    scorer = Scorer.load([topic_model()])
    batch = [Article(**article(i)) for i in range(6)]
    batch[3] = Article("fatal", text="x")
    found = answers(replace(scorer, separator=Fragile(scorer.separator)), list(batch))[0]  # type: ignore[arg-type]
    assert [one.error.reason if one.error else "" for one in found] == ["", "", "", "failed", "", ""]
    del batch[3], found[3]
    assert [one.predictions for one in found] == [one.predictions for one in scorer.score(batch)]
