"""Several processes that write shards, and outlive the loss of any of them.

The decision that is not obvious: a lost process is not an error. The batches it held are given to new processes; a batch that
costs two sets of processes is halved, over and over, until the article that does it stands alone, and that one gets a record
that says so. A process whose parent has gone ends itself, so that a killed job leaves nobody behind.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait

from pipeline.document import Rejected
from pipeline.shards import Batch, Place, Pool, Task, Work, merged

log = logging.getLogger(__name__)

N_ATTEMPTS = 2
"""How often a batch may cost a process before it is suspected."""


def crew(start: Callable[[], Work], n_processes: int) -> Pool:
    """The pool of `n_processes` processes. `start` makes in each of them what answers a batch."""

    def answered(tasks: Iterable[Task]) -> Iterator[Place]:
        source, held = iter(tasks), deque[Task]()
        n_lost = 0
        while True:
            try:
                for done in _round(start, n_processes, source, held):
                    n_lost = 0
                    yield done
                return
            except BrokenExecutor:
                n_lost += 1
                log.warning("score: a process was lost; its %d batches are given to new ones", len(held))
            if n_lost >= N_ATTEMPTS and held:
                place, batch = held[0]
                place.write(_carefully(start, batch))
                held.popleft()
                n_lost = 0
                yield place

    return answered


def _round(start: Callable[[], Work], n_processes: int, source: Iterator[Task], held: deque[Task]) -> Iterator[Place]:
    """Work with one set of processes until all is done; a task leaves `held` when its shard is written."""
    executor = _executor(start, n_processes)
    try:
        waiting: deque[Future[Place]] = deque(executor.submit(_write, *task) for task in held)
        while True:
            while len(waiting) < 2 * n_processes and (task := next(source, None)) is not None:
                held.append(task)
                waiting.append(executor.submit(_write, *task))
            if not waiting:
                return
            done = waiting[0].result()
            waiting.popleft()
            held.popleft()
            yield done
    finally:
        executor.shutdown(cancel_futures=True)


def _carefully(start: Callable[[], Work], batch: Batch) -> bytes:
    """The answers to a batch that costs processes; the article that does it is answered with an error."""
    for _ in range(N_ATTEMPTS):
        try:
            with _executor(start, 1) as executor:
                return executor.submit(_answer, batch).result()
        except BrokenExecutor:
            continue
    if len(batch) > 1:
        half = len(batch) // 2
        return merged([_carefully(start, batch[:half]), _carefully(start, batch[half:])])
    article = batch[0].id
    refused = Rejected(article, "crashed", f"{article}: reading it ended the process, twice; it is left out")
    with _executor(start, 1) as executor:
        return executor.submit(_answer, [refused]).result()


def _executor(start: Callable[[], Work], n_processes: int) -> ProcessPoolExecutor:
    n_threads = max(1, len(os.sched_getaffinity(0)) // n_processes)
    for name in _THREAD_VARIABLES:
        os.environ.setdefault(name, str(n_threads))  # read by numpy and torch in the new processes, not in this one
    return ProcessPoolExecutor(n_processes, get_context("spawn"), _begin, (start,))


_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
_start: Callable[[], Work] | None = None
_work: Work | None = None


def _begin(start: Callable[[], Work]) -> None:
    """Only keeps `start`, so that an error in it reaches the parent as the answer to a batch."""
    global _start
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _start = start


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _answer(batch: Batch) -> bytes:
    global _work
    if _work is None:
        assert _start is not None
        _work = _start()
    return _work(batch)


def _write(place: Place, batch: Batch) -> Place:
    place.write(_answer(batch))
    return place
