"""Whether a scoring job survives being killed: kill -9 at random moments, the driver, a worker, or in the middle of a write.

    python benchmarks/kills.py [--model FOLDER] [--n 20000] [--kills 25] [--seed 13]

After each kill the job is run again. When it ends, its output and its profile must be those of a job left alone, byte for byte, and it
is begun anew until all kills are spent.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from score import ROOT, archive, command

KINDS = ("driver", "worker", "mid-write")
MAX_NEW_SHARDS = 16
BATCH_ARTICLES = 100


def workers(driver: psutil.Process) -> list[psutil.Process]:
    """The scoring processes of a job."""
    found = []
    for one in driver.children(recursive=True):
        try:
            if "spawn_main" in " ".join(one.cmdline()):
                found.append(one)
        except psutil.Error:
            continue
    return found


def wait_for(running: subprocess.Popen[bytes], folder: Path, n_new: int, kind: str) -> bool:
    """Wait for so many new shards, and for the middle of a write where that is asked for; False if the job ends first."""
    n_before = len(list(folder.glob("*.jsonl")))
    while running.poll() is None:
        if len(list(folder.glob("*.jsonl"))) - n_before >= n_new and (kind != "mid-write" or any(folder.glob("*.tmp"))):
            return True
        time.sleep(0.001)
    return False


def kill(running: subprocess.Popen[bytes], kind: str) -> bool:
    """Kill the driver or one of its workers; whether there was one."""
    driver = psutil.Process(running.pid)
    if kind != "worker":
        processes = [driver, *workers(driver)]
        running.kill()
        running.wait()
        psutil.wait_procs(processes, timeout=30)
        return True
    found = workers(driver)
    if found:
        os.kill(found[0].pid, signal.SIGKILL)
    return bool(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=lambda given: Path(given).resolve(), default=ROOT / "models" / "topic")
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=13)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rng, done = random.Random(options.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        settings = (ROOT / "configs" / "score.yaml").read_text(encoding="utf-8")
        (folder / "score.yaml").write_text(
            re.sub("batch_articles: [0-9]+", f"batch_articles: {BATCH_ARTICLES}", settings), encoding="utf-8"
        )
        path = archive(folder / "a.jsonl", options.n)
        words = ("--config-dir", str(folder), "--processes", "2")
        subprocess.run(command(path, options.model, folder / "whole.jsonl", *words), cwd=ROOT, check=True)
        output, n_ended = folder / "out.jsonl", 0
        while True:
            running = subprocess.Popen(
                command(path, options.model, output, *words), cwd=ROOT, stderr=subprocess.DEVNULL
            )
            while done.total() < options.kills:
                kind = rng.choice(KINDS)
                if not wait_for(running, folder / ".out.jsonl.work", rng.randint(0, MAX_NEW_SHARDS), kind):
                    break
                time.sleep(rng.random() * 0.1)
                done[kind] += kill(running, kind)
                if kind != "worker":
                    break
            if running.wait() == -signal.SIGKILL:
                continue
            if running.returncode:
                raise SystemExit(f"the job failed with {running.returncode}")
            for name in ("{}", "{}.profile.json"):
                whole, found = (folder / name.format(one) for one in ("whole.jsonl", "out.jsonl"))
                if whole.read_bytes() != found.read_bytes():
                    raise SystemExit(f"{found.name} is another after {done.total()} kills")
            ids = [json.loads(line)["id"] for line in output.open(encoding="utf-8")]
            assert ids == [f"a{i}" for i in range(options.n)]
            n_ended += 1
            if done.total() >= options.kills:
                break
            output.unlink()
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(done.items()))
    print(
        f"{done.total()} kills ({kinds}) in {n_ended} jobs of {options.n:,} articles: every output byte-identical, no record lost or doubled"
    )


if __name__ == "__main__":
    main()
