"""What `score` writes beside its output: what the articles and the answers look like, for `slugline drift`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import read_json, write_text
from pipeline.errors import ArtifactError
from pipeline.tally import Tally, labels_of, rejected, share


@dataclass(frozen=True, slots=True)
class Profile:
    """Counts of scored articles, and the models (digest by task) that scored them."""

    models: dict[str, str]
    counts: Tally


def profile_path(output: Path) -> Path:
    """Where the profile of the records in `output` stands."""
    return output.with_name(f"{output.name}.profile.json")


def write_profile(path: Path, models: Sequence[Path], counts: Tally) -> None:
    """Write the counts, and what they come to."""
    write_text(profile_bytes(models, counts).decode("utf-8"), path)


def profile_bytes(models: Sequence[Path], counts: Tally) -> bytes:
    """The profile as it is written."""
    headers = [read_json(folder / "model.json") for folder in models]
    tasks = {header["task"]: header["digest"] for header in headers}
    plain = {
        "articles": counts["articles"],
        "rejected": rejected(counts),
        "body_share": _mean(counts, "body"),
        "tasks": {task: _summary(counts, task) for task in tasks},
        "models": tasks,
        "counts": dict(sorted((+counts).items())),
    }
    return json.dumps(plain, indent=2, ensure_ascii=False).encode("utf-8") + b"\n"


def read_profile(path: Path) -> Profile:
    """The profile that `write_profile` wrote.

    Raises:
        ArtifactError: missing or of another form.
    """
    plain = read_json(path)
    try:
        return Profile(dict(plain["models"]), Tally({str(name): int(n) for name, n in plain["counts"].items()}))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ArtifactError(f"{path}: no profile; `slugline score -o FILE` writes FILE.profile.json") from None


def _summary(counts: Tally, task: str) -> dict[str, Any]:
    n = counts[f"{task}/entries"]
    return {
        "labels": labels_of(counts, task),
        "abstained": round(counts[f"{task}/abstained"] / n, 4) if n else None,
        "unknown_words": _mean(counts, f"{task}/unknown"),
    }


def _mean(counts: Tally, name: str) -> float | None:
    mean, _, n = share(counts, name)
    return round(mean, 4) if n else None
