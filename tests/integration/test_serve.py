"""The service as a real process on loopback: what it answers, what it refuses, and that ending it loses nothing."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from archives import article, finished, topic_model
from conftest import ROOT

JSON = {"Content-Type": "application/json"}


class Server:
    """A running service and its address."""

    def __init__(self, folder: Path, *words: str | Path, **environment: str):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "serve", "--port", str(self.port), *map(str, words)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
            stderr=subprocess.PIPE,
        )
        while self.process.poll() is None:
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(self.process.communicate()[1].decode())

    def ask(self, method: str, path: str, value: Any = None, headers: dict[str, str] = JSON) -> tuple[int, Any]:
        """The status and the answer; JSON is parsed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            body = value if isinstance(value, bytes | Iterator | None) else json.dumps(value).encode()
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = response.read()
            is_json = response.getheader("content-type") == "application/json"
            return response.status, json.loads(content) if is_json else content.decode()
        finally:
            connection.close()

    def end(self) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("serve"), "--model", topic_model())
    yield running
    assert running.end() == 0


def test_it_answers_what_the_command_line_answers(server: Server, tmp_path: Path) -> None:
    given = [
        article(1),
        {"id": "none"},
        {"id": "page", "html": "<html><body><p>The minister spoke on Friday.</p></body></html>"},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in given), encoding="utf-8")
    _, output, _ = finished(tmp_path, "score", "a.jsonl", "--model", topic_model(), "--format", "jsonl")
    expected = [json.loads(line) for line in output.splitlines()]
    status, answer = server.ask("POST", "/v1/score", {"articles": given, "targets": ["Russia"]})
    assert status == 200
    assert [one["predictions"] for one in answer["records"]] == [one["predictions"] for one in expected]
    assert [one["error"] and one["error"]["reason"] for one in answer["records"]] == [None, "missing_text", None]
    _, output, _ = finished(tmp_path, "separate", "a.jsonl", "--format", "jsonl")
    status, answer = server.ask("POST", "/v1/separate", {"articles": given})
    assert [one["lines"] for one in answer["records"]] == [json.loads(line)["lines"] for line in output.splitlines()]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1", "localhost.evil:80"])
def test_a_foreign_host_is_refused(server: Server, host: str) -> None:
    status, answer = server.ask("POST", "/v1/score", {"articles": []}, {**JSON, "Host": host})
    assert (status, answer["error"]["reason"]) == (403, "foreign_host")


@pytest.mark.parametrize("host", ["localhost:1", "[::1]:8000", "LOCALHOST"])
def test_its_own_names_are_served(server: Server, host: str) -> None:
    assert server.ask("POST", "/v1/score", {"articles": []}, {**JSON, "Host": host}) == (200, {"records": []})


def test_what_is_too_large_is_refused_and_the_next_is_answered(server: Server) -> None:
    body = b'{"articles": [{"text": "' + b"x" * 17_000_000 + b'"}]}'
    assert server.ask("POST", "/v1/score", body)[0] == 413
    assert server.ask("POST", "/v1/score", iter_chunks(body))[0] == 413
    assert server.ask("POST", "/v1/score", {"articles": [{"text": "x"}] * 1001})[0] == 413
    assert server.ask("POST", "/v1/score", {"articles": [article(2)]})[0] == 200


def iter_chunks(body: bytes) -> Any:
    """The body without its length told beforehand."""
    return (body[i : i + 65536] for i in range(0, len(body), 65536))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[" * 200_000, 400),
        (b'{"articles": [{"text": 3}]}', 422),
        (b'{"articles": [{"text": "\\ud800"}]}', 200),
        (b'{"articles": [{"id": "\\ud800", "text": "The cat sat."}]}', 200),
        (b'{"articles": [], "targets": ["\\ud800"]}', 422),
        (b'{"articles": [], "targets": [" "]}', 422),
        (b'{"articles": [], "targets": ["' + b"x" * 500 + b'"]}', 422),
        (b'{"articles": ' + b"9" * 5000 + b"}", 400),
        (b"\xff\xfe{}", 422),
    ],
)
def test_hostile_bodies_are_answered_in_one_line(server: Server, body: bytes, status: int) -> None:
    given, answer = server.ask("POST", "/v1/score", body)
    assert given == status, answer
    assert status == 200 or answer["error"]["message"]


def test_metrics_count_what_was_asked(server: Server) -> None:
    server.ask("POST", "/v1/score", {"articles": [article(3), {"id": "none"}]})
    server.ask("GET", "/no/such/path")
    _, text = server.ask("GET", "/metrics")
    counts = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(counts['slugline_rejected_articles_total{reason="missing_text"}']) >= 1
    assert float(counts['slugline_requests_total{path="other",status="404"}']) >= 1
    assert counts["slugline_requests_in_flight"] == "1"


