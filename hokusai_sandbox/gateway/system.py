"""The process and its machine, measured without waiting; 0 where it can't be measured."""

import time
from collections.abc import Callable
from types import ModuleType

from hokusai_sandbox.gateway.failpoints import FailPoints

KEPT_S = 0.2  # reading /proc for each of a thousand answers a second would be most of their cost


class System:
    """Memory and CPU. `psutil` is optional: absent, everything is 0."""

    def __init__(self, failpoints: FailPoints) -> None:
        self._failpoints = failpoints
        self._kept: dict[str, tuple[float, float]] = {}
        try:
            import psutil  # the contract allows a deployment without it
        except ImportError:  # pragma: no cover - it is a dependency of ours
            self._psutil: ModuleType | None = None
        else:
            self._psutil = psutil
            self._process = psutil.Process()
            psutil.cpu_percent(interval=None)  # the first call has nothing to compare with

    def memory_usage_mb(self) -> float:
        """What this process holds in memory."""
        return self._measure("rss", lambda psutil: self._process.memory_info().rss / (1024 * 1024))

    def cpu_percent(self) -> float:
        """The machine's CPU use, 0–100."""
        return self._measure("cpu", lambda psutil: psutil.cpu_percent(interval=None))

    def memory_percent(self) -> float:
        """The machine's memory use, 0–100."""
        return self._measure("memory", lambda psutil: psutil.virtual_memory().percent)

    def _measure(self, name: str, measure: Callable[[ModuleType], float]) -> float:
        if self._psutil is None or self._failpoints.is_on("psutil_missing"):
            return 0.0
        at, value = self._kept.get(name, (0.0, 0.0))
        now = time.monotonic()
        if now - at > KEPT_S:
            value = round(min(float(measure(self._psutil)), 100.0 if name != "rss" else float("inf")), 3)
            self._kept[name] = (now, value)
        return value
