"""A thread that follows the aliases of the registry: when one points to another version, its files are fetched and handed on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import tracking
from pipeline.errors import PipelineError

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Aliases:
    """The models named in the registry among those given, and where their files are fetched to."""

    names: Sequence[str]
    folders: list[Path]
    scratch: Path
    check_s: float
    _versions: dict[str, str] = field(default_factory=dict)
    _n_fetched: int = 0

    def follow(self, changed: Callable[[list[Path]], None]) -> None:
        """Call `changed` with all folders whenever one is replaced; nothing to do where no name is an alias."""
        if any("@" in name for name in self._registered()):
            self._versions = {name: tracking.version_behind(name) for name in self._registered()}
            threading.Thread(target=self._follow, args=(changed,), daemon=True).start()

    def look(self) -> bool:
        """Whether a version has changed since the last look; `folders` then holds its files."""
        found = False
        for place, name in enumerate(self.names):
            if name in self._versions and (version := tracking.version_behind(name)) != self._versions[name]:
                self._n_fetched += 1
                self.folders[place] = tracking.model_folder(name, self.scratch / f"fetched-{self._n_fetched}")
                self._versions[name] = version
                log.info("serve: %s is now version %s", name, version)
                found = True
        return found

    def _registered(self) -> list[str]:
        return [name for name in self.names if name.startswith("models:")]

    def _follow(self, changed: Callable[[list[Path]], None]) -> None:
        pause = threading.Event()
        while not pause.wait(self.check_s):
            try:
                if self.look():
                    changed(list(self.folders))
            except PipelineError as error:
                log.warning("serve: %s; the model in use stays", error)
