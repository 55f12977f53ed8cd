"""The page on one model: how good, how sure, where it fails, on which articles, and whether the labels can be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.metrics import (
    Interval,
    Metrics,
    SliceScore,
    calibration_curve,
    cost_curve,
    coverage_curve,
)
from pipeline.report.doubts import Doubt, doubted_labels
from pipeline.report.drift import Drift
from pipeline.report.figures import curve, interval_bar
from pipeline.report.page import Safe, fold, link, page, percent, points, section, table, tag

_MOST_LABELS_IN_MATRIX = 25
_MOST_ARTICLES_IN_CELL = 25
_MOST_CHARACTERS = 3_000
_MOST_DOUBTS = 40
_MOST_REMOVED = 60
_MOST_ARTICLES = 300
_N_OPEN = 2
_QUARTERS = {"q1": "shortest quarter", "q2": "second", "q3": "third", "q4": "longest quarter"}


@dataclass(frozen=True, slots=True)
class ReportRow:
    """An article with what is true and what was answered. `removed` are the lines that separation cut, in order.

    `true` and `predicted` are labels, one each unless the task is `multi`; `probability` is that of the answer.
    """

    id: str
    title: str
    source: str | None
    date: str | None
    body: str
    removed: tuple[str, ...]
    true: tuple[str, ...]
    predicted: tuple[str, ...]
    probability: float

    @property
    def is_right(self) -> bool:
        """Whether the answer is the truth."""
        return set(self.true) == set(self.predicted)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the report shows. `probabilities` (n, k) belong to `rows` and the first k of `labels`.

    `facts` are shown under the title (model, data, date: name to value). `shortcut` is what the shortcut test measured:
    shares by name. `conflicts` are groups of rows, by index, that are copies of one another with different labels.
    """

    title: str
    metrics: Metrics
    labels: Sequence[str]
    rows: Sequence[ReportRow]
    probabilities: np.ndarray
    n_worst: int
    facts: Mapping[str, str] = field(default_factory=dict)
    slices: Sequence[SliceScore] = ()
    shortcut: Mapping[str, float] = field(default_factory=dict)
    conflicts: Sequence[Sequence[int]] = ()
    drift: Sequence[Drift] = ()


def evaluation_report(evaluation: Evaluation) -> str:
    """A self-contained HTML page."""
    plan = _plan(evaluation)
    parts = [
        _confusion(evaluation, plan),
        _certainty(evaluation),
        _labels(evaluation),
        _slices(evaluation),
        _shortcut(evaluation),
        _worst(evaluation, plan),
        _doubts(evaluation, plan),
        _conflicts(evaluation, plan),
        _drift(evaluation),
        _cells(evaluation, plan),
    ]
    present = [(key, name, part) for (key, name), part in zip(_SECTIONS, parts, strict=True) if part]
    index = tag("nav", [link(name, key) for key, name, _ in present])
    return page(evaluation.title, _head(evaluation, plan, index), *(part for _, _, part in present))


_SECTIONS = (
    ("confusion", "Confusion"),
    ("certainty", "Certainty"),
    ("labels", "Labels"),
    ("slices", "Slices"),
    ("shortcut", "Shortcuts"),
    ("worst", "Worst errors"),
    ("doubts", "Doubted labels"),
    ("conflicts", "Copies with different labels"),
    ("drift", "Drift"),
    ("cells", "Articles"),
)


def _head(evaluation: Evaluation, plan: _Plan, index: Safe) -> Safe:
    metrics = evaluation.metrics
    n_right = round(metrics.accuracy * metrics.n)
    lead = (
        f"{'Right' if plan.is_single else 'Exactly the right labels'} on {n_right:,} of {metrics.n:,} articles: {percent(metrics.accuracy)} "
        f"(95 % interval {points(metrics.intervals['accuracy'])})."
    )
    tiles = [
        _tile("Accuracy", percent(metrics.accuracy), points(metrics.intervals["accuracy"])),
        _tile("Macro-F1", percent(metrics.macro_f1), points(metrics.intervals["macro_f1"])),
        _tile("Calibration error", percent(metrics.ece), points(metrics.intervals["ece"])),
        _tile("Truth within the set", percent(metrics.coverage), points(metrics.intervals["coverage"])),
        _tile("Answered with one label", percent(metrics.answered), f"right on {percent(metrics.answered_accuracy)}"),
    ]
    facts = tag(
        "p", [tag("span", f"{name} ", tag("b", value)) for name, value in evaluation.facts.items()], class_="facts"
    )
    heading = tag("h1", evaluation.title), tag("p", lead, class_="lead"), facts
    return tag("header", *heading, tag("div", tiles, class_="tiles"), index)


