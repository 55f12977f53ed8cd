"""Targets are found by every name an article gives them, judged sentence by sentence, and answered with evidence and holders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.classifiers.task_model import TaskModel
from pipeline.clean import Config as CleanConfig
from pipeline.document import Article, Example, LabelPrediction
from pipeline.errors import DataError
from pipeline.mentions import forms_of, mentions
from pipeline.preparation import Prepared, prepare
from pipeline.score import check_target
from pipeline.targets import TargetsConfig, score_targets
from pipeline.task import load_task

ROOT = Path(__file__).parents[2]
CONFIG = TargetsConfig.load(ROOT / "configs" / "targets.yaml")
STORY = (
    "The Federal Security Service (FSB) praised the harbour police on Monday.\n"
    "“The FSB has wrecked every agreement we had,” said Alexander Bortnikov, a retired judge.\n"
    "Bortnikov spoke in Moscow. American officials had no comment."
)


def named(target: str, text: str) -> list[str]:
    """The words of a text that name the target."""
    forms = forms_of(target, text, CONFIG.aliases, CONFIG.generic)
    return [text[one.start : one.end] for one in mentions(text, forms)]


@pytest.fixture(scope="module")
def model() -> TaskModel:
    rows = [json.loads(line) for line in (ROOT / "seeds" / "stance.jsonl").read_text(encoding="utf-8").splitlines()]
    examples = [
        Example(row["id"], row["text"], labels=(row["label"],), target=row["target"], span=(row["from"], row["to"]))
        for row in rows
        if row["split"] == "train"
    ]
    task = load_task("stance", ROOT / "configs", [])
    return TaskModel.fit("stance", "target", task.classifier, task.calibration, examples, None, task.seed)


def prepared(text: str, title: str | None = None) -> Prepared:
    repair = CleanConfig.load(ROOT / "configs" / "clean.yaml").repair
    (one,) = prepare([Article("a", text=text, title=title)], repair, None)
    assert isinstance(one, Prepared)
    return one


def answer(model: TaskModel, text: str, *targets: str, title: str | None = None) -> tuple[LabelPrediction, ...]:
    return score_targets(model, [prepared(text, title)], targets, 3, CONFIG)[0]


@pytest.mark.parametrize(
    ("target", "text", "expected"),
    [
        ("Russia", "Russia’s move surprised Belarussia.", ["Russia"]),
        ("US", "They told us that the US would act.", ["US"]),
        ("Apple", "An apple a day from Apple.", ["Apple"]),
        ("apple", "An apple a day from Apple.", ["apple", "Apple"]),
        ("ferry company", "The Ferry company\nand its ferry  company.", ["Ferry company", "ferry  company"]),
        ("C++ (language)", "He wrote C++ (language) daily.", ["C++ (language)"]),
        (".*", "Anything at all.", []),
        ("a|b", "a or b, or a|b.", ["a|b"]),
        ("(", "An open ( bracket.", ["("]),
    ],
)
def test_a_name_is_taken_literally_and_as_whole_words(target: str, text: str, expected: list[str]) -> None:
    assert named(target, text) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("Federal Security Service", ["Federal Security Service", "FSB", "FSB"]),
        ("FSB", ["Federal Security Service", "FSB", "FSB"]),
        ("Alexander Bortnikov", ["Alexander Bortnikov", "Bortnikov"]),
        ("United States", ["American"]),
        ("Russia", []),
    ],
)
def test_abbreviations_last_names_and_peoples_name_a_target_and_a_place_does_not(
    target: str, expected: list[str]
) -> None:
    assert named(target, STORY) == expected


def test_a_last_name_that_is_part_of_another_name_is_somebody_else() -> None:
    text = "Owen Pike broke in. Marisol Pike is less amused. Pike was fined."
    assert named("Owen Pike", text) == ["Owen Pike", "Pike"]


def test_a_seat_names_its_country_where_it_acts() -> None:
    assert named("Russia", "Moscow denied it. The talks in Moscow went on.") == ["Moscow"]
    assert named("Britain", "LONDON, May 3 (Wire) - Rain fell in London.") == []


def test_a_target_that_does_not_occur_is_unrelated_without_a_model(model: TaskModel) -> None:
    (entry,) = answer(model, STORY, "Brazil")
    assert (entry.label, entry.probability, entry.evidence, entry.abstained) == ("unrelated", 1.0, (), False)
    assert sum(entry.probabilities.values()) == pytest.approx(1.0)


def test_evidence_is_verbatim_where_the_record_says_and_names_the_holder(model: TaskModel) -> None:
    (entry,) = answer(model, STORY, "FSB")
    assert entry.evidence
    for one in entry.evidence:
        assert STORY[one.start : one.end] == one.text
    holders = {one.text[:12]: one.holder for one in entry.evidence}
    assert holders["“The FSB has"] == "Alexander Bortnikov"
    assert sum(entry.probabilities.values()) == pytest.approx(1.0)


def test_evidence_stands_in_the_text_given_where_cleaning_moved_it(model: TaskModel) -> None:
    text = "  The   harbour police lied\u00a0to everyone.\r\n\r\nNobody  trusts the\u200b harbour police. "
    (entry,) = answer(model, text, "harbour police")
    assert len(entry.evidence) == 2
    for one in entry.evidence:
        assert text[one.start : one.end] == one.text and "police" in one.text


def test_a_headline_counts_though_the_body_does_not_name_the_target(model: TaskModel) -> None:
    (entry,) = answer(model, "Rain fell all day.", "Norvania", title="Norvania betrays its farmers")
    assert entry.label != "unrelated" and entry.evidence == ()


def test_each_target_is_answered_as_if_alone(model: TaskModel) -> None:
    targets = ("FSB", "harbour police", "United States", "Brazil")
    together = answer(model, STORY, *targets)
    alone = tuple(answer(model, STORY, target)[0] for target in targets)
    assert [one.target for one in together] == list(targets)
    assert [one.label for one in together] == [one.label for one in alone]
    for one, other in zip(together, alone, strict=True):
        assert one.probability == pytest.approx(other.probability) and one.evidence[:1] == other.evidence[:1]


@pytest.mark.parametrize("text", ["x", "...", "Русская статья без имён.", "日本語の記事です。"])
def test_articles_without_sentences_or_in_other_languages_get_a_record(model: TaskModel, text: str) -> None:
    assert [one.label for one in answer(model, text, "Russia", "x-ray")] == ["unrelated", "unrelated"]


@pytest.mark.parametrize("target", ["", "   ", "\n", "a" * 500])
def test_empty_and_overlong_targets_are_refused(target: str) -> None:
    with pytest.raises(DataError, match="--target"):
        check_target(target, 200)


def test_the_users_article_answers_for_each_target(model: TaskModel) -> None:
    folder = ROOT.parent / "shared" / "seeds"
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.txt"))]
    if not texts:
        pytest.skip(f"the user's article is not in {folder.name}")
    text = texts[0].partition("More from")[0]
    entries = score_targets(model, [prepared(text)], ("Russia", "United States", "Britain"), 12, CONFIG)[0]
    assert all(entry.evidence or entry.label == "unrelated" for entry in entries)
    assert "Alexander Bortnikov" in {one.holder for one in entries[1].evidence}
