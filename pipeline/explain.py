"""Why an article got its label: what each sentence of the body adds to the label's score, on the terminal or as a page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from pipeline.document import Article, Evidence, Rejected
from pipeline.errors import DataError
from pipeline.preparation import Prepared, prepare
from pipeline.score import Scorer, as_example, evidence
from pipeline.sentences import sentence_spans


@dataclass(frozen=True, slots=True)
class Explanation:
    """One label of one article: its probability, and every sentence with its weight, in the order of the text."""

    article: str
    task: str
    label: str
    probability: float
    sentences: tuple[Evidence, ...]


def explain(scorer: Scorer, article: Article, label: str | None) -> list[Explanation]:
    """For each task with labels of its own, why the label was given, or what speaks for the one asked about.

    Raises:
        DataError: the article cannot be read, or no task has the label.
    """
    (prepared,) = prepare([article], scorer.repair, scorer.separator)
    if isinstance(prepared, Rejected):
        raise DataError(prepared.message)
    models = [
        model for model in scorer.models if model.task_kind != "target" and (label is None or label in model.labels)
    ]
    if not models:
        known = sorted({one for model in scorer.models if model.task_kind != "target" for one in model.labels})
        raise DataError(f"no model has the label '{label}'; they have {', '.join(known) or 'none'}")
    example, found = as_example(prepared), []
    for model in models:
        probabilities = dict(zip(model.labels, model.predict_proba([example])[0].tolist(), strict=True))
        chosen = label or max(probabilities, key=lambda one: probabilities[one])
        spans = sentence_spans(example.text)
        weights = model.sentence_weights(example, spans, chosen) if spans else []
        sentences = _sentences(prepared, spans, [float(one) for one in weights])
        found.append(Explanation(prepared.document.id, model.task, chosen, probabilities[chosen], sentences))
    return found


def show(explanations: Sequence[Explanation]) -> None:
    """Print each sentence with a bar that points right for the label and left against it."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, emoji=False)
    for one in explanations:
        console.print(f"[bold]{one.task}: {one.label}[/bold] {one.probability:.0%}")
        largest = max((abs(sentence.weight) for sentence in one.sentences), default=1) or 1
        table = Table.grid(padding=(0, 1))
        for sentence in one.sentences:
            length = round(8 * abs(sentence.weight) / largest)
            bar = "█" * length
            against, towards = (f"{bar:>8}", " " * 8) if sentence.weight < 0 else (" " * 8, f"{bar:<8}")
            table.add_row(f"[red]{against}[/red]│[green]{towards}[/green]", _plain(sentence.text))
        console.print(table)


def to_html(explanations: Sequence[Explanation]) -> str:
    """A self-contained page: every sentence tinted by its weight, the number on hover; nothing in it can run."""
    parts = []
    for one in explanations:
        largest = max((abs(sentence.weight) for sentence in one.sentences), default=1) or 1
        parts.append(f"<h1>{escape(one.task)}: {escape(one.label)} <small>{one.probability:.0%}</small></h1>")
        parts += [_sentence_html(sentence, largest) for sentence in one.sentences]
    return _PAGE.replace("%BODY%", "\n".join(parts))


def write(explanations: Sequence[Explanation], form: str) -> None:
    """Print the explanations in the form asked for."""
    if form == "html":
        sys.stdout.write(to_html(explanations))
    else:
        show(explanations)


def _sentences(prepared: Prepared, spans: Sequence[tuple[int, int]], weights: Sequence[float]) -> tuple[Evidence, ...]:
    return tuple(evidence(prepared, *span, weight) for span, weight in zip(spans, weights, strict=True))


def _sentence_html(sentence: Evidence, largest: float) -> str:
    share = abs(sentence.weight) / largest
    side = "for" if sentence.weight >= 0 else "against"
    return f'<p class="{side}" style="--share:{share:.2f}" title="{sentence.weight:+.3f}">{escape(sentence.text)}</p>'


def _plain(text: str) -> str:
    from rich.markup import escape as escape_markup

    return escape_markup(" ".join(text.split()))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Slugline explanation</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body{font:16px/1.5 Georgia,serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1{font:600 1.3rem system-ui,sans-serif}small{font-weight:400;color:#666}
p{margin:.2rem 0;padding:.1rem .4rem;border-radius:3px}
.for{background:rgb(30 140 60/calc(var(--share)*.35))}.against{background:rgb(200 40 40/calc(var(--share)*.35))}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}}
</style></head><body>
%BODY%
</body></html>
"""
