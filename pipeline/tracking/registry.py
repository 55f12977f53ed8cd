"""Models and runs on the server: finding them, fetching them, and the aliases `champion` and `challenger`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import TrackingError
from pipeline.tracking.server import KIND_TAG, connected, experiment_id, model_of_run, run_of_key

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)


def register_version(
    task: str, key: str, tags: Mapping[str, str], *, is_champion: bool, description: str = ""
) -> str | None:
    """The number of the new registered version of `slugline-<task>`, or None when its run is not on the server."""
    try:
        with connected() as client:
            run = run_of_key(client, key)
            model = model_of_run(client, run) if run else None
            if not run or model is None:
                return None
            return _register(
                client, f"slugline-{task}", model.model_uri, run.info.run_id, tags, is_champion, description
            )
    except TrackingError as error:
        log.warning("%s; the champion is promoted here, not in the registry", error)
        return None


def move_champion(task: str, model_digest: str, tags: Mapping[str, str]) -> str | None:
    """The number of the version with this model's digest, which is `champion` now and tagged why; None if there is none."""
    name = f"slugline-{task}"
    try:
        with connected() as client:
            versions = client.search_model_versions(f"name = '{name}'")
            mine = [one for one in versions if one.tags.get("model.digest") == model_digest]
            if not mine:
                return None
            version = str(max(int(one.version) for one in mine))
            client.set_registered_model_alias(name, "champion", version)
            for tag, value in tags.items():
                client.set_model_version_tag(name, version, tag, value)
            return version
    except TrackingError as error:
        log.warning("%s; the champion is changed here, not in the registry", error)
        return None


def model_folder(uri: str, destination: Path) -> Path:
    """The model's files behind a registry URI such as `models:/slugline-topic@champion`, fetched to a folder.

    Raises:
        TrackingError: the server or the version is not there.
    """
    with connected():
        import mlflow

        found = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(destination)))
    inner = [path.parent for path in sorted(found.rglob("model.json"))]
    if not inner:
        raise TrackingError(f"{uri}: holds no Slugline model")
    return inner[0]


def version_behind(uri: str) -> str:
    """The number of the version that a registry URI such as `models:/slugline-topic@champion` means now.

    Raises:
        TrackingError: the server or the version is not there.
    """
    name, _, alias = uri.removeprefix("models:/").partition("@")
    if not alias:
        return name
    with connected() as client:
        return str(client.get_model_version_by_alias(name, alias).version)


def find_run(wanted: str, task: str) -> tuple[str, str, str]:
    """Id, name and model URI of the run meant by an id, a name, or a part of either among the task's trainings.

    Raises:
        TrackingError: no such run, several, or one without a model.
    """
    with connected() as client:
        runs = client.search_runs([experiment_id(client)], max_results=1000)
        meant = [r for r in runs if r.info.run_id == wanted or r.info.run_name == wanted]
        trained = [r for r in runs if r.data.tags.get(KIND_TAG) == "train" and r.data.tags.get("task") == task]
        meant = meant or [r for r in trained if r.info.run_id.startswith(wanted) or wanted in (r.info.run_name or "")]
        if len(meant) != 1:
            listed = "; ".join(f"{r.info.run_id[:8]} {r.info.run_name}" for r in (meant or trained)[:5])
            raise TrackingError(
                f"{'no run' if not meant else f'{len(meant)} runs'} '{wanted}'; there are {listed or 'none'}"
            )
        model = model_of_run(client, meant[0])
        if model is None:
            raise TrackingError(f"run '{wanted}' has no model")
        return meant[0].info.run_id, str(meant[0].info.run_name), str(model.model_uri)


def tag_run(run_id: str, name: str, value: str) -> None:
    """Tag a run that is on the server; an unreachable server is a warning."""
    try:
        with connected() as client:
            client.set_tag(run_id, name, value)
    except TrackingError as error:
        log.warning("%s; run %s was not tagged", error, run_id)


def _register(
    client: MlflowClient,
    name: str,
    source: str,
    run_id: str,
    tags: Mapping[str, str],
    is_champion: bool,
    description: str,
) -> str:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(name, source, run_id, tags=dict(tags), description=description or None)
    client.set_registered_model_alias(name, "champion" if is_champion else "challenger", version.version)
    return str(version.version)
