"""Articles in, predictions out: one record an article, in input order, whatever it holds.

The decision that is not obvious: the way from an article to what a model reads is `preparation`, the one that training
took, and every span in a record is led back to the text given. Where a job writes to a file, it works in shards beside it
(see `pipeline.shards`), so that a killed job goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline.classifiers.task_model import TaskModel
from pipeline.config import Config as BaseConfig
from pipeline.document import Article, Evidence, Example, LabelPrediction, Prediction, Rejected
from pipeline.errors import ArtifactError, DataError
from pipeline.preparation import Prepared, prepare
from pipeline.repair import Repair
from pipeline.sentences import sentence_spans
from pipeline.separate import Separator
from pipeline.tally import Tally, is_sampled, tally_answers, tally_documents, tally_words


class Config(BaseConfig):
    """`configs/score.yaml`."""

    articles: list[str]
    n_evidence: int = Field(ge=0)
    batch_articles: int = Field(ge=1)
    batch_chars: int = Field(ge=1)
    heavy_process_mb: int = Field(ge=1)
    part_articles: int = Field(ge=1)
    part_chars: int = Field(ge=1)
    max_target_chars: int = Field(ge=1)


@dataclass(frozen=True, slots=True)
class Scorer:
    """Models and the preparation they share; `load` builds one."""

    models: tuple[TaskModel, ...]
    separator: Separator
    repair: Repair
    targets: tuple[str, ...]
    n_evidence: int

    @classmethod
    def load(
        cls, models: Sequence[Path] | None = None, *, targets: Sequence[str] = (), n_evidence: int | None = None
    ) -> Scorer:
        """A scorer with the models in these folders, by default every champion in `models/`.

        Raises:
            ArtifactError: a folder holds no model, or a file in it is not what its digest says.
            DataError: an empty or overlong target.
        """
        from pipeline.clean import Config as CleanConfig
        from pipeline.home import config_file, home

        config = Config.load(config_file("score.yaml", home() / "configs"))
        repair = CleanConfig.load(config_file("clean.yaml", home() / "configs")).repair
        folders = champions(home() / "models") if models is None else list(models)
        loaded = tuple(TaskModel.load(folder) for folder in folders)
        if len({model.task for model in loaded}) < len(loaded):
            raise ArtifactError(f"two models for one task among {', '.join(map(str, folders))}; give one a task")
        checked = tuple(dict.fromkeys(check_target(one, config.max_target_chars) for one in targets))
        return cls(loaded, Separator.load(), repair, checked, config.n_evidence if n_evidence is None else n_evidence)

    def score(self, articles: Iterable[Article | Rejected]) -> list[Prediction]:
        """One prediction an article, in order; what cannot be read gets one with `error`."""
        return self.score_and_count(articles)[0]

    def score_and_count(self, articles: Iterable[Article | Rejected]) -> tuple[list[Prediction], Tally]:
        """As `score`, with the counts that `slugline drift` compares."""
        everything = list(articles)
        readable = [one for one in everything if isinstance(one, Article)]
        prepared = iter(prepare(readable, self.repair, self.separator))
        outcomes = [next(prepared) if isinstance(one, Article) else one for one in everything]
        done = [one for one in outcomes if isinstance(one, Prepared)]
        answers = [self._answers(model, done) for model in self.models]
        rows = iter(zip(*answers, strict=True)) if answers else iter([()] * len(done))
        digests = {model.task: model.digest for model in self.models}
        predictions = [
            self._prediction(one, next(rows), digests)
            if isinstance(one, Prepared)
            else Prediction(one.id, model=digests, error=one)
            for one in outcomes
        ]
        return predictions, self._tally(outcomes, answers)

    def _tally(
        self, outcomes: Sequence[Prepared | Rejected], answers: Sequence[list[tuple[LabelPrediction, ...]]]
    ) -> Tally:
        counts = tally_documents((one.document, one.body) if isinstance(one, Prepared) else one for one in outcomes)
        some = [one.body for one in outcomes if isinstance(one, Prepared) and is_sampled(one.document.id)]
        for model, of_model in zip(self.models, answers, strict=True):
            counts.update(tally_answers(model.task, of_model))
            if len(model.known_words):
                counts.update(tally_words(model.task, some, model.known_words))
        return counts

    def _answers(self, model: TaskModel, prepared: Sequence[Prepared]) -> list[tuple[LabelPrediction, ...]]:
        """For each article the model's entries, with evidence."""
        if model.task_kind == "target":
            from pipeline.targets import score_targets

            return score_targets(model, prepared, self.targets, self.n_evidence)
        examples = [as_example(one) for one in prepared]
        answers = model.predict(examples)
        if not self.n_evidence:
            return answers
        return [
            tuple(replace(entry, evidence=self._evidence(model, example, one, entry.label)) for entry in answer)
            for example, one, answer in zip(examples, prepared, answers, strict=True)
        ]

    def _evidence(self, model: TaskModel, example: Example, prepared: Prepared, label: str) -> tuple[Evidence, ...]:
        spans = sentence_spans(example.text)
        if not spans:
            return ()
        weights = model.sentence_weights(example, spans, label)
        best = sorted(range(len(spans)), key=lambda i: (-weights[i], i))[: self.n_evidence]
        return tuple(evidence(prepared, *spans[i], float(weights[i])) for i in best if weights[i] > 0)

    def _prediction(
        self, one: Prepared, answers: Sequence[tuple[LabelPrediction, ...]], digests: dict[str, str]
    ) -> Prediction:
        predictions = {model.task: answer for model, answer in zip(self.models, answers, strict=True)}
        return Prediction(one.document.id, len(one.body), one.document.n_boilerplate_lines, predictions, digests)


