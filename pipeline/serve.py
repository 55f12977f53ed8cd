"""The service: articles in over HTTP, the records of `score` and `separate` out.

The decision that is not obvious: requests do not score for themselves. They put their articles on a `Desk`, and whatever
has come in while one batch was scored goes into the next, so that many small requests cost no more than few large ones.
The event loop only moves bytes; a model is replaced between batches, when the files of the champion change.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import signal
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from starlette.exceptions import HTTPException

from pipeline import __version__
from pipeline.aliases import Aliases
from pipeline.artifacts import json_line
from pipeline.config import Config as BaseConfig
from pipeline.document import Article, Rejected
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.exposition import Metrics
from pipeline.gate import Gate
from pipeline.home import home
from pipeline.inputs import as_article
from pipeline.messages import Health, Problem, ScoreAnswer, ScoreQuestion, SeparateAnswer, SeparateQuestion
from pipeline.score import Config as ScoreConfig
from pipeline.score import Scorer, as_record, champions, check_target
from pipeline.scoring import answers
from pipeline.separate.command import as_record as separated_record
from pipeline.separate.command import separated

log = logging.getLogger(__name__)

Record = dict[str, Any]
Work = Callable[[list[Article | Rejected], tuple[str, ...]], list[Record]]


class Config(BaseConfig):
    """`configs/serve.yaml`."""

    hosts: list[str]
    max_request_bytes: int = Field(ge=1)
    max_request_articles: int = Field(ge=1)
    max_waiting: int = Field(ge=1)
    max_batch_articles: int = Field(ge=1)
    n_threads: int = Field(ge=1)
    request_timeout_s: float = Field(gt=0)
    reload_check_s: float = Field(ge=0)
    registry_check_s: float = Field(gt=0)
    drain_s: float = Field(ge=0)


def run(
    config: Config, score: ScoreConfig, models: Sequence[Path], *, host: str, port: int, aliases: Aliases | None = None
) -> None:
    """Answer requests until SIGTERM or SIGINT; then those that were accepted, and return. `models` empty: every champion.

    Models that `aliases` names in the registry are replaced when their alias moves.

    Raises:
        ConfigError: bound elsewhere than to loopback without SLUGLINE_TOKEN; the address cannot be bound.
        ArtifactError: a model is missing or damaged.
    """
    token = os.environ.get("SLUGLINE_TOKEN") or None
    is_local = _is_loopback(host)
    if not is_local and token is None:
        raise ConfigError(
            f"--host {host} can be reached by others: set SLUGLINE_TOKEN to what they must send as bearer token"
        )
    bound = _bound(host, port)
    metrics = Metrics()
    shelf = Shelf(models, config.reload_check_s, metrics)
    if aliases is not None:
        aliases.follow(shelf.replace)
    hosts = {"localhost", "127.0.0.1", "::1", host, *config.hosts} if is_local or config.hosts else None
    gate = Gate(
        build(config, score, shelf, metrics),
        hosts=hosts,
        token=token,
        max_bytes=config.max_request_bytes,
        max_waiting=config.max_waiting,
        timeout_s=config.request_timeout_s,
        metrics=metrics,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # uvicorn listens to them while it runs, and would raise them again after
    settings = uvicorn.Config(gate, lifespan="on", log_config=None, access_log=False, server_header=False)
    log.info("serve: http://%s:%d answers /v1/score and /v1/separate; SIGTERM ends it", *bound.getsockname()[:2])
    _Server(settings, metrics, config.drain_s).run([bound])


def build(config: Config, score: ScoreConfig, shelf: Shelf, metrics: Metrics) -> FastAPI:
    """The application, its paths documented at `/openapi.json`."""
    desks = {name: Desk(work, config) for name, work in (("score", shelf.score), ("separate", shelf.separate))}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        for desk in desks.values():
            await desk.close()

    refusals: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem} for status in (400, 401, 403, 408, 413, 422, 503)
    }
    app = FastAPI(
        title="Slugline", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan, responses=refusals
    )

    async def answer(name: str, given: Sequence[Any], targets: Sequence[str] = ()) -> Response:
        if len(given) > config.max_request_articles:
            return _problem(
                413, "too_many", f"{len(given)} articles; send at most {config.max_request_articles} at a time"
            )
        articles = [as_article(one.model_dump(), "request", i) for i, one in enumerate(given, start=1)]
        try:
            checked = tuple(dict.fromkeys(check_target(one, score.max_target_chars) for one in targets))
        except DataError as error:
            return _problem(422, "target", str(error))
        records = await desks[name].ask(articles, checked)
        metrics.count_articles(len(records), [one["error"]["reason"] for one in records if one.get("error")])
        return Response(
            b'{"records": [' + b", ".join(json_line(one)[:-1] for one in records) + b"]}", media_type="application/json"
        )

    @app.post("/v1/score", response_model=ScoreAnswer)
    async def score_articles(question: ScoreQuestion) -> Response:
        """The record of each article, in order."""
        return await answer("score", question.articles, question.targets)

    @app.post("/v1/separate", response_model=SeparateAnswer)
    async def separate_articles(question: SeparateQuestion) -> Response:
        """The lines of each article with their kinds, in order."""
        return await answer("separate", question.articles)

    @app.get("/healthz", response_model=Health)
    async def healthz() -> Response:
        """Whether the process answers."""
        return _json(200, {"status": "ok", "models": {}})

    @app.get("/readyz", response_model=Health)
    async def readyz() -> Response:
        """Whether it takes requests, and with which models."""
        status, word = (503, "draining") if metrics.is_draining else (200, "ready")
        return _json(status, {"status": word, "models": shelf.digests})

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def show_metrics() -> Response:
        """Counters in Prometheus' text format."""
        return Response(metrics.text(shelf.digests), media_type="text/plain; version=0.0.4")

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return _problem(422, "invalid", f"{'.'.join(map(str, first['loc']))}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        return _problem(error.status_code, "refused", str(error.detail), error.headers)

    @app.exception_handler(PipelineError)
    async def failed(_: Request, error: PipelineError) -> Response:
        return _problem(503, "unavailable", str(error))

    return app


class Desk:
    """Answers questions in batches, in threads; questions with other targets go into another batch."""

    def __init__(self, work: Work, config: Config):
        self._work, self._config = work, config
        self._waiting: deque[_Question] = deque()
        self._clerks: set[asyncio.Task[None]] = set()

    async def ask(self, articles: list[Article | Rejected], targets: tuple[str, ...]) -> list[Record]:
        """The records of the articles, in order."""
        question = _Question(articles, targets, asyncio.get_running_loop().create_future())
        self._waiting.append(question)
        if len(self._clerks) < self._config.n_threads:
            clerk = asyncio.create_task(self._serve())
            self._clerks.add(clerk)
            clerk.add_done_callback(self._clerks.discard)
        return await question.answer

    async def close(self) -> None:
        """Returns when every question is answered."""
        while self._clerks:
            await asyncio.wait(self._clerks)

    async def _serve(self) -> None:
        while self._waiting:
            questions = self._taken()
            articles = [article for question in questions for article in question.articles]
            try:
                records = iter(await asyncio.to_thread(self._work, articles, questions[0].targets))
            except Exception as error:
                for question in questions:
                    if not question.answer.done():
                        question.answer.set_exception(error)
                continue
            for question in questions:
                mine = [next(records) for _ in question.articles]
                if not question.answer.done():
                    question.answer.set_result(mine)

    def _taken(self) -> list[_Question]:
        """The first question and those with the same targets behind it, as many as one batch holds."""
        taken = [self._waiting.popleft()]
        n_articles = len(taken[0].articles)
        while self._waiting and self._waiting[0].targets == taken[0].targets:
            n_articles += len(self._waiting[0].articles)
            if n_articles > self._config.max_batch_articles:
                break
            taken.append(self._waiting.popleft())
        return taken


@dataclass(frozen=True, slots=True)
class _Question:
    articles: list[Article | Rejected]
    targets: tuple[str, ...]
    answer: asyncio.Future[list[Record]]


class Shelf:
    """The models in use. Between batches it looks whether they were replaced; a damaged new one leaves the old one in use."""

    def __init__(self, folders: Sequence[Path], check_s: float, metrics: Metrics):
        self._folders, self._check_s, self._metrics = tuple(folders), check_s, metrics
        self._seen, self._checked = self._stamp(), time.monotonic()
        self._scorer = Scorer.load(self._folders or None)

    @property
    def digests(self) -> dict[str, str]:
        """The digests of the models in use, by task."""
        return {model.task: model.digest for model in self._scorer.models}

    def replace(self, folders: Sequence[Path]) -> None:
        """Use the models in other folders from the next look on."""
        self._folders = tuple(folders)

    def score(self, articles: list[Article | Rejected], targets: tuple[str, ...]) -> list[Record]:
        """The contract's records of `score`."""
        self._refresh()
        return [as_record(one) for one in answers(replace(self._scorer, targets=targets), articles)[0]]

    def separate(self, articles: list[Article | Rejected], _: tuple[str, ...]) -> list[Record]:
        """The contract's records of `separate`."""
        return [separated_record(given, document) for given, document in separated(articles, self._scorer.separator)]

    def _stamp(self) -> tuple[tuple[str, int, int], ...]:
        found = []
        for folder in self._folders or champions(home() / "models"):
            try:
                status = (folder / "model.json").stat()
            except OSError:
                continue
            found.append((str(folder), status.st_mtime_ns, status.st_ino))
        return tuple(found)

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._checked < self._check_s:
            return
        self._checked = now
        if (stamp := self._stamp()) == self._seen or not stamp:
            return
        try:
            self._scorer = Scorer.load(self._folders or None)
        except PipelineError as error:
            log.warning("serve: the new model is not used: %s", error)
            return
        self._seen = stamp
        self._metrics.n_reloads += 1
        log.info(
            "serve: now answering with %s", ", ".join(f"{task} {digest[:12]}" for task, digest in self.digests.items())
        )


class _Server(uvicorn.Server):
    """Before it closes, it takes what the kernel has accepted and lets open connections finish."""

    def __init__(self, config: uvicorn.Config, metrics: Metrics, drain_s: float):
        super().__init__(config)
        self._metrics, self._drain_s = metrics, drain_s

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._metrics.is_draining = True
        for one in sockets or []:
            one.listen(0)  # nobody new; who stands in the queue is still let in
        await asyncio.sleep(self._drain_s)
        await super().shutdown(sockets)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigError(
            f"--host {host} --port {port}: cannot be bound ({error.strerror or error}); choose another"
        ) from None
    bound.set_inheritable(True)
    return bound


def _json(status: int, value: Any, headers: Any = None) -> Response:
    return Response(json_line(value), status, headers=headers, media_type="application/json")


def _problem(status: int, reason: str, message: str, headers: Any = None) -> Response:
    return _json(status, {"error": {"reason": reason, "message": message}}, headers)
