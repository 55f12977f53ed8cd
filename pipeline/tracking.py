"""Runs in MLflow: the only import of mlflow.

The decision that is not obvious: a run is first written whole to a local spool and only then uploaded, so a tracking server
that is down, or dies half-way, loses nothing; `slugline sync` uploads what waits. Records with the same key become one
MLflow run, so `train`, `evaluate` and `register` each add to it without sharing a process.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.artifacts import digest, read_json, replacing, write_json
from pipeline.errors import TrackingError
from pipeline.home import home

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

EXPERIMENT = "slugline"
KEY_TAG = "slugline.key"
MAX_PARAM_CHARS = 6000
HEALTH_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """A data set that a run used: its name, digest and size, and what for."""

    name: str
    digest: str
    n_rows: int
    context: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What one stage adds to a run. `artifacts` maps a name in the run to a file here; `model` is a model's folder."""

    key: str
    name: str = ""
    description: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    datasets: tuple[DatasetRef, ...] = ()
    model: Path | None = None
    parent_key: str | None = None


def new_key() -> str:
    """A key that no other run has."""
    return uuid.uuid4().hex


def remember_key(task: str, key: str) -> None:
    """Keep the key of the run that trained a task last, outside of what DVC tracks."""
    write_json({"key": key}, home() / ".slugline" / "runs" / f"{task}.json")


def last_key(task: str) -> str:
    """The key of the run that trained a task last, or a new one."""
    path = home() / ".slugline" / "runs" / f"{task}.json"
    return str(read_json(path)["key"]) if path.is_file() else new_key()


def log_run(record: RunRecord) -> str | None:
    """The id of the MLflow run that now holds the record, or None while it waits in the spool.

    The record is safe on disk before the server is asked. An unreachable server is a warning, not an error.
    """
    waiting = _spool(record)
    try:
        return _upload_oldest_first(waiting)
    except TrackingError as error:
        log.warning("%s; the run is kept in %s: `slugline sync` uploads it later", error, waiting)
        return None


def sync() -> tuple[int, int]:
    """How many waiting records were uploaded, and how many there were.

    Raises:
        TrackingError: the server cannot be reached.
    """
    waiting = _waiting()
    for n_done, folder in enumerate(waiting):
        try:
            _upload(folder)
        except TrackingError as error:
            raise TrackingError(f"{error}; {n_done} of {len(waiting)} runs uploaded, the others stay") from error
    return len(waiting), len(waiting)


