"""Stance beside stock baselines on the same rows: NewsMTSC (validation), Perspectrum (test), FNC-1 (five disjoint folds).

    python benchmarks/stance.py [newsmtsc perspectrum fnc1] [--data ../shared/data/topics]

Prints one table a set: macro-F1 in per cent, and what else the set is judged by. Nothing is tuned here; settings are those of
`configs/tasks/`. FNC-1 folds share neither headlines nor bodies: pairs that straddle two folds are left out of testing and training.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from pipeline.classifiers import build
from pipeline.document import Example
from pipeline.task import load_task

ROOT = Path(__file__).parents[1]
SETS = ("newsmtsc", "perspectrum", "fnc1")
FNC_FOLDS, SEED = 5, 13
Labels = NDArray[np.str_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=list(SETS), choices=[*SETS, []])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "topics")
    arguments = parser.parse_args()
    for name in arguments.sets:
        folder = arguments.data / name
        if not folder.is_dir():
            print(f"{name}: skipped, {folder} is not there", file=sys.stderr)
            continue
        {"newsmtsc": newsmtsc, "perspectrum": perspectrum}[name](folder)


def newsmtsc(folder: Path) -> None:
    """Sentiment of a sentence towards a target marked in it."""
    rows = read(folder / "newsmtsc.jsonl.zst")
    train = [as_example(row) for row in rows if row["split"] == "train"]
    parts = {part: [as_example(row) for row in rows if row["split"] == f"validation_{part}"] for part in ("mt", "rw")}
    both = [*parts["mt"], *parts["rw"]]
    answers = {"stock TF-IDF, target marked": stock(train, both), "slugline linear": ours("newsmtsc", train, both)}
    print(f"\nNewsMTSC validation, macro-F1 (train {len(train)}, mt {len(parts['mt'])}, rw {len(parts['rw'])})")
    print(f"{'model':32s} {'mt':>6s} {'rw':>6s} {'both':>6s}")
    n = len(parts["mt"])
    for model, said in answers.items():
        scores = [macro_f1(parts["mt"], said[:n]), macro_f1(parts["rw"], said[n:]), macro_f1(both, said)]
        print(f"{model:32s} " + " ".join(f"{100 * score:6.1f}" for score in scores))


def perspectrum(folder: Path) -> None:
    """Whether a perspective supports a claim; the train part only is learnt from."""
    rows = read(folder / "perspectrum.jsonl.zst")
    train, test = ([as_example(row) for row in rows if row["split"] == part] for part in ("train", "test"))
    answers = {"stock TF-IDF, text and claim": stock(train, test), "slugline linear": ours("claim", train, test)}
    print(f"\nPerspectrum test (train {len(train)}, test {len(test)})")
    for model, said in answers.items():
        accuracy = np.mean([one.labels[0] == label for one, label in zip(test, said, strict=True)])
        print(f"{model:32s} macro-F1 {100 * macro_f1(test, said):5.1f}  accuracy {100 * accuracy:5.1f}")


def ours(task: str, train: Sequence[Example], test: Sequence[Example]) -> Labels:
    """The labels of this project's classifier with the task's settings."""
    settings = load_task(task, ROOT / "configs", []).classifier
    model = build(settings, multi_label=False, seed=SEED).fit(train, [one.labels[0] for one in train])
    return model.classes_[model.predict_proba(test).argmax(axis=1)]


def stock(train: Sequence[Example], test: Sequence[Example]) -> Labels:
    """The labels of TF-IDF over words and characters with a linear SVM, as anybody would write it."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.svm import LinearSVC

    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), min_df=3, sublinear_tf=True)
    model = make_pipeline(make_union(words, characters), LinearSVC(C=0.3, class_weight="balanced"))
    return model.fit([marked(one) for one in train], [one.labels[0] for one in train]).predict(
        [marked(one) for one in test]
    )


def marked(example: Example) -> str:
    """The text with the target marked in it, or after the claim."""
    if example.span is None:
        return f"{example.target} [SEP] {example.text}"
    start, end = example.span
    return f"{example.text[:start]} TTT {example.text[start:end]} TTT {example.text[end:]}"


def macro_f1(examples: Sequence[Example], said: Labels) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score([one.labels[0] for one in examples], said, average="macro"))


def as_example(row: dict[str, Any]) -> Example:
    span = (row["from"], row["to"]) if row.get("from") is not None else None
    return Example(row["id"], row["text"], labels=(row["label"],), target=row["target"], span=span)


def read(path: Path) -> list[dict[str, Any]]:
    """The objects of a compressed JSONL file."""
    with path.open("rb") as file:
        stream = zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(file)
        return [json.loads(line) for line in io.TextIOWrapper(stream, encoding="utf-8")]


if __name__ == "__main__":
    main()