def champions(folder: Path) -> list[Path]:
    """The folders of the champions, in the order of their tasks' names; the separator beside them is none."""
    return sorted(path.parent for path in folder.glob("[!.]*/model.json") if path.parent.name != "separator")


def check_target(target: str, max_chars: int) -> str:
    """The target without blanks around it.

    Raises:
        DataError: empty or too long.
    """
    name = " ".join(target.split())
    if not name:
        raise DataError("an empty --target; give the name that the articles use, as in --target Russia")
    if len(name) > max_chars:
        raise DataError(f"a --target of {len(name)} characters; expected a name of at most {max_chars}")
    return name


def as_example(prepared: Prepared) -> Example:
    """What a model reads of a prepared article: its title and its body."""
    return Example(id=prepared.document.id, text=prepared.body, title=prepared.document.title or "")


def evidence(prepared: Prepared, start: int, end: int, weight: float, holder: str | None = None) -> Evidence:
    """A span of the body as evidence, led back to the text given."""
    given_start, given_end = prepared.to_given(start, end)
    return Evidence(given_start, given_end, prepared.alignment.given[given_start:given_end], weight, holder)


def batches(
    articles: Iterable[Article | Rejected], n_articles: int, n_chars: int
) -> Iterator[list[Article | Rejected]]:
    """The articles in lists of at most `n_articles`, that hold `n_chars` characters or end with the article that passes them."""
    batch: list[Article | Rejected] = []
    n_held = 0
    for one in articles:
        batch.append(one)
        n_held += 0 if isinstance(one, Rejected) else len(one.text or one.html or "")
        if len(batch) == n_articles or n_held >= n_chars:
            yield batch
            batch, n_held = [], 0
    if batch:
        yield batch


def as_record(prediction: Prediction) -> dict[str, Any]:
    """The contract's record: plain values, probabilities to six decimals."""
    error = prediction.error
    return {
        "id": prediction.id,
        "body_chars": prediction.body_chars,
        "boilerplate_lines": prediction.boilerplate_lines,
        "predictions": {task: [_entry(one) for one in entries] for task, entries in prediction.predictions.items()},
        "model": prediction.model,
        "error": {"reason": error.reason, "message": error.message} if error else None,
    }


def _entry(one: LabelPrediction) -> dict[str, Any]:
    return {
        "label": one.label,
        "probability": round(one.probability, 6),
        "probabilities": {label: round(p, 6) for label, p in one.probabilities.items()},
        "set": list(one.set),
        "abstained": one.abstained,
        "target": one.target,
        "evidence": [
            {"start": e.start, "end": e.end, "text": e.text, "weight": round(e.weight, 6), "holder": e.holder}
            for e in one.evidence
        ],
    }
