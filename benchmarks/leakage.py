"""Does the leakage gate find planted copies in 40,000 articles, and how soon?

Takes real articles (article_bias), adds exact copies and copies with a share of their words replaced by words of other
articles, and prints as JSON: the share of each that lands in its original's group, how many of the original articles
are grouped with another (with a few of those pairs' similarities, to judge false alarms by), and the time.

    python benchmarks/leakage.py [--n-articles 40000] [--changed 0.1] [--shingle-words 2] [--threshold 0.5]
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from pathlib import Path

import numpy as np

from pipeline.leakage import jaccard, leaks, near_duplicate_groups

TOPICS = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "topics"


def read_texts(path: Path) -> list[str]:
    """The texts of a `.jsonl.zst` file."""
    import zstandard

    with path.open("rb") as raw:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(raw), encoding="utf-8")
        return [json.loads(line)["text"] for line in lines]


def changed(text: str, share: float, vocabulary: list[str], rng: np.random.Generator) -> str:
    """The text with exactly that share of its words replaced, at random places."""
    words = text.split()
    for place in rng.choice(len(words), round(len(words) * share), replace=False):
        words[place] = vocabulary[int(rng.integers(len(vocabulary)))]
    return " ".join(words)


def measure(arguments: argparse.Namespace) -> dict[str, object]:
    """The figures that this benchmark prints."""
    rng = np.random.default_rng(arguments.seed)
    originals = read_texts(TOPICS / "article_bias" / "article_bias.jsonl.zst")[: arguments.n_articles * 3 // 4]
    n_planted = min(arguments.n_articles - len(originals), len(originals))
    vocabulary = sorted({word for text in originals[:3000] for word in text.split()})
    chosen = rng.choice(len(originals), n_planted, replace=False)
    n_exact = n_planted // 5
    texts = originals + [originals[i] for i in chosen[:n_exact]]
    texts += [changed(originals[i], arguments.changed, vocabulary, rng) for i in chosen[n_exact:]]
    settings = {
        "n_permutations": arguments.n_permutations, "threshold": arguments.threshold,
        "shingle_words": arguments.shingle_words, "seed": arguments.seed,
    }  # fmt: skip
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    groups = near_duplicate_groups(texts, **settings)
    seconds, cpu_seconds = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    began_gate_s = time.process_time()
    gate = leaks(texts, ["train"] * len(originals) + ["test"] * n_planted, **settings)
    gate_cpu_seconds = time.process_time() - began_gate_s
    found = np.array([groups[i] == groups[len(originals) + place] for place, i in enumerate(chosen)])
    own = [(groups[i], i) for i in range(len(originals)) if groups[i] != i]
    sample = [own[int(i)] for i in rng.permutation(len(own))[:10]]
    return {
        "n_articles": len(texts),
        "n_exact": n_exact,
        "exact_found": float(found[:n_exact].mean()),
        "n_near": n_planted - n_exact,
        "near_found": float(found[n_exact:].mean()),
        "originals_grouped_with_another": len(own),
        "similarity_of_ten_of_those": [
            round(jaccard(texts[a], texts[b], shingle_words=arguments.shingle_words), 2) for a, b in sample
        ],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "planted_named_by_the_gate": len({leak.second for leak in gate}),
        "gate_cpu_seconds": round(gate_cpu_seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-articles", type=int, default=40_000)
    parser.add_argument("--changed", type=float, default=0.1)
    parser.add_argument("--n-permutations", type=int, default=256)
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--shingle-words", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    if not TOPICS.is_dir():
        sys.exit(f"skipped: {TOPICS} is not there; this benchmark needs real articles")
    print(json.dumps(measure(parser.parse_args()), indent=2))


if __name__ == "__main__":
    main()
