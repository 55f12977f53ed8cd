"""One waiting record to the server. Doing it twice gives the same run, so an upload that broke off is simply done again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.artifacts import read_json
from pipeline.tracking.server import KEY_TAG, KIND_TAG, connected, experiment_id, model_of_run, run_of_key

if TYPE_CHECKING:
    from mlflow import MlflowClient

MAX_PARAM_CHARS = 6000
_PARAMS_AT_ONCE = 100
_METRICS_AT_ONCE = 1000


def upload(folder: Path) -> str:
    """The id of the run that now holds the record of a spool folder; the folder is gone then.

    Raises:
        TrackingError: the server cannot be reached, refused or broke off; the folder is as it was.
    """
    plain = read_json(folder / "record.json")
    with connected() as client:
        run = _found_or_created(client, plain)
        run_id = str(run.info.run_id)
        _log_params(client, run, plain["params"])
        _log_metrics(client, run_id, plain)
        for name, value in _tags(plain, run.data.tags).items():
            client.set_tag(run_id, name, value)
        _log_datasets(client, run_id, plain["datasets"])
        if (folder / "artifacts").is_dir():
            client.log_artifacts(run_id, str(folder / "artifacts"))
        if plain["model"] and model_of_run(client, run) is None:
            _log_model(run_id, folder / "model")
        client.set_terminated(run_id, "FINISHED", end_time=run.info.end_time or plain["written_ms"])
    shutil.rmtree(folder)
    return run_id


def _found_or_created(client: MlflowClient, plain: Mapping[str, Any]) -> Any:
    if run := run_of_key(client, plain["key"]):
        return run
    tags = {KEY_TAG: plain["key"], KIND_TAG: "other", **plain["origin_tags"]}
    if plain["parent_key"] and (parent := run_of_key(client, plain["parent_key"])):
        tags["mlflow.parentRunId"] = parent.info.run_id
    began_ms = plain["written_ms"] - int(1000 * plain["seconds"])
    where = experiment_id(client, plain["tags"].get("task"))
    return client.create_run(where, start_time=began_ms, tags=tags, run_name=plain["name"] or None)


def _tags(plain: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, str]:
    """The tags to set, those by which MLflow shows a description, a name and tables among them."""
    tags = dict(plain["tags"])
    if plain["description"]:
        tags["mlflow.note.content"] = plain["description"]
    if plain["name"]:
        tags["mlflow.runName"] = plain["name"]
    tables = [name for name in plain["artifacts"] if name.startswith("tables/")]
    if tables:
        logged = json.loads(known.get("mlflow.loggedArtifacts", "[]"))
        logged += [{"path": name, "type": "table"} for name in tables if name not in {one["path"] for one in logged}]
        tags["mlflow.loggedArtifacts"] = json.dumps(logged)
    return tags


def _log_params(client: MlflowClient, run: Any, params: Mapping[str, str]) -> None:
    from mlflow.entities import Param

    chunks = {
        f"{name}{f'.{part}' if part else ''}": value[begin : begin + MAX_PARAM_CHARS]
        for name, value in params.items()
        for part, begin in enumerate(range(0, max(1, len(value)), MAX_PARAM_CHARS))
    }
    new = [Param(name, value) for name, value in chunks.items() if name not in run.data.params]
    for begin in range(0, len(new), _PARAMS_AT_ONCE):
        client.log_batch(run.info.run_id, params=new[begin : begin + _PARAMS_AT_ONCE])


def _log_metrics(client: MlflowClient, run_id: str, plain: Mapping[str, Any]) -> None:
    """Log metrics and curves in the record's order, stamped with the record's time, so that a second time adds nothing."""
    from mlflow.entities import Metric

    at = plain["written_ms"]
    rows = [Metric(name, float(value), at, 0) for name, value in plain["metrics"].items()]
    rows += [
        Metric(name, float(value), at, int(step)) for name, line in plain["curves"].items() for step, value in line
    ]
    for begin in range(0, len(rows), _METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=rows[begin : begin + _METRICS_AT_ONCE])


def _log_datasets(client: MlflowClient, run_id: str, datasets: Sequence[Mapping[str, Any]]) -> None:
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
            python_model=str(Path(__file__).parents[1] / "pyfunc_model.py"),
            artifacts={"model": str(folder)},
            signature=signature,
            input_example={"text": ["Oil prices rose on Monday after the producers' meeting."]},
            pip_requirements=["slugline"],
        )


def _drop_warning(*_: object, **__: object) -> None:
    """Nothing is shown: MLflow turns filters off for its advice, so that they alone do not silence it."""
