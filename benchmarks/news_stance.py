"""Joins the stances of seeds/news_stance.jsonl, which holds no text, with the articles they were given in; writes what a training reads.

    python benchmarks/news_stance.py [--articles ../shared/data/topics/article_bias/article_bias.jsonl.zst] [--output artifacts/news_stance.jsonl]

A row out is a sentence with its target, as NewsMTSC's are: `id text target from to label split`. An article whose text has changed since
is counted and left out.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard

ROOT = Path(__file__).parents[1]
LABELS = ROOT / "seeds" / "news_stance.jsonl"
ARTICLES = ROOT.parent / "shared" / "data" / "topics" / "article_bias" / "article_bias.jsonl.zst"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=Path, default=ARTICLES)
    parser.add_argument("--output", type=Path, default=ROOT / "artifacts" / "news_stance.jsonl")
    asked = parser.parse_args()
    if not asked.articles.is_file():
        print(f"skipped: {asked.articles} is absent")
        return
    given = {row["id"]: row for row in map(json.loads, LABELS.read_text("utf-8").splitlines())}
    rows, n_stale = [], 0
    for article in read(asked.articles):
        if (label := given.pop(article["id"], None)) is None:
            continue
        if digest(article["text"]) == label["digest"]:
            rows += joined(article["id"], article["text"], label["says"])
        else:
            n_stale += 1
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    print(f"{asked.output}: {len(rows)} sentences with a target; {n_stale} articles changed, {len(given)} absent")


def joined(name: str, text: str, says: str) -> Iterator[dict[str, Any]]:
    """The sentences of one article with their targets: `says` is a list of `sentence target label`, both as `start-end`."""
    for i, one in enumerate(says.split(", ")):
        sentence, target, label = one.split(" ")
        (start, end), (first, last) = (map(int, span.split("-")) for span in (sentence, target))
        told = text[start:end]
        yield {
            "id": f"{name}-{i}", "text": told, "target": told[first:last], "from": first, "to": last, "label": label, "split": "train",
        }  # fmt: skip


def digest(text: str) -> str:
    """16 hexadecimal digits that name a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a `.jsonl.zst` file."""
    with path.open("rb") as file:
        stream = zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(file)
        yield from map(json.loads, io.TextIOWrapper(stream, encoding="utf-8"))


if __name__ == "__main__":
    main()
