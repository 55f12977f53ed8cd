"""Ray answers as one machine does, row for row, also when it loses a process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from archives import archive, finished, start, topic_model

pytest.importorskip("ray", reason="Ray is not installed; pip install 'slugline[ray]'")


def at_work(driver: psutil.Process) -> list[psutil.Process]:
    """The processes of the cluster that have a task."""
    found = []
    for process in driver.children(recursive=True):
        try:
            if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::_answer"):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_ray_answers_as_one_machine_does_though_it_loses_a_process(tmp_path: Path) -> None:
    archive(tmp_path / "a.jsonl", 4000)
    words = ("score", "a.jsonl", "--model", topic_model(), "--evidence", "0", "-o")
    assert finished(tmp_path, *words, "local.jsonl", "--processes", "1")[0] == 0
    job = start(tmp_path, *words, "ray.jsonl", "--engine", "ray", "--processes", "2")
    driver, work, n_killed = psutil.Process(job.pid), tmp_path / ".ray.jsonl.work", 0
    while job.poll() is None and not n_killed:
        for process in at_work(driver)[:1] if list(work.glob("*.jsonl")) else ():
            os.kill(process.pid, signal.SIGKILL)
            n_killed += 1
        time.sleep(0.01)
    _, errors = job.communicate(timeout=300)
    assert job.returncode == 0, errors.decode()
    assert n_killed == 1
    assert (tmp_path / "ray.jsonl").read_bytes() == (tmp_path / "local.jsonl").read_bytes()


def test_an_unknown_cluster_is_one_clear_line(tmp_path: Path) -> None:
    archive(tmp_path / "a.jsonl", 3)
    words = ("--model", topic_model(), "-o", "r.jsonl", "--engine", "ray", "--ray-address", "nosuchscheme://x")
    code, _, errors = finished(tmp_path, "score", "a.jsonl", *words)
    assert (code, "no Ray cluster" in errors, "Traceback" in errors) == (1, True, False), errors
