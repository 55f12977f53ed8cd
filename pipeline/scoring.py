"""The `score` command: a request in, records out, on the terminal, to a pipe, or as a job that survives being killed."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any

from pipeline import __version__, shards
from pipeline.artifacts import digest, read_json
from pipeline.document import Article, Prediction, Rejected, Summary
from pipeline.errors import ArtifactError, ConfigError, PipelineError
from pipeline.home import config_file, home
from pipeline.inputs import Limits, Meter, read_articles
from pipeline.parts import finish, score_to_parts
from pipeline.profile import profile_bytes, profile_path, write_profile
from pipeline.progress import Progress
from pipeline.records import write_records
from pipeline.score import Config, Scorer, as_record, batches, champions
from pipeline.tally import Tally, rejected

log = logging.getLogger(__name__)

STAGE_OUTPUT = Path("artifacts/score/predictions.jsonl")
FORMS = {".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet", ".txt": "table"}


@dataclass(frozen=True, slots=True)
class Request:
    """What the command was asked."""

    paths: tuple[str, ...]
    models: tuple[str, ...]
    targets: tuple[str, ...]
    output: Path | None
    parts: str | None
    form: str | None
    engine: str
    ray_address: str | None
    n_processes: int | None
    n_evidence: int | None
    config_dir: Path


@dataclass(frozen=True, slots=True)
class Setting:
    """What every scoring process needs; small and picklable by multiprocessing, never written to disk."""

    models: tuple[Path, ...]
    targets: tuple[str, ...]
    n_evidence: int
    n_at_once: int | None = None

    def scorer(self) -> Scorer:
        """The scorer, its models loaded."""
        return Scorer.load(self.models, targets=self.targets, n_evidence=self.n_evidence)

    def start(self) -> shards.Work:
        """What answers a batch, with the models loaded."""
        return partial(_answer, self.scorer(), self.n_at_once)


def run(request: Request) -> int:
    """How many articles could not be read; the records are where the request wants them."""
    began = time.monotonic()
    config = Config.load(config_file("score.yaml", request.config_dir))
    limits = Limits.load(config_file("inputs.yaml", request.config_dir))
    paths = list(request.paths) or config.articles
    output = request.output if request.paths or request.output else STAGE_OUTPUT
    n_evidence = config.n_evidence if request.n_evidence is None else request.n_evidence
    with tempfile.TemporaryDirectory() as scratch:
        setting = Setting(tuple(find_models(request.models, Path(scratch))), _all_targets(request.targets), n_evidence)
        progress = Progress(Meter())
        read = read_articles(paths, limits, progress.meter)
        articles = batches(read, config.batch_articles, config.batch_chars)
        if request.parts:
            _to_parts(read, setting, request, config, progress)
        elif output is not None and (output.is_file() or not output.exists() or output.is_dir()):
            _to_file(articles, setting, request, output, config, progress)
        elif request.engine == "ray":
            raise ConfigError("--engine ray writes to a file; give one with -o")
        else:
            scorer = setting.scorer()
            _to_stream((answers(scorer, batch) for batch in articles), request, output, progress)
    progress.close()
    lost = rejected(progress.tally)
    log.info("%s", Summary("score", progress.n_articles, progress.n_articles, lost, time.monotonic() - began))
    return sum(lost.values())


def form_of(output: str | Path) -> str | None:
    """The format that an output's name asks for, JSON lines where it has no suffix; None for a suffix we do not know."""
    suffix = Path(output).suffix.lower()
    return FORMS.get(suffix) if suffix else "jsonl"


def find_models(names: Sequence[str], scratch: Path) -> list[Path]:
    """The folders of the models named: a folder, a registry URI; by default every champion.

    Raises:
        ArtifactError: there is no such model, or no champion at all.
    """
    if not names:
        found = champions(home() / "models")
        if not found:
            raise ArtifactError(
                "there is no champion in models/ yet; run `make run` (or `slugline run`), or name a --model"
            )
        if [one.name for one in found] == ["stance"]:
            log.warning("models/ holds the stance model only; `make run` (or `slugline run`) adds the topic model")
        return found
    folders = []
    for number, name in enumerate(names):
        if name.startswith("models:"):
            from pipeline.tracking import model_folder

            folders.append(model_folder(name, scratch / str(number)))
        elif (Path(name) / "model.json").is_file():
            folders.append(Path(name))
        else:
            raise ArtifactError(
                f"--model {name}: no such model; expected a folder with model.json, or models:/slugline-<task>@champion"
            )
    return folders


def _all_targets(given: Sequence[str]) -> tuple[str, ...]:
    """The targets, those of a watch list file (`@names.txt`, one a line) included."""
    names: list[str] = []
    for one in given:
        if one.startswith("@"):
            try:
                names += [
                    line.strip() for line in Path(one[1:]).read_text(encoding="utf-8").splitlines() if line.strip()
                ]
            except OSError as error:
                raise ConfigError(f"--target {one}: the watch list cannot be read ({error.strerror})") from None
        else:
            names.append(one)
    return tuple(names)


