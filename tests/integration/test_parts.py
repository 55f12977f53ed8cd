"""A job that writes Parquet parts, here or in another store: the same records as one file, also after it was killed."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from archives import archive, finished, start, topic_model
from conftest import ROOT

N_ARTICLES = 900


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive in Parquet partitions, settings for parts of 100 articles, and the records in one file."""
    place = tmp_path_factory.mktemp("parts")
    archive(place / "a.jsonl", N_ARTICLES)
    settings = (ROOT / "configs" / "score.yaml").read_text(encoding="utf-8")
    settings = re.sub("part_articles: [0-9]+", "part_articles: 100", settings)
    (place / "configs").mkdir()
    (place / "configs" / "score.yaml").write_text(
        re.sub("batch_articles: [0-9]+", "batch_articles: 30", settings), encoding="utf-8"
    )
    rows = [json.loads(line) for line in (place / "a.jsonl").open(encoding="utf-8")]
    import pyarrow as pa

    for number in range(3):
        some = rows[number * 300 : (number + 1) * 300]
        path = place / "in" / f"day={number}" / "part.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(some), path)
    code, _, errors = finished(place, *words("in", "whole.parquet"), "--processes", "1")
    assert code == 0, errors
    return place


def words(given: str, output: str) -> tuple[str | Path, ...]:
    return ("score", given, "--config-dir", "configs", "--model", topic_model(), "--evidence", "0", "-o", output)


def rows(path: Path) -> list[dict[str, Any]]:
    """The records in a file, or in the parts of a folder in the order of their names."""
    files = sorted(path.glob("part-*.parquet")) if path.is_dir() else [path]
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_a_killed_job_in_parts_ends_as_one_file_has_it(folder: Path) -> None:
    output = folder / "out"
    url = f"file://{folder}/in/"
    job = start(folder, *words(url, "out/"), "--processes", "2")
    while job.poll() is None and len(list(output.glob("part-*.parquet"))) < 2:
        time.sleep(0.005)
    job.send_signal(signal.SIGKILL)
    job.communicate()
    before = {path.name: path.stat().st_mtime_ns for path in output.glob("part-*.parquet")}
    code, _, errors = finished(folder, *words(url, "out/"), "--processes", "2")
    assert code == 0, errors
    after = {path.name: path.stat().st_mtime_ns for path in output.glob("part-*.parquet")}
    assert before.items() <= after.items()
    assert len(after) == 9
    assert sorted(path.name for path in output.iterdir()) == ["_job.json", "_profile.json", *sorted(after)]
    assert rows(output) == rows(folder / "whole.parquet")
    profile = json.loads((output / "_profile.json").read_text(encoding="utf-8"))
    assert (
        profile["counts"] == json.loads((folder / "whole.parquet.profile.json").read_text(encoding="utf-8"))["counts"]
    )
    code, _, errors = finished(folder, *words(url, "out/"), "--target", "Russia")
    assert (code, "other settings (targets)" in errors) == (1, True), errors


def test_parts_of_articles_that_changed_are_replaced(folder: Path) -> None:
    assert finished(folder, *words("a.jsonl", f"file://{folder}/changed"))[0] == 0
    lines = (folder / "a.jsonl").read_text(encoding="utf-8").splitlines()
    (folder / "b.jsonl").write_text("\n".join(lines[:450]) + "\n", encoding="utf-8")
    assert finished(folder, *words("b.jsonl", f"file://{folder}/changed"))[0] == 0
    assert [row["id"] for row in rows(folder / "changed")] == [f"a{i:06d}" for i in range(450)]


def test_ray_writes_the_same_parts(folder: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed; pip install 'slugline[ray]'")
    code, _, errors = finished(folder, *words("in/*/*.parquet", "ray/"), "--engine", "ray", "--processes", "2")
    assert code == 0, errors
    assert rows(folder / "ray") == rows(folder / "whole.parquet")


def test_a_folder_of_other_files_is_left_alone(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "notes.txt").write_text("mine", encoding="utf-8")
    code, _, errors = finished(folder, *words("a.jsonl", "mine/"))
    assert (code, "holds other files (notes.txt)" in errors, errors.count("\n")) == (1, True, 1), errors
    code, _, errors = finished(folder, *words("a.jsonl", "nosuchstore://x"))
    assert (code, "cannot be written to" in errors, errors.count("\n")) == (1, True, 1), errors
