"""Scoring on a Ray cluster: the same batches and the same answers as on one machine, computed by Ray tasks.

The decision that is not obvious: tasks send their answers back and the driver writes the shards, so that the machines need
no disk in common; each needs slugline installed and the models' folders. Ray gives the work of a lost process to another;
a batch that costs several is halved until the article that does it stands alone, as in `pipeline.crew`.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pipeline.document import Rejected
from pipeline.errors import ConfigError, PipelineError
from pipeline.shards import Batch, Place, Pool, Task, Work, merged

N_RETRIES = 2
OBJECT_STORE_BYTES = 512 << 20
"""Of a cluster started here: batches and answers on their way, no more."""


def ray_pool(
    start: Callable[[], Work], address: str | None, n_processes: int | None, *, wants_gpu: bool = False
) -> Pool:
    """The pool of a Ray cluster: the one at `address`, else one on this machine of `n_processes`, by default all cores.

    With `wants_gpu` each process has a GPU to itself, where the cluster has any.
    """

    def answered(tasks: Iterable[Task]) -> Iterator[Place]:
        with _cluster(address, n_processes) as ray:
            unit = "GPU" if wants_gpu and ray.cluster_resources().get("GPU") else "CPU"
            remote = ray.remote(max_retries=N_RETRIES, num_gpus=int(unit == "GPU"))(_answer)
            given, source = ray.put(_Start(secrets.token_hex(8), start)), iter(tasks)
            n_at_once = 2 * max(1, int(ray.cluster_resources().get(unit, 1)))
            held: dict[Any, Task] = {}
            while True:
                while len(held) < n_at_once and (task := next(source, None)) is not None:
                    held[remote.remote(given, task[1])] = task
                if not held:
                    return
                done, _ = ray.wait(list(held), num_returns=1)
                for reference in done:
                    place, batch = held.pop(reference)
                    place.write(_fetched(ray, remote, given, reference, batch))
                    yield place

    return answered


def _fetched(ray: Any, remote: Any, start: Any, reference: Any, batch: Batch) -> bytes:
    """The answers to a batch; where it costs processes, its halves are asked apart."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, PipelineError | OSError):
            raise error.cause from None
        raise
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError):
        if len(batch) == 1:
            article = batch[0].id
            parts: list[Batch] = [
                [Rejected(article, "crashed", f"{article}: reading it ended the process, twice; it is left out")]
            ]
        else:
            half = len(batch) // 2
            parts = [batch[:half], batch[half:]]
        return merged([_fetched(ray, remote, start, remote.remote(start, part), part) for part in parts])


@dataclass(frozen=True, slots=True)
class _Start:
    """`start` of one job; `job` tells it from an earlier one's, whose models a process may still hold."""

    job: str
    start: Callable[[], Work]


_held: tuple[str, Work] | None = None


def _answer(given: _Start, batch: Batch) -> bytes:
    """Runs in a Ray process, which keeps its models from one batch to the next."""
    from pipeline import ray_engine  # this function travels by value; the models belong to the module

    if ray_engine._held is None or ray_engine._held[0] != given.job:
        ray_engine._held = given.job, given.start()
    return ray_engine._held[1](batch)


@contextmanager
def _cluster(address: str | None, n_processes: int | None) -> Iterator[Any]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray  # type: ignore[import-not-found]
    except ImportError:
        raise ConfigError("--engine ray needs Ray; `pip install 'slugline[ray]'`") from None
    logging.getLogger("ray").setLevel(logging.ERROR)
    if ray.is_initialized():
        yield ray
        return
    own: dict[str, Any] = {
        "num_cpus": n_processes,
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
    }
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **({} if address else own))
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"--ray-address {address or '(none)'}: no Ray cluster ({str(error)[:200]})") from None
    try:
        yield ray
    finally:
        ray.shutdown()
