"""The command line keeps its contract on JSON lines: one answer an article, in order, spans that lead back."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Slugline

from pipeline.document import Kind

KINDS = {kind.value for kind in Kind}


@pytest.fixture(scope="module")
def articles() -> list[dict[str, Any]]:
    """200 articles: the seeds as they are, without breaks, with CRLF, and in HTML; and some that cannot be read."""
    seeds = [json.loads(line) for line in (ROOT / "seeds" / "articles.jsonl").read_text().splitlines()]
    found: list[dict[str, Any]] = []
    for i in range(200):
        lines = [line["text"] for line in seeds[i % len(seeds)]["lines"]]
        newline = ("\n", "\r\n", "\n\n", "\u2028")[i % 4]
        match i % 20:
            case 7:
                found.append({"id": f"a{i}", "text": ""})
            case 13:
                found.append({"id": f"a{i}"})
            case 3:
                found.append(
                    {
                        "id": f"a{i}",
                        "html": "<html><body>" + "".join(f"<p>{line}</p>" for line in lines) + "</body></html>",
                    }
                )
            case _:
                found.append({"id": f"a{i}", "text": newline.join(lines)})
    return found


def as_jsonl(articles: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in articles)


def test_separate_answers_every_article_in_order_with_spans_that_cover_it(
    slugline: Slugline, articles: list[dict[str, Any]]
) -> None:
    done = slugline("separate", "-", "--format", "jsonl", stdin=as_jsonl(articles))
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["id"] for one in answers] == [one["id"] for one in articles]
    for given, answer in zip(articles, answers, strict=True):
        text = given.get("text") or answer.get("text") or ""
        lines = answer["lines"]
        assert all(line["kind"] in KINDS and 0 <= line["body"] <= 1 for line in lines)
        assert [line["start"] for line in lines] == sorted(line["start"] for line in lines)
        inside = [text[line["start"] : line["end"]] for line in lines]
        assert "".join("".join(inside).split()) == "".join(text.split())
        assert answer["body"] == "\n".join(
            one for one, line in zip(inside, lines, strict=True) if line["kind"] == "body"
        )
        assert 0 <= answer["is_article"] <= 1


def test_separate_gives_the_same_bytes_in_any_order(slugline: Slugline, articles: list[dict[str, Any]]) -> None:
    articles = [one for one in articles if one.get("text") or one.get("html")]
    forward = slugline("separate", "-", "--format", "jsonl", stdin=as_jsonl(articles)).stdout.splitlines()
    backward = slugline("separate", "-", "--format", "jsonl", stdin=as_jsonl(articles[::-1])).stdout.splitlines()
    assert forward == backward[::-1]


@pytest.fixture(scope="module")
def topic_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small topic model, trained through the command line's own path on the seed articles."""
    from pipeline.clean import Config
    from pipeline.examples import Source
    from pipeline.inputs import Limits
    from pipeline.task import load_task
    from pipeline.train import fit

    folder = tmp_path_factory.mktemp("topic")
    rows = [json.loads(line) for line in (ROOT / "seeds" / "articles.jsonl").read_text().splitlines()]
    train = folder / "train.jsonl"
    train.write_text(
        as_jsonl(
            [{"text": row["newline"].join(n["text"] for n in row["lines"]), "label": row["topic"]} for row in rows]
        )
    )
    clean = Config.load(ROOT / "configs" / "clean.yaml")
    source = Source(
        Limits.load(ROOT / "configs" / "inputs.yaml"), clean.repair, clean.duplicates, None, folder / "none"
    )
    task = load_task("topic", ROOT / "configs", [f"data.train={train}", "classifier.c=[1.0]"])
    fit("topic", task, source).model.save(folder / "model")
    return folder / "model"


