"""The command line: parse, load the settings, call a stage's `run`, exit code. Each command imports its stage itself.

Stages, in the order of `dvc.yaml`, read and write under `artifacts/` when called without a path.
"""

from __future__ import annotations

import logging
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.document import Summary
    from pipeline.examples import Source

app = typer.Typer(
    name="slugline",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="From a pile of scraped articles to topic and stance labels one can trust.",
)
log = logging.getLogger("pipeline")

ConfigDir = Annotated[
    Path | None, typer.Option("--config-dir", help="Folder with the settings.", show_default="configs")
]
Task = Annotated[str, typer.Option("--task", help="A task: a file in configs/tasks/.")]
Override = Annotated[
    list[str] | None, typer.Option("--set", help="A setting of the task, as key.sub=value; may be repeated.")
]
Paths = Annotated[
    list[str] | None, typer.Argument(help="Files, folders, globs, URLs, or - for JSON lines on standard input.")
]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="Write here instead of to standard output.")]


class SeparateFormat(StrEnum):
    """What `separate` writes."""

    TEXT = "text"
    JSONL = "jsonl"
    HTML = "html"


class ScoreFormat(StrEnum):
    """What `score` writes."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


class Engine(StrEnum):
    """Where `score` works."""

    LOCAL = "local"
    RAY = "ray"


def main() -> None:
    """Run the command line: exit code 0 done, 1 refused or failed, 2 usage."""
    from pipeline.errors import PipelineError

    try:
        app()
    except PipelineError as error:
        if log.isEnabledFor(logging.DEBUG):
            raise
        sys.stderr.write(f"slugline: {' '.join(str(error).split())}\n")
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)


@app.callback()
def start(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log warnings only.")] = False,
) -> None:
    """Set up logging: one line a stage, on standard error."""
    level = logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    log.setLevel(level)


@app.command()
def ingest(config_dir: ConfigDir = None) -> None:
    """Read the corpora of configs/ingest.yaml into one table."""
    from pipeline import ingest as stage
    from pipeline.inputs import Limits

    config = stage.Config.load(_settings("ingest.yaml", config_dir))
    _done(stage.run(config, Path("artifacts/ingest"), Limits.load(_settings("inputs.yaml", config_dir))))


@app.command()
def clean(config_dir: ConfigDir = None) -> None:
    """Repair Unicode, drop exact copies, mark near-duplicates."""
    from pipeline import clean as stage

    config = stage.Config.load(_settings("clean.yaml", config_dir))
    _done(stage.run(config, Path("artifacts/ingest"), Path("artifacts/clean")))


@app.command()
def separate(
    paths: Paths = None,
    form: Annotated[
        SeparateFormat, typer.Option("--format", help="text: the body; html: a page that shows what was cut.")
    ] = SeparateFormat.TEXT,
    output: Output = None,
    config_dir: ConfigDir = None,
) -> None:
    """Tell the body of articles from their boilerplate lines.

    Without a path, the stage.
    """
    from pipeline.separate import Separator

    if not paths:
        from pipeline.clean import Config as CleanConfig
        from pipeline.separate import stage

        repair = CleanConfig.load(_settings("clean.yaml", config_dir)).repair
        _done(stage.run(Separator.load(), repair, Path("artifacts/clean"), Path("artifacts/separate")))
        return
    from pipeline.inputs import Limits, read_articles
    from pipeline.separate import command

    articles = read_articles(paths, Limits.load(_settings("inputs.yaml", config_dir)))
    command.write(articles, Separator.load(), form.value, output)


@app.command()
def split(config_dir: ConfigDir = None) -> None:
    """Give each document its split.

    Near-duplicates stay together, a leak fails the stage.
    """
    from pipeline import split as stage

    config = stage.Config.load(_settings("split.yaml", config_dir))
    _done(stage.run(config, Path("artifacts/separate"), Path("artifacts/split")))


@app.command()
def train(
    task: Task,
    config_dir: ConfigDir = None,
    overrides: Override = None,
    sweep: Annotated[
        Path | None, typer.Option("--sweep", help="Search for better settings first: a file in configs/sweeps/.")
    ] = None,
) -> None:
    """Train and calibrate the classifier of a task."""
    from pipeline import runs
    from pipeline import train as stage
    from pipeline.task import load_task

    settings = load_task(task, _config_dir(config_dir), overrides or [])
    output = Path("artifacts") / task
    if sweep is not None:
        from pipeline import sweep as search

        settings = search.run(search.Config.load(sweep), task, settings, _source(config_dir), output).task
    done = stage.run(task, settings, _source(config_dir), output)
    if not stage.is_follower():
        _done(done)
        runs.log_training(task, settings, output, overrides or [], done.seconds)


@app.command()
def evaluate(
    task: Task,
    config_dir: ConfigDir = None,
    overrides: Override = None,
    model: Annotated[Path | None, typer.Option("--model", help="Evaluate this model's folder.")] = None,
    form: Annotated[str, typer.Option("--format", help="text or json: what to print.")] = "text",
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=2, help="Train and measure anew with so many seeds: mean and spread.")
    ] = None,
) -> None:
    """Measure a model on its task's test examples.

    With 95 % intervals.
    """
    from pipeline import evaluate as stage
    from pipeline import runs
    from pipeline.home import home
    from pipeline.task import load_task

    _check_format(form, "text", "json")
    settings = load_task(task, _config_dir(config_dir), overrides or [])
    config, output = stage.Config.load(_settings("evaluate.yaml", config_dir)), Path("artifacts") / task
    if seeds is not None:
        from pipeline import seeds as repeats

        repeats.show(repeats.run(config, task, settings, _source(config_dir), seeds, output), form)
        return
    chosen = stage.latest_model(task, model, output, home() / "models")
    found = stage.run(config, settings, _source(config_dir), chosen, output)
    _done(stage.summary(task, found))
    runs.show(found, form)
    runs.log_evaluation(task, settings, found, chosen, output)


@app.command()
def register(
    task: Task,
    config_dir: ConfigDir = None,
    overrides: Override = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="Put the previous champion back.")] = False,
) -> None:
    """Promote the challenger if it beats the champion.

    Both are asked the same rows.
    """
    import time

    from pipeline import register as stage
    from pipeline import runs
    from pipeline.home import home
    from pipeline.task import load_task

    began, champion = time.monotonic(), home() / "models" / task
    if rollback:
        digest = stage.roll_back(champion)
        log.info("register %s: the champion is %s again", task, digest[:8])
        runs.log_rollback(task, digest)
        return
    settings = load_task(task, _config_dir(config_dir), overrides or [])
    config = stage.Config.load(_settings("register.yaml", config_dir))
    inputs = Path("artifacts") / task
    decision = stage.run(
        config, task, settings, _source(config_dir), inputs, champion, Path("artifacts/register") / task
    )
    _done(stage.summary(task, decision, began))
    runs.log_decision(task, decision, Path("artifacts/register") / task)


@app.command()
def score(
    paths: Paths = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="A model's folder or registry URI; may be repeated.",
            show_default="every champion in models/",
        ),
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--target", help="A name that stance is asked towards, or @FILE with one a line; may be repeated."
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", help="A file; or Parquet parts in a folder (path ending in /) or under a URL."),
    ] = None,
    form: Annotated[ScoreFormat | None, typer.Option("--format", show_default="by the name of -o, else table")] = None,
    engine: Annotated[Engine, typer.Option("--engine", help="local, or ray (extra [ray]).")] = Engine.LOCAL,
    ray_address: Annotated[
        str | None, typer.Option("--ray-address", help="The Ray cluster to use.", show_default="one on this machine")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option("--processes", min=1, help="How many processes work.", show_default="all cores for large jobs"),
    ] = None,
    evidence: Annotated[
        int | None, typer.Option("--evidence", min=0, help="Sentences shown for a label; 0 is faster.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if an article cannot be read.")] = False,
    config_dir: ConfigDir = None,
) -> None:
    """Label articles: one record each, in input order.

    Without a path, the stage.
    """
    from pipeline import scoring
    from pipeline.parts import is_parts

    in_parts = output is not None and is_parts(output)
    if in_parts and form not in (None, ScoreFormat.PARQUET):
        raise typer.BadParameter("a folder or URL takes Parquet parts", param_hint="--format")
    if output is not None and not in_parts and form is None and scoring.form_of(output) is None:
        known = ", ".join(scoring.FORMS)
        raise typer.BadParameter(f"{output}: expected a name ending in {known}; or give --format", param_hint="-o")
    request = scoring.Request(
        paths=tuple(paths or ()),
        models=tuple(models or ()),
        targets=tuple(targets or ()),
        output=Path(output) if output is not None and not in_parts else None,
        parts=output if in_parts else None,
        form=form.value if form else None,
        engine=engine.value,
        ray_address=ray_address,
        n_processes=processes,
        n_evidence=evidence,
        config_dir=_config_dir(config_dir),
    )
    n_errors = scoring.run(request)
    if strict and n_errors:
        raise typer.Exit(1)


@app.command()
def compare(
    runs: Annotated[
        list[str], typer.Argument(help="Two or more: MLflow run ids or names, models:/ URIs, or model folders.")
    ],
    task: Task,
    form: Annotated[str, typer.Option("--format", help="text, json or html.")] = "text",
    overrides: Override = None,
    config_dir: ConfigDir = None,
) -> None:
    """Say which model is better, and whether that is chance.

    The models are asked the same test rows.
    """
    from pipeline import compare as command
    from pipeline.task import load_task

    _check_format(form, "text", "json", "html")
    settings = load_task(task, _config_dir(config_dir), overrides or [])
    config = command.Config.load(_settings("compare.yaml", config_dir))
    command.run(config, task, settings, _source(config_dir), runs, form, Path("artifacts/compare") / task)


@app.command()
def drift(
    output: Annotated[
        Path | None, typer.Argument(help="What `score -o` wrote.", show_default="the output of the stage score")
    ] = None,
    models: Annotated[
        list[Path] | None, typer.Option("--model", help="A model's folder.", show_default="every champion in models/")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if something has moved.")] = False,
    config_dir: ConfigDir = None,
) -> None:
    """Compare scored articles with those learnt from.

    Labels, abstentions, unknown words, what was cut.
    """
    from pipeline import drift as command
    from pipeline.home import home
    from pipeline.score import champions
    from pipeline.scoring import STAGE_OUTPUT

    _check_format(form, "text", "json")
    config = command.Config.load(_settings("drift.yaml", config_dir))
    found = command.run(config, output or STAGE_OUTPUT, models or champions(home() / "models"), form)
    if strict and any(one.has_moved for one in found):
        raise typer.Exit(1)


@app.command()
def explain(
    path: Annotated[str, typer.Argument(help="An article.")],
    label: Annotated[
        str | None, typer.Option("--label", help="What speaks for this label, instead of the one given.")
    ] = None,
    models: Annotated[
        list[Path] | None, typer.Option("--model", help="A model's folder.", show_default="every champion in models/")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="text or html.")] = "text",
    config_dir: ConfigDir = None,
) -> None:
    """Show what each sentence adds to the label of an article."""
    from pipeline import explain as command
    from pipeline.document import Article
    from pipeline.errors import DataError
    from pipeline.inputs import Limits, read_articles
    from pipeline.score import Scorer

    _check_format(form, "text", "html")
    for one in read_articles([path], Limits.load(_settings("inputs.yaml", config_dir))):
        if not isinstance(one, Article):
            raise DataError(one.message)
        command.write(command.explain(Scorer.load(models or None), one, label), form)


@app.command()
def suggest(
    paths: Annotated[list[str], typer.Argument(help="Unlabelled articles: files, folders, globs, URLs, or -.")],
    task: Task,
    output: Annotated[Path, typer.Option("-o", "--output", help="The sheet.")] = Path("suggestions.csv"),
    n: Annotated[int | None, typer.Option("-n", min=1, help="How many.", show_default="configs/suggest.yaml")] = None,
    model: Annotated[Path | None, typer.Option("--model", help="A model's folder.", show_default="the last")] = None,
    config_dir: ConfigDir = None,
    overrides: Override = None,
) -> None:
    """Pick the articles to label next, as a CSV sheet.

    Fill in `label`, then train on it too.
    """
    from pipeline import suggest as command
    from pipeline.evaluate import latest_model
    from pipeline.examples import load_examples
    from pipeline.home import home
    from pipeline.inputs import Limits, read_articles
    from pipeline.task import load_task

    settings, source = load_task(task, _config_dir(config_dir), overrides or []), _source(config_dir)
    config = command.Config.load(_settings("suggest.yaml", config_dir), [f"n={n}"] if n else [])
    chosen = latest_model(task, model, Path("artifacts") / task, home() / "models")
    has_rows = settings.data.train is not None or (settings.data.corpus is not None and source.table.is_file())
    known = [one.text for one in load_examples(settings, "train", source).examples] if has_rows else []
    articles = read_articles(paths, Limits.load(_settings("inputs.yaml", config_dir)))
    _done(command.run(config, chosen, articles, known, output))


@app.command()
def serve(
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="A model's folder or registry URI; may be repeated.",
            show_default="every champion in models/",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Elsewhere than on loopback, SLUGLINE_TOKEN must be set.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535)] = 8000,
    config_dir: ConfigDir = None,
) -> None:
    """Answer /v1/score and /v1/separate over HTTP."""
    import tempfile

    from pipeline import serve as service
    from pipeline.aliases import Aliases
    from pipeline.score import Config as ScoreConfig
    from pipeline.scoring import find_models

    config = service.Config.load(_settings("serve.yaml", config_dir))
    with tempfile.TemporaryDirectory() as scratch:
        found = find_models(models or [], Path(scratch))
        aliases = Aliases(models or [], found, Path(scratch), config.registry_check_s) if models else None
        score = ScoreConfig.load(_settings("score.yaml", config_dir))
        service.run(config, score, found if models else [], host=host, port=port, aliases=aliases)


@app.command("train-separator")
def train_separator(
    lines: Annotated[
        list[Path] | None, typer.Option("--lines", help="Labelled lines instead of those in the settings.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the weights.")] = Path("models/separator"),
    config_dir: ConfigDir = None,
) -> None:
    """Train the separator's weights from labelled lines."""
    from pipeline import train_separator as stage

    config = stage.Config.load(_settings("train_separator.yaml", config_dir))
    if lines:
        config = config.model_copy(update={"inputs": config.inputs.model_copy(update={"lines": lines})})
    _done(stage.run(config, output))


