"""Records wait on disk until they are on the server: nothing is lost when it is down or dies half-way."""

from __future__ import annotations

import json
import logging
import shutil
import time
import uuid
from dataclasses import asdict
from pathlib import Path

from pipeline.artifacts import replacing
from pipeline.errors import TrackingError
from pipeline.home import home
from pipeline.tracking.records import RunRecord, origin_tags
from pipeline.tracking.upload import upload

log = logging.getLogger(__name__)


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
            upload(folder)
        except TrackingError as error:
            raise TrackingError(f"{error}; {n_done} of {len(waiting)} runs uploaded, the others stay") from error
    return len(waiting), len(waiting)


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
        plain = {
            **asdict(record),
            "artifacts": sorted(record.artifacts),
            "model": bool(record.model),
            "origin_tags": origin_tags(record.tags),
            "written_ms": int(time.time() * 1000),
        }
        (temporary / "record.json").write_text(json.dumps(plain), encoding="utf-8")
    return folder


def _upload_oldest_first(newest: Path) -> str | None:
    """Upload all that waits up to `newest`, so that the parts of one run arrive in order."""
    run_id = None
    for folder in _waiting():
        if folder <= newest:
            run_id = upload(folder)
    return run_id