def test_score_gives_one_record_an_article_with_evidence_that_leads_back(
    slugline: Slugline, articles: list[dict[str, Any]], topic_model: Path
) -> None:
    done = slugline("score", "-", "--model", topic_model, "--format", "jsonl", stdin=as_jsonl(articles))
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["id"] for one in records] == [one["id"] for one in articles]
    for given, record in zip(articles, records, strict=True):
        if not given.get("text") and not given.get("html"):
            assert record["error"]["reason"] in ("empty", "missing_text")
            assert record["predictions"] == {}
            continue
        assert record["error"] is None
        assert set(record["model"]) == {"topic"}
        (entry,) = record["predictions"]["topic"]
        assert entry["label"] in entry["probabilities"]
        assert sum(entry["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert entry["abstained"] == (len(entry["set"]) != 1)
        if "text" in given:
            for one in entry["evidence"]:
                assert given["text"][one["start"] : one["end"]] == one["text"] != ""


def test_train_and_evaluate_work_outside_of_the_project(slugline: Slugline, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (ROOT / "seeds" / "articles.jsonl").read_text().splitlines()]
    given = [
        {"text": row["newline"].join(n["text"] for n in row["lines"]), "label": ("a", "b")[row["topic"] > "f"]}
        for row in rows
    ]
    (tmp_path / "train.jsonl").write_text(as_jsonl(given))
    (tmp_path / "test.jsonl").write_text(as_jsonl(given[::2]))
    words = ("--task", "topic", "--set", "data.train=train.jsonl", "--set", "data.test=test.jsonl")
    trained = slugline("train", *words)
    assert trained.returncode == 0, trained.stderr
    done = slugline("evaluate", *words, "--format", "json")
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)
    assert metrics["n"] == len(given[::2]) and metrics["accuracy"] > 0.5 and metrics["shortcut"]


def test_training_rows_may_be_streamed(slugline: Slugline, tmp_path: Path) -> None:
    words = {"finance": "shares market profit bank growth euro", "sport": "match goal league coach cup referee"}
    rng = random.Random(0)
    rows = [
        {"text": f"{' '.join(rng.choices(text.split(), k=14))} {i}", "label": label}
        for label, text in words.items()
        for i in range(300)
    ]
    (tmp_path / "train.jsonl").write_text(as_jsonl(rows))
    (tmp_path / "test.jsonl").write_text(as_jsonl(rows[::7]))
    files = ("--set", "data.train=train.jsonl", "--set", "data.test=test.jsonl", "--set", "data.stream=true")
    trained = slugline("train", "--task", "topic_hashing", *files)
    assert trained.returncode == 0, trained.stderr
    record = json.loads((tmp_path / "artifacts/topic_hashing/training.json").read_text())
    assert record["n_train"] + record["n_held_out"] == 600 and 40 <= record["n_held_out"] <= 80
    done = slugline("evaluate", "--task", "topic_hashing", *files, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accuracy"] > 0.95


def test_the_training_report_names_what_a_person_should_look_at(slugline: Slugline, tmp_path: Path) -> None:
    words = {"finance": "shares market profit bank growth euro", "sport": "match goal league coach cup referee"}
    rng = random.Random(0)
    rows = [
        {"id": f"{label}{i}", "text": " ".join(rng.choices(text.split(), k=14)), "label": label}
        for label, text in words.items()
        for i in range(30)
    ]
    rows[3]["label"] = "sport"
    copied = " ".join(f"word{i}" for i in range(40))
    rows += [
        {"id": "copy1", "text": copied, "label": "finance"},
        {"id": "copy2", "text": f"{copied} more", "label": "sport"},
    ]
    rows += [{"id": f"rare{i}", "text": f"roses tulips garden {i}", "label": "garden"} for i in range(3)]
    (tmp_path / "train.jsonl").write_text(as_jsonl(rows))
    done = slugline("train", "--task", "topic", "--set", "data.train=train.jsonl")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "artifacts/topic/training.json").read_text())["quality"]
    assert found["small_labels"] == [{"label": "garden", "n": 3}]
    assert [one["ids"] for one in found["conflicting_duplicates"]] == [["copy1", "copy2"]]
    assert {"finance3"} <= {one["id"] for one in found["doubted_labels"][:3]}
    page = (tmp_path / "artifacts/topic/training.html").read_text()
    assert "finance3" in page and "copy2" in page and "few examples" in page


def test_parents_of_labels_are_learnt_where_the_task_says_so(slugline: Slugline, tmp_path: Path) -> None:
    (tmp_path / "regions.yaml").write_text("kind: multi\ndata: {hierarchy: true, separate: false}\n")
    words = {"world/europe": "paris berlin rome", "world/asia": "tokyo delhi seoul", "science": "atom cell star"}
    rng = random.Random(0)
    rows = [
        {"text": " ".join(rng.choices(text.split(), k=8)) + f" {i}", "label": [label]}
        for label, text in words.items()
        for i in range(12)
    ]
    (tmp_path / "train.jsonl").write_text(as_jsonl(rows))
    words_of = (
        "--task",
        "regions",
        "--config-dir",
        tmp_path,
        "--set",
        "data.train=train.jsonl",
        "--set",
        "data.test=train.jsonl",
    )
    assert slugline("train", *words_of).returncode == 0
    done = slugline("evaluate", *words_of, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["per_label"]) == {"world", "world/europe", "world/asia", "science"}


def test_a_label_unseen_in_training_counts_as_wrong_and_another_kind_of_model_is_refused(
    slugline: Slugline, topic_model: Path, tmp_path: Path
) -> None:
    rows = [{"text": "The club won the match.", "label": "sports"}, {"text": "Roses need rain.", "label": "gardening"}]
    (tmp_path / "test.jsonl").write_text(as_jsonl(rows))
    words = ("--task", "topic", "--model", topic_model, "--format", "json", "--set", "data.test=test.jsonl")
    done = slugline("evaluate", *words, "--set", "data.train=test.jsonl")
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)
    assert metrics["n"] == 2 and metrics["accuracy"] <= 0.5 and metrics["per_label"]["gardening"]["f1"] == 0
    refused = slugline("evaluate", *words, "--set", "data.train=test.jsonl", "--set", "kind=multi")
    assert refused.returncode == 1 and "the model is of kind 'single', the task of kind 'multi'" in refused.stderr


