"""The tree of errors. A bad *document* is a `Rejected` value; a bad *run* raises one of these.

PipelineError
├── ConfigError     a setting: which file, which key, what was expected
├── DataError       an input: which file, which row
├── ArtifactError   something a stage should have written is missing, damaged or not trusted
├── TrackingError   the MLflow server or store
└── GateError       a check refused the result: leakage, promotion
"""

from __future__ import annotations

from pathlib import Path


class PipelineError(Exception):
    """The pipeline refused or failed; the message is one line that says what to do."""


class ConfigError(PipelineError):
    """A setting is missing, misspelt or out of bounds."""


class DataError(PipelineError):
    """An input cannot be used.

    The message names the file and, counted from 1, the row.
    """

    def __init__(self, message: str, *, file: str | Path | None = None, row: int | None = None):
        place = ", ".join(filter(None, [str(file) if file else "", f"row {row}" if row else ""]))
        super().__init__(f"{place}: {message}" if place else message)
        self.file, self.row = file, row


class ArtifactError(PipelineError):
    """A file that a stage should have written is missing, damaged or not trusted."""


class TrackingError(PipelineError):
    """The tracking server or store cannot be used."""


class GateError(PipelineError):
    """A check refused the result."""
