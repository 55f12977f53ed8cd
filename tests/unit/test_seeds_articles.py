"""The seed articles hold their schema, their evidence is verbatim, and the datasheet counts them truthfully."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pipeline.document import Kind

SEEDS = Path(__file__).resolve().parents[2] / "seeds"
FIELDS = ["id", "title", "topic", "section", "lang", "source", "date", "newline", "split", "stances", "lines"]
TOPICS = {"business", "entertainment", "politics", "sports", "tech"}
STANCES = {"favour", "neutral", "against", "unrelated"}
AGENCY_LIST = re.compile(r"^(?:more from|plus d’articles de l’|más de) ?(afp|ap|reuters)$", re.IGNORECASE)
TAIL_WORDS = re.compile(r"\b(?:more from|latest news|related)\b", re.IGNORECASE)
LIST_ITEM = re.compile(r"^(?:[-•]|\d{1,2}[.)]|[a-z]\)) ")
SHARE = re.compile(r"\b(?:share|tweet|twitter|copy link|partager|compartir|teilen)\b", re.IGNORECASE)
COMMENT = re.compile(r"\bcomment|leave a reply|join the (?:conversation|discussion)", re.IGNORECASE)
QUOTE_LINE = re.compile(r"^[“\"„][^”\"“]*\w[”\"“]$")

Article: TypeAlias = dict[str, Any]


def read_articles() -> list[Article]:
    """The seed articles, in file order."""
    return [json.loads(line) for line in (SEEDS / "articles.jsonl").read_text(encoding="utf-8").splitlines()]


ARTICLES = read_articles()
every_article = pytest.mark.parametrize("article", ARTICLES, ids=lambda article: article["id"])


def texts(article: Article, *kinds: str) -> list[str]:
    """The texts of the lines of these kinds, in order."""
    return [line["text"] for line in article["lines"] if line["kind"] in kinds]


def kinds_in_order(article: Article) -> list[str]:
    """The kinds of the non-empty lines."""
    return [line["kind"] for line in article["lines"] if line["kind"]]


def kinds_after_story(article: Article) -> list[str]:
    """The kinds of the lines that follow the last line of the story."""
    kinds = kinds_in_order(article)
    return kinds[len(kinds) - kinds[::-1].index("body") :]


def has_match(article: Article, pattern: re.Pattern[str], *kinds: str) -> bool:
    """Whether a line of these kinds contains the pattern."""
    return any(pattern.search(text) for text in texts(article, *kinds))


def agencies(article: Article) -> set[str]:
    """The agencies whose lists the article carries."""
    return {found[1].lower() for text in texts(article, "related") if (found := AGENCY_LIST.match(text))}


def has_tail_on_top(article: Article) -> bool:
    """Whether links to other stories stand before the headline and the story."""
    kinds = kinds_in_order(article)
    story = min(kinds.index(kind) for kind in ("headline", "body") if kind in kinds)
    return "related" in kinds[:story]


def has_newsletter_sentence(article: Article) -> bool:
    """Whether the reader is asked to sign up (or the like) in a full sentence of ten words or more."""
    return any(len(text.split()) >= 10 and text[-1] in ".!" for text in texts(article, "engagement"))


PHENOMENA: dict[str, Callable[[Article], bool]] = {
    "CRLF line ends": lambda a: a["newline"] == "\r\n",
    "no blank line anywhere": lambda a: all(line["text"] for line in a["lines"]),
    "nothing but the story": lambda a: set(kinds_in_order(a)) == {"body"},
    "headline on top": lambda a: "headline" in kinds_in_order(a),
    "tail on top": has_tail_on_top,
    "tail phrase inside a sentence of the story": lambda a: has_match(a, TAIL_WORDS, "body"),
    "an agency's list": lambda a: len(agencies(a)) >= 1,
    "lists of two agencies": lambda a: len(agencies(a)) >= 2,
    "tail list with hyphens": lambda a: has_match(a, re.compile(r"^- "), "related"),
    "tail list with numbers": lambda a: has_match(a, re.compile(r"^\d\.? \D"), "related"),
    "tail headline that is a question": lambda a: has_match(a, re.compile(r"\?$"), "related"),
    "'Latest News' heading": lambda a: has_match(a, re.compile(r"^(latest news|últimas noticias)", re.I), "related"),
    "list inside the story": lambda a: has_match(a, LIST_ITEM, "body"),
    "quote line without a full stop": lambda a: has_match(a, QUOTE_LINE, "body"),
    "caption": lambda a: "caption" in kinds_in_order(a),
    "author or credits after the story": lambda a: "byline" in kinds_after_story(a),
    "share prompt": lambda a: has_match(a, SHARE, "engagement"),
    "comment prompt": lambda a: has_match(a, COMMENT, "engagement"),
    "readers' comments": lambda a: "comments" in kinds_in_order(a),
    "invitation in a full sentence": has_newsletter_sentence,
    "advert": lambda a: "advert" in kinds_in_order(a),
    "menu, breadcrumb or tags": lambda a: "navigation" in kinds_in_order(a),
    "legal line": lambda a: "legal" in kinds_in_order(a),
    "target named in the tail only": lambda a: any(
        s["stance"] == "unrelated" and has_match(a, re.compile(re.escape(s["target"]), re.I), "related")
        for s in a["stances"]
    ),
    "two holders who disagree about a target": lambda a: any(
        {"favour", "against"} <= {s["stance"] for s in a["stances"] if s["target"] == target}
        for target in {s["target"] for s in a["stances"]}
    ),
}


def datasheet_counts(heading: str) -> dict[str, int]:
    """The rows of the two-column table under this heading of the datasheet."""
    section = (SEEDS / "README.md").read_text(encoding="utf-8").split(f"### {heading}\n")[1].split("\n#")[0]
    return {name.strip(): int(n) for name, n in re.findall(r"^\| (.+?) \| (\d+) \|$", section, re.MULTILINE)}


@every_article
def test_fields_have_their_names_order_and_closed_values(article: Article) -> None:
    assert list(article) == FIELDS
    assert article["topic"] in TOPICS
    assert article["section"] in {"cybersecurity", "world"}
    assert article["lang"] in {"en", "de", "es", "fr"}
    assert article["newline"] in {"\n", "\r\n"}
    assert article["split"] in {"train", "validation", "test"}
    assert date.fromisoformat(article["date"]).year in {2022, 2023}


@every_article
def test_lines_have_a_known_kind_and_only_blank_lines_have_none(article: Article) -> None:
    for line in article["lines"]:
        assert line.keys() == {"text", "kind"}
        assert line["text"] == line["text"].strip()
        assert (line["kind"] is None) == (line["text"] == "")
        assert line["kind"] is None or line["kind"] in set(Kind)


@every_article
def test_joining_and_splitting_gives_the_same_lines(article: Article) -> None:
    lines = [line["text"] for line in article["lines"]]
    assert article["newline"].join(lines).splitlines() == lines


@every_article
def test_the_story_has_the_promised_length_and_the_headline_is_the_title(article: Article) -> None:
    body = texts(article, "body")
    assert 5 <= len(body) <= 18
    assert 150 <= sum(len(text.split()) for text in body) <= 500
    assert set(texts(article, "headline")) <= {article["title"]}


@every_article
def test_stances_quote_the_story_word_for_word(article: Article) -> None:
    body = texts(article, "body")
    assert 1 <= len(article["stances"]) <= 5
    for stance in article["stances"]:
        assert stance.keys() == {"target", "stance", "evidence", "holder"}
        assert stance["stance"] in STANCES
        assert (stance["evidence"] is not None) == (stance["stance"] in {"favour", "against"})
        assert stance["evidence"] is None or sum(stance["evidence"] in text for text in body) == 1


@every_article
def test_only_unrelated_targets_are_missing_from_the_story(article: Article) -> None:
    story = " ".join(texts(article, "body")).casefold()
    for stance in article["stances"]:
        assert (stance["target"].casefold() in story) == (stance["stance"] != "unrelated"), stance


@every_article
def test_holders_are_people_named_in_the_story(article: Article) -> None:
    story = " ".join(texts(article, "body"))
    assert all(stance["holder"] in story for stance in article["stances"] if stance["holder"])


def test_ids_and_titles_are_unique_and_ids_run_in_order() -> None:
    assert [article["id"] for article in ARTICLES] == [f"seed-{n:03d}" for n in range(1, len(ARTICLES) + 1)]
    assert len({article["title"] for article in ARTICLES}) == len(ARTICLES)


def test_no_headline_of_a_tail_and_no_sentence_of_a_story_occurs_twice() -> None:
    long_lines = [text for article in ARTICLES for text in texts(article, "related", "body") if len(text.split()) >= 5]
    assert [text for text, n in Counter(long_lines).items() if n > 1] == []


@pytest.mark.parametrize(("heading", "field"), [("Topics", "topic"), ("Splits", "split"), ("Languages", "lang")])
def test_datasheet_counts_articles_by_field(heading: str, field: str) -> None:
    assert datasheet_counts(heading) == dict(Counter(article[field] for article in ARTICLES))


def test_datasheet_counts_lines_by_kind() -> None:
    assert datasheet_counts("Kinds") == dict(Counter(kind for a in ARTICLES for kind in kinds_in_order(a)))


def test_datasheet_counts_stances() -> None:
    assert datasheet_counts("Stances") == dict(Counter(s["stance"] for a in ARTICLES for s in a["stances"]))


def test_datasheet_counts_every_phenomenon() -> None:
    counted = {name: sum(holds(article) for article in ARTICLES) for name, holds in PHENOMENA.items()}
    assert datasheet_counts("Phenomena") == counted
    assert min(counted.values()) >= 2


def test_every_split_has_every_topic() -> None:
    assert len({(article["split"], article["topic"]) for article in ARTICLES}) == 3 * len(TOPICS)