def test_strict_turns_an_unreadable_article_into_exit_code_1(slugline: Slugline, topic_model: Path) -> None:
    words = ("score", "-", "--model", topic_model, "--format", "jsonl")
    assert slugline(*words, stdin='{"id": "x"}\n').returncode == 0
    assert slugline(*words, "--strict", stdin='{"id": "x"}\n').returncode == 1


def test_the_training_path_is_the_scoring_path(topic_model: Path) -> None:
    """What `score` shows a model of an article is what `train` showed it: the same body, whichever way it came in."""
    from pipeline.clean import Config, clean_row
    from pipeline.document import Article
    from pipeline.preparation import Prepared, prepare
    from pipeline.separate import Separator
    from pipeline.separate.stage import separated_row

    repair, separator = Config.load(ROOT / "configs" / "clean.yaml").repair, Separator.load()
    rows = [json.loads(line) for line in (ROOT / "seeds" / "articles.jsonl").read_text().splitlines()]
    for row in rows:
        text = row["newline"].join(line["text"] for line in row["lines"])
        (scored,) = prepare([Article(id="a", text=text)], repair, separator)
        table = {"id": "a", "corpus": "c", "text": text, "html": None, "title": None, "from": None, "to": None}
        cleaned = clean_row(table, repair)
        (document,) = separator.separate_batch([Article(id="a", text=cleaned["text"])])
        staged = separated_row(cleaned, document, repair)
        assert isinstance(scored, Prepared)
        assert isinstance(staged, dict)
        assert scored.body == staged["text"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("score", "nowhere.txt", "--model", "{model}"), "nowhere.txt: no such file"),
        (("score", "{article}", "--model", "nowhere"), "--model nowhere: no such model"),
        (("score", "{article}", "--model", "{model}", "--target", " "), "empty --target"),
        (("train", "--task", "nothing"), "no task 'nothing'"),
        (("train", "--task", "topic", "--set", "data.train={missing_column}"), "no column 'text'"),
        (("train", "--task", "topic", "--set", "data.train={one_class}"), "one label only ('a')"),
        (("train", "--task", "topic", "--set", "data.train={lonely}"), "label 'b' has 1 example"),
        (("train", "--task", "topic", "--set", "data.train={two_labels}"), "2 labels, but the task is 'single'"),
        (("train", "--task", "topic", "--set", "data.train={two_classes}", "--set", "labels=[a]"), "unknown label 'b'"),
        (("train", "--task", "topic", "--set", "data.trian=x"), "unknown key 'data.trian'; did you mean 'train'"),
        (("separate", "{folder}"), "a folder without articles"),
    ],
)
def test_bad_input_gets_one_clear_line(
    slugline: Slugline, topic_model: Path, tmp_path: Path, words: tuple[str, ...], problem: str
) -> None:
    rows = {
        "missing_column": [{"words": "x", "label": "a"}],
        "one_class": [{"text": f"x {i}", "label": "a"} for i in range(5)],
        "lonely": [*({"text": f"x {i}", "label": "a"} for i in range(5)), {"text": "y", "label": "b"}],
        "two_labels": [{"text": "x", "label": ["a", "b"]}, {"text": "y", "label": ["a"]}],
        "two_classes": [{"text": f"x {i}", "label": "ab"[i % 2]} for i in range(6)],
    }
    for name, content in rows.items():
        (tmp_path / f"{name}.csv").write_text("words\nx\n") if name == "missing_column" else (
            tmp_path / f"{name}.jsonl"
        ).write_text(as_jsonl(content))
    (tmp_path / "empty_folder").mkdir()
    (tmp_path / "article.txt").write_text("A story.\n")
    places = {name: str(tmp_path / f"{name}.{'csv' if name == 'missing_column' else 'jsonl'}") for name in rows}
    places |= {
        "model": str(topic_model),
        "article": str(tmp_path / "article.txt"),
        "folder": str(tmp_path / "empty_folder"),
    }
    done = slugline(*(word.format(**places) for word in words))
    assert done.returncode == 1
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("slugline: ")]) == 1
    assert not (tmp_path / "artifacts" / "topic").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("explain", "a.txt", "--format", "json"), "expected text or html, got 'json'"),
        (("compare", "a", "b", "--task", "topic", "--format", "xml"), "expected text, json or html, got 'xml'"),
        (("score", "a.txt", "-o", "a.XLSX"), "a.XLSX: expected a name ending in .jsonl, "),
    ],
)
def test_a_format_that_is_not_there_is_a_wrong_usage(
    slugline: Slugline, tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    done = slugline(*words, TERMINAL_WIDTH="200")
    assert done.returncode == 2 and expected in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_suffix_tells_the_format_in_capitals_too(slugline: Slugline, topic_model: Path, tmp_path: Path) -> None:
    done = slugline("score", "-", "--model", topic_model, "-o", "a.CSV", stdin='{"id": "x", "text": "A story."}\n')
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.CSV").read_text().startswith("id,task,")
