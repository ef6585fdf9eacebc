"""What one instance says of itself, over time: its health and its breaker, asked again and again."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from hokusai_validation.errors import RequestFailed
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.topology import Role, word_for

EVERY_S = 0.1
# How `/health` shows the breaker's state as MLflow's.
BREAKER_OF: Mapping[str, str] = {"degraded": "OPEN", "recovering": "HALF_OPEN"}


@dataclass(frozen=True)
class Seen:
    """What was seen from `at` (`time.monotonic()`) on. `health` is the overall status, or why there
    was none."""

    at: float
    health: str
    breaker: str


class Watch:
    """Asks `/health` of an instance, which counts nothing at its breaker; keeps what changes."""

    def __init__(self, client: HttpClient, timeout_s: float) -> None:
        self.changes: list[Seen] = []
        self._client = client
        self._timeout_s = timeout_s
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=self._timeout_s + 1)

    @property
    def sequence(self) -> list[str]:
        """The overall states in their order."""
        return _without_repeats([seen.health for seen in self.changes])

    @property
    def breaker_sequence(self) -> list[str]:
        """The breaker's states in their order."""
        return _without_repeats([seen.breaker for seen in self.changes if seen.breaker != "unknown"])

    def note(self, health: str, breaker: str) -> None:
        """Keep a state that was seen some other way."""
        last = self.changes[-1] if self.changes else None
        if last is None or (last.health, last.breaker) != (health, breaker):
            self.changes.append(Seen(time.monotonic(), health, breaker))

    def look(self) -> None:
        """Ask once more, now."""
        self.note(*self._look())

    def _run(self) -> None:
        while True:
            self.look()
            if self._ended.wait(EVERY_S):
                return

    def _look(self) -> tuple[str, str]:
        try:
            answer = self._client.get("/health", timeout_s=self._timeout_s)
            body = answer.json()
            mlflow = str(body["services"][word_for(Role.TRACKING_SERVER)])
            return str(body["status"]), BREAKER_OF.get(mlflow, "CLOSED")
        except RequestFailed as error:
            return f"no answer ({type(error).__name__})", "unknown"
        except (KeyError, TypeError):
            return f"answered {answer.status}", "unknown"


def _without_repeats(states: list[str]) -> list[str]:
    return [state for number, state in enumerate(states) if number == 0 or states[number - 1] != state]
