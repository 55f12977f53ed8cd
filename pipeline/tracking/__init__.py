"""Runs in MLflow: the only import of mlflow.

The decision that is not obvious: a run is first written whole to a local spool and only then uploaded, so a tracking server
that is down, or dies half-way, loses nothing; `slugline sync` uploads what waits. Records with the same key become one
MLflow run, so `train`, `evaluate` and `register` each add to it without sharing a process.
"""

from pipeline.tracking.records import (
    DatasetRef,
    RunRecord,
    flat_params,
    last_key,
    last_varied,
    new_key,
    provenance,
    remember_key,
)
from pipeline.tracking.registry import find_run, model_folder, move_champion, register_version, tag_run, version_behind
from pipeline.tracking.server import EXPERIMENT, KEY_TAG, tracking_uri
from pipeline.tracking.spool import log_run, sync
from pipeline.tracking.ui import serve_ui

__all__ = [
    "EXPERIMENT",
    "KEY_TAG",
    "DatasetRef",
    "RunRecord",
    "find_run",
    "flat_params",
    "last_key",
    "last_varied",
    "log_run",
    "model_folder",
    "move_champion",
    "new_key",
    "provenance",
    "register_version",
    "remember_key",
    "serve_ui",
    "sync",
    "tag_run",
    "tracking_uri",
    "version_behind",
]
