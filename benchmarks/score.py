"""How fast `slugline score` is: text to topic on one and two processes, its overhead, its memory as the archive grows, and Ray.

    python benchmarks/score.py [--model FOLDER] [--n 10000] [--large 100000] [--ray 20000] [--repeat 3]

Articles of about 3 KB are made of the seed articles' sentences. The least of `--repeat` wall times counts, since the machine may be busy
with other things; the starting of processes (a job of 600 articles) is told apart. Memory is the greatest sum over all processes of a job.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # idle threads spin, and would be counted

from pipeline.classifiers.task_model import TaskModel
from pipeline.document import Article
from pipeline.preparation import prepare
from pipeline.score import Scorer, as_example

ROOT = Path(__file__).resolve().parent.parent
N_LINES = 18
N_FEW = 600  # just enough for worker processes to start


@dataclass(frozen=True, slots=True)
class Job:
    """What a job took: wall and CPU seconds of all its processes, and the greatest sum of their memory in MB."""

    wall: float
    cpu: float
    memory: float


def archive(path: Path, n: int) -> Path:
    """JSON lines of `n` articles of about 3 KB."""
    rows = map(json.loads, (ROOT / "seeds" / "articles.jsonl").open(encoding="utf-8"))
    lines = [line["text"] for row in rows for line in row["lines"] if len(line["text"]) > 80]
    rng = random.Random(13)
    with path.open("w", encoding="utf-8") as out:
        for i in range(n):
            out.write(json.dumps({"id": f"a{i}", "text": "\n".join(rng.sample(lines, N_LINES))}) + "\n")
    return path


def command(path: Path, model: Path, output: Path, *words: str | int) -> list[str]:
    """A scoring job without evidence."""
    given = ["score", path, "--model", model, "--evidence", 0, "-o", output, *words]
    return [sys.executable, "-m", "pipeline", "-q", *map(str, given)]


def job(path: Path, model: Path, *words: str | int) -> Job:
    """Run a job to its end."""
    before, began, peak = os.times(), time.monotonic(), 0
    running = subprocess.Popen(command(path, model, path.with_suffix(".out.jsonl"), *words), cwd=ROOT)
    while running.poll() is None:
        peak = max(peak, memory(running.pid))
        time.sleep(0.1)
    wall, after = time.monotonic() - began, os.times()
    if running.returncode:
        raise SystemExit(f"the job failed: {running.args}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Job(wall, cpu, peak / 1e6)


def memory(pid: int) -> int:
    """The resident memory of a process and those it started, in bytes."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for one in (parent, *parent.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.Error:
        pass
    return total


def best(path: Path, model: Path, n_repeats: int, *words: str | int) -> Job:
    """The fastest of several jobs."""
    return min((job(path, model, *words) for _ in range(n_repeats)), key=lambda one: one.wall)


def alone(path: Path, model: Path) -> float:
    """CPU seconds that preparing and predicting the archive take in this process, without reading or writing."""
    scorer, loaded = Scorer.load([model], n_evidence=0), TaskModel.load(model)
    articles = [Article(**json.loads(line)) for line in path.open(encoding="utf-8")]
    began = time.process_time()
    for i in range(0, len(articles), 500):
        prepared = prepare(articles[i : i + 500], scorer.repair, scorer.separator)
        loaded.predict([as_example(one) for one in prepared])  # type: ignore[arg-type]
    return time.process_time() - began


def speed(scratch: Path, model: Path, n: int, n_repeats: int) -> None:
    """Print the rates on one and two processes, and what share of the CPU time is none of our overhead."""
    few, many = archive(scratch / "few.jsonl", N_FEW), archive(scratch / "many.jsonl", n)
    start = [best(few, model, n_repeats, "--processes", k) for k in (1, 2)]
    one, two = (best(many, model, n_repeats, "--processes", k) for k in (1, 2))
    needed = min(alone(many, model) for _ in range(n_repeats)) * (n - N_FEW) / n
    rates = [(n - N_FEW) / (whole.wall - begun.wall) for whole, begun in zip((one, two), start, strict=True)]
    print(
        f"{rates[0]:,.0f} articles a second on one process, {rates[1]:,.0f} on two ({rates[1] / rates[0]:.2f} times); "
    )
    print(
        f"with the {start[1].wall:.1f} s of starting: {n / two.wall:,.0f} a second on two, {one.wall / two.wall:.2f} times one"
    )
    print(
        f"separate and predict alone allow {(n - N_FEW) / needed:,.0f} a CPU second; the job has {(n - N_FEW) / (one.cpu - start[0].cpu):,.0f}: "
    )
    print(
        f"{needed / (one.cpu - start[0].cpu):.2f} of it on one process, {needed / (two.cpu - start[1].cpu):.2f} on two"
    )


def growth(scratch: Path, model: Path, n: int, n_large: int) -> None:
    """Print the memory of a small and of a large job on two processes."""
    small = job(archive(scratch / "small.jsonl", n), model, "--processes", 2)
    large = job(archive(scratch / "large.jsonl", n_large), model, "--processes", 2)
    print(f"memory of all processes: {small.memory:,.0f} MB at {n:,} articles, {large.memory:,.0f} MB at {n_large:,}")
    print(
        f"{n_large:,} articles in {large.wall:,.0f} s: {n_large / large.wall:,.0f} a second, {1e6 / n_large * large.cpu / 3600:.2f} CPU hours a million"
    )


def ray(scratch: Path, model: Path, n: int) -> None:
    """Print the time of a job on Ray beside that of a local one, and whether the outputs are the same."""
    path = archive(scratch / "ray.jsonl", n)
    output = path.with_suffix(".out.jsonl")
    local = job(path, model, "--processes", 2)
    expected = output.read_bytes()
    on_ray = job(path, model, "--processes", 2, "--engine", "ray")
    same = "the same" if output.read_bytes() == expected else "ANOTHER"
    print(
        f"{n:,} articles: local {local.wall:.0f} s, Ray {on_ray.wall:.0f} s: {on_ray.wall / local.wall:.2f} times, {same} output"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=lambda given: Path(given).resolve(), default=ROOT / "models" / "topic")
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--ray", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    if options.repeat and options.n <= N_FEW:
        parser.error(f"--n must be above {N_FEW}: a job of {N_FEW} articles is what starting is measured by")
    with tempfile.TemporaryDirectory() as scratch:
        if options.n and options.repeat:
            speed(Path(scratch), options.model, options.n, options.repeat)
        if options.large:
            growth(Path(scratch), options.model, options.n or 10_000, options.large)
        if options.ray:
            ray(Path(scratch), options.model, options.ray)


if __name__ == "__main__":
    main()
