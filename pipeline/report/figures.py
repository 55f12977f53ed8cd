"""Figures as inline SVG that takes its colours from the page, so that they follow dark mode and stay sharp."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.metrics import CurvePoint, Interval
from pipeline.report.page import Safe, percent, tag

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 340, 250, 54, 36, 10, 14


def curve(
    points: Sequence[CurvePoint],
    *,
    title: str,
    caption: str,
    x_name: str,
    y_name: str,
    y_range: Interval = (0.0, 1.0),
    diagonal: bool = False,
    weighted: bool = False,
) -> Safe:
    """A line through the points, x from 0 to 1. `weighted` draws dots whose area is the number of documents."""
    largest = max((point.n for point in points), default=1)
    parts = [_axes(x_name, y_name, y_range)]
    if diagonal:
        corner = _at(0, 0, y_range), _at(1, 1, y_range)
        parts.append(_line(corner, "var(--soft)", 1, dash="4 4"))
    parts.append(_line([_at(point.x, point.y, y_range) for point in points], "var(--accent)", 2))
    for point in points:
        x, y = _at(point.x, point.y, y_range)
        radius = 2 + 7 * (point.n / largest) ** 0.5 if weighted else 2
        told = f"{x_name} {percent(point.x)}, {y_name} {percent(point.y)}, {point.n} articles"
        parts.append(
            tag("circle", tag("title", told), cx=f"{x:.1f}", cy=f"{y:.1f}", r=f"{radius:.1f}", fill="var(--accent)",
                fill_opacity="0.65" if weighted else "1")
        )  # fmt: skip
    drawing = tag(
        "svg", parts, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", width=_WIDTH, height=_HEIGHT, role="img", aria_label=title
    )
    return tag("figure", drawing, tag("figcaption", tag("b", title), caption))


def interval_bar(value: float, interval: Interval, span: Interval = (0.0, 1.0), *, is_difference: bool = False) -> Safe:
    """A small bar with a dot at the value; for differences with a line at zero, coloured where zero is outside."""
    width, height = 120, 14

    def at(number: float) -> float:
        return 3 + (width - 6) * (min(max(number, span[0]), span[1]) - span[0]) / ((span[1] - span[0]) or 1.0)

    low, high = interval
    colour = "var(--accent)"
    if is_difference:
        colour = "var(--good)" if low > 0 else "var(--bad)" if high < 0 else "var(--soft)"
    zero = tag("line", x1=f"{at(0):.1f}", x2=f"{at(0):.1f}", y1=1, y2=height - 1, stroke="var(--soft)", stroke_width=1)
    base = tag("line", x1=3, x2=width - 3, y1=7, y2=7, stroke="var(--line)", stroke_width=1)
    extent = tag("line", x1=f"{at(low):.1f}", x2=f"{at(high):.1f}", y1=7, y2=7, stroke=colour, stroke_width=4,
                 stroke_opacity="0.45")  # fmt: skip
    dot = tag("circle", cx=f"{at(value):.1f}", cy=7, r=3, fill=colour)
    parts = [base, *([zero] if is_difference else []), extent, dot]
    return tag(
        "svg", parts, class_="bar", width=width, height=height, viewBox=f"0 0 {width} {height}", aria_hidden="true"
    )


def _axes(x_name: str, y_name: str, y_range: Interval) -> Safe:
    parts = []
    for i in range(5):
        share = i / 4
        y_value = y_range[0] + share * (y_range[1] - y_range[0])
        x, y = _at(share, y_value, y_range)
        parts.append(
            tag(
                "line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", stroke="var(--line)", stroke_width=1
            )
        )
        digits = 0 if (y_range[1] - y_range[0]) >= 0.2 else 1
        parts.append(tag("text", f"{100 * y_value:.{digits}f}", x=_LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end"))
        parts.append(tag("text", f"{100 * share:.0f}", x=f"{x:.1f}", y=_HEIGHT - _BOTTOM + 15, text_anchor="middle"))
    middle = _TOP + (_HEIGHT - _TOP - _BOTTOM) / 2
    parts.append(tag("text", f"{x_name}, %", x=(_LEFT + _WIDTH - _RIGHT) / 2, y=_HEIGHT - 4, text_anchor="middle"))
    turned = f"rotate(-90 11 {middle:.1f})"
    parts.append(tag("text", f"{y_name}, %", x=11, y=f"{middle:.1f}", text_anchor="middle", transform=turned))
    return Safe("".join(parts))


def _at(x: float, y: float, y_range: Interval) -> tuple[float, float]:
    share = (min(max(y, y_range[0]), y_range[1]) - y_range[0]) / (y_range[1] - y_range[0])
    return _LEFT + x * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _line(points: Sequence[tuple[float, float]], colour: str, width: float, dash: str | None = None) -> Safe:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return tag("polyline", points=path, fill="none", stroke=colour, stroke_width=width, stroke_dasharray=dash)