@app.command()
def run() -> None:
    """Run the whole pipeline: `dvc repro`.

    It leaves alone what is up to date.
    """
    import shutil
    import subprocess

    beside = Path(sys.executable).with_name("dvc")
    found = str(beside) if beside.exists() else shutil.which("dvc")
    if found is None:
        from pipeline.errors import ConfigError

        raise ConfigError("dvc is not installed beside slugline; `pip install dvc`")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    raise typer.Exit(min(1, subprocess.run([found, "repro"], env=environment, check=False).returncode))


@app.command()
def ui(
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 5000,
) -> None:
    """Start the MLflow UI on loopback and print its address."""
    from pipeline import tracking

    tracking.serve_ui(port)


@app.command()
def sync() -> None:
    """Upload the runs that wait for the tracking server."""
    from pipeline import tracking

    n_done, n = tracking.sync()
    log.info("sync: %d of %d waiting runs uploaded", n_done, n)


def _check_format(given: str, *known: str) -> None:
    if given not in known:
        raise typer.BadParameter(
            f"expected {', '.join(known[:-1])} or {known[-1]}, got '{given}'", param_hint="--format"
        )


def _config_dir(given: Path | None) -> Path:
    from pipeline.errors import ConfigError
    from pipeline.home import home

    if given is not None and not given.is_dir():
        raise ConfigError(f"--config-dir {given}: no such folder")
    return given or home() / "configs"


def _settings(name: str, given: Path | None) -> Path:
    from pipeline.home import config_file

    return config_file(name, _config_dir(given))


def _source(config_dir: Path | None) -> Source:
    from pipeline.clean import Config as CleanConfig
    from pipeline.examples import Source
    from pipeline.inputs import Limits

    config = CleanConfig.load(_settings("clean.yaml", config_dir))
    limits = Limits.load(_settings("inputs.yaml", config_dir))
    return Source(limits, config.repair, config.duplicates, None, Path("artifacts/split/examples.parquet"))


def _done(summary: Summary) -> None:
    log.info("%s", summary)
