"""One name in four places, layers that import only downwards, a command line that starts at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from typer.main import get_command

from pipeline.cli import app

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PER_TASK = {"train"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_command_a_module_and_a_file_of_settings(stage: str) -> None:
    module = ROOT / "pipeline" / stage.replace("-", "_")
    assert stage in get_command(app).commands  # type: ignore[attr-defined]
    assert module.with_suffix(".py").is_file() or (module / "__init__.py").is_file()
    settings = ROOT / "configs" / ("tasks" if stage in PER_TASK else f"{stage.replace('-', '_')}.yaml")
    assert settings.exists()
    assert STAGES[stage]["cmd"].startswith(f"slugline {stage}")


@pytest.mark.parametrize(
    "command",
    [
        "ingest",
        "clean",
        "separate",
        "split",
        "train",
        "evaluate",
        "register",
        "score",
        "run",
        "compare",
        "explain",
        "ui",
        "serve",
    ],
)
def test_every_command_of_the_contract_is_there(command: str) -> None:
    assert command in get_command(app).commands  # type: ignore[attr-defined]


def test_what_a_command_does_fits_a_line_of_the_help() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80"},
    )
    commands = done.stdout.partition("Commands:")[2]
    assert "..." not in commands and max(map(len, done.stdout.splitlines())) <= 80


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['slugline', '--help']\nfrom pipeline.cli import main\ntry: main()\nexcept SystemExit: pass\nprint('HEAVY', sorted({'torch', 'mlflow', 'sklearn', 'pandas', 'numpy', 'transformers', 'datasets', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_no_stage_reads_a_pickle() -> None:
    for path in (ROOT / "pipeline").rglob("*.py"):
        words = path.read_text()
        assert not any(
            f"{one}.{verb}" in words for one in ("pickle", "joblib", "cloudpickle") for verb in ("load", "dump")
        ), path


def test_the_license_and_the_model_card_are_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert (Path(ROOT) / "models" / "separator" / "README.md").is_file()
