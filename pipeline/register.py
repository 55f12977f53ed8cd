"""A challenger in, the champion out: `models/<task>` changes only for a model that is better on the same rows.

The decision that is not obvious: champion and challenger both answer the task's current test rows in this process; a
stored number of the champion is never compared with a fresh one of the challenger.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.artifacts import read_json, replacing, write_json, write_text
from pipeline.classifiers.task_model import TaskModel
from pipeline.config import Config as BaseConfig
from pipeline.document import Summary
from pipeline.errors import ArtifactError, GateError
from pipeline.evaluate import promised
from pipeline.examples import Examples, Source, load_examples
from pipeline.report import model_card
from pipeline.rescoring import answer_array, label_names, true_array
from pipeline.significance import Verdict, compare_predictions
from pipeline.task import TaskConfig


class Config(BaseConfig):
    """`configs/register.yaml`."""

    n_draws: int = Field(ge=100)
    seed: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What `register` decided and why; the differences are challenger minus champion on `n` rows."""

    outcome: Literal["promoted", "kept", "unchanged"]
    reason: str
    challenger: str
    champion: str | None
    n: int
    difference: float | None = None
    p_value: float | None = None


def run(
    config: Config, name: str, task: TaskConfig, source: Source, inputs: Path, champion: Path, output: Path
) -> Decision:
    """Promote the challenger or keep the champion, and write why.

    Raises:
        GateError: the challenger does not reach the task's minimum.
    """
    check_minimum(name, task, promised(task, inputs))
    challenger = TaskModel.load(inputs / "model")
    test = load_examples(task, "test", source)
    decision = decide(challenger, current_champion(champion), test, config)
    if decision.outcome == "promoted":
        promote(inputs, champion, decision)
    write_json(asdict(decision), output / "decision.json")
    write_text(card(name, inputs, decision), output / "model_card.md")
    return decision


def card(name: str, inputs: Path, decision: Decision) -> str:
    """The challenger's model card, from what `train` and `evaluate` wrote of it."""
    training, metrics = read_json(inputs / "training.json"), read_json(inputs / "metrics.json")
    return model_card(name, training, metrics, asdict(decision))


def check_minimum(name: str, task: TaskConfig, value: float) -> None:
    """Pass if the metric of the task's gate reaches its minimum.

    Raises:
        GateError: it does not.
    """
    if value < task.gate.minimum:
        raise GateError(
            f"register {name}: {task.gate.metric} {value:.4f} is below the gate's {task.gate.minimum} "
            f"(configs/tasks/{name}.yaml); the champion stays"
        )


def current_champion(folder: Path) -> TaskModel | None:
    """The champion, or None where there is none yet or its files are damaged beyond use."""
    return TaskModel.load(folder) if (folder / "model.json").is_file() else None


def decide(challenger: TaskModel, champion: TaskModel | None, test: Examples, config: Config) -> Decision:
    """Whether the challenger is better than the champion on the same rows, beyond chance."""
    if champion is None:
        return Decision("promoted", "the first champion", challenger.digest, None, len(test))
    if champion.digest == challenger.digest:
        return Decision("unchanged", "the same model", challenger.digest, champion.digest, len(test))
    if champion.task_kind != challenger.task_kind:
        return Decision("promoted", "the task's kind changed", challenger.digest, champion.digest, len(test))
    names, multi = label_names([challenger, champion], test.examples), challenger.task_kind == "multi"
    new, old = (answer_array(model.predict(test.examples), names, multi=multi) for model in (challenger, champion))
    found = compare_predictions(
        true_array(test.examples, names, multi=multi),
        new,
        old,
        [one.group or one.id for one in test.examples],
        n_draws=config.n_draws,
        seed=config.seed,
        labels=names,
    )
    a = found.accuracy
    reason = f"accuracy {a.a:.4f} against the champion's {a.b:.4f} on {found.n:,} rows, p = {found.p_value:.3f}"
    outcome = "promoted" if found.verdict == Verdict.A_BETTER else "kept"
    return Decision(outcome, reason, challenger.digest, champion.digest, found.n, a.difference, found.p_value)


def promote(inputs: Path, champion: Path, decision: Decision) -> None:
    """Put the challenger in the champion's place, the old champion beside it for `roll_back`."""
    previous = champion.with_name(f".{champion.name}.previous")
    if champion.is_dir():
        shutil.rmtree(previous, ignore_errors=True)
        shutil.copytree(champion, previous)
    with replacing(champion) as temporary:
        shutil.copytree(inputs / "model", temporary)


def roll_back(champion: Path) -> str:
    """The digest of the previous champion, which is back in its place; the one it replaces is kept as the previous one.

    Raises:
        ArtifactError: there is none.
    """
    previous = champion.with_name(f".{champion.name}.previous")
    if not previous.is_dir():
        raise ArtifactError(f"{champion}: no previous champion is kept")
    digest = TaskModel.load(previous).digest
    with replacing(previous) as kept:
        if champion.is_dir():
            shutil.copytree(champion, kept)
        with replacing(champion) as temporary:
            shutil.copytree(previous, temporary)
        if not kept.is_dir():
            shutil.copytree(champion, kept)
    return digest


def summary(name: str, decision: Decision, began: float) -> Summary:
    """The line that `register` logs."""
    return Summary(f"register {name} ({decision.outcome}: {decision.reason})", 1, 1, {}, time.monotonic() - began)
