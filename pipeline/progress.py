"""How far a job is, on terminals: articles, those that could not be read, the rate, the share read and the time left."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

from pipeline.inputs import Meter
from pipeline.tally import Tally, rejected

MIN_PAUSE_S = 0.5


@dataclass(slots=True)
class Progress:
    """Adds up the tallies of batches as they are done."""

    meter: Meter
    tally: Tally = field(default_factory=Tally)
    _began: float = field(default_factory=time.monotonic)
    _shown: float = 0.0
    _n_kept: int = 0
    _share_kept: float = 0.0

    def keep(self, tally: Tally) -> None:
        """Count what an earlier run of the job has done; the rate is that of the rest."""
        self.tally.update(tally)
        self._n_kept, self._share_kept, self._began = self.n_articles, self.meter.share or 0.0, time.monotonic()

    def add(self, tally: Tally) -> None:
        """Count what was done just now, and show it from time to time."""
        self.tally.update(tally)
        now = time.monotonic()
        if sys.stderr.isatty() and now - self._shown >= MIN_PAUSE_S:
            self._shown = now
            sys.stderr.write(f"\r{self.line(now - self._began)}\x1b[K")
            sys.stderr.flush()

    def close(self) -> None:
        """End the line that was shown."""
        if self._shown:
            sys.stderr.write("\n")

    @property
    def n_articles(self) -> int:
        return self.tally["articles"]

    def line(self, seconds: float) -> str:
        """The line shown after so many seconds of work."""
        rate = (self.n_articles - self._n_kept) / max(seconds, 1e-9)
        n_lost = sum(rejected(self.tally).values())
        lost = f" ({n_lost:,} rejected)" if n_lost else ""
        return f"{self.n_articles:,} articles{lost}, {rate:,.0f} a second{self._left(seconds)}"

    def _left(self, seconds: float) -> str:
        share = self.meter.share
        if share is None or share <= self._share_kept:
            return ""
        left = seconds * (1 - share) / (share - self._share_kept)
        return f", {share:.0%} read, {_spelt(left)} left"


def _spelt(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
