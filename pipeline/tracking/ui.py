"""The MLflow UI on loopback."""

from __future__ import annotations

import logging
import os
import socket
import sys

from pipeline.errors import TrackingError
from pipeline.home import home
from pipeline.tracking.server import connected, experiment_id, shown, tracking_uri
from pipeline.tracking.views import RESULTS

log = logging.getLogger(__name__)


def serve_ui(port: int) -> None:
    """Serve the MLflow UI on loopback until it is stopped.

    Raises:
        TrackingError: runs are on a server, which has its own UI, or the port is taken.
    """
    uri = tracking_uri()
    if uri.startswith("http"):
        raise TrackingError(f"runs are on a tracking server: open {shown(uri)} in a browser")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise TrackingError(f"port {port} is taken; give another: slugline ui --port {port + 1}")
    with connected() as client:
        experiment = experiment_id(client)
    log.info(
        "The runs are at http://127.0.0.1:%d/#/experiments/%s/runs?viewStateShareKey=%s (ready in about 20 s; stop with Ctrl-C)",
        port,
        experiment,
        RESULTS,
    )
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--default-artifact-root", (home() / "mlartifacts").as_uri()]
    os.execve(sys.executable, command, {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"})
