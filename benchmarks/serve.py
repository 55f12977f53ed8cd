"""How the service holds under load: many clients at once on loopback, for a bounded time.

    python benchmarks/serve.py [--model FOLDER] [--clients 1000] [--seconds 60]

Every client keeps a connection of its own and asks for one article of about 1 KB after the other. Said are the requests answered, errors of any
kind, and the quantiles of what a client waits. The clients run in a process of their own, on the same machine as the service.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

from score import ROOT, memory

MAX_WAIT_S = 120


def questions() -> list[bytes]:
    """Requests to score one article of about 1 KB each."""
    rows = map(json.loads, (ROOT / "seeds" / "articles.jsonl").open(encoding="utf-8"))
    lines = [line["text"] for row in rows for line in row["lines"] if len(line["text"]) > 80]
    rng, made = random.Random(13), []
    for _ in range(200):
        body = json.dumps({"articles": [{"text": "\n".join(rng.sample(lines, 6))}]}).encode()
        head = f"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        made.append(head.encode() + body)
    return made


async def client(
    number: int, port: int, asked: list[bytes], ends: float, waits: list[float], failed: Counter[str]
) -> None:
    """Ask one question after another until the time is up."""
    reader = writer = None
    while time.monotonic() < ends:
        began = time.monotonic()
        try:
            async with asyncio.timeout(MAX_WAIT_S):
                if writer is None or reader is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(asked[number % len(asked)])
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
                await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            failed[type(error).__name__] += 1
            reader = writer = None
            continue
        status = head.split(b" ", 2)[1].decode()
        if status == "200":
            waits.append(time.monotonic() - began)
        else:
            failed[status] += 1
    if writer is not None:
        writer.close()


async def load(port: int, n_clients: int, seconds: float) -> tuple[list[float], Counter[str]]:
    """What the clients waited, and what failed."""
    waits, failed, asked = list[float](), Counter[str](), questions()
    ends = time.monotonic() + seconds
    await asyncio.gather(*(client(i, port, asked, ends, waits, failed) for i in range(n_clients)))
    return waits, failed


def start(model: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A service and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pipeline", "-q", "serve", "--model", str(model), "--port", str(port)]
    running = subprocess.Popen(command, cwd=ROOT)
    while running.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
            return running, port
        except (OSError, urllib.error.URLError):
            time.sleep(0.1)
    raise SystemExit("the service did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=lambda given: Path(given).resolve(), default=ROOT / "models" / "topic")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    running, port = start(options.model)
    began = time.monotonic()
    waits, failed = asyncio.run(load(port, options.clients, options.seconds))
    took, held = time.monotonic() - began, memory(running.pid) / 1e6
    running.send_signal(signal.SIGTERM)
    code = running.wait(60)
    waits.sort()
    quantiles = ", ".join(
        f"p{q:g} {waits[min(len(waits) - 1, int(len(waits) * q / 100))]:.2f} s" for q in (50, 90, 99, 99.9)
    )
    print(
        f"{options.clients:,} clients for {took:.0f} s: {len(waits):,} answers, {len(waits) / took:,.0f} a second, {quantiles}"
    )
    print(f"errors: {dict(failed) or 'none'}; the service held {held:,.0f} MB and ended with exit code {code}")


if __name__ == "__main__":
    main()
