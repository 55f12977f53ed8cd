"""Where the configs, seeds and models are: the folder one stands in if it is a project, else the checkout, else the package."""

from __future__ import annotations

from pathlib import Path


def home() -> Path:
    """The folder that holds `configs/`, `seeds/` and `models/`."""
    package = Path(__file__).resolve().parent
    for place in (Path.cwd(), package.parent, package / "_home"):
        if (place / "configs" / "tasks").is_dir():
            return place
    return Path.cwd()


def config_file(name: str, config_dir: Path) -> Path:
    """A stage's settings: its file in `config_dir`, or the one that ships where the folder has none."""
    own = config_dir / name
    return own if own.is_file() else home() / "configs" / name


def shipped(path: str) -> str:
    """A path of the settings: as seen from here if it is there, else in the project's home."""
    beside = home() / path
    return path if Path(path).exists() or not beside.exists() else str(beside)
