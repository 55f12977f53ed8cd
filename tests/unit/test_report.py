from __future__ import annotations

import io
import re
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from pipeline.metrics import evaluate_multi, evaluate_single, slice_metrics
from pipeline.report import (
    Drift,
    Evaluation,
    ReportRow,
    comparison_report,
    comparison_table,
    evaluation_report,
    measure_drift,
    verdict_sentence,
)
from pipeline.report.doubts import doubted_labels
from pipeline.significance import Comparison, compare_many

LABELS = ["business", "sport", "tech"]
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Reader(HTMLParser):
    """Collects what a test asks of a page, and fails on tags that do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.addresses: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id" and value:
                self.ids.append(value)
            if name in ("href", "src", "action", "data", "xlink:href"):
                (self.targets if (value or "").startswith("#") else self.addresses).append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    @classmethod
    def read(cls, page: str) -> Reader:
        reader = cls()
        reader.feed(page)
        reader.close()
        assert reader.open == []
        return reader

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.text).split())


def rows_of(y: np.ndarray, probabilities: np.ndarray, text: str = "The story, told at length.") -> list[ReportRow]:
    return [
        ReportRow(
            id=f"id-{i}", title=f"Title {i}", source="bbc", date="2024-05-01", body=f"{text} {i}",
            removed=("More from us", "Share this"), true=(LABELS[t],), predicted=(LABELS[int(p.argmax())],), probability=float(p.max()),
        )
        for i, (t, p) in enumerate(zip(y, probabilities, strict=True))
    ]  # fmt: skip


def evaluation(n: int = 60, **given: object) -> Evaluation:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(3, 0.4), n)
    y = np.array([rng.choice(3, p=row) for row in probabilities])
    metrics = evaluate_single(y, probabilities, LABELS, n_draws=50, seed=0)
    slices = slice_metrics(
        y,
        probabilities.argmax(axis=1),
        LABELS,
        {"source": ["bbc", "afp"] * (n // 2), "length": ["q1"] * n},
        n_draws=50,
        seed=0,
    )
    fields: dict[str, object] = {
        "title": "Topic, linear", "metrics": metrics, "labels": LABELS, "rows": rows_of(y, probabilities), "slices": slices,
        "probabilities": probabilities, "n_worst": 5, "facts": {"model": "3f9a"}, "shortcut": {"flip_rate": 0.02},
        "conflicts": [[0, 1]], "drift": [Drift("words", 0.1, 0.05, "share unseen")],
    }  # fmt: skip
    return Evaluation(**(fields | given))  # type: ignore[arg-type]


def test_the_page_stands_alone_and_forbids_everything_else() -> None:
    page = evaluation_report(evaluation())
    reader = Reader.read(page)
    assert reader.addresses == []
    assert not {"script", "iframe", "object", "img", "link", "form"} & set(reader.tags)
    assert not any(name.startswith("on") for name in reader.attributes)
    assert "default-src 'none'" in page and "url(" not in page and "@import" not in page


def test_every_link_leads_somewhere_and_no_place_has_two_names() -> None:
    reader = Reader.read(evaluation_report(evaluation()))
    assert len(reader.targets) > 20
    assert {target[1:] for target in reader.targets} <= set(reader.ids)
    assert max(Counter(reader.ids).values()) == 1


def test_the_result_leads_with_its_interval() -> None:
    given = evaluation()
    said = Reader.read(evaluation_report(given)).said
    n_right = sum(row.is_right for row in given.rows)
    assert f"Right on {n_right} of 60 articles: {100 * n_right / 60:.1f} % (95 % interval " in said
    low, high = given.metrics.intervals["accuracy"]
    assert f"{100 * low:.1f}–{100 * high:.1f}" in said


def test_a_cell_of_the_matrix_leads_to_its_articles() -> None:
    given = evaluation()
    page = evaluation_report(given)
    cell = [row for row in given.rows if (row.true, row.predicted) == (("sport",), ("tech",))]
    assert cell
    assert re.search(rf'sport called tech: {len(cell)} of \d+"><a href="#cell-1-2">{len(cell)}</a>', page)
    place = page.split('id="cell-1-2"', 1)[1].split('id="cell-', 1)[0]
    assert all(row.title in place for row in cell)


def test_the_worst_errors_come_first_with_body_and_removed_lines() -> None:
    given = evaluation()
    wrong = sorted((row for row in given.rows if not row.is_right), key=lambda row: -row.probability)
    worst = evaluation_report(given).split('id="worst"', 1)[1].split("</section>", 1)[0]
    assert [worst.index(f"<b>{row.title}</b>") for row in wrong[:5]] == sorted(
        worst.index(f"<b>{row.title}</b>") for row in wrong[:5]
    )
    assert wrong[5].title + "</b>" not in worst
    assert wrong[0].body in worst and '<p class="removed">More from us</p>' in worst
    assert f"The 5 most confident of {len(wrong)} errors" in worst


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=40, deadline=None)
def test_no_text_of_an_article_becomes_markup(first: str, second: str) -> None:
    hostile = f"{first}</p><script>alert(1)</script><img src=x onerror=alert(1)>\" ' &amp; {second}"
    row = ReportRow(hostile, hostile, hostile, hostile, hostile, (hostile,), (hostile,), ("sport",), 0.9)
    given = evaluation(
        2, rows=[row, row], conflicts=[[0, 1]], facts={hostile: hostile}, title=hostile, shortcut={hostile: 0.5}
    )
    page = evaluation_report(given)
    reader = Reader.read(page)
    assert not {"script", "img"} & set(reader.tags) and "onerror" not in reader.attributes
    page.encode("utf-8")


def test_a_model_without_errors_and_one_without_extras_have_pages() -> None:
    probabilities = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1]])
    y = np.array([0, 1])
    metrics = evaluate_single(y, probabilities, LABELS, n_draws=10, seed=0)
    said = Reader.read(
        evaluation_report(Evaluation("Perfect", metrics, LABELS, rows_of(y, probabilities), probabilities, 5))
    ).said
    assert "Right on 2 of 2" in said and "every answer is right" in said
    assert "Drift" not in said and "Slice by slice" not in said


def test_a_task_with_several_labels_has_a_page_without_matrix() -> None:
    y = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=bool)
    probabilities = np.array([[0.9, 0.2, 0.8], [0.6, 0.7, 0.1], [0.2, 0.1, 0.1]])
    predicted = probabilities > 0.5
    rows = [
        ReportRow(
            f"r{i}", "", None, None, "text", (), *(tuple(np.array(LABELS)[has]) for has in (y[i], predicted[i])), 0.8
        )
        for i in range(3)
    ]
    metrics = evaluate_multi(y, probabilities, predicted, LABELS, n_draws=10, seed=0)
    said = Reader.read(evaluation_report(Evaluation("Several", metrics, LABELS, rows, probabilities, 5))).said
    assert "is sport called business, sport" in said and "What is taken for what" not in said


def test_a_true_label_that_the_model_lacks_has_a_row_in_the_matrix() -> None:
    rows = rows_of(np.array([0, 1]), np.array([[0.9, 0.1, 0], [0.2, 0.8, 0]]))
    odd = ReportRow("x", "Odd", None, None, "text", (), ("weather",), ("sport",), 0.9)
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.1, 0.9, 0]])
    metrics = evaluate_single(np.array([0, 1, -1]), probabilities, LABELS, n_draws=10, seed=0)
    page = evaluation_report(Evaluation("Odd", metrics, LABELS, [*rows, odd], probabilities, 5))
    assert "weather called sport: 1 of 1" in page


def test_many_labels_show_the_most_confused_and_say_so() -> None:
    rng = np.random.default_rng(1)
    labels = [f"label-{i}" for i in range(60)]
    probabilities = rng.dirichlet(np.full(60, 0.2), 400)
    y = rng.integers(0, 60, 400)
    rows = [
        ReportRow(f"r{i}", f"t{i}", None, None, "text", (), (labels[t],), (labels[int(p.argmax())],), float(p.max()))
        for i, (t, p) in enumerate(zip(y, probabilities, strict=True))
    ]
    metrics = evaluate_single(y, probabilities, labels, n_draws=10, seed=0)
    reader = Reader.read(evaluation_report(Evaluation("Many", metrics, labels, rows, probabilities, 5)))
    assert "The 25 labels with most errors are shown, 35 are not." in reader.said
    assert {target[1:] for target in reader.targets} <= set(reader.ids)


def test_planted_label_errors_are_doubted_first() -> None:
    rng = np.random.default_rng(2)
    y = rng.integers(0, 3, 300)
    probabilities = np.full((300, 3), 0.1) + 0.7 * np.eye(3)[y] + rng.uniform(0, 0.05, (300, 3))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    planted = rng.choice(300, 15, replace=False)
    given = y.copy()
    given[planted] = (y[planted] + 1) % 3
    doubts = doubted_labels(given, probabilities)
    assert {doubt.index for doubt in doubts[:15]} == set(planted.tolist())
    assert all(doubt.suggested == y[doubt.index] for doubt in doubts[:15])
    assert doubted_labels(np.array([-1, 7]), probabilities[:2]) == []


def test_the_same_evaluation_gives_the_same_bytes() -> None:
    assert evaluation_report(evaluation()) == evaluation_report(evaluation())


@pytest.fixture(scope="module")
def compared() -> dict[str, Comparison]:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, 400)
    models = {name: np.where(rng.random(400) < right, y, (y + 1) % 3) for name, right in
              (("linear", 0.95), ("small <b>", 0.75), ("twin", 0.945))}  # fmt: skip
    return compare_many(y, models, n_draws=100, seed=0, labels=LABELS, slices={"source": ["bbc", "afp"] * 200})


def test_the_comparison_says_who_is_better_and_what_could_have_been_seen(compared: dict[str, Comparison]) -> None:
    reader = Reader.read(
        comparison_report(
            "linear", compared, facts={"rows": "400"}, texts={i: (f"Title {i}", "Body") for i in range(100)}
        )
    )
    assert "linear is better: linear minus small <b> is +" in reader.said and "p < 0.001" in reader.said
    assert "linear and twin are not distinguishable on these 400 articles" in reader.said
    assert "would show in 80 of 100 such comparisons" in reader.said
    assert reader.addresses == [] and {target[1:] for target in reader.targets} <= set(reader.ids)
    changed = compared["twin"].changed
    assert f"{len(changed)} articles answered differently" in reader.said


def test_the_terminal_table_fits_80_columns_and_says_who_is_better(compared: dict[str, Comparison]) -> None:
    out = io.StringIO()
    Console(file=out, width=80).print(comparison_table("linear", compared))
    lines = [line.strip() for line in out.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    assert lines[lines.index("B: small <b>") + 1] == "A better"
    assert lines[lines.index("B: small <b>") + 2].endswith("< 0.001")
    assert lines[lines.index("B: twin") + 1] == "not distinguishable"


def test_the_better_model_is_named_whichever_comes_first() -> None:
    rng = np.random.default_rng(4)
    y = rng.integers(0, 3, 400)
    good, bad = (np.where(rng.random(400) < right, y, (y + 1) % 3) for right in (0.95, 0.8))
    found = compare_many(y, {"old": bad, "new": good}, n_draws=50, seed=0)["new"]
    assert verdict_sentence("old", "new", found).startswith("new is better: old minus new is −")


def test_drift_is_usual_for_the_same_kind_of_articles_and_large_for_others() -> None:
    rng = np.random.default_rng(5)
    old, other = ([" ".join(f"{name}{i}" for i in np.minimum(rng.zipf(1.5, length), 500)) for _ in range(200)]
                  for name, length in (("a", 80), ("b", 300)))  # fmt: skip
    alike = {one.name: one for one in measure_drift(old[:150], old[150:])}
    apart = {one.name: one for one in measure_drift(old[:150], other[:50])}
    assert alike["words"].distance == pytest.approx(alike["words"].usual, abs=0.05)
    assert alike["length"].distance == 0 and apart["length"].distance == 1
    assert apart["words"].distance == pytest.approx(1) and apart["unseen words"].distance == 1
    assert all(one.usual < 0.3 for one in apart.values())
    assert measure_drift([], ["a"]) == measure_drift(["a"] * 9, []) == []
