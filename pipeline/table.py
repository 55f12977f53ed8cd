"""Records as a table that fits 80 columns: for each article its labels, how much was cut, and the sentences that decided."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

BAR_WIDTH = 20
MAX_WIDTH = 100
_QUOTATION_MARKS = tuple("“”„«»\"'‘’")


def show(records: Iterable[dict[str, Any]], out: IO[str]) -> None:
    """Print every record."""
    console = Console(file=out, highlight=False, emoji=False)
    console = Console(file=out, highlight=False, emoji=False, width=min(MAX_WIDTH, console.width))
    for number, record in enumerate(records):
        if number:
            console.print()
        _show_record(record, console)


def _show_record(record: dict[str, Any], console: Console) -> None:
    console.print(f"[bold]{escape(record['id'])}[/bold]")
    if record["error"]:
        console.print(Padding(f"not scored: {escape(record['error']['message'])}", (0, 0, 0, 2)))
        return
    n_cut = record["boilerplate_lines"]
    cut = f"{n_cut} boilerplate line{'' if n_cut == 1 else 's'} cut" if n_cut else "nothing cut"
    console.print(f"  [dim]body of {record['body_chars']:,} characters, {cut}[/dim]")
    for task, entries in record["predictions"].items():
        if not entries:
            console.print(f"  {escape(task):<10} [dim]no target given: add --target NAME[/dim]")
        width = max((len(_name(task, entry)) for entry in entries), default=0)
        for entry in entries:
            _show_entry(_name(task, entry).ljust(max(10, width)), entry, console)


def _name(task: str, entry: dict[str, Any]) -> str:
    return f"{task} · {entry['target']}" if entry["target"] else task


def _show_entry(name: str, entry: dict[str, Any], console: Console) -> None:
    bar = "━" * round(entry["probability"] * BAR_WIDTH)
    console.print(f"  {escape(name)} [bold]{escape(entry['label'])}[/bold] {entry['probability']:.0%} [dim]{bar}[/dim]")
    if entry["abstained"]:
        console.print(Padding(f"[dim]{_doubt(entry['set'])}[/dim]", (0, 0, 0, 4)))
    for one in entry["evidence"]:
        holder = f" ({escape(one['holder'])})" if one["holder"] else ""
        console.print(Padding(f"[dim]{escape(_quoted(one['text']))}{holder}[/dim]", (0, 0, 0, 4)))


def _quoted(text: str) -> str:
    """The sentence in quotation marks, unless it begins with one of its own."""
    words = " ".join(text.split())
    return words if words[:1] in _QUOTATION_MARKS else f"“{words}”"


def _doubt(labels: list[str]) -> str:
    """Why an entry counts as abstained: several labels are possible, or the article is unlike those the label was learnt from."""
    return f"unsure: {escape(' or '.join(labels))}" if labels else "unsure: unlike the label's usual articles"
