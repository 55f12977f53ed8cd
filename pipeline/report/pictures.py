"""Figures as PNG, which is what MLflow shows of a run without opening the report: confusion, certainty, the shortcut test."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.metrics import CurvePoint, calibration_curve, cost_curve, coverage_curve
from pipeline.report.evaluation import Evaluation, answers, certainty, confusion_counts
from pipeline.report.page import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _SOFT, _LINE, _ACCENT, _BAD = "#1b1f24", "#5b6470", "#d9dee4", "#1f5fa8", "#a8321f"
_DPI = 120
_SHORTCUT_BARS = {
    "accuracy_body": "the story alone",
    "accuracy_whole": "as the article came",
    "accuracy_foreign_tail_separated": "another site's list attached, then separated",
    "accuracy_foreign_tail_whole": "another site's list attached, not separated",
    "accuracy_boilerplate": "its own removed lines alone",
    "accuracy_tail_only": "another site's list alone",
}


def pictures(evaluation: Evaluation) -> dict[str, bytes]:
    """The PNG files by name: `confusion.png` (single label), `certainty.png`, and `shortcut.png` where it was measured."""
    labels, counts = confusion_counts(evaluation)
    drawn = {"certainty.png": _certainty(evaluation)}
    if labels:
        drawn["confusion.png"] = _confusion(labels, counts)
    if evaluation.shortcut:
        drawn["shortcut.png"] = _shortcut(evaluation.shortcut)
    return drawn


def growth(series: Mapping[str, Sequence[tuple[int, float, float]]]) -> bytes:
    """Seconds and megabytes by number of articles, a line for each name; dashed what would be proportional to the first point."""
    figure, axes = _canvas(9, 3.6, n_columns=2)
    for place, (title, unit) in enumerate((("Time of a fit", "CPU seconds"), ("Peak memory of the process", "MB"))):
        for (name, points), colour in zip(series.items(), (_ACCENT, _BAD, _SOFT), strict=False):
            x, y = [point[0] for point in points], [point[1 + place] for point in points]
            axes[place].plot(x, y, "o-", color=colour, linewidth=1.8, markersize=4, label=name)
            axes[place].plot([x[0], x[-1]], [y[0], y[0] * x[-1] / x[0]], "--", color=colour, linewidth=0.8)
        axes[place].set(title=title, xlabel="articles", ylabel=unit, xscale="log", yscale="log")
    axes[0].legend(frameon=False, fontsize=9)
    return _png(figure)


def _confusion(labels: Sequence[str], counts: np.ndarray) -> bytes:
    """Rows are what is true, columns what the model said; right answers blue, errors red, strength by share of the row."""
    k = len(labels)
    figure, axes = _canvas(2.6 + 0.62 * k, 1.6 + 0.46 * k)
    axes.grid(visible=False)
    share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    for row in range(k):
        for column in range(k):
            n, strength = int(counts[row, column]), float(share[row, column])
            colour = _ACCENT if row == column else _BAD
            alpha = 0.08 + 0.6 * strength if n else 0.0
            axes.add_patch(_square(column, row, colour, alpha))
            if n:
                dark = row == column and strength > 0.6
                axes.text(column, row, str(n), ha="center", va="center", color="white" if dark else _INK, fontsize=10)
    axes.set(xlim=(-0.5, k - 0.5), ylim=(k - 0.5, -0.5), title="What is taken for what: rows true, columns answered")
    axes.set_xticks(range(k), [_short(label) for label in labels], rotation=35, ha="right")
    axes.set_yticks(
        range(k), [f"{_short(label)} ({int(n)})" for label, n in zip(labels, counts.sum(axis=1), strict=True)]
    )
    return _png(figure)


def _certainty(evaluation: Evaluation) -> bytes:
    """Calibration, accuracy by share answered, and the cost of answers, side by side."""
    confidence, correct = certainty(evaluation)
    figure, axes = _canvas(11, 3.4, n_columns=3)
    _line(
        axes[0], calibration_curve(*answers(evaluation)), "Does it know how sure it is?", "probability stated", "right"
    )
    axes[0].plot([0, 1], [0, 1], "--", color=_SOFT, linewidth=1, zorder=0)
    _line(axes[1], coverage_curve(confidence, correct), "What if it may stay silent?", "articles answered", "right")
    _line(axes[2], cost_curve(confidence, correct), "What does an answer cost?", "cost of a look", "cost an article")
    return _png(figure)


def _shortcut(shortcut: Mapping[str, float]) -> bytes:
    """Accuracy on the story, with lists attached and on lists alone."""
    bars = [(name, shortcut[key]) for key, name in _SHORTCUT_BARS.items() if key in shortcut]
    figure, axes = _canvas(8.5, 0.9 + 0.42 * len(bars))
    places = range(len(bars))
    axes.barh(list(places), [value for _, value in bars], color=[_SOFT if "alone" in n and "story" not in n else _ACCENT for n, _ in bars], height=0.62)  # fmt: skip
    for place, (_, value) in enumerate(bars):
        axes.text(value + 0.01, place, percent(value), va="center", fontsize=9, color=_INK)
    axes.set_yticks(list(places), [name for name, _ in bars])
    flips = f"labels that flip: {percent(shortcut['flip_rate'])}" if "flip_rate" in shortcut else ""
    axes.set(
        xlim=(0, 1.12), ylim=(len(bars) - 0.5, -0.5), title=f"Does it read the story or its surroundings?  {flips}"
    )
    return _png(figure)


def _line(axes: Axes, points: Sequence[CurvePoint], title: str, x_name: str, y_name: str) -> None:
    sizes = np.array([point.n for point in points], float)
    x, y = [point.x for point in points], [point.y for point in points]
    axes.plot(x, y, color=_ACCENT, linewidth=1.8)
    axes.scatter(x, y, s=8 + 60 * sizes / max(1.0, float(sizes.max(initial=1.0))), color=_ACCENT, alpha=0.6)
    axes.set(title=title, xlabel=x_name, ylabel=y_name, xlim=(0, 1.02))


def _canvas(width: float, height: float, n_columns: int = 1) -> tuple[Figure, Any]:
    """A figure outside of pyplot's global state, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = figure.subplots(1, n_columns)
    for one in np.atleast_1d(axes):
        one.tick_params(colors=_INK, labelsize=9, length=0)
        one.grid(color=_LINE, linewidth=0.6)
        one.set_axisbelow(True)
        one.title.set_fontsize(10)
        for side in one.spines.values():
            side.set_color(_LINE)
    return figure, axes


def _square(column: int, row: int, colour: str, alpha: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, alpha=alpha, edgecolor="none")


def _png(figure: Figure) -> bytes:
    """The bytes of the picture, the same for the same figure."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=_DPI, metadata={"Software": None})
    return out.getvalue()


def _short(label: str) -> str:
    return label if len(label) <= 24 else f"{label[:23]}…"
