"""YAML to one frozen model a stage. Every number that changes a result is in `configs/`; nothing here has a default for one."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import ConfigError


class Config(BaseModel):
    """Base of every stage's and task's settings: frozen, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def load(cls, path: Path, overrides: list[str] | None = None) -> Self:
        """The settings in a YAML file, with `key.sub=value` overrides laid over them.

        Raises:
            ConfigError: the file is missing or not YAML, a key is unknown, a value is out of bounds.
        """
        values = read_yaml(path)
        for override in overrides or []:
            lay(values, override)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(f"{path}: {first_problem(error, cls)}") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: no such file, not YAML, or not a mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = sorted(p.stem for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        raise ConfigError(f"{path}: no such file; there are {', '.join(near) or 'none'} in {path.parent}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); expected a UTF-8 YAML file") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, got {type(values).__name__}")
    return values


def lay(values: dict[str, Any], override: str) -> None:
    """Lay `key.sub=value` over nested settings; the value is YAML, so `true`, `0.5` and `[a, b]` mean what they say.

    Raises:
        ConfigError: not of that form, or a part of the key is not a group.
    """
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override}: expected key=value, as in --set data.train=news.jsonl")
    *parents, last = key.strip().split(".")
    for parent in parents:
        inner = values.get(parent)
        if inner is None:
            inner = values[parent] = {}
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: '{parent}' is not a group of settings")
        values = inner
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        values[last] = text


def first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """The first problem of a failed validation in one line, with the key that may have been meant."""
    problem = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        key = str(problem["loc"][-1])
        near = difflib.get_close_matches(key, _field_names(model), n=1)
        return f"unknown key '{place}'" + (f"; did you mean '{near[0]}'?" if near else "")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"'{place}': {problem['msg']}, got {problem['input']!r}"[:300] + more


def _field_names(model: type[BaseModel]) -> list[str]:
    names: set[str] = set()
    todo: list[Any] = [model]
    while todo:
        current = todo.pop()
        if isinstance(current, type) and issubclass(current, BaseModel):
            names.update(current.model_fields)
            todo.extend(f.annotation for f in current.model_fields.values())
        else:
            todo.extend(getattr(current, "__args__", ()))
    return sorted(names)
