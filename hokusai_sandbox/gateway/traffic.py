"""What was served, for /metrics."""

import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Traffic:
    """Counts of one process. Labels are routes, never paths: what callers type must not grow it."""

    started: float = field(default_factory=time.monotonic)
    requests: int = 0
    active: int = 0
    total_ms: float = 0.0
    by_route: Counter[tuple[str, str, int]] = field(default_factory=Counter)

    def served(self, method: str, route: str, status: int, elapsed_ms: float) -> None:
        """One answer went out."""
        self.requests += 1
        self.total_ms += elapsed_ms
        self.by_route[method, route, status] += 1

    @property
    def uptime_s(self) -> float:
        """Seconds since the process was ready to count."""
        return time.monotonic() - self.started