def _tile(name: str, value: str, below: str) -> Safe:
    return tag("div", tag("span", name), tag("strong", value), tag("span", below))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is shown where: rows by index; `home` is the section that shows a row in full, for the rows shown at all."""

    is_single: bool
    worst: list[int]
    doubts: list[Doubt]
    cells: dict[tuple[str, str], list[int]]
    labels: list[str]
    home: dict[int, str]


def _plan(evaluation: Evaluation) -> _Plan:
    is_single = _is_single(evaluation)
    worst = _worst_first(evaluation)
    doubts = _doubted(evaluation) if is_single else []
    cells = _by_cell(evaluation) if is_single else {}
    wanted = [(i, "worst") for i in worst[: evaluation.n_worst]]
    wanted += [(doubt.index, "doubts") for doubt in doubts[: evaluation.n_worst]]
    wanted += [(i, "conflicts") for group in evaluation.conflicts for i in group]
    labels = _matrix_labels(evaluation, cells)
    inside = [cell for cell in cells.items() if set(cell[0]) <= set(labels)]
    errors_first = sorted(inside, key=lambda cell: (cell[0][0] == cell[0][1], cell[0]))
    wanted += [(i, "cells") for _, index in errors_first for i in index[:_MOST_ARTICLES_IN_CELL]]
    home: dict[int, str] = {}
    for i, where in wanted:
        if len(home) < _MOST_ARTICLES or where != "cells":
            home.setdefault(i, where)
    return _Plan(is_single, worst, doubts, cells, labels, home)


def _is_single(evaluation: Evaluation) -> bool:
    return all(len(row.true) == 1 and len(row.predicted) == 1 for row in evaluation.rows)


def _doubted(evaluation: Evaluation) -> list[Doubt]:
    place = {label: i for i, label in enumerate(evaluation.labels)}
    y_true = np.array([place.get(row.true[0], -1) for row in evaluation.rows])
    return doubted_labels(y_true, evaluation.probabilities)


def _worst_first(evaluation: Evaluation) -> list[int]:
    wrong = [i for i, row in enumerate(evaluation.rows) if not row.is_right]
    return sorted(wrong, key=lambda i: (-evaluation.rows[i].probability, evaluation.rows[i].id))


def _by_cell(evaluation: Evaluation) -> dict[tuple[str, str], list[int]]:
    """Rows by (true, predicted): errors most confident first, right answers least confident first."""
    cells: dict[tuple[str, str], list[int]] = {}
    for i, row in enumerate(evaluation.rows):
        if row.true and row.predicted:
            cells.setdefault((row.true[0], row.predicted[0]), []).append(i)
    for (true, predicted), index in cells.items():
        sign = 1 if true == predicted else -1
        index.sort(key=lambda i: (sign * evaluation.rows[i].probability, evaluation.rows[i].id))
    return cells


def _matrix_labels(evaluation: Evaluation, cells: dict[tuple[str, str], list[int]]) -> list[str]:
    """All labels that occur, or those with most errors, in the order of the task."""
    wrong = {label: sum(len(index) for cell, index in cells.items() if label in cell and cell[0] != cell[1]) for label in
             {name for cell in cells for name in cell}}  # fmt: skip
    known = list(evaluation.labels) + sorted(set(wrong) - set(evaluation.labels))
    if len(wrong) > _MOST_LABELS_IN_MATRIX:
        kept = set(sorted(wrong, key=lambda label: (-wrong[label], label))[:_MOST_LABELS_IN_MATRIX])
        return [label for label in known if label in kept]
    return [label for label in known if label in wrong]


def confusion_counts(evaluation: Evaluation) -> tuple[list[str], np.ndarray]:
    """The labels that the matrix shows and (k, k) how many of the row's label were called the column's; none for several labels."""
    cells = _by_cell(evaluation) if _is_single(evaluation) else {}
    labels = _matrix_labels(evaluation, cells)
    return labels, np.array([[len(cells.get((true, said), ())) for said in labels] for true in labels], int)


def _cell_key(plan: _Plan, true: str, predicted: str) -> str:
    return f"cell-{plan.labels.index(true)}-{plan.labels.index(predicted)}"


def _confusion(evaluation: Evaluation, plan: _Plan) -> Safe:
    if not plan.cells:
        return Safe()
    cells, labels = plan.cells, plan.labels
    body = []
    for true in labels:
        n_true = sum(len(index) for (label, _), index in cells.items() if label == true)
        row: list[str | Safe] = [true]
        for predicted in labels:
            n = len(cells.get((true, predicted), ()))
            row.append(
                _matrix_cell(
                    n, n_true, true == predicted, _cell_key(plan, true, predicted), f"{true} called {predicted}"
                )
            )
        body.append([*row, str(n_true)])
    left_out = len({name for cell in cells for name in cell}) - len(labels)
    note = "Rows are what is true, columns what the model said; a number leads to its articles."
    if left_out:
        note += f" The {len(labels)} labels with most errors are shown, {left_out} are not."
    return section(
        "confusion", "What is taken for what", tag("div", table(["", *labels, "all"], body), class_="matrix"), note=note
    )


def _matrix_cell(n: int, n_true: int, is_right: bool, key: str, told: str) -> Safe:
    if not n:
        return tag("td", "")
    strength = n / max(1, n_true)
    colour = f"rgba(var(--{'accent' if is_right else 'bad'}-rgb), {0.06 + 0.5 * strength:.2f})"
    return tag("td", link(str(n), key), style=f"background: {colour}", title=f"{told}: {n} of {n_true}")


def _certainty(evaluation: Evaluation) -> Safe:
    confidence, correct = certainty(evaluation)
    answered = coverage_curve(confidence, correct)
    lowest = min((point.y for point in answered), default=0.0)
    floor = max(0.0, np.floor(lowest * 10 - 0.2) / 10)
    costs = cost_curve(confidence, correct)
    highest = max(0.02, np.ceil(max(point.y for point in costs) * 50 + 0.1) / 50)
    figures = [
        curve(calibration_curve(*answers(evaluation)), title="Does it know how sure it is?", diagonal=True, weighted=True,
              caption="On the dashed line, 80 % sure means right 80 times in 100. Below it the model boasts. Dot size: articles.",
              x_name="probability stated", y_name="right"),
        curve(answered, title="What if it may stay silent?", y_range=(float(floor), 1.0),
              caption="Accuracy when only the most confident share of articles is answered.",
              x_name="articles answered", y_name="right"),
        curve(costs, title="What does an answer cost?", y_range=(0.0, float(highest)),
              caption="Least cost an article, in errors, when a person's look costs so much of an error; threshold best in hindsight.",
              x_name="cost of a look", y_name="cost an article"),
    ]  # fmt: skip
    return section("certainty", "How far its probabilities can be trusted", tag("div", figures, class_="figures"))


def certainty(evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """The probability of each article's answer, and whether the answer is right."""
    return np.array([row.probability for row in evaluation.rows]), np.array([row.is_right for row in evaluation.rows])


