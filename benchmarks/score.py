"""How fast `slugline score` is: text to topic on one and two processes, its overhead, and its memory as the archive grows.

    python benchmarks/score.py [--model FOLDER] [--n 10000] [--large 100000]

Articles of about 3 KB are made of the seed articles' sentences. Times are CPU seconds of all processes where processes are
compared with what `separate` and `predict` alone need, and wall seconds where one process is compared with two.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.classifiers.task_model import TaskModel
from pipeline.document import Article
from pipeline.preparation import prepare
from pipeline.score import Scorer, as_example

ROOT = Path(__file__).resolve().parent.parent
N_LINES = 18


def archive(path: Path, n: int) -> Path:
    """JSON lines of `n` articles of about 3 KB."""
    rows = map(json.loads, (ROOT / "seeds" / "articles.jsonl").open(encoding="utf-8"))
    lines = [line["text"] for row in rows for line in row["lines"] if len(line["text"]) > 80]
    rng = random.Random(13)
    with path.open("w", encoding="utf-8") as out:
        for i in range(n):
            out.write(json.dumps({"id": f"a{i}", "text": "\n".join(rng.sample(lines, N_LINES))}) + "\n")
    return path


def job(path: Path, model: Path, n_processes: int) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and the driver's peak memory in MB of one job."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    script = (
        "import resource, sys; sys.argv[0] = 'slugline'\nfrom pipeline.cli import main\n"
        "try:\n    main()\nfinally:\n    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    words = [
        "score",
        path,
        "--model",
        model,
        "--evidence",
        "0",
        "--processes",
        n_processes,
        "-o",
        path.with_suffix(".out.jsonl"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - began, cpu, int(done.stdout.split()[-1]) / 1024


def alone(path: Path, model: Path) -> float:
    """CPU seconds that preparing and predicting the archive take in this process, without reading or writing."""
    scorer, loaded = Scorer.load([model], n_evidence=0), TaskModel.load(model)
    articles = [Article(**json.loads(line)) for line in path.open(encoding="utf-8")]
    began = time.process_time()
    for i in range(0, len(articles), 500):
        prepared = prepare(articles[i : i + 500], scorer.repair, scorer.separator)
        loaded.predict([as_example(one) for one in prepared])  # type: ignore[arg-type]
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "topic")
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        few, small = archive(Path(scratch) / "few.jsonl", 10), archive(Path(scratch) / "small.jsonl", options.n)
        start_wall, start_cpu, _ = job(few, options.model, 1)
        wall, cpu, memory = job(small, options.model, 1)
        wall_of_two, _, _ = job(small, options.model, 2)
        needed = alone(small, options.model)
        print(
            f"{options.n / (wall - start_wall):,.0f} articles a second on one process, {options.n / (cpu - start_cpu):,.0f} a CPU second"
        )
        print(f"two processes are {wall / wall_of_two:.2f} times one (start included)")
        print(f"{needed / (cpu - start_cpu):.2f} of the CPU time goes into separate and predict alone")
        if options.large:
            large = archive(Path(scratch) / "large.jsonl", options.large)
            _, _, memory_of_large = job(large, options.model, 1)
            print(f"{memory:.0f} MB at {options.n:,} articles, {memory_of_large:.0f} MB at {options.large:,}")


if __name__ == "__main__":
    main()
