"""A scoring job killed anywhere, a full disk, a read-only folder: run again, it ends as an undisturbed one."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from archives import archive, finished, start, topic_model
from conftest import ROOT

N_ARTICLES = 1200
N_KILLS = int(os.environ.get("SLUGLINE_KILLS", "3"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive and what one process, left alone, makes of it."""
    folder = tmp_path_factory.mktemp("job")
    archive(folder / "a.jsonl", N_ARTICLES)
    (folder / "configs").mkdir()
    settings = (ROOT / "configs" / "score.yaml").read_text(encoding="utf-8")
    (folder / "configs" / "score.yaml").write_text(
        re.sub("batch_articles: [0-9]+", "batch_articles: 60", settings), encoding="utf-8"
    )
    code, _, errors = finished(folder, *words("whole.jsonl"), "--processes", "1")
    assert code == 0, errors
    return folder


def words(output: str) -> tuple[str | Path, ...]:
    return ("score", "a.jsonl", "--config-dir", "configs", "--model", topic_model(), "--evidence", "0", "-o", output)


def workers(driver: psutil.Process) -> list[psutil.Process]:
    return [one for one in driver.children(recursive=True) if "spawn_main" in " ".join(one.cmdline())]


def running(job: subprocess.Popen[bytes], folder: Path, n_shards: int) -> bool:
    """Wait until the job has written so many shards; False if it ended first."""
    while job.poll() is None:
        if len(list(folder.glob("*.jsonl"))) >= n_shards:
            return True
        time.sleep(0.005)
    return False


def test_a_job_killed_again_and_again_loses_and_doubles_nothing(undisturbed: Path) -> None:
    rng = random.Random(5)
    work = undisturbed / ".out.jsonl.work"
    for n_shards in range(N_KILLS):
        job = start(undisturbed, *words("out.jsonl"), "--processes", "2")
        if running(job, work, n_shards):
            time.sleep(rng.random() * 0.2)
        processes = [psutil.Process(job.pid), *workers(psutil.Process(job.pid))] if job.poll() is None else []
        job.kill()
        job.communicate()
        _, alive = psutil.wait_procs(processes, timeout=20)
        assert not alive, "a worker outlived its parent"
    code, _, errors = finished(undisturbed, *words("out.jsonl"), "--processes", "2")
    assert code == 0, errors
    assert (undisturbed / "out.jsonl").read_bytes() == (undisturbed / "whole.jsonl").read_bytes()
    profile = (undisturbed / "out.jsonl.profile.json").read_bytes()
    assert profile == (undisturbed / "whole.jsonl.profile.json").read_bytes()
    ids = [json.loads(line)["id"] for line in (undisturbed / "out.jsonl").open(encoding="utf-8")]
    assert ids == [f"a{i:06d}" for i in range(N_ARTICLES)]
    assert not work.exists()


def test_a_lost_worker_changes_nothing(undisturbed: Path) -> None:
    job = start(undisturbed, *words("lost.jsonl"), "--processes", "2")
    assert running(job, undisturbed / ".lost.jsonl.work", 1)
    os.kill(workers(psutil.Process(job.pid))[0].pid, signal.SIGKILL)
    _, errors = job.communicate(timeout=300)
    assert job.returncode == 0, errors.decode()
    assert "a process was lost" in errors.decode()
    assert (undisturbed / "lost.jsonl").read_bytes() == (undisturbed / "whole.jsonl").read_bytes()


def test_a_job_goes_on_where_it_stopped_and_refuses_other_settings(undisturbed: Path) -> None:
    job = start(undisturbed, *words("other.jsonl"), "--processes", "2")
    work = undisturbed / ".other.jsonl.work"
    assert running(job, work, 2)
    job.kill()
    job.communicate()
    before = {path.name: path.stat().st_mtime_ns for path in work.glob("*.jsonl")}
    code, _, errors = finished(undisturbed, *words("other.jsonl"), "--target", "Russia")
    assert (code, "other settings (targets)" in errors) == (1, True), errors
    again = start(undisturbed, *words("other.jsonl"), "--processes", "2")
    assert running(again, work, len(before) + 1)
    again.send_signal(signal.SIGSTOP)
    kept = {path.name: path.stat().st_mtime_ns for path in work.glob("*.jsonl")}
    assert before.items() <= kept.items()
    third = finished(undisturbed, *words("other.jsonl"))
    again.send_signal(signal.SIGCONT)
    again.communicate(timeout=300)
    assert (third[0], "another job is writing it" in third[2]) == (1, True), third[2]
    assert (undisturbed / "other.jsonl").read_bytes() == (undisturbed / "whole.jsonl").read_bytes()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB; skipped where one may not be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_one_clear_line_and_a_rerun_completes(undisturbed: Path, small_disk: Path) -> None:
    output = str(small_disk / "out.jsonl")
    code, _, errors = finished(undisturbed, *words(output))
    assert code == 1
    assert "cannot be written (No space left on device)" in errors
    assert "Traceback" not in errors
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert finished(undisturbed, *words(output), "--processes", "1")[0] == 0
    assert Path(output).read_bytes() == (undisturbed / "whole.jsonl").read_bytes()
    assert sorted(path.name for path in small_disk.iterdir()) == ["out.jsonl", "out.jsonl.profile.json"]


def test_a_read_only_folder_is_one_clear_line(undisturbed: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    code, _, errors = finished(undisturbed, *words(str(small_disk / "out.jsonl")), "--processes", "1")
    assert (code, "cannot be written (Read-only file system)" in errors, "Traceback" in errors) == (1, True, False), (
        errors
    )
