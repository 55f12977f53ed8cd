"""A real MLflow server over HTTP with basic auth: runs arrive; while it is down they wait, and nothing is lost."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import tracking
from pipeline.errors import TrackingError

PASSWORD = "correct-horse-battery-staple"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`mlflow server` with basic auth in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        (folder / "auth.ini").write_text(
            f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder}/auth.db\nadmin_username = admin\n"
            f"admin_password = {PASSWORD}\nauthorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {
            **os.environ,
            "MLFLOW_AUTH_CONFIG_PATH": str(self.folder / "auth.ini"),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "for this test only",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--app-name",
            "basic-auth",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
        ]
        command += [
            "--backend-store-uri",
            f"sqlite:///{self.folder}/store.db",
            "--artifacts-destination",
            str(self.folder / "files"),
            "--workers",
            "1",
        ]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=2).close()
            except OSError:
                time.sleep(0.5)
            else:
                return
        raise AssertionError(f"the server did not start: {(self.folder / 'server.log').read_text()[-2000:]}")

    def kill(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("flask_wtf", reason="mlflow's basic auth needs flask-wtf (extra mlflow[auth])")
    one = Server(tmp_path_factory.mktemp("server"))
    one.start()
    yield one
    one.kill()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "configs" / "tasks").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "120")  # a busy machine answers slowly
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    return tmp_path


def record(folder: Path, name: str) -> tracking.RunRecord:
    (folder / "report.html").write_text("<p>report</p>")
    return tracking.RunRecord(
        key=tracking.new_key(),
        name=name,
        params={"long": "x" * 20_000, **{f"p{i}": str(i) for i in range(500)}},
        metrics={"test/macro_f1": 0.5},
        artifacts={"report.html": folder / "report.html"},
    )


def run_named(name: str) -> object:
    import mlflow

    client = mlflow.MlflowClient(tracking.tracking_uri())
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    assert experiment is not None
    return client.search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'")


def test_a_run_arrives_whole_however_long_its_settings(
    server: Server, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    assert tracking.log_run(record(project, "arrives")) is not None
    (found,) = run_named("arrives")  # type: ignore[misc]
    assert "".join(found.data.params[name] for name in ("long", "long.1", "long.2", "long.3")) == "x" * 20_000
    assert found.data.params["p499"] == "499"
    assert tracking.sync() == (0, 0)


def test_a_server_that_dies_loses_nothing(
    server: Server, project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    server.kill()
    assert tracking.log_run(record(project, "waits")) is None
    assert "slugline sync" in caplog.text
    with pytest.raises(TrackingError, match="does not answer"):
        tracking.sync()
    server.start()
    assert tracking.sync() == (1, 1)
    (found,) = run_named("waits")  # type: ignore[misc]
    assert found.data.metrics["test/macro_f1"] == 0.5
    assert tracking.sync() == (0, 0)


def test_a_server_killed_while_a_run_arrives_loses_nothing_and_doubles_nothing(
    server: Server, project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    files = {f"part-{i:03d}.txt": project / f"part-{i:03d}.txt" for i in range(400)}
    for path in files.values():
        path.write_text(path.name * 100)
    curve = [(step, step / 100) for step in range(100)]
    large = dataclasses.replace(record(project, "torn"), artifacts=files, curves={"test/curve/x": curve})
    arrived: list[object] = []
    uploading = threading.Thread(target=lambda: arrived.append(tracking.log_run(large)))
    uploading.start()
    deadline = time.monotonic() + 120
    while not list((server.folder / "files").rglob("part-00*.txt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    server.kill()
    uploading.join(180)
    assert arrived == [None], "the upload broke off"
    assert "slugline sync" in caplog.text
    n_before = len(list((server.folder / "files").rglob("part-*.txt")))
    assert 0 < n_before < 400
    server.start()
    assert tracking.sync() == (1, 1)
    (found,) = run_named("torn")  # type: ignore[misc]
    assert found.info.status == "FINISHED"
    assert len(list((server.folder / "files").rglob("part-*.txt"))) == 400
    import mlflow

    history = mlflow.MlflowClient(server.uri).get_metric_history(found.info.run_id, "test/curve/x")
    assert sorted((point.step, point.value) for point in history) == curve


def test_a_wrong_password_is_one_clear_line(server: Server, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    with pytest.raises(TrackingError) as refused:
        tracking.find_run("anything", "topic")
    assert "wrong" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_only_trainings_of_the_task_are_offered_to_compare(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project}/mlflow.db")
    for name, kind, task in (("a", "train", "topic"), ("b", "train", "stance"), ("c", "drift", "topic")):
        one = dataclasses.replace(record(project, name), tags={"slugline.kind": kind, "task": task})
        assert tracking.log_run(one) is not None
    with pytest.raises(TrackingError) as refused:
        tracking.find_run("unheard of", "topic")
    assert re.fullmatch(r"no run 'unheard of'; there are \w{8} a", str(refused.value))


def test_an_old_file_store_gets_a_clear_message(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(project / "mlruns"))
    assert tracking.log_run(record(project, "old")) is None
    assert "file store" in caplog.text
