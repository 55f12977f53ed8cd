"""The parts a report page is made of: escaped tags, tables, the page around them and how it looks.

A page stands alone: no script, no font, no image from anywhere, and a content policy that would refuse them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from pipeline.metrics import Interval

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


class Safe(str):
    """Text that is already HTML."""

    __slots__ = ()


def tag(name: str, *children: str | Safe | Iterable[str | Safe], **attributes: str | float | None) -> Safe:
    """An element. Text is escaped unless `Safe`; `class_` is `class`, other underscores in names become dashes."""
    inside = "".join(_escaped(child) for child in children)
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Safe(f"<{name}{named}>{inside}</{name}>")


def page(title: str, *sections: Safe) -> str:
    """The whole document."""
    body = tag("main", sections)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def section(key: str, heading: str, *children: str | Safe, note: str = "") -> Safe:
    """A part of the page with a heading that can be linked to; `note` explains how to read it."""
    explained = tag("p", note, class_="note") if note else Safe()
    return tag("section", tag("h2", heading), explained, *children, id=key)


def table(head: Sequence[str], rows: Iterable[Sequence[str | Safe]], *, numeric: int = 1, caption: str = "") -> Safe:
    """A table; columns from `numeric` on are set flush right. A `Safe` cell that is a `td` stays as it is."""
    heads = [tag("th", name, scope="col", class_="n" if i >= numeric else None) for i, name in enumerate(head)]
    body = [tag("tr", [_cell(cell, i, numeric) for i, cell in enumerate(row)]) for row in rows]
    named = tag("caption", caption) if caption else Safe()
    return tag("div", tag("table", named, tag("thead", tag("tr", heads)), tag("tbody", body)), class_="scroll")


def fold(summary: str | Safe, *children: str | Safe, key: str | None = None, is_open: bool = False) -> Safe:
    """A part that opens on a click."""
    inside = tag("summary", summary), *children
    return tag("details", *inside, id=key, open="" if is_open else None)


def link(text: str | Safe, key: str) -> Safe:
    """A link to another place on the page."""
    return tag("a", text, href=f"#{key}")


def percent(share: float, digits: int = 1) -> str:
    """A share as a percentage: `97.6 %`."""
    return f"{100 * share:.{digits}f} %"


def points(interval: Interval, digits: int = 1) -> str:
    """An interval of shares, in per cent: `96.2–98.7`."""
    low, high = (f"{100 * end:.{digits}f}" for end in interval)
    return f"{low}–{high}" if not low.startswith("-") else f"{low.replace('-', '−')} to {high.replace('-', '−')}"


def signed_points(difference: float, digits: int = 1) -> str:
    """A difference of shares in points: `+1.2`."""
    return f"{100 * difference:+.{digits}f}".replace("-", "−")


def _cell(cell: str | Safe, i: int, numeric: int) -> Safe:
    if isinstance(cell, Safe) and cell.startswith(("<td", "<th")):
        return cell
    return tag("th", cell, scope="row") if i == 0 else tag("td", cell, class_="n" if i >= numeric else None)


def _escaped(child: str | Safe | Iterable[str | Safe]) -> str:
    if isinstance(child, Safe):
        return child
    if isinstance(child, str):
        return escape("".join(c for c in child if c in "\n\t" or (c >= " " and not "\ud800" <= c <= "\udfff")))
    return "".join(_escaped(inner) for inner in child)


_STYLE = """
:root { --ink: #1b1f24; --soft: #5b6470; --line: #d9dee4; --paper: #fff; --sunk: #f5f7f9; --accent: #1f5fa8;
  --accent-rgb: 31, 95, 168; --bad: #a8321f; --bad-rgb: 168, 50, 31; --good: #1d7a46; --cut: #fdf1e3; --cut-ink: #7a4a12; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --soft: #9aa4b0; --line: #343b44; --paper: #14171b;
  --sunk: #1c2026; --accent: #7db4f0; --accent-rgb: 125, 180, 240; --bad: #f0907d; --bad-rgb: 240, 144, 125;
  --good: #6fce9a; --cut: #33281a; --cut-ink: #e3b67c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI",
  "Helvetica Neue", Arial, sans-serif; font-variant-numeric: tabular-nums; }
