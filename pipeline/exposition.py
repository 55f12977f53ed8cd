"""What the service counts, as Prometheus reads it (text exposition format 0.0.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

PATHS = frozenset(("/v1/score", "/v1/separate", "/healthz", "/readyz", "/metrics", "/openapi.json"))
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counters of one server; changed by its event loop alone."""

    def __init__(self) -> None:
        self.is_draining = False
        self.n_in_flight = 0
        self.n_reloads = 0
        self.n_articles = 0
        self.rejected = Counter[str]()
        self._requests = Counter[tuple[str, int]]()
        self._took = Counter[tuple[str, float]]()
        self._seconds = Counter[str]()

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request; paths that we do not serve are one, so that nobody can grow the table."""
        path = path if path in PATHS else "other"
        self._requests[path, status] += 1
        self._seconds[path] += seconds  # type: ignore[assignment]
        self._took[path, next((bound for bound in BOUNDS_S if seconds <= bound), float("inf"))] += 1

    def count_articles(self, n: int, reasons: Iterable[str]) -> None:
        self.n_articles += n
        self.rejected.update(reasons)

    def text(self, models: Mapping[str, str]) -> str:
        """All counters; `models` are the digests by task."""
        lines = ["# TYPE slugline_requests_total counter"]
        lines += [
            f'slugline_requests_total{{path="{path}",status="{status}"}} {n}'
            for (path, status), n in sorted(self._requests.items())
        ]
        lines += ["# TYPE slugline_request_seconds histogram"]
        for path in sorted(self._seconds):
            n_so_far = 0
            for bound in (*BOUNDS_S, float("inf")):
                n_so_far += self._took[path, bound]
                name = "+Inf" if bound == float("inf") else f"{bound:g}"
                lines.append(f'slugline_request_seconds_bucket{{path="{path}",le="{name}"}} {n_so_far}')
            lines.append(f'slugline_request_seconds_sum{{path="{path}"}} {self._seconds[path]:.6f}')
            lines.append(f'slugline_request_seconds_count{{path="{path}"}} {n_so_far}')
        lines += ["# TYPE slugline_requests_in_flight gauge", f"slugline_requests_in_flight {self.n_in_flight}"]
        lines += ["# TYPE slugline_articles_total counter", f"slugline_articles_total {self.n_articles}"]
        lines += ["# TYPE slugline_rejected_articles_total counter"]
        lines += [
            f'slugline_rejected_articles_total{{reason="{reason}"}} {n}' for reason, n in sorted(self.rejected.items())
        ]
        lines += ["# TYPE slugline_model_reloads_total counter", f"slugline_model_reloads_total {self.n_reloads}"]
        lines += ["# TYPE slugline_model gauge"]
        lines += [f'slugline_model{{task="{task}",digest="{digest}"}} 1' for task, digest in sorted(models.items())]
        return "\n".join(lines) + "\n"