def tracking_uri() -> str:
    """Where runs go: MLFLOW_TRACKING_URI, else an SQLite file beside the configs."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow.db'}"


def register_version(task: str, key: str, tags: Mapping[str, str], *, is_champion: bool) -> str | None:
    """The number of the new registered version of `slugline-<task>`, or None when its run is not on the server."""
    try:
        with _client() as client:
            run = _find(client, key)
            models = (
                client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
                if run
                else []
            )
            if not run or not models:
                return None
            return _register(client, f"slugline-{task}", models[0].model_uri, run.info.run_id, tags, is_champion)
    except TrackingError as error:
        log.warning("%s; the champion is promoted here, not in the registry", error)
        return None


def model_folder(uri: str, destination: Path) -> Path:
    """The model's files behind a registry URI such as `models:/slugline-topic@champion`, fetched to a folder.

    Raises:
        TrackingError: the server or the version is not there.
    """
    with _client():
        import mlflow

        found = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(destination)))
    inner = [path.parent for path in sorted(found.rglob("model.json"))]
    if not inner:
        raise TrackingError(f"{uri}: holds no Slugline model")
    return inner[0]


def find_run(wanted: str) -> tuple[str, str, str]:
    """Id, name and model URI of the run meant by an id, the beginning of one, or a name.

    Raises:
        TrackingError: no such run, several, or one without a model.
    """
    with _client() as client:
        runs = client.search_runs([_experiment_id(client)], max_results=1000)
        meant = [r for r in runs if r.info.run_id == wanted or r.info.run_name == wanted]
        meant = meant or [r for r in runs if r.info.run_id.startswith(wanted) or wanted in (r.info.run_name or "")]
        if len(meant) != 1:
            listed = "; ".join(f"{r.info.run_id[:8]} {r.info.run_name}" for r in (meant or runs)[:5])
            raise TrackingError(
                f"{'no run' if not meant else f'{len(meant)} runs'} '{wanted}'; there are {listed or 'none'}"
            )
        models = client.search_logged_models([meant[0].info.experiment_id], f"source_run_id = '{meant[0].info.run_id}'")
        if not models:
            raise TrackingError(f"run '{wanted}' has no model")
        return meant[0].info.run_id, str(meant[0].info.run_name), str(models[0].model_uri)


def tag_run(run_id: str, name: str, value: str) -> None:
    """Tag a run that is on the server; an unreachable server is a warning."""
    try:
        with _client() as client:
            client.set_tag(run_id, name, value)
    except TrackingError as error:
        log.warning("%s; run %s was not tagged", error, run_id)


def provenance() -> dict[str, str]:
    """Tags that say where a run came from: git commit, DVC lock digest, stage and experiment."""
    lock = home() / "dvc.lock"
    found = {
        "git.commit": _git("rev-parse", "HEAD"),
        "git.dirty": "yes" if _git("status", "--porcelain", "--untracked-files=no") else "no",
        "dvc.lock": digest(lock) if lock.is_file() else "",
        "dvc.stage": os.environ.get("DVC_STAGE", ""),
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
    }
    return {name: value for name, value in found.items() if value}


def flat_params(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted params."""
    params: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            params.update(flat_params(value, f"{prefix}{name}."))
        else:
            params[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return params


def _spool_folder() -> Path:
    return home() / ".slugline" / "spool"


def _waiting() -> list[Path]:
    return sorted(path for path in _spool_folder().glob("*-*") if (path / "record.json").is_file())


def _spool(record: RunRecord) -> Path:
    number = 1 + max((int(path.name.partition("-")[0]) for path in _waiting()), default=0)
    folder = _spool_folder() / f"{number:08d}-{uuid.uuid4().hex[:8]}"
    with replacing(folder) as temporary:
        temporary.mkdir()
        for name, path in record.artifacts.items():
            (temporary / "artifacts" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, temporary / "artifacts" / name)
        if record.model:
            shutil.copytree(record.model, temporary / "model")
        plain = {**asdict(record), "artifacts": sorted(record.artifacts), "model": bool(record.model)}
        (temporary / "record.json").write_text(json.dumps(plain), encoding="utf-8")
    return folder


def _upload_oldest_first(newest: Path) -> str | None:
    """Upload all that waits up to `newest`, so that the parts of one run arrive in order."""
    run_id = None
    for folder in _waiting():
        if folder <= newest:
            run_id = _upload(folder)
    return run_id


def _upload(folder: Path) -> str:
    plain = read_json(folder / "record.json")
    with _client() as client:
        run_id = _find_or_create(client, plain)
        _log_params(client, run_id, plain["params"])
        _log_metrics(client, run_id, plain["metrics"])
        tags = {**plain["tags"], **({"mlflow.note.content": plain["description"]} if plain["description"] else {})}
        for name, value in {**tags, **({"mlflow.runName": plain["name"]} if plain["name"] else {})}.items():
            client.set_tag(run_id, name, value)
        _log_datasets(client, run_id, plain["datasets"])
        if (folder / "artifacts").is_dir():
            client.log_artifacts(run_id, str(folder / "artifacts"))
        if plain["model"]:
            _log_model(run_id, folder / "model")
        client.set_terminated(run_id, "FINISHED")
    shutil.rmtree(folder)
    return run_id


@contextmanager
def _client() -> Iterator[MlflowClient]:
    """A client of the tracking server.

    Raises:
        TrackingError: the server cannot be reached, or refused.
    """
    uri = tracking_uri()
    _check_reachable(uri)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    import mlflow
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(uri)
    try:
        yield mlflow.MlflowClient(uri)
    except MlflowException as error:
        raise TrackingError(f"MLflow at {_shown(uri)} refused: {str(error).splitlines()[0][:200]}") from error
    except OSError as error:
        raise TrackingError(f"MLflow at {_shown(uri)} broke off: {str(error)[:200]}") from error


def _check_reachable(uri: str) -> None:
    if (home() / "mlruns").is_dir() and not os.environ.get("MLFLOW_TRACKING_URI"):
        log.warning(
            "mlruns/ is an old MLflow file store, which MLflow no longer reads: new runs go to %s, mlruns/ is left alone",
            uri,
        )
    if uri.startswith("file:") or ("://" not in uri and not uri.startswith("databricks")):
        raise TrackingError(
            f"MLFLOW_TRACKING_URI={uri} is a file store, which MLflow no longer takes; use sqlite:///mlflow.db"
        )
    if uri.startswith(("http://", "https://")):
        try:
            urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=HEALTH_TIMEOUT_S).close()
        except OSError as error:
            if getattr(error, "code", 500) >= 500:
                raise TrackingError(f"the MLflow server at {_shown(uri)} does not answer ({error})") from error