main { max-width: 68rem; margin: 0 auto; padding: 2.5rem 1.5rem 5rem; }
h1 { font-size: 1.65rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; text-wrap: balance; }
h2 { font-size: 1.12rem; margin: 0 0 .4rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: .95rem; margin: 1.3rem 0 .3rem; }
section { margin-top: 2.6rem; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: 2px; }
.lead { font-size: 1.12rem; max-width: 48rem; margin: .2rem 0 .6rem; }
.note, .facts { color: var(--soft); max-width: 48rem; margin: 0 0 .9rem; }
.facts { display: flex; flex-wrap: wrap; gap: .1rem 1.4rem; font-size: .87rem; max-width: none; margin: 0; }
.facts b { font-weight: 600; color: var(--ink); overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin-top: 1.2rem; font-size: .9rem; }
.tiles { display: flex; flex-wrap: wrap; border: solid var(--line); border-width: 1px 0 0 1px; margin: 1.4rem 0 0; }
.tiles div { flex: 1 1 9.5rem; padding: .75rem .9rem; border: solid var(--line); border-width: 0 1px 1px 0; }
.tiles span { display: block; color: var(--soft); font-size: .82rem; }
.tiles strong { display: block; font-size: 1.45rem; font-weight: 600; line-height: 1.25; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; margin: .3rem 0 1rem; }
caption { text-align: left; font-weight: 600; padding: .2rem 0 .3rem; }
th, td { padding: .28rem .8rem .28rem 0; text-align: left; border-bottom: 1px solid var(--line); font-weight: 400;
  vertical-align: middle; white-space: nowrap; }
td.wide, th.wide { white-space: normal; min-width: 16rem; }
thead th { color: var(--soft); font-size: .82rem; vertical-align: bottom; }
.n { text-align: right; }
.muted { color: var(--soft); }
.bad { color: var(--bad); } .good { color: var(--good); }
.matrix td { text-align: center; min-width: 3rem; padding: .35rem .5rem; border: 1px solid var(--line); }
.matrix td a { color: inherit; display: block; text-decoration: none; }
.matrix td a:hover { text-decoration: underline; }
.matrix tbody th { text-align: right; padding-right: .7rem; border: 0; }
.matrix thead th { text-align: center; border: 0; padding: .2rem .4rem; max-width: 7rem; overflow: hidden;
  text-overflow: ellipsis; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(18.5rem, 1fr)); gap: 1.2rem 2rem; }
figure { margin: 0; } figcaption { color: var(--soft); font-size: .85rem; margin-top: .2rem; }
figcaption b { color: var(--ink); display: block; }
svg { display: block; max-width: 100%; height: auto; } svg.bar { display: inline-block; vertical-align: middle; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
details { border-bottom: 1px solid var(--line); padding: .5rem 0; }
details:target { background: var(--sunk); }
summary { cursor: pointer; } summary b { font-weight: 600; }
summary .meta { color: var(--soft); font-size: .87rem; display: block; padding-left: 1.05rem; }
.article { white-space: pre-wrap; overflow-wrap: anywhere; max-width: 44rem; margin: .7rem 0 .4rem 1.05rem; }
.removed { background: var(--cut); color: var(--cut-ink); border-left: 3px solid currentColor; padding: .1rem .6rem;
  font-size: .87rem; white-space: pre-wrap; overflow-wrap: anywhere; max-width: 44rem; margin: 0 0 2px 1.05rem; }
.tag { border: 1px solid var(--line); border-radius: 3px; padding: 0 .35rem; font-size: .85rem; }
.inside { padding-left: 1.05rem; } .inside p { margin: .3rem 0; }
ul.plain { list-style: none; padding: 0; margin: .3rem 0 1rem; } ul.plain li { padding: .12rem 0; }
@media print { body { font-size: 11px; } details { break-inside: avoid; } nav { display: none; } }
"""