def answers(evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """Every probability stated and whether it was right: one an article, or for several labels one an article and label."""
    if _is_single(evaluation):
        return certainty(evaluation)
    k = evaluation.probabilities.shape[1]
    truth = np.array([[label in row.true for label in evaluation.labels[:k]] for row in evaluation.rows])
    return evaluation.probabilities, truth


def _labels(evaluation: Evaluation) -> Safe:
    rows, span = [], _span(one["f1"] for one in evaluation.metrics.per_label_intervals.values())
    for label, score in evaluation.metrics.per_label.items():
        interval = evaluation.metrics.per_label_intervals[label]["f1"]
        rows.append([
            label, percent(score.f1), tag("td", interval_bar(score.f1, interval, span)), points(interval), percent(score.precision),
            percent(score.recall), f"{score.support:,}",
        ])  # fmt: skip
    head = ["Label", "F1", "", "95 % interval", "Precision", "Recall", "Articles"]
    silent = [name for name, s in evaluation.metrics.per_label.items() if s.support and not s.recall]
    warning = tag("p", f"Never found: {', '.join(silent)}.", class_="bad") if silent else Safe()
    return section("labels", "Label by label", warning, table(head, rows))


def _slices(evaluation: Evaluation) -> Safe:
    if not evaluation.slices:
        return Safe()
    tables, span = [], _span(score.accuracy_interval for score in evaluation.slices)
    for by in dict.fromkeys(score.by for score in evaluation.slices):
        rows = [
            [
                _QUARTERS.get(score.value, score.value) if by == "length" else score.value, percent(score.accuracy), tag("td", interval_bar(score.accuracy, score.accuracy_interval, span)),
                points(score.accuracy_interval), percent(score.macro_f1), points(score.macro_f1_interval), f"{score.n:,}",
            ]
            for score in evaluation.slices if score.by == by
        ]  # fmt: skip
        head = [by.capitalize(), "Accuracy", "", "95 % interval", "Macro-F1", "95 % interval", "Articles"]
        tables.append(table(head, rows))
    note = "Where intervals overlap widely, the slices do not differ as far as these articles can tell."
    return section("slices", "Slice by slice", *tables, note=note)


def _span(intervals: Iterable[Interval]) -> Interval:
    """A range for bars from the lowest interval's tenth below to 1."""
    lowest = min((low for low, _ in intervals), default=0.0)
    return max(0.0, float(np.floor(lowest * 10) / 10)), 1.0


_SHORTCUTS = {
    "accuracy_body": ("Right on the story alone", "what is left after separation"),
    "accuracy_whole": ("Right on the article as it came", "story and the lines that separation removes"),
    "accuracy_boilerplate": ("Right on its removed lines alone", "high means that the lines give the label away"),
    "accuracy_foreign_tail_separated": ("Right with another site's list attached, separated", "as `score` works"),
    "accuracy_foreign_tail_whole": ("Right with another site's list attached, not separated", "what separation saves"),
    "accuracy_tail_only": ("Right on another site's list alone", "by chance: the list says nothing of the article"),
    "flip_rate": ("Labels that flip when another site's list is attached, separated", "should be near zero"),
    "flip_rate_unseparated": ("Labels that flip, not separated", ""),
}


def _shortcut(evaluation: Evaluation) -> Safe:
    if not evaluation.shortcut:
        return Safe()
    shares = {name: value for name, value in evaluation.shortcut.items() if not name.startswith("n_")}
    rows = []
    for name, value in sorted(shares.items(), key=lambda one: [*_SHORTCUTS, one[0]].index(one[0])):
        said, meaning = _SHORTCUTS.get(name, (name.replace("_", " "), ""))
        rows.append(
            [
                said,
                percent(value),
                tag("td", interval_bar(value, (0.0, value))),
                tag("td", meaning, class_="wide muted"),
            ]
        )
    note = "A model that has learnt link lists instead of news does well on boilerplate alone and changes its mind when another site's list is attached."
    counts = {
        "n_articles": "Articles tried: {}.",
        "n_with_boilerplate": "Of them {} had lines removed, on which the figure for removed lines rests.",
    }
    note += "".join(
        f" {said.format(f'{int(evaluation.shortcut[name]):,}')}"
        for name, said in counts.items()
        if name in evaluation.shortcut
    )
    return section(
        "shortcut", "Does it read the story or its surroundings?", table(["", "Share", "", ""], rows), note=note
    )


def _worst(evaluation: Evaluation, plan: _Plan) -> Safe:
    if not plan.worst:
        return section("worst", "Worst errors", tag("p", "None: every answer is right."))
    listed = [_article(evaluation, i, is_open=n < _N_OPEN) for n, i in enumerate(plan.worst[: evaluation.n_worst])]
    note = f"The {len(listed)} most confident of {len(plan.worst)} errors. Lines that separation removed are tinted."
    return section("worst", "Worst errors", *listed, note=note)


def _article(evaluation: Evaluation, i: int, *, is_open: bool = False) -> Safe:
    row = evaluation.rows[i]
    meta = " · ".join(part for part in (row.source or "", row.date or "", row.id) if part)
    true, said = (tag("span", ", ".join(labels) or "no label", class_="tag") for labels in (row.true, row.predicted))
    verdict = tag(
        "span", "is ", true, *([", found,"] if row.is_right else [" called ", said]), f" at {percent(row.probability)}"
    )
    summary = tag(
        "span", tag("b", row.title or row.body[:80] or row.id), " ", verdict, tag("span", meta, class_="meta")
    )
    body = row.body if len(row.body) <= _MOST_CHARACTERS else f"{row.body[:_MOST_CHARACTERS]} […]"
    lines = [line for line in row.removed if line.strip()]
    removed = [tag("p", line, class_="removed") for line in lines[:_MOST_REMOVED]]
    if lines:
        shown = f", {_MOST_REMOVED} shown" if len(lines) > _MOST_REMOVED else ""
        removed.insert(0, tag("p", f"Removed before reading, lines: {len(lines)}{shown}", class_="note article"))
    return fold(summary, tag("p", body, class_="article"), *removed, key=f"article-{i}", is_open=is_open)


def _doubts(evaluation: Evaluation, plan: _Plan) -> Safe:
    if not plan.doubts:
        return Safe()
    rows = [
        [
            tag("th", _named(evaluation, doubt.index, plan), scope="row", class_="wide"),
            evaluation.rows[doubt.index].true[0], evaluation.labels[doubt.suggested], percent(doubt.p_given),
            percent(doubt.p_suggested),
        ]
        for doubt in plan.doubts[:_MOST_DOUBTS]
    ]  # fmt: skip
    shown = f", {_MOST_DOUBTS} shown" if len(plan.doubts) > _MOST_DOUBTS else ""
    note = (
        "Rule: confident learning. Another label is as probable as it usually is where it is the label. A doubt is a reason "
        f"to read the article, not a correction. {len(plan.doubts)} found{shown}."
    )
    head = ["Article", "Label given", "Model suggests", "P(given)", "P(suggested)"]
    return section(
        "doubts",
        "Labels to look at again",
        table(head, rows, numeric=3),
        *_at_home(evaluation, plan, "doubts"),
        note=note,
    )


def _conflicts(evaluation: Evaluation, plan: _Plan) -> Safe:
    if not evaluation.conflicts:
        return Safe()
    groups = [
        tag("ul", [tag("li", _named(evaluation, i, plan), " ", tag("span", ", ".join(evaluation.rows[i].true), class_="tag"))
                   for i in group], class_="plain")
        for group in evaluation.conflicts
    ]  # fmt: skip
    note = "The same text with different labels: at least one of them is wrong, or the task is not single-label."
    listed = _at_home(evaluation, plan, "conflicts")
    return section("conflicts", "Copies with different labels", *groups, *listed, note=note)


def _at_home(evaluation: Evaluation, plan: _Plan, where: str) -> list[Safe]:
    return [_article(evaluation, i) for i, home in plan.home.items() if home == where]


def _named(evaluation: Evaluation, i: int, plan: _Plan) -> Safe:
    row = evaluation.rows[i]
    name = row.title or row.body[:80] or row.id
    return link(name, f"article-{i}") if i in plan.home else tag("span", name, title=row.id)


def _drift(evaluation: Evaluation) -> Safe:
    if not evaluation.drift:
        return Safe()
    rows = [
        [one.name, f"{one.distance:.3f}", f"{one.usual:.3f}", tag("td", one.note, class_="wide")]
        for one in evaluation.drift
    ]
    note = "How far these articles are from those of training: 0 is alike. Beside it what as many held-out training articles show."
    return section("drift", "Drift since training", table(["", "Distance", "Without drift", ""], rows), note=note)


def _cells(evaluation: Evaluation, plan: _Plan) -> Safe:
    labels, folds = set(plan.labels), []
    for (true, predicted), index in sorted(plan.cells.items()):
        if true in labels and predicted in labels:
            entries = [_entry(evaluation, i, plan) for i in index[:_MOST_ARTICLES_IN_CELL]]
            more = f", {_MOST_ARTICLES_IN_CELL} shown" if len(index) > _MOST_ARTICLES_IN_CELL else ""
            said = f"{true}, found" if true == predicted else f"{true} called {predicted}"
            summary = tag("span", tag("b", said), tag("span", f" {len(index)}{more}", class_="muted"))
            inside = tag("div", entries, class_="inside")
            folds.append(fold(summary, inside, key=_cell_key(plan, true, predicted)))
    if not folds:
        return Safe()
    note = "Errors most confident first, right answers least confident first."
    return section("cells", "Articles by cell of the matrix", *folds, note=note)


def _entry(evaluation: Evaluation, i: int, plan: _Plan) -> Safe:
    """The article itself where this is its place, else a link to it or its name."""
    if plan.home.get(i) == "cells":
        return _article(evaluation, i)
    row = evaluation.rows[i]
    told = f" · {percent(row.probability)}" + (f" · {row.source}" if row.source else "")
    return tag("p", _named(evaluation, i, plan), tag("span", told, class_="muted"))