def _shown(uri: str) -> str:
    """The URI without a user name and password."""
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _find(client: MlflowClient, key: str) -> Any:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return None
    found = client.search_runs([experiment.experiment_id], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
    return found[0] if found else None


def _find_or_create(client: MlflowClient, plain: Mapping[str, Any]) -> str:
    if run := _find(client, plain["key"]):
        return str(run.info.run_id)
    tags = {KEY_TAG: plain["key"]}
    if plain["parent_key"] and (parent := _find(client, plain["parent_key"])):
        tags["mlflow.parentRunId"] = parent.info.run_id
    created = client.create_run(_experiment_id(client), tags=tags, run_name=plain["name"] or None)
    return str(created.info.run_id)


def _experiment_id(client: MlflowClient) -> str:
    if experiment := client.get_experiment_by_name(EXPERIMENT):
        return str(experiment.experiment_id)
    location = (home() / "mlartifacts").as_uri() if tracking_uri().startswith("sqlite:") else None
    return str(client.create_experiment(EXPERIMENT, artifact_location=location))


def _log_params(client: MlflowClient, run_id: str, params: Mapping[str, str]) -> None:
    from mlflow.entities import Param

    known = client.get_run(run_id).data.params
    chunks = {
        f"{name}{f'.{part}' if part else ''}": value[begin : begin + MAX_PARAM_CHARS]
        for name, value in params.items()
        for part, begin in enumerate(range(0, max(1, len(value)), MAX_PARAM_CHARS))
    }
    new = [Param(name, value) for name, value in chunks.items() if name not in known]
    for begin in range(0, len(new), 100):
        client.log_batch(run_id, params=new[begin : begin + 100])


def _log_metrics(client: MlflowClient, run_id: str, metrics: Mapping[str, float]) -> None:
    import time

    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    rows = [Metric(name, float(value), now, 0) for name, value in metrics.items()]
    for begin in range(0, len(rows), 1000):
        client.log_batch(run_id, metrics=rows[begin : begin + 1000])


def _log_datasets(client: MlflowClient, run_id: str, datasets: list[dict[str, Any]]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = [
        DatasetInput(
            Dataset(
                one["name"],
                one["digest"][:36],
                "local",
                json.dumps({"uri": one["name"]}),
                profile=json.dumps({"num_rows": one["n_rows"]}),
            ),
            [InputTag("mlflow.data.context", one["context"])],
        )
        for one in datasets
    ]
    if inputs:
        client.log_inputs(run_id, inputs)


def _log_model(run_id: str, folder: Path) -> None:
    """Log the model's own files with a small loader beside them: code and plain arrays, no pickle."""
    import warnings

    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    signature = ModelSignature(
        Schema([ColSpec("string", "text")]),
        Schema([ColSpec("string", "id"), ColSpec("string", "label"), ColSpec("double", "probability")]),
    )
    with mlflow.start_run(run_id=run_id), warnings.catch_warnings():
        warnings.showwarning = _drop_warning  # advice on type hints, which would become a second schema
        mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).parent / "pyfunc_model.py"),
            artifacts={"model": str(folder)},
            signature=signature,
            input_example={"text": ["Oil prices rose on Monday after the producers' meeting."]},
            pip_requirements=["slugline"],
        )


def _drop_warning(*_: object, **__: object) -> None:
    """Nothing is shown: MLflow turns filters off for its advice, so that they alone do not silence it."""


def _register(
    client: MlflowClient, name: str, source: str, run_id: str, tags: Mapping[str, str], is_champion: bool
) -> str:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(name, source, run_id, tags=dict(tags))
    client.set_registered_model_alias(name, "champion" if is_champion else "challenger", version.version)
    return str(version.version)


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=home(), capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def serve_ui(port: int) -> None:
    """Serve the MLflow UI on loopback until it is stopped.

    Raises:
        TrackingError: runs are on a server, which has its own UI, or the port is taken.
    """
    import socket
    import sys

    uri = tracking_uri()
    if uri.startswith("http"):
        raise TrackingError(f"runs are on a tracking server: open {_shown(uri)} in a browser")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise TrackingError(f"port {port} is taken; give another: slugline ui --port {port + 1}")
    with _client() as client:
        experiment = _experiment_id(client)
    log.info(
        "The runs are at http://127.0.0.1:%d/#/experiments/%s/runs (ready in about 20 s; stop with Ctrl-C)",
        port,
        experiment,
    )
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        uri,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    command += ["--default-artifact-root", (home() / "mlartifacts").as_uri(), "--workers", "1"]
    os.execve(sys.executable, command, environment)