def answers(scorer: Scorer, batch: shards.Batch) -> tuple[list[Prediction], Tally]:
    """The predictions of a batch and their tally; an article on which the code fails is answered with an error."""
    try:
        return scorer.score_and_count(batch)
    except PipelineError:
        raise
    except Exception as error:
        log.debug("scoring %d articles failed", len(batch), exc_info=True)
        if len(batch) > 1:
            half = len(batch) // 2
            (first, counts), (second, more) = answers(scorer, batch[:half]), answers(scorer, batch[half:])
            return first + second, counts + more
        reason = f"{batch[0].id}: could not be scored ({type(error).__name__}: {str(error)[:120]})"
        return scorer.score_and_count([Rejected(batch[0].id, "failed", reason)])


def _answer(scorer: Scorer, n_at_once: int | None, batch: shards.Batch) -> bytes:
    """The content of a shard; a large batch is scored in smaller ones."""
    if n_at_once is not None and len(batch) > n_at_once:
        some = [batch[i : i + n_at_once] for i in range(0, len(batch), n_at_once)]
        return shards.merged([_answer(scorer, None, one) for one in some])
    predictions, counts = answers(scorer, batch)
    return shards.encode(counts, map(as_record, predictions))


def _to_file(
    articles: Iterator[shards.Batch],
    setting: Setting,
    request: Request,
    output: Path,
    config: Config,
    progress: Progress,
) -> None:
    """Score in shards beside the output, then put the whole in place."""
    form = request.form or form_of(output) or "jsonl"
    if output.is_dir():
        raise ConfigError(f"{output}: is a folder; give -o the name of a file")
    first = next(articles, [])
    pool = _pool(setting, request, config, is_small=len(first) < config.batch_articles)
    try:
        with shards.begun(output, _manifest(setting, request, config)) as job:
            paths = job.fill(chain([first] if first else [], articles), pool, progress)
            write_profile(profile_path(output), setting.models, progress.tally)
            job.publish(output, partial(_write_shards, paths, form))
    except OSError as error:
        raise ArtifactError(
            f"{output}: cannot be written ({error.strerror or error}); free space or choose another -o, then run the same command again"
        ) from error


def _to_parts(
    read: Iterator[Article | Rejected], setting: Setting, request: Request, config: Config, progress: Progress
) -> None:
    """Score into a folder of Parquet parts."""
    assert request.parts is not None
    articles = batches(read, config.part_articles, config.part_chars)
    first = next(articles, [])
    setting = replace(setting, n_at_once=config.batch_articles)
    pool = _pool(setting, request, config, is_small=len(first) < config.batch_articles)
    manifest = {**_manifest(setting, request, config), "part_articles": config.part_articles}
    try:
        score_to_parts(request.parts, chain([first] if first else [], articles), pool, manifest, progress)
        finish(request.parts, profile_bytes(setting.models, progress.tally))
    except OSError as error:
        raise ArtifactError(
            f"{request.parts}: cannot be written ({error.strerror or error}); run the same command again when it can"
        ) from error


def _pool(setting: Setting, request: Request, config: Config, *, is_small: bool) -> shards.Pool:
    """Who scores: this process where there is little to do, else several, or Ray."""
    if request.engine == "ray":
        from pipeline.ray_engine import ray_pool

        return ray_pool(setting.start, request.ray_address, request.n_processes, wants_gpu=_is_heavy(setting.models))
    n_processes = request.n_processes or _fitting(setting.models, config)
    if is_small or n_processes == 1:
        return shards.here(setting.start)
    from pipeline.crew import crew

    return crew(setting.start, n_processes)


def _fitting(models: Sequence[Path], config: Config) -> int:
    """As many processes as there are cores; fewer where each holds a neural model and memory is short."""
    n_cores, meminfo = len(os.sched_getaffinity(0)), Path("/proc/meminfo")
    if not _is_heavy(models) or not meminfo.exists():
        return n_cores
    found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text())
    return max(1, min(n_cores, int(found[1]) // 1024 // config.heavy_process_mb)) if found else n_cores


def _is_heavy(models: Sequence[Path]) -> bool:
    """Whether a model is a neural one, that loads torch and would rather have a GPU."""
    kinds = {read_json(path)["config"]["kind"] for folder in models for path in folder.rglob("classifier.json")}
    return not kinds <= {"linear", "ensemble"}


def _manifest(setting: Setting, request: Request, config: Config) -> dict[str, Any]:
    """All that the records depend on beside the articles."""
    return {
        "slugline": __version__,
        "models": [digest(folder / "model.json") for folder in setting.models],
        "separator": digest(home() / "models" / "separator"),
        "settings": [digest(config_file(name, home() / "configs")) for name in ("clean.yaml", "separate.yaml")],
        "targets": list(setting.targets),
        "n_evidence": setting.n_evidence,
        "batch_articles": config.batch_articles,
        "batch_chars": config.batch_chars,
    }


def _write_shards(paths: Sequence[Path], form: str, out: IO[bytes]) -> None:
    if form == "jsonl":
        shards.join(paths, out)
    else:
        write_records(shards.records(paths), form, out)


def _to_stream(
    answered: Iterable[tuple[list[Prediction], Tally]], request: Request, output: Path | None, progress: Progress
) -> None:
    """Write records as they come, to standard output or to a pipe or device that `output` names."""

    def records() -> Iterator[dict[str, Any]]:
        for batch, counts in answered:
            progress.add(counts)
            yield from map(as_record, batch)

    if output is not None:
        with output.open("wb") as out:
            write_records(records(), request.form or "jsonl", out)
    elif (request.form or "table") == "table":
        from pipeline.table import show

        show(records(), sys.stdout)
    else:
        write_records(records(), request.form or "table", sys.stdout.buffer)
