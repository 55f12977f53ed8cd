"""Stance of an article towards named targets: the sentences that name a target are judged, then weighed together.

The decision that is not obvious: the models learn from sentences with the target marked, so an article is never judged as a whole; where it
does not name the target the answer is `unrelated`, which no model is asked for. All sentences of all targets and articles go to the
model in one call, so that a watch list costs little more than one target.
Reference: segments first, then pooled: Lee et al. 2025, K-News-Stance (arXiv 2507.11049).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline.classifiers.task_model import TaskModel
from pipeline.config import Config
from pipeline.document import Evidence, Example, Kind, LabelPrediction
from pipeline.home import config_file, home
from pipeline.mentions import Mention, forms_of, mentions
from pipeline.preparation import Prepared
from pipeline.quotes import Quote, quote_at, quotes
from pipeline.sentences import sentence_spans
from pipeline.speakers import reported_by

UNRELATED, NEUTRAL = "unrelated", "neutral"
Array = NDArray[np.float64]


class AliasConfig(Config):
    """Names that mean the same, its people, and the seats that stand for it."""

    names: tuple[str, ...] = Field(min_length=1)
    people: tuple[str, ...]
    seats: tuple[str, ...]


class TargetsConfig(Config):
    """`configs/targets.yaml`."""

    max_sentences: int = Field(ge=1)
    headline: float = Field(gt=0)
    lead: float = Field(gt=0)
    n_lead: int = Field(ge=0)
    quoted: float = Field(gt=0)
    other_form: float = Field(gt=0)
    floor: float = Field(gt=0)
    sharpness: float = Field(gt=0)
    generic: tuple[str, ...]
    aliases: tuple[AliasConfig, ...]


@dataclass(frozen=True, slots=True)
class Passage:
    """A sentence that names the target: its span in the body (None for a headline), the mention in it, its weight before judging."""

    text: str
    span: tuple[int, int] | None
    mention: Mention
    weight: float
    holder: str | None = None


@dataclass(slots=True)
class Story:
    """What is read of one article once for all targets."""

    prepared: Prepared
    sentences: list[tuple[int, int]]
    title: str
    quoted: list[Quote] | None = None

    def quotes(self) -> list[Quote]:
        if self.quoted is None:
            self.quoted = quotes(self.prepared.body)
        return self.quoted


def score_targets(
    model: TaskModel,
    prepared: Sequence[Prepared],
    targets: Sequence[str],
    n_evidence: int,
    config: TargetsConfig | None = None,
) -> list[tuple[LabelPrediction, ...]]:
    """For each article one entry a target, in the orders given."""
    settings = config or shipped_config()
    stories = [Story(one, sentence_spans(one.body), one.document.title or "") for one in prepared]
    found = [[passages(story, target, settings) for target in targets] for story in stories]
    flat = [
        (story, target, one)
        for story, of_story in zip(stories, found, strict=True)
        for target, of_target in zip(targets, of_story, strict=True)
        for one in of_target
    ]
    examples = [_example(story, one, number) for number, (story, _, one) in enumerate(flat)]
    probabilities = model.predict_proba(examples)
    answers, at = [], 0
    for story, of_story in zip(stories, found, strict=True):
        entries = []
        for target, of_target in zip(targets, of_story, strict=True):
            rows = probabilities[at : at + len(of_target)]
            at += len(of_target)
            entries.append(_entry(model, story, target, of_target, rows, n_evidence, settings))
        answers.append(tuple(entries))
    return answers


@cache
def shipped_config() -> TargetsConfig:
    """The settings in `configs/targets.yaml`."""
    return TargetsConfig.load(config_file("targets.yaml", home() / Path("configs")))


def passages(story: Story, target: str, config: TargetsConfig) -> list[Passage]:
    """The headline and the sentences that name the target, the weightiest first, then by position."""
    body = story.prepared.body
    forms = forms_of(target, f"{story.title}\n{body}", config.aliases, config.generic)
    found: list[Passage] = []
    if story.title and (named := mentions(story.title, forms)):
        found.append(
            Passage(story.title, None, _strongest(named), config.headline * _of_form(_strongest(named), config))
        )
    by_sentence: dict[int, list[Mention]] = {}
    starts = [start for start, _ in story.sentences]
    for one in mentions(body, forms):
        place = bisect_right(starts, one.start) - 1
        if place >= 0 and one.end <= story.sentences[place][1]:
            by_sentence.setdefault(place, []).append(one)
    found += [_passage(story, place, _strongest(named), config) for place, named in by_sentence.items()]
    return sorted(found, key=lambda one: (-one.weight, one.span or (-1, -1)))[: config.max_sentences]


def pooled(probabilities: Array, weights: Array, neutral: int | None, config: TargetsConfig) -> tuple[Array, Array]:
    """The probabilities of the article, and what each sentence weighed: those that take sides count for more."""
    sides = 1.0 - probabilities[:, neutral] if neutral is not None else np.ones(len(probabilities))
    weighed = weights * (config.floor + sides)
    weighed = weighed / weighed.sum()
    mixed = (weighed @ probabilities) ** config.sharpness
    return mixed / mixed.sum(), weighed


def _passage(story: Story, place: int, mention: Mention, config: TargetsConfig) -> Passage:
    start, end = story.sentences[place]
    body = story.prepared.body
    quote = quote_at(story.quotes(), mention.start, mention.end)
    holder = quote.holder if quote else reported_by(body, start, end, (mention.start, mention.end))
    weight = (
        _of_form(mention, config) * (config.lead if place < config.n_lead else 1.0) * (config.quoted if quote else 1.0)
    )
    inside = Mention(mention.start - start, mention.end - start, mention.is_name)
    return Passage(body[start:end], (start, end), inside, weight, holder)


def _strongest(named: Sequence[Mention]) -> Mention:
    return min(named, key=lambda one: (not one.is_name, one.start))


def _of_form(mention: Mention, config: TargetsConfig) -> float:
    return 1.0 if mention.is_name else config.other_form


def _example(story: Story, one: Passage, number: int) -> Example:
    span = (one.mention.start, one.mention.end)
    return Example(id=f"{story.prepared.document.id}#{number}", text=one.text, target=one.text[slice(*span)], span=span)


def _entry(
    model: TaskModel,
    story: Story,
    target: str,
    found: Sequence[Passage],
    probabilities: Array,
    n_evidence: int,
    config: TargetsConfig,
) -> LabelPrediction:
    if not found:
        unrelated = {**dict.fromkeys(model.labels, 0.0), UNRELATED: 1.0}
        return LabelPrediction(UNRELATED, 1.0, unrelated, (UNRELATED,), abstained=False, target=target)
    neutral = model.labels.index(NEUTRAL) if NEUTRAL in model.labels else None
    whole, weighed = pooled(probabilities, np.array([one.weight for one in found]), neutral, config)
    best = int(whole.argmax())
    order = np.argsort(-(weighed * probabilities[:, best]), kind="stable")
    shown = [
        _evidence(story, found[i], float(probabilities[i, best])) for i in order if _place(story, found[i]) is not None
    ]
    inside = tuple(
        label for label, p, least in zip(model.labels, whole, model.set_thresholds, strict=True) if p >= least
    )
    by_label = {**dict(zip(model.labels, whole.tolist(), strict=True)), UNRELATED: 0.0}
    return LabelPrediction(
        model.labels[best], float(whole[best]), by_label, inside, len(inside) != 1, target, tuple(shown[:n_evidence])
    )


def _place(story: Story, one: Passage) -> tuple[int, int] | None:
    """Where a passage stands in the text given; a headline that is no line of the text stands nowhere."""
    if one.span is not None:
        return story.prepared.to_given(*one.span)
    document = story.prepared.document
    line = next(
        (
            line
            for line in document.lines
            if line.kind == Kind.HEADLINE and document.text[line.start : line.end].strip() == one.text.strip()
        ),
        None,
    )
    return story.prepared.alignment.to_given(line.start, line.end) if line else None


def _evidence(story: Story, one: Passage, weight: float) -> Evidence:
    start, end = _place(story, one) or (0, 0)
    return Evidence(start, end, story.prepared.alignment.given[start:end], weight, one.holder)