def test_termination_under_load_loses_no_accepted_request(tmp_path: Path) -> None:
    running = Server(tmp_path, "--model", topic_model())
    answered, lost = [0] * 16, list[str]()

    def client(number: int) -> None:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=120)
            try:
                connection.connect()
            except OSError:
                return  # nobody listens any more: this request was never accepted
            try:
                connection.request("POST", "/v1/score", json.dumps({"articles": [article(number)]}), JSON)
                response = connection.getresponse()
                assert response.status == 200
                assert len(json.loads(response.read())["records"]) == 1
                answered[number] += 1
            except (OSError, http.client.HTTPException, AssertionError) as error:
                lost.append(repr(error))
            finally:
                connection.close()

    clients = [threading.Thread(target=client, args=(number,)) for number in range(16)]
    for one in clients:
        one.start()
    while sum(answered) < 50:
        time.sleep(0.05)
    assert running.end() == 0
    for one in clients:
        one.join(120)
    assert lost == []


def test_a_replaced_model_is_taken_up_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    model = Path(shutil.copytree(topic_model(), tmp_path / "topic"))
    running = Server(tmp_path, "--model", model)
    (model / "model.json").write_text("{}", encoding="utf-8")
    time.sleep(1.1)
    before = running.ask("POST", "/v1/score", {"articles": [article(4)]})[1]["records"][0]["model"]
    shutil.copytree(changed_model(tmp_path), model, dirs_exist_ok=True)
    time.sleep(1.1)
    after = running.ask("POST", "/v1/score", {"articles": [article(4)]})[1]["records"][0]["model"]
    assert before == {"topic": json.loads((topic_model() / "model.json").read_text())["digest"]}
    assert after == {"topic": json.loads((model / "model.json").read_text())["digest"]} != before
    assert running.end() == 0


def test_a_model_is_replaced_when_the_alias_in_the_registry_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    (tmp_path / "configs" / "tasks").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for path in (ROOT / "configs").glob("*.yaml"):
        text = path.read_text(encoding="utf-8").replace("registry_check_s: 30", "registry_check_s: 0.2")
        (tmp_path / "configs" / path.name).write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "models" / "separator", tmp_path / "models" / "separator")
    publish(topic_model())
    running = Server(tmp_path, "--model", "models:/slugline-topic@champion", MLFLOW_TRACKING_URI=store)
    question = {"articles": [article(5)]}
    assert running.ask("POST", "/v1/score", question)[1]["records"][0]["model"] == digest_of(topic_model())
    other = changed_model(tmp_path)
    publish(other)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if running.ask("POST", "/v1/score", question)[1]["records"][0]["model"] == digest_of(other):
            break
        time.sleep(0.2)
    else:
        raise AssertionError("the alias moved, the model did not")
    assert running.end() == 0


def publish(model: Path) -> None:
    """Register a model as the champion of its task."""
    from pipeline import tracking

    key = tracking.new_key()
    assert tracking.log_run(tracking.RunRecord(key=key, name="t", model=model)) is not None
    assert tracking.register_version("topic", key, {}, is_champion=True) is not None


def digest_of(model: Path) -> dict[str, str]:
    return {"topic": json.loads((model / "model.json").read_text(encoding="utf-8"))["digest"]}


def changed_model(scratch: Path) -> Path:
    """The topic model with other thresholds."""
    from dataclasses import replace

    from pipeline.classifiers.task_model import TaskModel

    model = TaskModel.load(topic_model())
    other = replace(model, set_thresholds=model.set_thresholds + 0.01, saved_digest="")
    other.save(scratch / "other")
    return scratch / "other"


def test_elsewhere_than_on_loopback_a_token_is_asked_for(tmp_path: Path) -> None:
    code, _, errors = finished(tmp_path, "serve", "--model", topic_model(), "--host", "0.0.0.0", SLUGLINE_TOKEN="")
    assert (code, "SLUGLINE_TOKEN" in errors, errors.count("\n")) == (1, True, 1), errors
    running = Server(tmp_path, "--model", topic_model(), "--host", "0.0.0.0", SLUGLINE_TOKEN="s3cret")
    question = {"articles": []}
    assert running.ask("POST", "/v1/score", question)[0] == 401
    assert running.ask("POST", "/v1/score", question, {**JSON, "Authorization": "Bearer wrong"})[0] == 401
    assert running.ask("POST", "/v1/score", question, {**JSON, "Authorization": "Bearer s3cret"})[0] == 200
    assert running.end() == 0
    assert running.process.stderr is not None
    assert b"s3cret" not in running.process.stderr.read()


def test_a_taken_port_is_one_clear_line(server: Server, tmp_path: Path) -> None:
    code, _, errors = finished(tmp_path, "serve", "--model", topic_model(), "--port", str(server.port))
    assert (code, "cannot be bound" in errors, errors.count("\n")) == (1, True, 1), errors


def test_schemathesis_finds_nothing(server: Server) -> None:
    pytest.importorskip("schemathesis", reason="schemathesis is not installed; pip install 'slugline[dev]'")
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"http://127.0.0.1:{server.port}/openapi.json",
        "--max-examples", "25", "--seed", "1", "--workers", "1", "--no-color", "--request-timeout", "60",
        "--phases", "examples,coverage,fuzzing", "--generation-database", "none",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
