"""The way to the tracking server or store: where it is, whether it answers, and which runs it holds."""

from __future__ import annotations

import logging
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipeline.errors import TrackingError
from pipeline.home import home
from pipeline.tracking.views import experiment_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

EXPERIMENT = "slugline"
KEY_TAG = "slugline.key"
KIND_TAG = "slugline.kind"
"""What a run is: train, evaluate, compare, or other; the views filter by it."""
HEALTH_TIMEOUT_S = 15.0


def tracking_uri() -> str:
    """Where runs go: MLFLOW_TRACKING_URI, else an SQLite file beside the configs."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow.db'}"


@contextmanager
def connected() -> Iterator[MlflowClient]:
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
        raise TrackingError(f"MLflow at {shown(uri)} refused: {str(error).splitlines()[0][:200]}") from error
    except OSError as error:
        raise TrackingError(f"MLflow at {shown(uri)} broke off: {str(error)[:200]}") from error


def shown(uri: str) -> str:
    """The URI without a user name and password."""
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def experiment_id(client: MlflowClient, task: str | None = None) -> str:
    """The id of the experiment, made where there is none, with the views of the runs table that `task` needs."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        location = (home() / "mlartifacts").as_uri() if tracking_uri().startswith("sqlite:") else None
        found = client.get_experiment(client.create_experiment(EXPERIMENT, artifact_location=location))
    for name, value in experiment_tags(task).items():
        if name not in found.tags:
            client.set_experiment_tag(found.experiment_id, name, value)
    return str(found.experiment_id)


def run_of_key(client: MlflowClient, key: str) -> Any:
    """The run that records of this key became, or None."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return None
    found = client.search_runs([experiment.experiment_id], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
    return found[0] if found else None


def model_of_run(client: MlflowClient, run: Any) -> Any:
    """The model that was logged whole with a run, or None; one whose upload broke off does not count."""
    found = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    ready = [one for one in found if str(getattr(one.status, "value", one.status)) == "READY"]
    return ready[0] if ready else None


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
                raise TrackingError(f"the MLflow server at {shown(uri)} does not answer ({error})") from error
