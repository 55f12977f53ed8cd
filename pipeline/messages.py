"""The bodies of requests and answers, as `/openapi.json` describes them. Answers are written by `score` and `separate` themselves."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class GivenArticle(BaseModel):
    """An article: `text` or `html`; one without either is answered with an error in its record."""

    model_config = ConfigDict(strict=True)

    id: str | None = None
    text: str | None = None
    html: str | None = None
    title: str | None = None


class SeparateQuestion(BaseModel):
    articles: list[GivenArticle]


class ScoreQuestion(SeparateQuestion):
    targets: list[Annotated[str, StringConstraints(pattern=r"\w", max_length=200)]] = []


class Reason(BaseModel):
    reason: str
    message: str


class Problem(BaseModel):
    """Why a request was refused."""

    error: Reason


class Health(BaseModel):
    status: str
    models: dict[str, str]


class ShownEvidence(BaseModel):
    start: int
    end: int
    text: str
    weight: float
    holder: str | None


class Entry(BaseModel):
    label: str
    probability: float
    probabilities: dict[str, float]
    set: list[str]
    abstained: bool
    target: str | None
    evidence: list[ShownEvidence]


class ScoreRecord(BaseModel):
    id: str
    body_chars: int
    boilerplate_lines: int
    predictions: dict[str, list[Entry]]
    model: dict[str, str]
    error: Reason | None


class ScoreAnswer(BaseModel):
    records: list[ScoreRecord]


class ShownLine(BaseModel):
    start: int
    end: int
    kind: str
    body: float


class SeparateRecord(BaseModel):
    id: str
    body: str
    lines: list[ShownLine]
    is_article: float
    title: str | None
    published: str | None
    author: str | None
    text: str | None = Field(None, description="Given for HTML, whose lines it holds.")
    low_confidence: bool = False
    error: Reason | None = None


class SeparateAnswer(BaseModel):
    records: list[SeparateRecord]
