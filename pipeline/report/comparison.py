"""The page and the terminal table on two or more models judged on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.report.figures import interval_bar
from pipeline.report.page import Safe, fold, link, page, percent, points, section, signed_points, table, tag
from pipeline.significance import Change, Comparison, Difference, Verdict

if TYPE_CHECKING:
    from rich.table import Table

_MOST_CHANGES = 200
_MOST_CHARACTERS = 1_500


def comparison_report(
    first: str,
    others: Mapping[str, Comparison],
    *,
    title: str | None = None,
    facts: Mapping[str, str] | None = None,
    texts: Mapping[int, tuple[str, str]] | None = None,
) -> str:
    """A self-contained HTML page on model A, `first`, against each model B by name, as `compare_many` gives them.

    `facts` are shown under the title. `texts` are titles and bodies by row, for the articles answered differently; those
    that it lacks are named by id.
    """
    title = title or f"{first} against {', '.join(others)}"
    leads = [tag("p", verdict_sentence(first, name, found), class_="lead") for name, found in others.items()]
    shown = tag(
        "p", [tag("span", f"{name} ", tag("b", value)) for name, value in (facts or {}).items()], class_="facts"
    )
    keys = {name: f"model-{i}" for i, name in enumerate(others)}
    index = tag("nav", [link(f"{first} and {name}", key) for name, key in keys.items()]) if len(keys) > 1 else ""
    head = tag("header", tag("h1", title), leads, shown, index)
    sections = [_pair(first, name, found, keys[name], texts or {}) for name, found in others.items()]
    return page(title, head, _overview(first, others), *sections)


def verdict_sentence(first: str, other: str, found: Comparison) -> str:
    """What the comparison says, in one line."""
    numbers = f"{signed_points(found.accuracy.difference)} points (95 % interval {points(found.accuracy.interval)}, {_p(found.p_adjusted)})"
    if found.verdict == Verdict.NOT_DISTINGUISHABLE:
        return (
            f"{first} and {other} are not distinguishable on these {found.n:,} articles: {numbers}. "
            f"A difference of {100 * found.detectable:.1f} points would show in 80 of 100 such comparisons."
        )
    better = first if found.verdict == Verdict.A_BETTER else other
    return f"{better} is better: {first} minus {other} is {numbers} on {found.n:,} articles."


def comparison_table(first: str, others: Mapping[str, Comparison]) -> Table:
    """A rich table that fits 80 columns: for each other model (B), its measures beside those of the first (A)."""
    from rich import box
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, title=f"A: {_plain(first)}", title_justify="left")
    shown.add_column("measure")
    for name in ("A", "B", "A − B", "95 % interval", "p"):
        shown.add_column(name, justify="right", no_wrap=True)
    for name, found in others.items():
        colour = {Verdict.A_BETTER: "green", Verdict.B_BETTER: "red"}.get(found.verdict, "dim")
        shown.add_row(f"B: {_plain(name)}")
        shown.add_row(f"[{colour}]{found.verdict}[/]")
        shown.add_row("accuracy", *_measured(found.accuracy), p_value(found.p_adjusted))
        shown.add_row("macro-F1", *_measured(found.macro_f1), "")
        for label, one in found.per_label.items():
            shown.add_row(f"F1 {_plain(label)}", *_measured(one), "")
        shown.add_row(f"[dim]detectable: {100 * found.detectable:.1f} points[/]", end_section=True)
    return shown


def _measured(one: Difference) -> tuple[str, str, str, str]:
    return percent(one.a), percent(one.b), signed_points(one.difference), points(one.interval)


def p_value(p: float) -> str:
    """A p-value as people write it."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p_value(p)}"


def _overview(first: str, others: Mapping[str, Comparison]) -> Safe:
    rows = []
    for name, found in others.items():
        for what, one in (("accuracy", found.accuracy), ("macro-F1", found.macro_f1)):
            p = p_value(found.p_adjusted) if what == "accuracy" else ""
            rows.append([f"{name}, {what}", *_cells(one, _span([found.accuracy, found.macro_f1])), p])
    head = ["Against", "A", "B", "A − B", "", "95 % interval", "p"]
    found = next(iter(others.values()), None)
    note = f"A is {first}. Points of a hundred; intervals by paired bootstrap; "
    note += f"test: {found.test}" + (", corrected by Holm." if len(others) > 1 else ".") if found else ""
    return section("overview", "Overall", table(head, rows), note=note)


def _pair(first: str, name: str, found: Comparison, key: str, texts: Mapping[int, tuple[str, str]]) -> Safe:
    per_label = list(found.per_label.items())
    head = ["Label", "F1 A", "F1 B", "A − B", "", "95 % interval", "Articles"]
    parts = [tag("h3", "Label by label"), _differences(head, per_label)]
    for by in dict.fromkeys(one.by for one in found.per_slice):
        inside = [(one.value, one.accuracy) for one in found.per_slice if one.by == by]
        head = [by.capitalize(), "Accuracy A", "B", "A − B", "", "95 % interval", "Articles"]
        parts += [tag("h3", f"By {by}"), _differences(head, inside)]
    parts += [tag("h3", f"{len(found.changed):,} articles answered differently"), *_changes(found, texts)]
    note = (
        f"Only A is right on {found.n_only_a_right:,}, only B on {found.n_only_b_right:,}. With many labels and slices "
        "one in twenty intervals leaves out zero by chance."
    )
    return section(key, f"{first} (A) and {name} (B)", *parts, note=note)


def _differences(head: Sequence[str], found: Sequence[tuple[str, Difference]]) -> Safe:
    span = _span([one for _, one in found])
    return table(head, [[name, *_cells(one, span), f"{one.n:,}"] for name, one in found])


def _cells(one: Difference, span: tuple[float, float]) -> list[str | Safe]:
    bar = tag("td", interval_bar(one.difference, one.interval, span, is_difference=True))
    return [percent(one.a), percent(one.b), signed_points(one.difference), bar, points(one.interval)]


def _span(found: Sequence[Difference]) -> tuple[float, float]:
    """A range around zero that holds the intervals, at most a whole."""
    most = max((abs(end) for one in found for end in one.interval), default=0.1)
    return -max(0.01, min(1.0, most)), max(0.01, min(1.0, most))


def _changes(found: Comparison, texts: Mapping[int, tuple[str, str]]) -> list[Safe]:
    sorts = (
        ("Only A is right", [c for c in found.changed if c.a_right and not c.b_right]),
        ("Only B is right", [c for c in found.changed if c.b_right and not c.a_right]),
        ("Both are wrong, differently", [c for c in found.changed if not c.a_right and not c.b_right]),
    )
    return [
        fold(
            tag("span", tag("b", name), tag("span", f" {len(changes):,}" + (f", {_MOST_CHANGES} shown" if len(changes) > _MOST_CHANGES else ""), class_="muted")),
            *[_change(change, texts) for change in changes[:_MOST_CHANGES]],
        )
        for name, changes in sorts
        if changes
    ]  # fmt: skip


def _change(change: Change, texts: Mapping[int, tuple[str, str]]) -> Safe:
    title, body = texts.get(change.index, ("", ""))
    said = tag(
        "span",
        f"is {change.true or 'no label'}; A says {change.a or 'no label'}, B {change.b or 'no label'} · {change.id}",
        class_="meta",
    )
    shown = body if len(body) <= _MOST_CHARACTERS else f"{body[:_MOST_CHARACTERS]} […]"
    return fold(
        tag("span", tag("b", title or change.id), said), tag("p", shown or "The text is not at hand.", class_="article")
    )


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
