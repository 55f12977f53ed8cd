"""The separator on the articles it must get right, on callers' phrases, on its guard and on bad input."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pipeline.document import Article, Document, Kind
from pipeline.errors import ArtifactError, ConfigError
from pipeline.separate import Config, Separator

ROOT = Path(__file__).parent.parent.parent
SHARED = ROOT.parent / "shared"
STORY = [
    "The head of the harbour office said Thursday it would reopen the eastern pier after repairs that took eleven months.",
    "“We are glad to see the ferries back,” the director, Marta Lindqvist, told journalists at the quay.",
    "The pier was closed last year when an inspection found that two of its supports had rusted through.",
    "Repairs cost four million euros, of which the state paid a third, the office said in a statement.",
    "Ferries to the islands are to leave from the pier again on Monday, every forty minutes until midnight.",
]


@cache
def separator() -> Separator:
    return Separator.load()


def with_settings(*overrides: str) -> Separator:
    return Separator.load(config=Config.load(ROOT / "configs" / "separate.yaml", list(overrides)))


def kinds_of(document: Document) -> list[Kind]:
    return [line.kind for line in document.lines]


def test_the_users_article_has_eleven_paragraphs_of_body_and_nothing_of_its_tail() -> None:
    paths = sorted((SHARED / "seeds").glob("*.txt")) if SHARED.is_dir() else []
    if not paths:
        pytest.skip("../shared/seeds is not there")
    for path in paths:
        document = separator().separate(path.read_text(encoding="utf-8"))
        is_body = [kind == Kind.BODY for kind in kinds_of(document)]
        assert is_body == [True] * 11 + [False] * 19
        tail = kinds_of(document)[11:]
        assert tail == [Kind.RELATED] * 18 + [Kind.ENGAGEMENT]
        assert document.is_article > 0.5


def seed_articles() -> list[dict]:
    return [json.loads(row) for row in (ROOT / "seeds" / "articles.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("article", seed_articles(), ids=lambda article: article["id"])
def test_no_body_line_of_a_seed_article_is_lost_and_no_tail_line_kept(article: dict) -> None:
    lines = [line for line in article["lines"] if line["text"].strip()]
    document = separator().separate("\n".join(line["text"] for line in article["lines"]))
    wrong = [
        line["text"]
        for line, kind in zip(lines, kinds_of(document), strict=True)
        if (line["kind"] == "body") != (kind == Kind.BODY)
    ]
    assert wrong == []


def test_the_body_of_a_seed_article_separated_again_stays_whole() -> None:
    for article in seed_articles():
        body = "\n".join(line["text"] for line in article["lines"] if line["kind"] == "body")
        assert separator().separate(body).body == body


def test_a_callers_phrase_makes_a_line_boilerplate_and_another_makes_one_body() -> None:
    text = "\n".join([*STORY, "Ask the harbour desk a question"])
    told = with_settings("always_boilerplate=[two of its supports]", "always_body=[ask the HARBOUR desk]").separate(
        text
    )
    assert told.lines[2].kind != Kind.BODY and told.lines[2].body == 0
    assert told.lines[5].kind == Kind.BODY and told.lines[5].body == 1


def test_a_callers_phrase_acts_before_the_context_is_read() -> None:
    promo = "A weekly letter from the harbour tells of boats, recipes and maps each Friday morning."
    text = "\n".join([*STORY, promo, promo.replace("weekly", "monthly"), promo.replace("weekly", "yearly")])
    free = separator().separate(text)
    told = with_settings("always_boilerplate=[weekly letter, yearly letter]").separate(text)
    assert told.lines[6].body < free.lines[6].body


def test_a_phrase_matches_whole_words_only() -> None:
    told = with_settings("always_boilerplate=[pie]").separate("\n".join(STORY))
    assert kinds_of(told) == [Kind.BODY] * len(STORY)


def test_when_all_prose_would_be_cut_it_is_kept_and_marked() -> None:
    cut = with_settings("threshold=0.9999999", "guard.min_prose_chars=100").separate("\n".join(STORY))
    assert cut.low_confidence
    assert len(cut.body) > 400


def test_a_confident_separation_is_not_marked() -> None:
    assert not separator().separate("\n".join(STORY)).low_confidence


@pytest.mark.parametrize("text", ["", "\n", " \n\t\r\n ", "\u2028\x0c"])
def test_a_text_without_lines_has_none_and_is_no_article(text: str) -> None:
    document = separator().separate(text)
    assert document.lines == () and document.body == "" and document.is_article == 0.0 and document.text == text


@pytest.mark.parametrize(
    "text", ["\x00", "\ud800 lone \udfff", "a\x00b\nc", "\U0010ffff", "👍🏽", "ﷺ" * 50, "a\u0300" * 300]
)
def test_odd_characters_are_lines_like_any(text: str) -> None:
    document = separator().separate(text)
    assert len(document.lines) == len([line for line in text.split("\n") if line.strip()])


def test_one_line_of_many_megabytes_is_one_line() -> None:
    text = "word " * 1_000_000
    document = separator().separate(text)
    assert [(line.start, line.end) for line in document.lines] == [(0, len(text))]


def test_hundreds_of_thousands_of_short_lines_are_all_there() -> None:
    text = "a\n" * 300_000
    document = separator().separate(text)
    assert len(document.lines) == 300_000
    assert document.lines[-1].end == len(text) - 1


def test_html_and_text_in_one_batch_keep_their_order() -> None:
    html = (
        "<html><body><nav><a href='/'>Home</a></nav>" + "".join(f"<p>{line}</p>" for line in STORY) + "</body></html>"
    )
    batch = [Article(id="a", text=STORY[0]), Article(id="b", html=html), Article(id="c", text="\n".join(STORY))]
    documents = separator().separate_batch(batch)
    assert [document.id for document in documents] == ["a", "b", "c"]
    page = documents[1]
    assert isinstance(page, Document) and page.body == "\n".join(STORY)


def test_html_too_large_is_refused_with_a_reason() -> None:
    html = "<p>" + "x" * 5000 + "</p>"
    refused = with_settings("html.max_bytes=1000").separate_batch([Article(id="a", html=html)])[0]
    assert not isinstance(refused, Document) and refused.id == "a" and refused.reason


@pytest.mark.parametrize(
    "story",
    [
        ["Der Hafen wird am Montag wieder geöffnet, teilte die Behörde am Donnerstag in Kiel mit.", "Die Arbeiten hätten elf Monate gedauert und vier Millionen Euro gekostet, sagte die Leiterin."],
        ["Le port rouvrira lundi après onze mois de travaux, a annoncé jeudi la direction à Brest.", "Les travaux ont coûté quatre millions d'euros, dont un tiers payé par l'État, a-t-elle précisé."],
        ["Порт снова откроется в понедельник после одиннадцати месяцев ремонта, сообщили власти в четверг.", "Ремонт обошёлся в четыре миллиона евро, треть из которых оплатило государство, сказала директор."],
        ["港口管理局周四表示，经过十一个月的维修，东码头将于下周一重新开放，届时前往各岛的渡轮将恢复运营。", "管理局在声明中说，维修费用为四百万欧元，其中三分之一由国家承担，其余由市政府和渡轮公司共同支付。"],
    ],
    ids=["german", "french", "russian", "chinese"],
)  # fmt: skip
def test_stories_in_other_languages_are_body(story: list[str]) -> None:
    assert kinds_of(separator().separate("\n".join(story * 2))) == [Kind.BODY] * 4


def test_missing_weights_are_an_artifact_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="train-separator"):
        Separator.load(tmp_path)


def test_weights_for_other_features_are_refused(tmp_path: Path) -> None:
    folder = ROOT / "models" / "separator"
    settings = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    (tmp_path / "model.json").write_text(
        json.dumps(settings | {"features": settings["features"][1:]}), encoding="utf-8"
    )
    (tmp_path / "weights.safetensors").write_bytes((folder / "weights.safetensors").read_bytes())
    with pytest.raises(ArtifactError, match="other features"):
        Separator.load(tmp_path)


def test_a_misspelt_setting_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="always_boilerplate"):
        with_settings("always_boilerplat=[x]")


def test_the_shipped_weights_are_small_and_finite() -> None:
    folder = ROOT / "models" / "separator"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5_000_000
    assert all(np.isfinite(values).all() for values in separator().model.weights.values())
