"""The values that flow through the stages: all frozen, all plain, none with behaviour beyond reading itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a line of an article is. `body` is the story; the others are boilerplate."""

    BODY = "body"
    HEADLINE = "headline"
    BYLINE = "byline"
    CAPTION = "caption"
    RELATED = "related"
    NAVIGATION = "navigation"
    ENGAGEMENT = "engagement"
    COMMENTS = "comments"
    LEGAL = "legal"
    ADVERT = "advert"
    OTHER = "other"


BODY = Kind.BODY
"""The member itself: it is compared for every line, and to look it up in its class takes longer than to compare."""


@dataclass(frozen=True, slots=True)
class Article:
    """An article as fetched: exactly one of `text` and `html` is given; `id` is a digest of the content where none came along."""

    id: str
    text: str | None = None
    html: str | None = None
    title: str | None = None
    source: str | None = None
    date: str | None = None
    url: str | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """An input that gives no document, and why. `reason` is one word for counting, `message` a line for people."""

    id: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Line:
    """One non-empty line: `[start, end)` in code points of the document's text, its kind and P(body), calibrated."""

    start: int
    end: int
    kind: Kind
    body: float


@dataclass(frozen=True, slots=True)
class Document:
    """An article whose lines are labelled. Lossless: `text` is the whole input, `lines` every non-empty line of it in order."""

    id: str
    text: str
    lines: tuple[Line, ...] = ()
    is_article: float = 1.0
    title: str | None = None
    published: str | None = None
    author: str | None = None
    low_confidence: bool = False

    @property
    def body(self) -> str:
        """The lines of kind `body`, joined with newlines."""
        return "\n".join([self.text[line.start : line.end] for line in self.lines if line.kind is BODY])

    @property
    def n_boilerplate_lines(self) -> int:
        return len(self.lines) - sum([line.kind is BODY for line in self.lines])


@dataclass(frozen=True, slots=True)
class Example:
    """One row for learning or prediction. `span` is where `target` stands in `text`, in code points."""

    id: str
    text: str
    title: str = ""
    labels: tuple[str, ...] = ()
    target: str | None = None
    span: tuple[int, int] | None = None
    source: str | None = None
    date: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence that carried a decision: `[start, end)` in the text given, and whose words it is if they are quoted."""

    start: int
    end: int
    text: str
    weight: float
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class LabelPrediction:
    """One entry of `predictions[TASK]`: `set` is the conformal set, `abstained` says it does not hold exactly one label."""

    label: str
    probability: float
    probabilities: dict[str, float]
    set: tuple[str, ...]
    abstained: bool
    target: str | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Prediction:
    """What `score` answers for one article; `error` in place of predictions where the article could not be read."""

    id: str
    body_chars: int = 0
    boilerplate_lines: int = 0
    predictions: dict[str, tuple[LabelPrediction, ...]] = field(default_factory=dict)
    model: dict[str, str] = field(default_factory=dict)
    error: Rejected | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What a stage did: the one line it logs. `rejected` counts by reason."""

    stage: str
    n_in: int
    n_out: int
    rejected: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def __str__(self) -> str:
        lost = ", ".join(f"{n} {reason}" for reason, n in sorted(self.rejected.items()))
        return f"{self.stage}: {self.n_in} in, {self.n_out} out{f', rejected {lost}' if lost else ''}, {self.seconds:.1f} s"
